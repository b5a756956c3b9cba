"""Limits of WebSockets and event streams: floods of control messages, and the number of streams.

The attackers have one client network and many accounts. A client of another network never waits for
a second.
"""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from canary import Canary
from graph import TIMELINE
from harness import wait_until
from networks import (
    MAX_SECONDS,
    OTHER_NETWORK,
    UPGRADE,
    check_log,
    check_never_waits,
    demo_tokens,
    message,
    open_unread,
)
from service import EVENT_STREAM, graphql_request
from websocket import PING, PONG, WebSocket, encode_frame

MAX_ANONYMOUS_STREAMS = 128
MAX_STREAMS_PER_USER = 32
MAX_STREAMS_PER_NETWORK = 1000
FLOODS = 8

USER = "{ viewer { user { id } } }"
CREATE_POST = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }"
FOLLOW_COUNTS = 'subscription { followCounts(userId: "%s") { followersCount %s } }'


INIT = message({"type": "connection_init"})
PING_FRAMES = encode_frame(PING, b"x" * 125) * 500
PONG_FRAMES = encode_frame(PONG, b"x" * 125) * 500
PING_MESSAGES = message({"type": "ping", "payload": {"x": "x" * 60_000}})
COMPLETES = message({"type": "complete", "id": "1"}) * 1000


class Flood:
    """A WebSocket that repeats the same bytes, and opens another when it is closed."""

    def __init__(self, server, opening, content):
        self.server, self.opening, self.content = server, opening, content
        self.sent = self.connections = self.closed = 0

    def run_until(self, stop):
        while not stop.is_set():
            self.connections += 1
            try:
                with socket.create_connection(self.server.address, timeout=5) as stream:
                    self.flood(stream, stop)
            except OSError:
                pass

    def flood(self, stream, stop):
        reader = threading.Thread(target=self.read, args=(stream,))
        reader.start()
        try:
            stream.sendall(self.opening)
            while not stop.is_set():
                stream.sendall(self.content)
                self.sent += len(self.content)
        finally:
            try:
                stream.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            reader.join()

    def read(self, stream):
        tail = b""
        try:
            while piece := stream.recv(1 << 18):
                tail = (tail + piece)[-1000:]
        except OSError:
            pass
        # A close frame with the code 1008.
        self.closed += b"\x03\xf0Too many" in tail


@pytest.mark.server_options("--demo")
def test_floods_of_control_messages_are_bounded(harness, server, check):
    token = harness.create_token(server.database_url, "susan")
    for name, opening, content in (
        ("ping frames before connection_init", UPGRADE, PING_FRAMES),
        ("ping frames", UPGRADE + INIT, PING_FRAMES),
        ("pong frames", UPGRADE + INIT, PONG_FRAMES),
        ("ping messages of 60 KB", UPGRADE + INIT, PING_MESSAGES),
        ("complete messages", UPGRADE + INIT, COMPLETES),
    ):
        floods, stop = [Flood(server, opening, content) for _ in range(FLOODS)], threading.Event()
        with (
            Canary(server, token, TIMELINE, address=OTHER_NETWORK) as canary,
            ThreadPoolExecutor(len(floods)) as pool,
        ):
            loads = [pool.submit(flood.run_until, stop) for flood in floods]
            seconds = 10 if harness.long else 2
            time.sleep(seconds)
            stop.set()
            for load in loads:
                load.result()
        sent = sum(flood.sent for flood in floods)
        connections = sum(flood.connections for flood in floods)
        closed = sum(flood.closed for flood in floods)
        figures = f"{sent / 1e6 / seconds:.1f} MB/s on {connections} connections, {closed} closed"
        check(f"{name} are answered with the close code 1008", closed > 0, figures)
        check_never_waits(check, f"beside {name}", canary)
    check_log(check, server)


def open_event_stream(server, subscription, token=None):
    """An event stream whose first event is read. Returns `None` instead if it is rejected."""
    stream = open_unread(server, graphql_request(subscription, token, EVENT_STREAM, close=False))
    stream.settimeout(20)
    received = b""
    while b"\n\n" not in received and (piece := stream.recv(4096)):
        received += piece
    if b"TOO_MANY_OPERATIONS" in received or b"followersCount" not in received:
        stream.close()
        return None
    return stream


def open_streams(server, subscription, token, attempts):
    """The streams that were not rejected."""
    streams = [open_event_stream(server, subscription, token) for _ in range(attempts)]
    return [stream for stream in streams if stream]


