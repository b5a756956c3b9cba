"""As much of a WebSocket as it takes: texts there and back, and the code that it is closed with."""

import base64
import json
import os
import socket
import struct

from service import parse

PROTOCOL = "graphql-transport-ws"


class Closed(Exception):
    def __init__(self, code):
        super().__init__(f"closed with {code}")
        self.code = code


class WebSocket:
    def __init__(self, address, headers=(), patience=20):
        self.stream = socket.create_connection(address, timeout=patience)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            "GET /graphql HTTP/1.1",
            f"Host: {address[0]}:{address[1]}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            f"Sec-WebSocket-Protocol: {PROTOCOL}",
            *(f"{name}: {value}" for name, value in headers),
        ]
        self.stream.sendall("\r\n".join([*lines, "", ""]).encode())
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            piece = self.stream.recv(4096)
            if not piece:
                break
            self.rest += piece
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        # What it was answered in place of a socket, if it was.
        self.answer = parse(head + b"\r\n\r\n" + self.rest, 0.0)

    def read(self, count):
        while len(self.rest) < count:
            piece = self.stream.recv(1 << 16)
            if not piece:
                raise Closed(None)
            self.rest += piece
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def frame(self, kind, content):
        length = len(content)
        if length < 126:
            head = struct.pack("!BB", 0x80 | kind, 0x80 | length)
        elif length < 1 << 16:
            head = struct.pack("!BBH", 0x80 | kind, 0x80 | 126, length)
        else:
            head = struct.pack("!BBQ", 0x80 | kind, 0x80 | 127, length)
        # With a mask of nothing, what is sent is what is meant.
        self.stream.sendall(head + bytes(4) + content)

    def send(self, message):
        self.frame(1, json.dumps(message).encode())

    def receive(self):
        """The next message; raises Closed at the end."""
        while True:
            first, second = self.read(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", self.read(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self.read(8))
            content = self.read(length)
            match first & 0x0F:
                case 1:
                    return json.loads(content)
                case 8:
                    raise Closed(struct.unpack("!H", content[:2])[0] if content else None)
                case 9:
                    self.frame(10, content)

    def begin(self, token=None):
        payload = {"authorization": f"Bearer {token}"} if token else {}
        self.send({"type": "connection_init", "payload": payload})
        return self.receive()

    def subscribe(self, name, payload):
        self.send({"type": "subscribe", "id": name, "payload": payload})

    def close(self):
        self.stream.close()
