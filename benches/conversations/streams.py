"""Open streams of notifications: the time from a like or a mention to its event."""

import base64
import json
import os
import random
import resource
import selectors
import socket
import struct
import time

import client
import graph
from figures import median, percentile
from traffic import WrongResponse

TITLE = "Streams of notifications"
COLUMNS = ["subscribers", "event", "recipients", "number", "response ms, p50",
           "ms to the first recipient, p50", "ms to the last recipient, p50", "p99"]
NOTES = """\
Each subscriber has a WebSocket with `notificationEvents`, all on one instance. Milliseconds are
counted from the sending of the mutation. The next mutation follows when all events of the one
before have arrived. One client reads all WebSockets."""

SUBSCRIPTION = """subscription { notificationEvents { __typename ... on NotificationAdded {
    notification { type createdAt actor { username } post { id body } } unreadCount } } }"""
LIKE = "mutation ($post: ID!) { like(postId: $post) { changed userErrors { code } } }"
CREATE = """mutation ($body: String!) {
    createPost(input: {body: $body}) { post { id } userErrors { code } } }"""
MENTIONED = 20
EVENT_TIMEOUT, PROBE_TIMEOUT, PROBES = 20, 2, 10  # seconds, seconds, number
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
FIN = MASKED = 0x80
RESERVED_FILES = 1_000


def measure(bench):
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = min(bench.sizes.subscribers + RESERVED_FILES, hard_limit)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard_limit))
    actor, *found = graph.users(bench.database, bench.sizes.subscribers + 1, "posts_count > 0")
    posts = graph.newest_posts(bench.database, found)
    tokens = graph.sign_in(bench.database, [actor, *found])
    listed = ", ".join(map(str, found))
    names = f'SELECT id || \' \' || username FROM "user" WHERE id IN ({listed})'
    names = dict(line.split() for line in bench.database.query(names))
    with Streams(bench.port, tokens[actor]) as streams:
        for user in found:
            streams.add(Subscriber(bench.port, user, names[str(user)], tokens[user]))
        bench.note(f"{len(found):,} subscribers")
        streams.probe()
        yield from likes(bench, streams, posts)
        yield from mentions(bench, streams)


def likes(bench, streams, posts):
    subscribers, results = streams.all, []
    rng = random.Random(2)
    for subscriber in rng.sample(subscribers, min(bench.sizes.events, len(subscribers))):
        post = graph.global_id("P", posts[subscriber.user])
        results.append(streams.act(LIKE, {"post": post}, [subscriber], ("id", post)))
    yield row(streams, "a like of a post of a subscriber", 1, results)


