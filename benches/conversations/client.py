"""Clients of one server: single requests, and bursts on many connections.

Written on sockets, because the standard library's HTTP client takes longer than the server.
"""

import json
import selectors
import socket
import time
from contextlib import closing

from traffic import WrongResponse

TIMEOUT = 60  # seconds


class Failed(Exception):
    """A response with an error. `code` is the code of the error."""

    def __init__(self, errors):
        super().__init__(str(errors)[:500])
        self.code = errors[0].get("extensions", errors[0]).get("code")


def encode(document, variables=None, token=None):
    """A request as bytes."""
    body = json.dumps({"query": document, "variables": variables or {}}).encode()
    lines = ["POST /graphql HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json",
             f"Content-Length: {len(body)}"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def data(body):
    """The data of a response body. Raises `Failed` for an error or a user error."""
    response = json.loads(body)
    if response.get("errors"):
        raise Failed(response["errors"])
    for payload in response["data"].values():
        if isinstance(payload, dict) and payload.get("userErrors"):
            raise Failed(payload["userErrors"])
    return response["data"]


class Connection:
    """A connection that is kept open, with one request at a time."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, request):
        self.socket.sendall(request)

    def receive(self):
        """The body of the next response."""
        while (body := self.feed()) is None:
            pass
        return body

    def feed(self):
        """Reads once from the socket. Returns the body of the response if it is complete."""
        received = self.socket.recv(1 << 18)
        if not received:
            raise WrongResponse(f"the server closed a connection after {self.buffer[:200]}")
        self.buffer += received
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return None
        lines = head.lower().split(b"\r\n")
        lengths = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
        if not lengths:
            raise WrongResponse(f"a response without a length: {head[:200]}")
        if len(body) < lengths[0]:
            return None
        self.buffer = body[lengths[0]:]
        return body[: lengths[0]]

    def timed(self, request):
        """Sends a request. Returns the seconds until its response, and the body of the response."""
        started = time.perf_counter()
        self.send(request)
        body = self.receive()
        return time.perf_counter() - started, body

    def close(self):
        self.socket.close()


def query(port, document, variables=None, token=None):
    """The data of a response, on a connection of its own: the server closes idle ones."""
    with closing(Connection(port)) as connection:
        return data(connection.timed(encode(document, variables, token))[1])


def burst(port, requests, connections):
    """Sends all requests, on so many connections at a time.

    Returns the seconds from the first request to the last response, and the bodies.
    """
    opened = [Connection(port) for _ in range(min(connections, len(requests)))]
    bodies, rest = [None] * len(requests), iter(enumerate(requests))
    try:
        with selectors.DefaultSelector() as selector:
            started = time.perf_counter()
            for connection in opened:
                number, request = next(rest)
                selector.register(connection.socket, selectors.EVENT_READ, [connection, number])
                connection.send(request)
            while selector.get_map():
                ready = selector.select(TIMEOUT)
                if not ready:
                    raise WrongResponse(f"no response within {TIMEOUT} s")
                for key, _ in ready:
                    connection, number = key.data
                    if (body := connection.feed()) is None:
                        continue
                    bodies[number] = body
                    following = next(rest, None)
                    if following is None:
                        selector.unregister(connection.socket)
                    else:
                        key.data[1], request = following
                        connection.send(request)
            return time.perf_counter() - started, bodies
    finally:
        for connection in opened:
            connection.close()
