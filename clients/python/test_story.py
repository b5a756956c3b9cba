"""The client against a server: ROOKERY_URL=http://127.0.0.1:8000/graphql pytest"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import NamedTuple

import pytest
from rookery import (
    Client,
    CreatePostInput,
    FollowState,
    NotificationType,
    Posted,
    TimelineReason,
    UserBy,
    UserErrorCode,
)
from story import (
    PrivateLists,
    connect,
    create_post,
    listen,
    read_backwards,
    read_forwards,
    read_private_lists,
    register,
    watch,
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


async def test_a_repeated_post_is_created_once(john: User) -> None:
    post = CreatePostInput(body="The kettle is on.", idempotency_key=secrets.token_hex(16))
    first = await john.client.create_post(post)
    second = await john.client.create_post(post)
    assert first.post and second.post == first.post
    other = post.model_copy(update={"body": "The kettle is off."})
    errors = [error.code for error in (await john.client.create_post(other)).user_errors]
    assert errors == [UserErrorCode.IDEMPOTENCY_MISMATCH]


async def test_a_follower_sees_who_reposted(john: User, susan: User, new_user: NewUser) -> None:
    mary = await new_user("mary")
    await john.client.follow(susan.by)
    post = await create_post(mary.client, "Three new broods under the bridge.")
    repost = await susan.client.repost(post.id)
    assert repost.changed and repost.post and repost.post.reposts_count == 1
    viewer = await john.client.timeline(first=10)
    assert viewer
    [edge] = viewer.user.timeline.edges
    assert (edge.reason, edge.node) == (TimelineReason.REPOST, post)
    assert edge.reposted_by and edge.reposted_by.username == susan.by.username

    like = await john.client.like(post.id)
    assert like.changed and like.post and like.post.viewer_has_liked
    like = await john.client.like(post.id)
    assert not like.changed and like.post and like.post.likes_count == 1


async def test_a_conversation_has_replies_and_mentions(john: User, susan: User) -> None:
    question = await create_post(susan.client, "Who counts the rooks?")
    body = f"\N{BIRD} I do, @{susan.by.username}!"
    answer = await create_post(john.client, body, question.id)
    conversation = await john.client.conversation(question.id)
    assert conversation and conversation.typename__ == "Post"
    assert conversation.replies_count == 1 and conversation.replies.nodes == [answer]

    conversation = await john.client.conversation(answer.id)
    assert conversation and conversation.typename__ == "Post"
    assert conversation.ancestors == [question]
    # The positions count code points, as those of a Python string do.
    [mention] = conversation.mentions
    name = body[mention.start : mention.start + mention.length]
    assert name == f"@{mention.user.username}" == f"@{susan.by.username}"


async def test_notifications_arrive_live_and_are_marked_as_read(john: User, susan: User) -> None:
    post = await create_post(susan.client, "Who counts the rooks?")
    viewer = await susan.client.inbox(first=10)
    assert viewer and viewer.unread_notifications_count == 0
    notices = viewer.notifications.nodes
    unread_counts: asyncio.Queue[int] = asyncio.Queue()
    async with asyncio.timeout(TIMEOUT_SECONDS), asyncio.TaskGroup() as tasks:
        await john.client.like(post.id)
        stream_cursor = viewer.notifications.stream_cursor
        watching = tasks.create_task(watch(susan.client, stream_cursor, notices, unread_counts))
        assert await unread_counts.get() == 1
        reply = await create_post(john.client, "I do.", post.id)
        assert await unread_counts.get() == 2
        shown = [(notice.type_, notice.post and notice.post.id) for notice in notices]
        assert shown == [(NotificationType.REPLY, reply.id), (NotificationType.LIKE, post.id)]
        assert {notice.actor.username for notice in notices} == {john.by.username}

        await john.client.unlike(post.id)
        assert await unread_counts.get() == 1
        mark = await susan.client.mark_notifications_read()
        assert mark.changed and mark.viewer and mark.viewer.unread_notifications_count == 0
        assert await unread_counts.get() == 0
        read = [(notice.type_, notice.is_read) for notice in notices]
        assert read == [(NotificationType.REPLY, True)]
        watching.cancel()


async def test_search_finds_posts_and_users(john: User, susan: User) -> None:
    word = f"kestrel{secrets.token_hex(6)}"
    post = await create_post(susan.client, f"A {word} in May")
    other = await create_post(john.client, f"Two of them: {word}!")
    assert (await john.client.search(word)).search_posts.nodes == [other, post]
    assert (await john.client.search(f"may {word[:-1]}*")).search_posts.nodes == [post]
    assert (await john.client.search(word, by=john.by)).search_posts.nodes == [other]
    assert susan.by.username
    users = (await john.client.search(susan.by.username[:-1])).search_users
    assert [user.username for user in users] == [susan.by.username]


async def test_the_timeline_marker_moves_forward_only(john: User) -> None:
    for body in "one", "two":
        await create_post(john.client, body)
    viewer = await john.client.timeline(first=10)
    assert viewer and viewer.timeline_marker is None
    two, one = [edge.cursor for edge in viewer.user.timeline.edges]
    assert (await john.client.mark_timeline_read(two)).changed
    mark = await john.client.mark_timeline_read(one)
    assert (mark.changed, mark.timeline_marker) == (False, two)
