"""Graceful shutdown: SIGTERM under load.

The server fails its readiness check at once, serves requests during the shutdown delay, finishes
requests in flight, closes streams, and exits with code 0.
"""

import http.client
import socket
import threading
import time

from harness import DOCTOR_OK, on_both_engines_when_long, wait_until
from service import (
    EVENT_STREAM,
    KeepAliveConnection,
    graphql_request,
    parse_response,
    send_raw,
)
from stats import latency_summary
from websocket import Closed, WebSocket

SHUTDOWN_DELAY = 2
OPTIONS = ("--demo", "--shutdown-delay", str(SHUTDOWN_DELAY))
OPTIONS += ("--rate-limit-per-network", "0", "--rate-limit-per-user", "0")
QUERY = "{ viewer { user { timeline(first: 20) { nodes { body author { username } } } } } }"
SUBSCRIPTION = "subscription { timelineEvents { __typename } }"
CLIENTS = 8
WEBSOCKETS = 5
# The server closes its listener at SHUTDOWN_DELAY. Requests are judged up to this margin before it.
MARGIN = 0.2
GOING_AWAY = 1001


class LoadClient:
    """Repeats a query until the server has exited.

    The client keeps its connection, or uses a new connection for each request.
    """

    def __init__(self, server, token, keep_alive):
        self.server, self.token, self.keep_alive = server, token, keep_alive
        # Start, duration in seconds, and status of each request; status 0 without a response.
        self.requests = []
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        connection = KeepAliveConnection(self.server.address, self.token)
        request = graphql_request({"query": QUERY}, self.token)
        while self.server.process.poll() is None:
            started = time.monotonic()
            try:
                if self.keep_alive:
                    status, _ = connection.query(QUERY)
                else:
                    status = send_raw(self.server.address, request).status
            except (OSError, http.client.HTTPException):
                status = 0
                connection.close()
            self.requests.append((started, time.monotonic() - started, status))
            time.sleep(0.005 if status else 0.05)


def watch_websocket(server, token, close_codes):
    """Subscribes, and appends the close code or the error that ended the connection."""
    websocket = WebSocket(server.address)
    try:
        websocket.init(token)
        websocket.subscribe("1", {"query": SUBSCRIPTION})
        while True:
            websocket.receive_message()
    except (Closed, OSError) as end:
        close_codes.append(getattr(end, "code", None) or repr(end))


def send_incomplete_request(server, token):
    """Sends a request without its last 20 bytes. Returns the connection and these bytes."""
    request = graphql_request({"query": QUERY}, token)
    stream = socket.create_connection(server.address, timeout=20)
    stream.sendall(request[:-20])
    return stream, request[-20:]


def receive_all(stream):
    received = b""
    while piece := stream.recv(1 << 16):
        received += piece
    return parse_response(received, 0)


@on_both_engines_when_long
def test_sigterm_under_load_loses_no_request(harness, database_url, check):
    server = harness.start_server(database_url, *OPTIONS)
    token = harness.create_token(database_url, "john")
    close_codes, streams = [], []
    threads = [
        threading.Thread(target=watch_websocket, args=(server, token, close_codes))
        for _ in range(WEBSOCKETS)
    ]
    subscribe = graphql_request({"query": SUBSCRIPTION}, token, EVENT_STREAM)
    threads.append(
        threading.Thread(target=lambda: streams.append(send_raw(server.address, subscribe, 20)))
    )
    for thread in threads:
        thread.start()
    clients = [LoadClient(server, token, keep_alive=n % 2 == 0) for n in range(CLIENTS)]
    time.sleep(1)
    ready_before = server.get("/readyz").status
    terminated_at = time.monotonic()
    server.terminate()
    unready_after = wait_until(
        lambda: server.get("/readyz").status == 503, SHUTDOWN_DELAY, interval=0.01
    )
    alive = server.get("/livez").status
    time.sleep(max(0, terminated_at + SHUTDOWN_DELAY - MARGIN - time.monotonic()))
    stream, rest = send_incomplete_request(server, token)
    time.sleep(0.6)
    stream.sendall(rest)
    response = receive_all(stream)
    exit_code = server.process.wait(30)
    exit_seconds = time.monotonic() - terminated_at
    for thread in [*threads, *(client.thread for client in clients)]:
        thread.join(30)

    unready = unready_after is not None and unready_after < 1
    figures = f"{ready_before} before, 503 after {(unready_after or 0) * 1000:.0f} ms"
    name = "/readyz returns 200 before SIGTERM and 503 within 1 s after it"
    check(name, ready_before == 200 and unready, figures)
    deadline = terminated_at + SHUTDOWN_DELAY - MARGIN
    check_requests(check, clients, terminated_at, deadline, alive)
    finished = response.status == 200 and b'"data"' in response.body
    check("a request in flight is finished with 200", finished, f"{response.status}")
    name = f"each WebSocket is closed with {GOING_AWAY}"
    check(name, close_codes == [GOING_AWAY] * WEBSOCKETS, f"{close_codes}")
    body = streams[0].body if streams else b""
    completed = bool(streams) and streams[0].status == 200
    completed = completed and body.rstrip().endswith(b"event: complete\ndata:")
    check("an SSE stream ends with the event complete", completed, f"{body[-40:]}")
    figures = f"exit code {exit_code} after {exit_seconds:.1f} s"
    check("the server exits with code 0", exit_code == 0, figures)
    errors = server.error_lines()
    check("the log has no panic and no ERROR line", not errors, f"{errors[:2]}")
    report = harness.doctor_report(database_url)
    check("the doctor finds no problem", report == DOCTOR_OK, report)


def check_requests(check, clients, terminated_at, deadline, alive):
    requests = [request for client in clients for request in client.requests]
    requests = [request for request in requests if request[0] < deadline]
    durations = [seconds for started, seconds, _ in requests if started > terminated_at]
    failures = [status for _, _, status in requests if status != 200]
    figures = f"{len(requests)} requests, {len(durations)} of them after SIGTERM: "
    figures += f"{latency_summary(durations)}; {len(failures)} failures"
    check(
        "during the shutdown delay each request and /livez are answered with 200",
        not failures and len(durations) > 20 and alive == 200,
        figures,
    )
