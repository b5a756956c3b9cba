"""A client of Rookery on the classes that ariadne-codegen generates from schema.graphql.

test_story.py runs it against a server.
"""

import asyncio
import secrets
from typing import NamedTuple

import httpx
from rookery import Client, CreatePostInput, Notice, Posted, RegisterInput
from rookery import UserBy


def connect(address: str, token: str | None = None) -> Client:
    """A client with the token of a user, or an anonymous client.

    Queries and mutations use HTTP, and subscriptions a WebSocket.
    """
    bearer = {"authorization": f"Bearer {token}"} if token else {}
    return Client(
        address,
        headers=bearer,
        ws_url=address.replace("http", "ws", 1),
        ws_connection_init_payload=bearer,
    )


async def register(anonymous: Client, name: str) -> tuple[UserBy, str]:
    """Registers a user with a random suffix. Returns the user and the token of the session."""
    username = f"{name}_{secrets.token_hex(6)}"
    payload = await anonymous.register(
        RegisterInput(
            username=username,
            email=f"{username}@example.com",
            password="correct horse battery",
            display_name=name.capitalize(),
        )
    )
    assert payload.token, payload.user_errors
    return UserBy(username=username), payload.token


async def create_post(author: Client, body: str, in_reply_to_id: str | None = None) -> Posted:
    """Creates a post, or a reply to a post."""
    key = secrets.token_hex(16)
    post = CreatePostInput(body=body, in_reply_to_id=in_reply_to_id, idempotency_key=key)
    try:
        payload = await author.create_post(post)
    except httpx.TransportError:
        # The server may have created the post. With the same key it creates no other one.
        payload = await author.create_post(post)
    assert payload.post, payload.user_errors
    return payload.post


class Pages(NamedTuple):
    """All pages of a list, in the order in which the client read them."""

    usernames: list[str]
    #: `hasPreviousPage` and `hasNextPage` of each page
    flags: list[tuple[bool, bool]]
    total_count: int


async def read_forwards(reader: Client, susan: UserBy) -> Pages:
    """Reads all followers, two at a time, from the newest follow to the oldest."""
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
    return Pages(forwards, flags, page.total_count)


async def read_backwards(reader: Client, susan: UserBy) -> Pages:
    """Reads all followers, two at a time, from the oldest follow to the newest."""
    backwards: list[str] = []
    flags: list[tuple[bool, bool]] = []
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
    return Pages(backwards, flags, page.total_count)


class PrivateLists(NamedTuple):
    """The usernames in the lists that only the viewer can read."""

    received: list[str]
    sent: list[str]
    blocked: list[str]
    muted: list[str]


async def read_private_lists(reader: Client) -> PrivateLists:
    viewer = await reader.private_lists()
    assert viewer
    return PrivateLists(
        received=[edge.node.username for edge in viewer.follow_requests.edges],
        sent=[edge.node.username for edge in viewer.sent_follow_requests.edges],
        blocked=[edge.node.username for edge in viewer.blocked_users.edges],
        muted=[edge.node.username for edge in viewer.muted_users.edges],
    )


async def listen(reader: Client, after: str, arrived: asyncio.Queue[Posted]) -> None:
    """Puts new posts of the timeline into the queue. Cancelling the task closes the WebSocket."""
    async for event in reader.timeline_events(after=after):
        if event.typename__ == "TimelinePostAdded":
            arrived.put_nowait(event.edge.node)


async def watch(
    reader: Client, after: str, notices: list[Notice], unread_counts: asyncio.Queue[int]
) -> None:
    """Keeps a list of notifications up to date, newest first.

    Puts the number of unread notifications into the queue after each change.
    """
    async for event in reader.notification_events(after=after):
        if event.typename__ == "StreamLagged":
            return  # Subscribe after `resume_after`, or read the list again if it is null.
        if event.typename__ == "NotificationsRead":
            # `up_to` may be older than the list, or one that the list leaves out.
            is_read = event.unread_count == 0
            for notice in notices:
                is_read = is_read or notice.id == event.up_to
                notice.is_read = is_read
        else:
            notices[:] = [notice for notice in notices if notice.id not in event.removed_ids]
        if event.typename__ == "NotificationAdded":
            notices.append(event.notification)
            notices.sort(key=lambda notice: notice.created_at, reverse=True)
        unread_counts.put_nowait(event.unread_count)