def mentions(bench, streams):
    rng, results = random.Random(3), []
    for number in range(bench.sizes.events // 2):
        chosen = rng.sample(streams.all, MENTIONED)
        results.append(streams.mention(f"Post {number} for", chosen, EVENT_TIMEOUT))
    yield row(streams, f"a post that mentions {MENTIONED} subscribers", MENTIONED, results)


def row(streams, name, recipients, results):
    responses, firsts, lasts = ([each[n] for each in results] for n in range(3))
    return [f"{len(streams.all):,}", name, str(recipients), str(len(results)),
            median(responses), median(firsts), median(lasts), percentile(lasts, 99)]


class Streams:
    """The streams of all subscribers, and the connection of the user who likes and mentions."""

    def __init__(self, port, token):
        self.port, self.token, self.all = port, token, []
        self.connection, self.selector = None, selectors.DefaultSelector()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.selector.close()
        if self.connection:
            self.connection.close()
        for subscriber in self.all:
            subscriber.socket.close()

    def add(self, subscriber):
        self.all.append(subscriber)
        self.selector.register(subscriber.socket, selectors.EVENT_READ, subscriber)

    def probe(self):
        """Connects, and waits until each subscriber has received a mention."""
        self.connection = client.Connection(self.port)
        self.selector.register(self.connection.socket, selectors.EVENT_READ, None)
        for start in range(0, len(self.all), MENTIONED):
            rest = self.all[start:start + MENTIONED]
            for number in range(PROBES):
                try:
                    self.mention(f"Probe {number} of", rest, PROBE_TIMEOUT)
                    break
                except TimeoutError:
                    continue
            else:
                raise WrongResponse(f"a subscriber received none of {PROBES} mentions")

    def mention(self, text, subscribers, timeout):
        body = " ".join([text, *(f"@{subscriber.name}" for subscriber in subscribers)])
        return self.act(CREATE, {"body": body}, subscribers, ("body", body), timeout)

    def act(self, document, variables, recipients, expected, timeout=EVENT_TIMEOUT):
        """Sends a mutation, and waits for its response and an event of each recipient.

        Returns the seconds to the response, to the first event and to the last. `expected` is a
        field of the post of the notification, and its value.
        """
        request = client.encode(document, variables, self.token)
        missing, times, responded = set(recipients), [], None
        started = time.perf_counter()
        self.connection.send(request)
        while missing or responded is None:
            rest = started + timeout - time.perf_counter()
            ready = self.selector.select(max(rest, 0))
            if not ready and rest <= 0:
                if responded is None:
                    raise WrongResponse(f"no response within {timeout} s")
                raise TimeoutError(f"{len(missing)} events are missing after {timeout} s")
            seconds = time.perf_counter() - started
            for key, _ in ready:
                if key.data is None:
                    if (body := self.connection.feed()) is not None:
                        client.data(body)
                        responded = seconds
                elif key.data.has_received(*expected) and key.data in missing:
                    missing.remove(key.data)
                    times.append(seconds)
        return responded, times[0], times[-1]


class Subscriber:
    """A WebSocket with the protocol graphql-transport-ws and one subscription."""

    def __init__(self, port, user, name, token):
        self.user, self.name, self.buffer = user, name, b""
        self.socket = socket.create_connection(("127.0.0.1", port), EVENT_TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = ["GET /graphql HTTP/1.1", "Host: 127.0.0.1", "Connection: Upgrade",
                 "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}",
                 "Sec-WebSocket-Protocol: graphql-transport-ws"]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in self.buffer:
            self.read()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise WrongResponse(f"a WebSocket was rejected: {head[:200]}")
        self.send({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
        while not (messages := self.messages()):
            self.read()
        if [message["type"] for message in messages] != ["connection_ack"]:
            raise WrongResponse(f"expected connection_ack: {messages}")
        self.send({"id": "n", "type": "subscribe", "payload": {"query": SUBSCRIPTION}})

    def send(self, message):
        self.send_frame(TEXT, json.dumps(message).encode())

    def send_frame(self, opcode, payload):
        length = len(payload)
        is_short = length < 126
        size = bytes([MASKED | length]) if is_short else struct.pack("!BH", MASKED | 126, length)
        # A masking key of zeros leaves the payload unchanged.
        self.socket.sendall(bytes([FIN | opcode]) + size + bytes(4) + payload)

    def read(self):
        received = self.socket.recv(1 << 16)
        if not received:
            raise WrongResponse(f"the server closed the WebSocket of {self.name}")
        self.buffer += received

    def messages(self):
        """The complete messages of the buffer. Responds to pings."""
        found = []
        while (frame := self.frame()) is not None:
            opcode, payload = frame
            if opcode == TEXT:
                found.append(json.loads(payload))
            elif opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode == CLOSE:
                raise WrongResponse(f"the server closed the WebSocket of {self.name}: {payload}")
        return found

    def frame(self):
        """Takes a frame from the buffer: its opcode and its payload."""
        if len(self.buffer) < 2:
            return None
        length, start = self.buffer[1] & 0x7F, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            if len(self.buffer) < start:
                return None
            length = int.from_bytes(self.buffer[2:start], "big")
        if len(self.buffer) < start + length:
            return None
        opcode, payload = self.buffer[0] & 0x0F, self.buffer[start:start + length]
        self.buffer = self.buffer[start + length:]
        return opcode, payload

    def has_received(self, field, value):
        """Reads once. Returns whether a notification of such a post has arrived."""
        self.read()
        posts = [self.post(message) for message in self.messages()]
        return any(post is not None and post[field] == value for post in posts)

    def post(self, message):
        """The post of the notification of a message, if it has one."""
        if message["type"] == "ping":
            self.send({"type": "pong"})
            return None
        event = message.get("payload", {}).get("data", {}).get("notificationEvents")
        if message["type"] != "next" or event is None or event["__typename"] == "StreamLagged":
            raise WrongResponse(f"{self.name} received {message}")
        return event.get("notification", {}).get("post")
