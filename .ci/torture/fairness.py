"""Fairness: one client network uses all that the default limits allow.

A client of another network is served meanwhile.
"""

import socket
import time

import pytest

from canary import Canary
from load import closed_loop
from service import RESPONSE_MEMORY_BYTES, graphql_request

CONNECTIONS = 200
MAX_MEMORY_MB = 700
OTHER_NETWORK = "127.0.0.2"
# With four bytes for each character this response has the maximum size.
LARGE_RESPONSE = " ".join(f"a{n}: posts(first: 100) {{ nodes {{ body }} }}" for n in range(4))
LARGE_RESPONSE = f"{{ {LARGE_RESPONSE} }}"
COUNTED_RESPONSE = "{ posts(first: 5) { nodes { body } } }"
# A small response that needs much work.
COUNTS = " ".join(f"a{n}: posts(first: 1) {{ totalCount }}" for n in range(19))
COUNTS = f"{{ {COUNTS} }}"
TIMELINE = "{ viewer { user { timeline(first: 20) { nodes { body author { username } } } } } }"
CREATE_POST = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }"
CANARY_SERVED = "a client of another network is served"


@pytest.mark.server_options("--demo")
def test_one_network_cannot_starve_another_network(harness, server, check):
    token = harness.create_token(server.database_url, "john")
    canary_token = harness.create_token(server.database_url, "susan")
    for _ in range(100):
        server.data(CREATE_POST, {"body": "🐦" * 5000}, token)
    check_unread_responses(harness, check, server, canary_token)
    check_expensive_requests(check, server, canary_token)
    errors = server.error_lines()
    check("the log has no panic and no ERROR line", not errors, f"{errors[:2]}")
    server.stop()


def check_unread_responses(harness, check, server, canary_token):
    """Requests large responses on many connections and does not read the responses."""
    memory_before, streams = server.peak_memory_mb(), []
    # At most 20 responses of 100 kB each second: the bytes are charged to the canary, too.
    with Canary(server, canary_token, COUNTED_RESPONSE, 0.05, OTHER_NETWORK) as canary:
        for _ in range(CONNECTIONS):
            stream = socket.socket()
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stream.connect(server.address)
            stream.sendall(graphql_request({"query": LARGE_RESPONSE}))
            streams.append(stream)
        time.sleep(8 if harness.long else 4)
        held = int(server.metrics()[RESPONSE_MEMORY_BYTES])
        canary.stop()
    figures = f"{held / 1e6:.0f} MB, {CONNECTIONS} connections"
    check("unread responses occupy response memory", held > 0, figures)
    name = f"{CANARY_SERVED} beside unread responses"
    check(name, canary.was_served(), canary.summary())
    memory = server.peak_memory_mb()
    figures = f"{memory_before} MB before, peak {memory} MB"
    check(f"peak memory stays below {MAX_MEMORY_MB} MB", memory < MAX_MEMORY_MB, figures)
    for stream in streams:
        stream.close()


def check_expensive_requests(check, server, canary_token):
    """Repeats an expensive query on many connections."""
    request = graphql_request({"query": COUNTS}, close=False)
    with Canary(server, canary_token, TIMELINE, address=OTHER_NETWORK) as canary:
        result = closed_loop(server.address, request, CONNECTIONS, 4)
        canary.stop()
    figures = f"{result.count(200)} with status 200, {result.count(429)} rate limited (429), "
    figures += f"{result.count(503)} rejected by the concurrency limit (503)"
    others = result.other_statuses(200, 429, 503)
    rate_limited = result.count(429) > 0 and not result.broken and not others
    check("expensive requests of one network are rate limited with 429", rate_limited, figures)
    name = f"{CANARY_SERVED} beside expensive requests"
    check(name, canary.was_served(), canary.summary())
