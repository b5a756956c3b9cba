"""Overload: at four times the capacity the server rejects the excess with 503.

The remaining requests are answered with a low latency.
"""

import os

import pytest

from harness import on_both_engines_when_long
from load import SETTLING_SECONDS, closed_loop, open_loop
from service import graphql_request
from stats import percentile

OPTIONS = ("--demo", "--rate-limit-per-network", "0", "--rate-limit-per-user", "0", "--max-connections-per-network", "5000")
QUERY = """{ viewer { user { timeline(first: 100) { nodes {
    body createdAt author { username followersCount } } } } } }"""
CONNECTIONS = 3000
CLIENTS = 8
MAX_MEMORY_MB = 500
MAX_P99_SECONDS = 0.5
MIN_CAPACITY_SHARE = 0.25


@pytest.fixture
def server_core():
    """The first CPU core, reserved for the server. The load generator uses the other cores."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)
    yield cores[0]
    os.sched_setaffinity(0, cores)


@on_both_engines_when_long
def test_overload_is_rejected_and_capacity_is_kept(harness, database_url, server_core, check):
    prefix = ("taskset", "--cpu-list", str(server_core))
    server = harness.start_server(database_url, *OPTIONS, prefix=prefix)
    token = harness.create_token(database_url, "john")
    request = graphql_request({"query": QUERY}, token, close=False)
    seconds = 30 if harness.long else 4
    closed_loop(server.address, request, CLIENTS, 1)
    usual = closed_loop(server.address, request, CLIENTS, seconds)
    capacity = usual.count(200) / seconds
    answered = not usual.broken and not usual.other_statuses(200)
    figures = f"{capacity:.0f} responses per second, {usual.latency(200)}"
    check(f"{CLIENTS} clients are answered with 200 (the capacity)", answered, figures)

    memory_before = server.peak_memory_mb()
    overload = open_loop(server.address, request, 4 * capacity, CONNECTIONS, seconds)
    check_overload(check, overload, capacity, seconds)
    memory = server.peak_memory_mb()
    figures = f"{memory_before} MB before, peak {memory} MB"
    check(f"peak memory stays below {MAX_MEMORY_MB} MB", memory < MAX_MEMORY_MB, figures)

    after = closed_loop(server.address, request, CLIENTS, 2)
    recovered = not after.broken and not after.other_statuses(200)
    recovered = recovered and after.count(200) / 2 > capacity / 4
    figures = f"{after.count(200) / 2:.0f} responses per second, {after.latency(200)}"
    check("after the overload every request is answered with 200", recovered, figures)
    errors = server.error_lines()
    check("the log has no panic and no ERROR line", not errors, f"{errors[:2]}")
    server.stop()


def check_overload(check, overload, capacity, seconds):
    offered = overload.sent / seconds
    figures = f"{offered:.0f} requests per second on {CONNECTIONS} connections, "
    figures += f"{offered / capacity:.1f} times the capacity; "
    figures += f"{overload.no_free_connection} requests found no free connection"
    name = "the load generator offers more than twice the capacity"
    check(name, offered > 2 * capacity, figures)

    answered, rejected = overload.count(200), overload.count(503)
    others = overload.other_statuses(200, 503)
    figures = f"{answered / seconds:.0f} responses per second with 200, {overload.latency(200)}; "
    figures += f"{rejected} rejected with 503, {overload.latency(503)}; "
    figures += f"{others}, {overload.broken} broken"
    shed = rejected > 0 and answered > 0 and not others and not overload.broken
    check("the excess is rejected with 503 and no connection breaks", shed, figures)
    missing = overload.without_retry_after
    check("each 503 has Retry-After", missing == 0, f"{missing} without")
    share = answered / seconds / capacity
    name = f"more than {MIN_CAPACITY_SHARE:.0%} of the capacity is answered with 200"
    check(name, share > MIN_CAPACITY_SHARE, f"{share:.0%} of the capacity")
    p99 = percentile(overload.settled_samples[200], 0.99)
    figures = f"after {SETTLING_SECONDS} s: 200 {overload.settled_latency(200)}; "
    figures += f"503 {overload.settled_latency(503)}"
    name = f"once settled, the p99 of responses with 200 is below {MAX_P99_SECONDS} s"
    check(name, p99 < MAX_P99_SECONDS, figures)
