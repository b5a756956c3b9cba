"""Slow clients: the server closes each connection at a timeout and serves other clients."""

import json
import selectors
import socket
import threading
import time
from typing import NamedTuple
from urllib.parse import quote

import pytest

from canary import Canary
from harness import wait_until
from service import EVENT_STREAM, KeepAliveConnection, graphql_request, raw_request
from websocket import TEXT, encode_frame, upgrade_headers

CLIENTS_PER_KIND = 200
MAX_SECONDS_OPEN = 15
MAX_MEMORY_MB = 1000
DRIP_INTERVAL = 0.5
TIMEOUTS = ("--read-timeout", "2", "--write-timeout", "2", "--request-timeout", "2")
# The limits on the number of clients are raised: this test is about timeouts.
RAISED_LIMITS = ("--rate-limit-per-network", "0", "--rate-limit-per-user", "0", "--max-streams-per-user", "1000")
RAISED_LIMITS += ("--max-anonymous-streams-per-network", "1000")
RAISED_LIMITS += ("--max-streams-per-network", "1000", "--max-concurrent-requests", "5000")
RAISED_LIMITS += ("--max-connections-per-network", "5000")

CREATE_POST = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }"
POSTS = {"query": "{ posts(first: 100) { nodes { body author { username } } } }"}
# The kernel buffers some megabytes for a client that does not read. Each event repeats the text of
# its post 20 times, so that the buffers are full soon.
BODIES = " ".join(f"a{n}: body" for n in range(20))
EVENTS = "subscription { timelineEvents { ... on TimelinePostAdded { edge { node { %s } } } } }"
EVENTS = {"query": EVENTS % BODIES}


class Kind(NamedTuple):
    """A kind of slow client."""

    name: str
    # Sent at once.
    request: bytes
    # Sent afterwards, one byte each `DRIP_INTERVAL`.
    drip: bytes
    reads: bool


class SlowClient:
    def __init__(self, address, kind):
        self.kind, self.drip, self.closed_after = kind, kind.drip, None
        self.stream = socket.socket()
        if not kind.reads:
            self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.stream.settimeout(20)
        self.stream.connect(address)
        self.started = time.monotonic()
        self.stream.setblocking(False)

    def send(self, content):
        try:
            self.stream.send(content)
        except OSError:
            self.mark_closed()

    def send_next_byte(self):
        if self.drip and self.closed_after is None:
            self.send(self.drip[:1])
            self.drip = self.drip[1:]

    def receive(self):
        try:
            if not self.stream.recv(1 << 16):
                self.mark_closed()
        except BlockingIOError:
            pass
        except OSError:
            self.mark_closed()

    def mark_closed(self):
        self.closed_after = self.closed_after or time.monotonic() - self.started


def message(content):
    return encode_frame(TEXT, json.dumps(content).encode())


def slow_kinds(token):
    upgrade = raw_request("GET", "/graphql", upgrade_headers("AAAAAAAAAAAAAAAAAAAAAA=="))
    authorization = {"authorization": f"Bearer {token}"}
    init = message({"type": "connection_init", "payload": authorization})
    subscribe = message({"type": "subscribe", "id": "1", "payload": EVENTS})
    post = graphql_request(POSTS, token, close=False)
    path = f"/graphql?query={quote('{__typename}')}"
    get = raw_request("GET", path, [("GraphQL-Require-Preflight", "1")])
    events = graphql_request(EVENTS, token, EVENT_STREAM, close=False)
    head, incomplete_body = post[:20], post[:-20]
    return (
        Kind("a slow request head", head, b"x" * 100, True),
        Kind("a slow request body", incomplete_body, b" " * 19, True),
        Kind("a connection without a request", b"", b"", True),
        Kind("an idle connection after a response", get, b"", True),
        Kind("a WebSocket without connection_init", upgrade, b"", True),
        Kind("a client that does not read its responses", post * 20, b"", False),
        Kind("a client that does not read its SSE stream", events, b"", False),
        Kind("a client that does not read its WebSocket", upgrade + init + subscribe, b"", False),
    )


