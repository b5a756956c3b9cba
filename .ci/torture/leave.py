"""SIGTERM under load: it says so at once, serves on for a while, finishes what is in flight, and is gone."""

import http.client
import socket
import threading
import time

from figures import times
from ground import wait_for
from service import Connection, graphql_request, parse, send
from websocket import Closed, WebSocket

DELAY = 2
OPTIONS = ("--demo", "--shutdown-delay", str(DELAY), "--rate-network", "0", "--rate-user", "0")
QUERY = "{ viewer { user { timeline(first: 20) { nodes { body author { username } } } } } }"
WATCH = "subscription { timelineEvents { __typename } }"
CLIENTS = 8


class Client:
    """Asks on, over the same connection or over a new one each time, until nobody answers."""

    def __init__(self, server, token, stays):
        self.server, self.token, self.stays = server, token, stays
        # When each request was begun, how long it took, and what it was answered, 0 for nothing.
        self.asked = []
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        connection = Connection(self.server.address, self.token)
        request = graphql_request({"query": QUERY}, self.token)
        while self.server.process.poll() is None:
            began = time.monotonic()
            try:
                status = connection.ask(QUERY)[0] if self.stays else send(self.server.address, request).status
            except (OSError, http.client.HTTPException):
                status = 0
                connection.close()
            self.asked.append((began, time.monotonic() - began, status))
            time.sleep(0.005 if status else 0.05)


def watch(server, token, codes):
    opened = WebSocket(server.address)
    try:
        opened.begin(token)
        opened.subscribe("1", {"query": WATCH})
        while True:
            opened.receive()
    except (Closed, OSError) as end:
        codes.append(getattr(end, "code", None) or repr(end))


def half_a_request(server, token):
    """Nine tenths of one."""
    whole = graphql_request({"query": QUERY}, token)
    stream = socket.create_connection(server.address, timeout=20)
    stream.sendall(whole[:-20])
    return stream, whole[-20:]


def run(ground):
    for url in [ground.sqlite(), *([ground.database()] if ground.long else [])]:
        leave(ground, url)


def leave(ground, url):
    engine = url.split(":")[0]
    server = ground.serve(url, *OPTIONS)
    token = ground.token(url, "john")
    codes = []
    sockets = [threading.Thread(target=watch, args=(server, token, codes)) for _ in range(5)]
    events = []
    request = graphql_request({"query": WATCH}, token, "text/event-stream")
    stream = threading.Thread(target=lambda: events.append(send(server.address, request, 20)))
    for thread in [*sockets, stream]:
        thread.start()
    clients = [Client(server, token, stays=n % 2 == 0) for n in range(CLIENTS)]
    time.sleep(1)
    ready = server.get("/readyz").status
    told_at = time.monotonic()
    server.terminate()
    after = wait_for(lambda: server.get("/readyz").status == 503, DELAY, every=0.01)
    figures = f"{ready} before, 503 after {(after or 0) * 1000:.0f} ms"
    ground.check(f"{engine}: /readyz says no at once", ready == 200 and after is not None and after < 1, figures)
    alive = server.get("/livez").status
    time.sleep(max(0, told_at + DELAY - 0.2 - time.monotonic()))
    slow, rest = half_a_request(server, token)
    time.sleep(0.6)
    slow.sendall(rest)
    received = b""
    while piece := slow.recv(1 << 16):
        received += piece
    answer = parse(received, 0)
    code = server.process.wait(30)
    gone_after = time.monotonic() - told_at
    for thread in [*sockets, stream, *(client.thread for client in clients)]:
        thread.join(30)

    asked = [one for client in clients for one in client.asked if one[0] < told_at + DELAY - 0.2]
    during = [one for one in asked if one[0] > told_at]
    wrong = [one[2] for one in asked if one[2] != 200]
    figures = f"{len(asked)} requests, {len(during)} of them since; {times([one[1] for one in during])}"
    figures += f"; {len(wrong)} otherwise"
    right = not wrong and len(during) > 20 and alive == 200
    ground.check(f"{engine}: until it stops, everybody is answered", right, figures)
    right = answer.status == 200 and b'"data"' in answer.body
    ground.check(f"{engine}: a request in flight is finished", right, f"{answer.status}")
    ground.check(f"{engine}: sockets are closed with 1001", codes == [1001] * len(sockets), f"{codes}")
    ended = events and events[0].status == 200 and events[0].body.rstrip().endswith(b"event: complete\ndata:")
    ground.check(f"{engine}: streams of events are completed", ended, f"{events[0].body[-40:] if events else None}")
    ground.check(f"{engine}: it is gone, with exit code 0", code == 0, f"exit code {code} after {gone_after:.1f} s")
    ground.check(f"{engine}: the log has no mistakes", not server.mistakes(), f"{server.mistakes()[:2]}")
    ground.check(f"{engine}: the doctor finds nothing", ground.doctor(url) == "all is well")
