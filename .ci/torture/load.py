"""Many clients at once: each asks one thing, waits for the answer, and asks again; or so many a second are asked in all,
however long the answers take."""

import asyncio
import re
import time
from collections import defaultdict, deque

from figures import percentile

# Seconds after which a crowd is no crowd any more.
SETTLES = 1.5
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Tally:
    def __init__(self):
        self.seconds = defaultdict(list)
        # Of what was asked when it had gone on for so long.
        self.settles, self.settled = float("inf"), defaultdict(list)
        self.asked = self.broken = self.without_retry_after = self.late = 0
        self.bodies = defaultdict(int)

    def count(self, status):
        return len(self.seconds[status])

    def others(self, *statuses):
        return {status: len(all_of) for status, all_of in self.seconds.items() if status not in statuses}

    def latency(self, status):
        return told(self.seconds[status])

    def settled_latency(self, status):
        return told(self.settled[status])


def told(seconds):
    figures = ((name, percentile(seconds, part) * 1000) for name, part in (("p50", 0.5), ("p99", 0.99)))
    return ", ".join(f"{name} {value:.1f} ms" for name, value in figures)


class Lane(asyncio.Protocol):
    """A connection with one request on its way at most."""

    def __init__(self, request, tally, done, marks=()):
        self.request, self.tally, self.done, self.marks = request, tally, done, marks
        self.transport, self.began, self.received, self.needed = None, None, bytearray(), None

    def connection_made(self, transport):
        self.transport = transport

    def ask(self):
        self.tally.asked += 1
        self.began = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data):
        self.received += data
        if self.needed is None:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.received[: end + 2])
            self.status = int(head[9:12])
            self.needed = end + 4 + int(LENGTH.search(head)[1])
            if self.status == 503 and b"\r\nretry-after:" not in head.lower():
                self.tally.without_retry_after += 1
        if len(self.received) >= self.needed:
            took = time.perf_counter() - self.began
            self.tally.seconds[self.status].append(took)
            if self.began > self.tally.settles:
                self.tally.settled[self.status].append(took)
            for mark in self.marks:
                self.tally.bodies[mark] += mark in self.received
            self.received, self.needed, self.began = bytearray(), None, None
            self.done(self)

    def connection_lost(self, _):
        if self.began is not None:
            self.tally.broken += 1
        self.transport = None


async def open_lanes(address, count, make):
    loop, lanes = asyncio.get_running_loop(), []
    for n in range(count):
        _, lane = await loop.create_connection(make, *address)
        lanes.append(lane)
        # Few wait at a time to be let in.
        if n % 50 == 49:
            await asyncio.sleep(0.005)
    return lanes


async def let_finish(tally, lanes, patience=20):
    """What is on its way is waited for; what never comes is broken."""
    end = time.monotonic() + patience
    while any(lane.began is not None and lane.transport for lane in lanes) and time.monotonic() < end:
        await asyncio.sleep(0.01)
    for lane in lanes:
        if lane.transport:
            lane.transport.close()
    await asyncio.sleep(0.05)


def in_a_circle(address, request, lanes, seconds, marks=()):
    """So many clients that ask again as soon as they are answered."""

    async def work():
        tally = Tally()
        end = float("inf")

        def again(lane):
            if time.monotonic() < end and lane.transport:
                lane.ask()

        opened = await open_lanes(address, lanes, lambda: Lane(request, tally, again, marks))
        end = time.monotonic() + seconds
        for lane in opened:
            lane.ask()
        await asyncio.sleep(seconds)
        await let_finish(tally, opened)
        return tally

    return asyncio.run(work())


def at_a_rate(address, request, rate, lanes, seconds):
    """So many a second, on whichever of the connections is free; those for which there is none are late."""

    async def work():
        # In turn: none is idle for so long that it is closed.
        tally, free = Tally(), deque()
        opened = await open_lanes(address, lanes, lambda: Lane(request, tally, free.append))
        free.extend(opened)
        began, due = time.monotonic(), 0
        tally.settles = time.perf_counter() + SETTLES
        while (elapsed := time.monotonic() - began) < seconds:
            while due < rate * elapsed:
                due += 1
                if not free:
                    tally.late += 1
                elif (lane := free.popleft()).transport:
                    lane.ask()
            await asyncio.sleep(0.002)
        await let_finish(tally, opened)
        return tally

    return asyncio.run(work())


def all_at_once(address, requests, marks=()):
    """Each over a connection of its own."""

    async def work():
        tally, rest = Tally(), list(requests)
        lanes = await open_lanes(address, len(rest), lambda: Lane(rest.pop(), tally, lambda _: None, marks))
        for lane in lanes:
            lane.ask()
        await let_finish(tally, lanes, 60)
        return tally

    return asyncio.run(work())
