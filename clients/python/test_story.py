"""The client against a server: ROOKERY_URL=http://127.0.0.1:8000/graphql pytest"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import NamedTuple

import pytest
from rookery import Client, FollowState, Posted, TimelineReason, UserBy, UserErrorCode
from story import (
    PrivateLists,
    connect,
    create_post,
    listen,
    read_backwards,
    read_forwards,
    read_private_lists,
    register,
)

pytestmark = pytest.mark.anyio

TIMEOUT_SECONDS = 10


class User(NamedTuple):
    by: UserBy
    client: Client


NewUser = Callable[[str], Awaitable[User]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def new_user() -> AsyncIterator[NewUser]:
    address = os.environ["ROOKERY_URL"]
    async with AsyncExitStack() as clients:
        anonymous = await clients.enter_async_context(connect(address))

        async def new_user(name: str) -> User:
            by, token = await register(anonymous, name)
            return User(by, await clients.enter_async_context(connect(address, token)))

        yield new_user


@pytest.fixture
async def john(new_user: NewUser) -> User:
    return await new_user("john")


@pytest.fixture
async def susan(new_user: NewUser) -> User:
    return await new_user("susan")


async def test_two_registrations_create_two_users(john: User, susan: User) -> None:
    assert john.by != susan.by


async def test_a_follow_updates_the_counts_of_both_users(john: User, susan: User) -> None:
    # The payload has every value that a screen has to update.
    follow = await john.client.follow(susan.by)
    assert follow.changed and not follow.user_errors
    assert follow.user and follow.follower
    assert follow.user.followers_count == 1
    assert follow.follower.following_count == 1


async def test_a_second_follow_changes_nothing(john: User, susan: User) -> None:
    first = await john.client.follow(susan.by)
    second = await john.client.follow(susan.by)
    assert not second.changed and not second.user_errors
    assert first.user and second.user == first.user


async def test_following_an_unknown_user_returns_a_not_found_error(john: User) -> None:
    # An expected failure is data, with a type of its own.
    follow = await john.client.follow(UserBy(username=f"unknown_{secrets.token_hex(6)}"))
    assert not follow.changed and not follow.user
    errors = [(error.typename__, error.code, error.path) for error in follow.user_errors]
    assert errors == [("NotFoundError", UserErrorCode.NOT_FOUND, ["user"])]


async def test_an_unfollow_restores_the_counts(john: User, susan: User) -> None:
    follow = await john.client.follow(susan.by)
    unfollow = await john.client.unfollow(susan.by)
    assert unfollow.changed and not unfollow.user_errors
    assert follow.user and unfollow.user
    assert unfollow.user.followers_count == 0
    assert unfollow.unfollowed_user_id == follow.user.id


async def test_pages_list_all_followers_in_both_directions(
    john: User, susan: User, new_user: NewUser
) -> None:
    newest_first: list[str | None] = []
    for n in range(5):
        fan = await new_user(f"fan{n}")
        await fan.client.follow(susan.by)
        newest_first.insert(0, fan.by.username)

    forwards = await read_forwards(john.client, susan.by)
    assert forwards.usernames == newest_first
    assert forwards.flags == [(False, True), (True, True), (True, False)]
    assert forwards.total_count == len(forwards.usernames)

    backwards = await read_backwards(john.client, susan.by)
    assert backwards.usernames == forwards.usernames[::-1]
    assert backwards.flags == [(True, False), (True, True), (False, True)]


async def test_a_protected_user_accepts_a_request(john: User, susan: User) -> None:
    post = await create_post(susan.client, "For followers.")
    protect = await susan.client.protect(True)
    assert protect.user and protect.user.is_protected and not protect.user_errors

    follow = await john.client.follow(susan.by)
    assert follow.changed and follow.relationship and follow.user
    assert follow.relationship.follow_state == FollowState.REQUESTED
    assert follow.user.followers_count == 0
    susans = await john.client.posts(susan.by)
    assert susans and not susans.viewer_can_see and not susans.posts.nodes
    assert (await read_private_lists(john.client)).sent == [susan.by.username]
    assert (await read_private_lists(susan.client)).received == [john.by.username]

    accept = await susan.client.accept_follow_request(john.by)
    assert accept.changed and accept.relationship and accept.relationship.followed_by
    susans = await john.client.posts(susan.by)
    assert susans and susans.viewer_can_see and susans.posts.nodes == [post]
    for user in john, susan:
        assert await read_private_lists(user.client) == PrivateLists([], [], [], [])

    # The request no longer exists, and the follow does.
    accept = await susan.client.accept_follow_request(john.by)
    assert not accept.changed and not accept.user_errors


async def test_a_mute_changes_the_timeline_and_a_block_ends_the_follow(
    john: User, susan: User
) -> None:
    await john.client.follow(susan.by)
    await create_post(susan.client, "The dawn chorus started at 4:12 today.")
    mute = await john.client.mute(susan.by)
    assert mute.relationship and mute.relationship.muting
    assert mute.relationship.follow_state == FollowState.FOLLOWING
    viewer = await john.client.timeline(first=10)
    assert viewer and not viewer.user.timeline.edges
    assert (await read_private_lists(john.client)).muted == [susan.by.username]

    block = await susan.client.block(john.by)
    assert block.relationship and block.relationship.blocking
    assert not block.relationship.followed_by
    assert (await read_private_lists(susan.client)).blocked == [john.by.username]
    follow = await john.client.follow(susan.by)
    errors = [(error.typename__, error.code) for error in follow.user_errors]
    assert errors == [("BlockedError", UserErrorCode.BLOCKED)]


async def test_the_timeline_has_own_and_followed_posts_newest_first(
    john: User, susan: User
) -> None:
    await john.client.follow(susan.by)
    own = await create_post(john.client, "The kettle is on.")
    followed = await create_post(susan.client, "The dawn chorus started at 4:12 today.")
    viewer = await john.client.timeline(first=10)
    assert viewer
    edges = [(edge.reason, edge.node) for edge in viewer.user.timeline.edges]
    assert edges == [(TimelineReason.FOLLOWING, followed), (TimelineReason.OWN, own)]


async def test_a_subscription_resumes_at_the_stream_cursor_of_the_page(
    john: User, susan: User
) -> None:
    await john.client.follow(susan.by)
    viewer = await john.client.timeline(first=10)
    assert viewer
    before = await create_post(susan.client, "Written before the subscription.")
    arrived: asyncio.Queue[Posted] = asyncio.Queue()
    async with asyncio.timeout(TIMEOUT_SECONDS), asyncio.TaskGroup() as tasks:
        stream_cursor = viewer.user.timeline.stream_cursor
        listening = tasks.create_task(listen(john.client, stream_cursor, arrived))
        assert await arrived.get() == before
        live = await create_post(susan.client, "Written during the subscription.")
        assert await arrived.get() == live
        listening.cancel()
