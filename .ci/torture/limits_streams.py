"""Limits of subscriptions: the memory of their responses, and the price of their events.

The attackers have one client network and many accounts. A client of another network never waits for
a second.
"""

import selectors
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from canary import Canary
from graph import READER, TIMELINE, WRITER, import_graph, owner_tokens, timeline_cursors
from harness import on_both_engines_when_long, wait_until
from networks import (
    NO_USER_LIMITS,
    OTHER_NETWORK,
    UPGRADE,
    check_log,
    check_never_waits,
    demo_tokens,
    message,
    open_unread,
)
from service import EVENT_STREAM, RESPONSE_MEMORY_BYTES, graphql_request
from websocket import WebSocket

MAX_MEMORY_GROWTH_MB = 300
# Half of the default of --response-memory-bytes.
MAX_RESPONSE_BYTES = 67_108_864

USER = "{ viewer { user { id } } }"
CREATE_POST = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }"
FOLLOW_COUNTS = (
    'subscription { followCounts(userId: "%s") { posts(first: %d) { nodes { body } } } }'
)
FOLLOW = """mutation { follow(user: {id: "%s"}) { changed }
    unfollow(user: {id: "%s"}) { changed } }"""
EDIT = 'editPost(input: {id: "%s", body: "%s"}) { changed }'
EVENTS = """subscription ($after: String) { timelineEvents(after: $after) { __typename
    ... on StreamLagged { resumeAfter }
    ... on TimelinePostUpdated { post { author { %s } } } } }"""


def close_all(server, streams):
    for stream in streams:
        stream.close()
    wait_until(lambda: server.metrics()["rookery_streams_open"] == 0, 10)


