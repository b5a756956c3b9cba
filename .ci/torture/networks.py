"""An attack from one client network, and the check that a client of another never waits."""

import json
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from load import closed_loop
from service import graphql_request, raw_request
from websocket import TEXT, encode_frame, upgrade_headers

OTHER_NETWORK = "127.0.0.2"
# The longest wait of an honest client.
MAX_SECONDS = 1
CONNECTIONS = 200
UPGRADE = raw_request("GET", "/graphql", upgrade_headers("AAAAAAAAAAAAAAAAAAAAAA=="))
# With these options one account stands for any number of accounts.
NO_USER_LIMITS = ("--rate-limit-per-user", "0", "--max-posts-per-day", "0")
NO_USER_LIMITS += ("--max-post-bytes-per-day", "0")


class Attack:
    """Repeats documents on many connections of 127.0.0.1, each on as many as the others."""

    def __init__(self, server, documents, token, seconds, markers=(), headers=((),)):
        requests = [
            graphql_request({"query": document}, token, headers=more, close=False)
            for document in documents
            for more in headers
        ]
        self.max_in_flight, connections = 0, CONNECTIONS // len(requests)
        with ThreadPoolExecutor(len(requests)) as pool:
            loads = [
                pool.submit(closed_loop, server.address, request, connections, seconds, markers)
                for request in requests
            ]
            while not all(load.done() for load in loads):
                in_flight = int(server.metrics()["rookery_requests_in_flight"])
                self.max_in_flight = max(self.max_in_flight, in_flight)
                time.sleep(0.1)
        results = [load.result() for load in loads]
        self.broken = sum(result.broken for result in results)
        self.marked, self.statuses = Counter(), Counter()
        for result in results:
            self.marked += Counter(result.markers)
            counts = {status: len(samples) for status, samples in result.samples.items()}
            self.statuses += Counter(counts)

    def answered_with(self, *statuses):
        """Whether each request was answered, with one of these statuses."""
        return not self.broken and not set(self.statuses) - set(statuses)

    def summary(self):
        statuses = ", ".join(f"{count} with {status}" for status, count in self.statuses.items())
        return f"{statuses}, {self.broken} broken; {self.max_in_flight} requests in flight"


def message(content):
    """The frame of a message."""
    return encode_frame(TEXT, json.dumps(content).encode())


def open_unread(server, content):
    """A connection that sends bytes, and whose kernel buffers few received bytes."""
    stream = socket.socket()
    # Set before the connection is made, so that the window is small from the start.
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stream.connect(server.address)
    stream.sendall(content)
    return stream


def demo_tokens(harness, server, count):
    """Tokens of accounts of the demo data."""
    nodes = server.data(f"{{ users(first: {count}) {{ nodes {{ username }} }} }}")["users"]["nodes"]
    names = [node["username"] for node in nodes]
    with ThreadPoolExecutor(4) as pool:
        create = partial(harness.create_token, server.database_url)
        return list(pool.map(create, names))


def check_never_waits(check, name, *canaries):
    """Stops the canaries and checks that none waited."""
    summaries = "; ".join(canary.summary() for canary in canaries)
    served = all(canary.never_waited() for canary in canaries)
    check(f"a client of another network never waits for a second {name}", served, summaries)


def check_log(check, server):
    """Checks the log, and stops the server."""
    errors = server.error_lines()
    check("the log has no panic and no ERROR line", not errors, f"{errors[:2]}")
    server.stop()
