"""Load generators on asyncio: closed loop, open loop and burst.

Closed loop: each connection sends its next request after the response to the previous request.
Open loop: requests are sent at a constant rate, independent of the response time.
Burst: each request is sent at the same time on a connection of its own.
"""

import asyncio
import re
import time
from collections import defaultdict, deque

from stats import P50_P99, latency_summary

# `settled_samples` excludes requests of the first seconds, in which the server detects overload.
SETTLING_SECONDS = 1.5
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class LoadResult:
    def __init__(self):
        # Latencies in seconds, by status.
        self.samples = defaultdict(list)
        self.settled_at, self.settled_samples = float("inf"), defaultdict(list)
        self.sent = self.broken = self.without_retry_after = self.no_free_connection = 0
        # Number of responses that contain a marker.
        self.markers = defaultdict(int)

    def count(self, status):
        return len(self.samples[status])

    def other_statuses(self, *statuses):
        """Number of responses by status, for all other statuses."""
        return {s: len(samples) for s, samples in self.samples.items() if s not in statuses}

    def latency(self, status):
        return latency_summary(self.samples[status], P50_P99)

    def settled_latency(self, status):
        return latency_summary(self.settled_samples[status], P50_P99)


class LoadConnection(asyncio.Protocol):
    """A connection with at most one request in flight."""

    def __init__(self, request, result, on_response, markers=()):
        self.request, self.result = request, result
        self.on_response, self.markers = on_response, markers
        self.transport, self.started = None, None
        self.received, self.expected_bytes = bytearray(), None

    def connection_made(self, transport):
        self.transport = transport

    def send(self):
        self.result.sent += 1
        self.started = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data):
        self.received += data
        if self.expected_bytes is None:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.received[: end + 2])
            self.status = int(head[9:12])
            self.expected_bytes = end + 4 + int(CONTENT_LENGTH.search(head)[1])
            if self.status == 503 and b"\r\nretry-after:" not in head.lower():
                self.result.without_retry_after += 1
        if len(self.received) >= self.expected_bytes:
            latency = time.perf_counter() - self.started
            self.result.samples[self.status].append(latency)
            if self.started > self.result.settled_at:
                self.result.settled_samples[self.status].append(latency)
            for marker in self.markers:
                self.result.markers[marker] += marker in self.received
            self.received, self.expected_bytes, self.started = bytearray(), None, None
            self.on_response(self)

    def connection_lost(self, _):
        if self.started is not None:
            self.result.broken += 1
        self.transport = None


async def open_connections(address, count, create):
    loop, connections = asyncio.get_running_loop(), []
    for n in range(count):
        _, connection = await loop.create_connection(create, *address)
        connections.append(connection)
        # Pauses keep the accept queue of the server short.
        if n % 50 == 49:
            await asyncio.sleep(0.005)
    return connections


async def drain(connections, timeout=20):
    """Waits for the requests in flight. After the timeout they count as broken."""
    deadline = time.monotonic() + timeout
    while any(c.started is not None and c.transport for c in connections):
        if time.monotonic() >= deadline:
            break
        await asyncio.sleep(0.01)
    for connection in connections:
        if connection.transport:
            connection.transport.close()
    await asyncio.sleep(0.05)


def closed_loop(address, request, connections, seconds, markers=()):
    async def generate():
        result = LoadResult()
        deadline = float("inf")

        def send_next(connection):
            if time.monotonic() < deadline and connection.transport:
                connection.send()

        def create():
            return LoadConnection(request, result, send_next, markers)

        opened = await open_connections(address, connections, create)
        deadline = time.monotonic() + seconds
        for connection in opened:
            connection.send()
        await asyncio.sleep(seconds)
        await drain(opened)
        return result

    return asyncio.run(generate())


def open_loop(address, request, requests_per_second, connections, seconds):
    """Sends at a constant rate. Counts the requests for which no connection was free."""

    async def generate():
        # A FIFO queue: no connection stays idle until the server closes it.
        result, free = LoadResult(), deque()
        opened = await open_connections(
            address, connections, lambda: LoadConnection(request, result, free.append)
        )
        free.extend(opened)
        started, due = time.monotonic(), 0
        result.settled_at = time.perf_counter() + SETTLING_SECONDS
        while (elapsed := time.monotonic() - started) < seconds:
            while due < requests_per_second * elapsed:
                due += 1
                if not free:
                    result.no_free_connection += 1
                elif (connection := free.popleft()).transport:
                    connection.send()
            await asyncio.sleep(0.002)
        await drain(opened)
        return result

    return asyncio.run(generate())


def burst(address, requests, markers=()):
    async def generate():
        result, pending = LoadResult(), list(requests)

        def create():
            return LoadConnection(pending.pop(), result, lambda _: None, markers)

        opened = await open_connections(address, len(pending), create)
        for connection in opened:
            connection.send()
        await drain(opened, 60)
        return result

    return asyncio.run(generate())