def operations(tokens, document):
    """What starts 100 operations on a WebSocket, for each account."""
    for token in tokens:
        content = UPGRADE + message(
            {"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}
        )
        for n in range(100):
            content += message({"type": "subscribe", "id": str(n), "payload": {"query": document}})
        yield content


def unread_operations(server, tokens, user):
    """100 operations on a WebSocket of each account, with responses of 60,000 bytes."""
    for content in operations(tokens, FOLLOW_COUNTS % (user, 3)):
        yield open_unread(server, content)


def unread_event_streams(server, tokens, user):
    """25 event streams of each of some accounts, with responses of 2 MB."""
    subscription = {"query": FOLLOW_COUNTS % (user, 100)}
    for token in tokens[:10]:
        request = graphql_request(subscription, token, EVENT_STREAM, close=False)
        for _ in range(25):
            yield open_unread(server, request)


@pytest.mark.server_options("--demo")
def test_memory_of_unread_responses_is_bounded(harness, server, check):
    john, susan = (harness.create_token(server.database_url, name) for name in ("john", "susan"))
    user = server.data(USER, token=john)["viewer"]["user"]["id"]
    for _ in range(100):
        server.data(CREATE_POST, {"body": "🐦" * 5000}, john)
    tokens = demo_tokens(harness, server, 40)
    before = server.peak_memory_mb()
    for name, unread in (
        ("operations with 60 KB each", unread_operations),
        ("event streams with 2 MB each", unread_event_streams),
    ):
        held = []
        with (
            Canary(server, susan, TIMELINE, address=OTHER_NETWORK) as reading,
            # Each follow is an event of the attackers' streams.
            Canary(server, susan, FOLLOW % (user, user), 0.25, OTHER_NETWORK) as writing,
        ):
            streams = list(unread(server, tokens, user))
            deadline = time.monotonic() + (20 if harness.long else 4)
            while time.monotonic() < deadline:
                held.append(int(server.metrics()[RESPONSE_MEMORY_BYTES]))
                time.sleep(0.1)
        close_all(server, streams)
        figures = f"{len(streams)} connections hold at most {max(held) / 1e6:.1f} MB"
        bounded = 1e6 < max(held) <= MAX_RESPONSE_BYTES
        check(f"unread {name} are counted, up to half of the limit", bounded, figures)
        grown = server.peak_memory_mb() - before
        bounded = grown < MAX_MEMORY_GROWTH_MB
        figures = f"{before} MB before, {grown} MB more"
        check(f"memory grows by less than {MAX_MEMORY_GROWTH_MB} MB", bounded, figures)
        check_never_waits(check, f"beside unread {name}", reading, writing)
    check_log(check, server)


class Subscriber:
    """A WebSocket with many subscriptions, which are read until they end."""

    def __init__(self, server, token):
        self.server, self.token = server, token
        self.socket = WebSocket(server.address, timeout=0.5)
        self.socket.init(token)
        self.events, self.open, self.failed, self.resume_after = Counter(), set(), set(), []
        self.after_failure = 0

    def subscribe(self, document, count):
        for n in range(count):
            self.open.add(str(n))
            self.socket.subscribe(str(n), {"query": document})

    def read_until(self, deadline):
        while self.open and time.monotonic() < deadline:
            try:
                self.receive(self.socket.receive_message())
            except TimeoutError:
                pass

    def receive(self, message):
        operation, payload = message["id"], message.get("payload")
        if message["type"] != "next":
            self.events[message["type"]] += 1
            self.open.discard(operation)
            return
        # After an event without data the client has no position to resume from.
        self.after_failure += operation in self.failed
        if not payload.get("data"):
            self.failed.add(operation)
            self.events[payload["errors"][0]["extensions"]["code"]] += 1
            return
        event = payload["data"]["timelineEvents"]
        self.events[event["__typename"]] += 1
        if event["__typename"] == "StreamLagged":
            self.resume_after.append(event["resumeAfter"])

    def resumes(self):
        """Whether the next event is received after a resumption."""
        resumed = WebSocket(self.server.address)
        resumed.init(self.token)
        variables = {"after": self.resume_after[-1]}
        resumed.subscribe("1", {"query": EVENTS % "id", "variables": variables})
        message = resumed.receive_message()
        resumed.close()
        return "TimelinePostUpdated" in str(message)


def check_events(harness, check, server, name, tokens, document, per_subscriber):
    """Edits a post, until all subscriptions have ended."""
    subscribers = [Subscriber(server, token) for token in tokens]
    reader, writer = (harness.create_token(server.database_url, name) for name in (READER, WRITER))
    post = server.data(CREATE_POST, {"body": "new"}, writer)["createPost"]["post"]["id"]
    total = per_subscriber * len(subscribers)
    for subscriber in subscribers:
        subscriber.subscribe(document, per_subscriber)
    joined = wait_until(lambda: server.metrics()["rookery_subscriptions"] >= total, 10)
    # Each of the two changes the text.
    edits = f"mutation {{ a: {EDIT % (post, 'one')} b: {EDIT % (post, 'two')} }}"
    started = time.monotonic()
    deadline = started + (30 if harness.long else 10)
    with (
        Canary(server, reader, TIMELINE, address=OTHER_NETWORK) as reading,
        Canary(server, writer, edits, 0.25, OTHER_NETWORK) as editing,
        ThreadPoolExecutor(len(subscribers)) as pool,
    ):
        list(pool.map(lambda subscriber: subscriber.read_until(deadline), subscribers))
        # At least as long as a canary needs for 10 responses.
        time.sleep(max(0, started + 5 - time.monotonic()))
    check_never_waits(check, f"to read and to edit beside {name}", reading, editing)
    events = sum((subscriber.events for subscriber in subscribers), Counter())
    positions = [position for subscriber in subscribers for position in subscriber.resume_after]
    figures = f"{total} of {len(subscribers)} accounts: {dict(events)}"
    lagged = joined is not None and len(positions) == total and all(positions)
    check(f"each of {name} ends with a position to resume from", lagged, figures)
    after_failure = sum(subscriber.after_failure for subscriber in subscribers)
    check(f"no event follows one that failed, of {name}", after_failure == 0, f"{after_failure}")
    # An account that has no points left retries until it has some.
    resumable = [subscriber for subscriber in subscribers if any(subscriber.resume_after)]
    resumed = [wait_until(subscriber.resumes, 5, 1) for subscriber in resumable]
    count = sum(wait is not None for wait in resumed)
    figures = f"{count} of {len(subscribers)}"
    check(f"the accounts of {name} resume", count == len(subscribers), figures)
    for subscriber in subscribers:
        subscriber.socket.close()


def read_and_discard(streams, stop):
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            stream.setblocking(False)
            selector.register(stream, selectors.EVENT_READ)
        while not stop.is_set():
            for key, _ in selector.select(0.2):
                if not key.fileobj.recv(262_144):
                    selector.unregister(key.fileobj)


@on_both_engines_when_long
@pytest.mark.server_options("--demo", *NO_USER_LIMITS)
def test_an_event_of_many_subscribers_delays_no_other(harness, server, check):
    john, susan = (harness.create_token(server.database_url, name) for name in ("john", "susan"))
    tokens = demo_tokens(harness, server, 50)
    for token in tokens:
        server.data('mutation { follow(user: {username: "john"}) { changed } }', token=token)
    posts = [
        server.data(CREATE_POST, {"body": "new"}, token)["createPost"]["post"]["id"]
        for token in (john, susan)
    ]
    edits, own_edits = (
        f"mutation {{ a: {EDIT % (post, 'one')} b: {EDIT % (post, 'two')} }}" for post in posts
    )
    author = "author { id username displayName avatarUrl }"
    authors = " ".join(f"a{n}: {author}" for n in range(28))
    document = "subscription { timelineEvents { ... on TimelinePostUpdated { post { %s } } } }"
    streams, total = [], 0
    for content in operations(tokens, document % authors):
        streams.append(socket.create_connection(server.address))
        streams[-1].sendall(content)
        total += 100
        # More at a time would exceed the requests that a network may execute.
        wait_until(lambda: server.metrics()["rookery_subscriptions"] >= total, 5)
    count = server.metrics()["rookery_subscriptions"]
    name = f"{total} subscriptions of {len(tokens)} accounts are open"
    check(name, count == total, f"{count:.0f}")
    stop = threading.Event()
    with (
        ThreadPoolExecutor(1) as pool,
        Canary(server, susan, TIMELINE, address=OTHER_NETWORK) as reading,
        Canary(server, susan, own_edits, 0.25, OTHER_NETWORK) as writing,
    ):
        reader = pool.submit(read_and_discard, streams, stop)
        deadline = time.monotonic() + (20 if harness.long else 6)
        while time.monotonic() < deadline:
            server.data(edits, token=john)
            time.sleep(0.25)
        stop.set()
        reader.result()
    check_never_waits(check, f"beside events of {total} subscriptions", reading, writing)
    close_all(server, streams)
    check_log(check, server)


@on_both_engines_when_long
def test_events_are_charged_to_their_subscriber(harness, database_url, check):
    import_graph(harness, database_url)
    server = harness.start_server(database_url)
    newest, _ = timeline_cursors(server)
    tokens = owner_tokens(harness, database_url, 14)
    timelines = f'timeline(first: 1, after: "{newest}") {{ nodes {{ id }} }}'
    rows = EVENTS % f"followers(first: 5) {{ nodes {{ {timelines} }} }}"
    fields = " ".join(f"a{n}: username" for n in range(20))
    cost = EVENTS % f"followers(first: 100) {{ nodes {{ {fields} }} }}"
    name = "300 subscriptions whose events read 100,000 rows"
    check_events(harness, check, server, name, tokens[:10], rows, 30)
    name = "400 subscriptions whose events have many fields"
    check_events(harness, check, server, name, tokens[10:], cost, 100)
    check_log(check, server)
