"""Slow clients, all at once: each loses its connection, and nobody else notices."""

import json
import selectors
import socket
import threading
import time
from urllib.parse import quote

from canary import Canary
from ground import wait_for
from service import Connection, graphql_request, raw_request
from websocket import PROTOCOL

EACH = 200
CLOSED_WITHIN = 15
OPTIONS = ("--header-timeout", "2", "--write-timeout", "2", "--request-timeout", "2")
# This is not about how many there are.
ROOM = ("--rate-network", "0", "--rate-user", "0", "--max-user-sockets", "1000", "--max-network-sockets", "1000")
ROOM += ("--max-requests", "5000", "--max-network-connections", "5000")

LARGE = {"query": "{ posts(first: 100) { nodes { body author { username } } } }"}
# The system takes some megabytes for somebody who does not read before it makes the service wait.
EVENTS = " ".join(f"a{n}: body" for n in range(20))
EVENTS = f"subscription {{ timelineEvents {{ ... on TimelinePostAdded {{ edge {{ node {{ {EVENTS} }} }} }} }} }}"


class Client:
    """Sends what it has, a byte at a time from `drip`, and reads or does not."""

    def __init__(self, address, kind, sent, drip, reads):
        self.kind, self.sent, self.drip, self.reads, self.closed_after = kind, sent, drip, reads, None
        self.stream = socket.socket()
        if not reads:
            self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.stream.settimeout(20)
        self.stream.connect(address)
        self.began = time.monotonic()
        self.stream.setblocking(False)

    def send(self, sent):
        try:
            self.stream.send(sent)
        except OSError:
            self.closed()

    def one_more(self):
        if self.drip and self.closed_after is None:
            self.send(self.drip[:1])
            self.drip = self.drip[1:]

    def take(self):
        try:
            if not self.stream.recv(1 << 16):
                self.closed()
        except BlockingIOError:
            pass
        except OSError:
            self.closed()

    def closed(self):
        self.closed_after = self.closed_after or time.monotonic() - self.began


def text(message):
    content = json.dumps(message).encode()
    return bytes([0x81, 0x80 | 126, *len(content).to_bytes(2, "big"), 0, 0, 0, 0]) + content


def kinds(token):
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    upgrade += [("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="), ("Sec-WebSocket-Protocol", PROTOCOL)]
    upgrade = raw_request("GET", "/graphql", upgrade)
    begin = text({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
    watch = text({"type": "subscribe", "id": "1", "payload": {"query": EVENTS}})
    large = graphql_request(LARGE, token, close=False)
    small = raw_request("GET", f"/graphql?query={quote('{__typename}')}", [("GraphQL-Require-Preflight", "1")])
    events = graphql_request({"query": EVENTS}, token, "text/event-stream", close=False)
    head, body = large[:20], large[:-20]
    return (
        ("a slow head", head, b"x" * 100, True),
        ("a slow body", body, b" " * 19, True),
        ("nothing at all", b"", b"", True),
        ("nothing after an answer", small, b"", True),
        ("a socket that does not begin", upgrade, b"", True),
        ("answers that are not read", large * 20, b"", False),
        ("events that are not read", events, b"", False),
        ("a socket that is not read", upgrade + begin + watch, b"", False),
    )


def write(server, token, end):
    """Something happens, for those who watch."""
    connection = Connection(server.address, token)
    document = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }"
    while not end.wait(0.2):
        connection.ask(document, {"body": "x" * 5000})
    connection.close()


def run(ground):
    server = ground.serve(ground.sqlite(), "--demo", *OPTIONS, *ROOM)
    token = ground.token(server.database, "john")
    document = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }"
    for _ in range(100):
        server.data(document, {"body": "x" * 5000}, token)
    end = threading.Event()
    writer = threading.Thread(target=write, args=(server, token, end))
    with Canary(server, token) as canary:
        time.sleep(0.5)
        before = server.descriptors()
        clients = []
        for kind in kinds(token):
            for n in range(EACH):
                clients.append(Client(server.address, *kind))
                # Few wait at a time to be let in; the system makes others come again a second later.
                time.sleep(0.005 if n % 50 == 0 else 0)
        all_open = time.monotonic()
        wait_for(lambda: server.descriptors() > len(clients), 1, every=0.01)
        most = server.descriptors()
        for client in clients:
            client.send(client.sent)
        writer.start()
        readers = selectors.DefaultSelector()
        for client in clients:
            if client.reads:
                readers.register(client.stream, selectors.EVENT_READ, client)
        next_drip = 0.0
        while readers.get_map() and time.monotonic() < all_open + CLOSED_WITHIN + 5:
            for key, _ in readers.select(0.1):
                key.data.take()
            for client in [key.data for key in readers.get_map().values()]:
                if client.closed_after is not None:
                    readers.unregister(client.stream)
            if time.monotonic() > next_drip:
                next_drip = time.monotonic() + 0.5
                for client in clients:
                    client.one_more()
            most = max(most, server.descriptors())
        # Those who do not read cannot see that they are closed; the server's own count tells.
        about = before + 20
        back = wait_for(lambda: server.descriptors() <= about, CLOSED_WITHIN + 5)
        took, after = time.monotonic() - all_open, server.descriptors()
        end.set()
        writer.join()
        ground.check("somebody honest is served meanwhile", canary.sings(), canary.told())
    for name, *_, reads in kinds(token):
        if reads:
            seconds = [client.closed_after for client in clients if client.kind == name]
            closed = [one for one in seconds if one is not None]
            told = f"{len(closed)} of {len(seconds)}, after {min(closed, default=0):.1f} to {max(closed, default=0):.1f} s"
            ground.check(f"{name}: closed", len(closed) == EACH and max(closed) < CLOSED_WITHIN, told)
    told = f"{before} file descriptors before, {most} at most, {after} {took:.1f} s later"
    ground.check("all are closed, and so are those who do not read", back is not None and took < CLOSED_WITHIN, told)
    ground.check("memory is bounded", server.memory() < 1000, f"{server.memory()} MB")
    for client in clients:
        client.stream.close()
    ground.check("nothing panicked", not server.mistakes(), f"{server.mistakes()[:2]}")
    ground.check("it stops in good order", server.stop() == 0)
