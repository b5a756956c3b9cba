"""A WebSocket client for graphql-transport-ws that writes and reads raw frames on purpose.

A client library hides details that the torture tests need:

* the HTTP response of a rejected upgrade,
* the close code that the server sent, without an automatic close handshake,
* frames as bytes, which slow.py writes to a socket that it never reads.

Supported: text, ping and close frames; no fragmentation, no compression.
"""

import base64
import json
import os
import socket
import struct

from service import parse_response

PROTOCOL = "graphql-transport-ws"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
FIN = MASKED = 0x80


class Closed(Exception):
    """The server closed the connection, with a close code or (None) without a close frame."""

    def __init__(self, code):
        super().__init__(f"closed with {code}")
        self.code = code


def upgrade_headers(key):
    return [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Protocol", PROTOCOL),
    ]


def encode_frame(opcode, payload):
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", FIN | opcode, MASKED | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", FIN | opcode, MASKED | 126, length)
    else:
        head = struct.pack("!BBQ", FIN | opcode, MASKED | 127, length)
    # A masking key of zeros leaves the payload unchanged.
    return head + bytes(4) + payload


class WebSocket:
    def __init__(self, address, headers=(), timeout=20, source="127.0.0.1"):
        self.stream = socket.create_connection(address, timeout, source_address=(source, 0))
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            "GET /graphql HTTP/1.1",
            f"Host: {address[0]}:{address[1]}",
            *(f"{name}: {value}" for name, value in [*upgrade_headers(key), *headers]),
        ]
        self.stream.sendall("\r\n".join([*lines, "", ""]).encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            piece = self.stream.recv(4096)
            if not piece:
                break
            self.buffer += piece
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        # The HTTP response: status 101, or the rejection of the upgrade.
        self.handshake = parse_response(head + b"\r\n\r\n" + self.buffer, 0.0)

    def read(self, count):
        while len(self.buffer) < count:
            piece = self.stream.recv(1 << 16)
            if not piece:
                raise Closed(None)
            self.buffer += piece
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send_frame(self, opcode, payload):
        self.stream.sendall(encode_frame(opcode, payload))

    def send_message(self, message):
        self.send_frame(TEXT, json.dumps(message).encode())

    def receive_message(self):
        """The next text message. Answers pings.

        Raises `Closed` at a close frame and at the end of the stream.
        """
        while True:
            first, second = self.read(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", self.read(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self.read(8))
            payload = self.read(length)
            opcode = first & 0x0F
            if opcode == TEXT:
                return json.loads(payload)
            if opcode == CLOSE:
                raise Closed(struct.unpack("!H", payload[:2])[0] if payload else None)
            if opcode == PING:
                self.send_frame(PONG, payload)

    def init(self, token=None):
        """Sends `connection_init` and returns the next message, `connection_ack`."""
        payload = {"authorization": f"Bearer {token}"} if token else {}
        self.send_message({"type": "connection_init", "payload": payload})
        return self.receive_message()

    def subscribe(self, operation_id, payload):
        self.send_message({"type": "subscribe", "id": operation_id, "payload": payload})

    def close(self):
        self.stream.close()
