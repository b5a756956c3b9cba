"""The story of a timeline, with a client that ariadne-codegen makes from schema.graphql.

python story.py http://127.0.0.1:8000/graphql
"""

import asyncio
import secrets
import sys
from contextlib import AsyncExitStack

from rookery import Client, CreatePostInput, Posted, RegisterInput
from rookery import TimelineReason, UserBy, UserErrorCode

failed = False


def check(what: str, holds: bool) -> None:
    global failed
    failed = failed or not holds
    print(f"ok: {what}" if holds else f"not ok: {what}", flush=True)


def connect(address: str, token: str | None = None) -> Client:
    """A client of one user, or of nobody: over HTTP, and over a WebSocket for what is live."""
    bearer = {"authorization": f"Bearer {token}"} if token else {}
    return Client(
        address,
        headers=bearer,
        ws_url=address.replace("http", "ws", 1),
        ws_connection_init_payload=bearer,
    )


async def register(anonymous: Client, name: str) -> tuple[UserBy, str]:
    """A new user, and the token of their first session."""
    username = f"{name}_{secrets.token_hex(6)}"
    answer = await anonymous.register(
        RegisterInput(
            username=username,
            email=f"{username}@example.com",
            password="correct horse battery",
            display_name=name.capitalize(),
        )
    )
    assert answer.token, answer.user_errors
    return UserBy(username=username), answer.token


async def post(author: Client, body: str) -> Posted:
    answer = await author.create_post(CreatePostInput(body=body))
    assert answer.post, answer.user_errors
    return answer.post


async def follow_and_unfollow(john: Client, susan: UserBy) -> None:
    # The payload has everything that a screen shows differently from now on.
    follow = await john.follow(susan)
    check("john follows susan", follow.changed and not follow.user_errors)
    assert follow.user and follow.follower
    check("susan has one follower", follow.user.followers_count == 1)
    check("john follows one user", follow.follower.following_count == 1)

    again = await john.follow(susan)
    check("following again is no error", not again.changed and not again.user_errors)
    check("and counts nothing twice", again.user == follow.user)

    # What can go wrong is data, with a type of its own.
    nobody = await john.follow(UserBy(username=f"nobody_{secrets.token_hex(6)}"))
    check("who does not exist cannot be followed", not nobody.changed and not nobody.user)
    errors = [(error.typename__, error.code, error.path) for error in nobody.user_errors]
    not_found = ("NotFoundError", UserErrorCode.NOT_FOUND, ["user"])
    check("the error is a NotFoundError", errors == [not_found])

    unfollow = await john.unfollow(susan)
    check("john follows susan no longer", unfollow.changed and not unfollow.user_errors)
    assert unfollow.user
    check("susan has no follower", unfollow.user.followers_count == 0)
    check("the id to take out is susan's", unfollow.unfollowed_user_id == follow.user.id)


async def walk_pages(reader: Client, susan: UserBy, newest_first: list[str | None]) -> None:
    forwards: list[str] = []
    flags: list[tuple[bool, bool]] = []
    after: str | None = None
    while True:
        user = await reader.followers(susan, first=2, after=after)
        assert user
        page = user.followers
        forwards += [edge.node.username for edge in page.edges]
        flags.append((page.page_info.has_previous_page, page.page_info.has_next_page))
        if not page.page_info.has_next_page:
            break
        after = page.page_info.end_cursor
    check("forwards, from the newest follow", forwards == newest_first)
    check("PageInfo is right forwards", flags == [(False, True), (True, True), (True, False)])
    check("totalCount is the length of the list", page.total_count == len(forwards))

    backwards: list[str] = []
    flags = []
    before: str | None = None
    while True:
        user = await reader.followers(susan, last=2, before=before)
        assert user
        page = user.followers
        backwards += [edge.node.username for edge in reversed(page.edges)]
        flags.append((page.page_info.has_previous_page, page.page_info.has_next_page))
        if not page.page_info.has_previous_page:
            break
        before = page.page_info.start_cursor
    check("backwards, the same users in reverse", backwards == forwards[::-1])
    check("PageInfo is right backwards", flags == [(True, False), (True, True), (False, True)])


async def read_timeline(john: Client, susan: Client) -> str:
    """The place in the stream of events up to which john has read."""
    own = await post(john, "The kettle is on.")
    followed = await post(susan, "The dawn chorus started at 4:12 today.")
    viewer = await john.timeline(first=10)
    assert viewer
    timeline = viewer.user.timeline
    check(
        "own and followed posts, newest first",
        [(edge.reason, edge.node) for edge in timeline.edges]
        == [(TimelineReason.FOLLOWING, followed), (TimelineReason.OWN, own)],
    )
    return timeline.stream_cursor


async def listen(reader: Client, after: str, arrived: asyncio.Queue[Posted]) -> None:
    """Hears what happens to the reader's timeline, until it is cancelled: that closes the socket."""
    async for event in reader.timeline_events(after=after):
        if event.typename__ == "TimelinePostAdded":
            arrived.put_nowait(event.edge.node)


async def hear_posts(john: Client, susan: Client, stream_cursor: str) -> None:
    # The stream goes on where the page ended: nothing is missed in between.
    missed = await post(susan, "Written before john listens.")
    arrived: asyncio.Queue[Posted] = asyncio.Queue()
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(listen(john, stream_cursor, arrived))
        check("a post from before the subscription arrives", await arrived.get() == missed)
        live = await post(susan, "Written while he does.")
        check("a live post arrives", await arrived.get() == live)
        listening.cancel()


async def tell(address: str) -> None:
    async with AsyncExitStack() as clients:
        anonymous = await clients.enter_async_context(connect(address))

        async def join(name: str) -> tuple[UserBy, Client]:
            user, token = await register(anonymous, name)
            return user, await clients.enter_async_context(connect(address, token))

        by_john, john = await join("john")
        by_susan, susan = await join("susan")
        check("two users registered", by_john != by_susan)
        await follow_and_unfollow(john, by_susan)

        fans = [await join(f"fan{n}") for n in range(5)]
        for _, fan in fans:
            await fan.follow(by_susan)
        await walk_pages(john, by_susan, [by.username for by, _ in reversed(fans)])

        await john.follow(by_susan)
        stream_cursor = await read_timeline(john, susan)
        await hear_posts(john, susan, stream_cursor)


async def main() -> None:
    async with asyncio.timeout(60):
        await tell(sys.argv[1])


asyncio.run(main())
sys.exit(failed)