def write_posts(server, token, stop):
    """Creates the events for the subscriptions."""
    connection = KeepAliveConnection(server.address, token)
    while not stop.wait(0.2):
        connection.query(CREATE_POST, {"body": "x" * 5000})
    connection.close()


def connect_clients(server, kinds):
    clients = []
    for kind in kinds:
        for n in range(CLIENTS_PER_KIND):
            clients.append(SlowClient(server.address, kind))
            # Pauses keep the accept queue short: the kernel retries a full queue after 1 s.
            time.sleep(0.005 if n % 50 == 0 else 0)
    return clients


def drip_until_closed(server, clients, deadline):
    """Receives and drips until all clients that read are closed.

    Returns the largest number of open file descriptors of the server.
    """
    selector, next_drip, max_descriptors = selectors.DefaultSelector(), 0.0, 0
    for client in clients:
        if client.kind.reads:
            selector.register(client.stream, selectors.EVENT_READ, client)
    while selector.get_map() and time.monotonic() < deadline:
        for key, _ in selector.select(0.1):
            key.data.receive()
        for client in [key.data for key in selector.get_map().values()]:
            if client.closed_after is not None:
                selector.unregister(client.stream)
        if time.monotonic() > next_drip:
            next_drip = time.monotonic() + DRIP_INTERVAL
            for client in clients:
                client.send_next_byte()
        max_descriptors = max(max_descriptors, server.open_descriptors())
    return max_descriptors


@pytest.mark.server_options("--demo", *TIMEOUTS, *RAISED_LIMITS)
def test_slow_clients_are_closed_and_other_clients_are_served(harness, server, check):
    token = harness.create_token(server.database_url, "john")
    for _ in range(100):
        server.data(CREATE_POST, {"body": "x" * 5000}, token)
    kinds = slow_kinds(token)
    stop = threading.Event()
    writer = threading.Thread(target=write_posts, args=(server, token, stop))
    with Canary(server, token) as canary:
        time.sleep(0.5)
        before = server.open_descriptors()
        clients = connect_clients(server, kinds)
        connected_at = time.monotonic()
        wait_until(lambda: server.open_descriptors() > len(clients), 1, interval=0.01)
        most = server.open_descriptors()
        for client in clients:
            client.send(client.kind.request)
        writer.start()
        deadline = connected_at + MAX_SECONDS_OPEN + 5
        most = max(most, drip_until_closed(server, clients, deadline))
        # A client that does not read cannot detect that its connection was closed. The file
        # descriptors of the server show it.
        closed = wait_until(lambda: server.open_descriptors() <= before + 20, MAX_SECONDS_OPEN + 5)
        seconds, after = time.monotonic() - connected_at, server.open_descriptors()
        stop.set()
        writer.join()
        name = "a well-behaved client is served beside the slow clients"
        check(name, canary.was_served(), canary.summary())
    for kind in kinds:
        if kind.reads:
            open_for = [client.closed_after for client in clients if client.kind is kind]
            open_for = [duration for duration in open_for if duration is not None]
            shortest, longest = min(open_for, default=0), max(open_for, default=0)
            check(
                f"{kind.name} is closed within {MAX_SECONDS_OPEN} s",
                len(open_for) == CLIENTS_PER_KIND and longest < MAX_SECONDS_OPEN,
                f"{len(open_for)} of {CLIENTS_PER_KIND}, after {shortest:.1f} to {longest:.1f} s",
            )
    check(
        f"all connections, read or unread, are closed within {MAX_SECONDS_OPEN} s",
        closed is not None and seconds < MAX_SECONDS_OPEN,
        f"{before} file descriptors before, {most} at most, {after} after {seconds:.1f} s",
    )
    memory = server.peak_memory_mb()
    name = f"peak memory stays below {MAX_MEMORY_MB} MB"
    check(name, memory < MAX_MEMORY_MB, f"{memory} MB")
    for client in clients:
        client.stream.close()
    errors = server.error_lines()
    check("the log has no panic and no ERROR line", not errors, f"{errors[:2]}")
    check("SIGTERM ends the server with exit code 0", server.stop() == 0)