@pytest.mark.server_options("--demo", "--max-connections-per-network", "3000")
def test_streams_of_one_network_are_bounded(harness, server, check):
    tokens = demo_tokens(harness, server, 42)
    user = server.data(USER, token=tokens[0])["viewer"]["user"]["id"]
    subscription = {"query": FOLLOW_COUNTS % (user, "")}
    anonymous = open_streams(server, subscription, None, MAX_ANONYMOUS_STREAMS + 8)
    accounts = [
        open_streams(server, subscription, token, MAX_STREAMS_PER_USER + 2) for token in tokens
    ]
    name = f"at most {MAX_ANONYMOUS_STREAMS} anonymous streams of one network are open"
    check(name, len(anonymous) == MAX_ANONYMOUS_STREAMS, f"{len(anonymous)}")
    largest = max(map(len, accounts))
    name = f"at most {MAX_STREAMS_PER_USER} streams of one account are open"
    check(name, largest == MAX_STREAMS_PER_USER, f"{largest}")
    total = len(anonymous) + sum(map(len, accounts))
    name = f"at most {MAX_STREAMS_PER_NETWORK} streams of one network are open"
    check(name, total == MAX_STREAMS_PER_NETWORK, f"{total}, of {len(accounts)} accounts")
    check_another_network(harness, check, server, subscription)
    check_log(check, server)


def check_another_network(harness, check, server, subscription):
    token, latencies = harness.create_token(server.database_url, "susan"), []
    for client in (None, token):
        started = time.perf_counter()
        other = WebSocket(server.address, source=OTHER_NETWORK)
        other.init(client)
        other.subscribe("1", subscription)
        served = other.receive_message()["type"] == "next"
        latencies.append(time.perf_counter() - started if served else float("inf"))
        other.close()
    figures = ", ".join(f"{latency:.3f} s" for latency in latencies)
    name = "clients of another network subscribe within a second, with and without an account"
    check(name, max(latencies) < MAX_SECONDS, figures)


class UnreadStreams:
    """Streams that are never read, over the maximum that may be open."""

    def __init__(self, server, request, maximum):
        self.server, self.maximum, self.before = server, maximum, open_count(server)
        self.streams = [open_unread(server, request) for _ in range(maximum + 8)]

    def open(self):
        return open_count(self.server) - self.before

    def check_opened(self, check, name):
        opened = wait_until(lambda: self.open() == self.maximum, 5)
        check(f"at most {self.maximum} {name} are open", opened is not None, f"{self.open()}")

    def check_closed(self, check, name, max_seconds):
        closed = wait_until(lambda: self.open() <= 0, max_seconds, 0.5)
        figures = f"{self.open()} open after {closed or max_seconds:.1f} s"
        check(f"{name} are closed within {max_seconds} s", closed is not None, figures)

    def close(self):
        for stream in self.streams:
            stream.close()


def open_count(server):
    return int(server.metrics()["rookery_streams_open"])


# No event occurs. What the server sends are keep-alives, each 12 s, and pings, each 20 s.
@pytest.mark.long
@pytest.mark.server_options("--demo")
def test_streams_that_are_never_read_are_bounded(harness, server, check):
    token = harness.create_token(server.database_url, "john")
    user = server.data(USER, token=token)["viewer"]["user"]["id"]
    for _ in range(4):
        server.data(CREATE_POST, {"body": "x" * 5000}, token)
    # More than the client's kernel buffers, and less than the server's.
    large = {"query": FOLLOW_COUNTS % (user, "posts(first: 4) { nodes { body } }")}
    request = graphql_request(large, None, EVENT_STREAM, close=False)
    for name, content, max_seconds in (
        ("event streams with an unread event", request, 20),
        ("unread WebSockets", UPGRADE + INIT, 45),
    ):
        unread = UnreadStreams(server, content, MAX_ANONYMOUS_STREAMS)
        unread.check_opened(check, name)
        unread.check_closed(check, name, max_seconds)
        unread.close()

    # The kernel of a client buffers and acknowledges many keep-alives: these streams may stay open.
    small = {"query": FOLLOW_COUNTS % (user, "")}
    request = graphql_request(small, token, EVENT_STREAM, close=False)
    name = "event streams with unread keep-alives"
    unread = UnreadStreams(server, request, MAX_STREAMS_PER_USER)
    unread.check_opened(check, name)
    time.sleep(90)
    is_bounded = unread.open() <= MAX_STREAMS_PER_USER
    check(f"no more {name} are open after 90 s", is_bounded, f"{unread.open()}")
    check_another_network(harness, check, server, small)
    unread.close()
    closed = wait_until(lambda: open_count(server) == 0, 30)
    check("streams end with their connections", closed is not None, f"{open_count(server)}")
    check_log(check, server)
