"""Overload: of four times what can be done, what is too much is turned away, and the rest is done as before."""

import os

from figures import percentile
from load import SETTLES, at_a_rate, in_a_circle
from service import graphql_request

OPTIONS = ("--demo", "--rate-network", "0", "--rate-user", "0", "--max-network-connections", "5000")
QUERY = "{ viewer { user { timeline(first: 100) { nodes { body createdAt author { username followersCount } } } } } }"
LANES = 3000
MEMORY = 500


def run(ground):
    """The service has a core for itself, and so have those who ask: they are not to slow each other down."""
    cores = sorted(os.sched_getaffinity(0))
    try:
        os.sched_setaffinity(0, cores[1:] or cores)
        for url in [ground.sqlite(), *([ground.database()] if ground.long else [])]:
            overload(ground, url, ("taskset", "--cpu-list", str(cores[0])))
    finally:
        os.sched_setaffinity(0, cores)


def overload(ground, url, on_one_core):
    engine = url.split(":")[0]
    server = ground.serve(url, *OPTIONS, prefix=on_one_core)
    token = ground.token(url, "john")
    request = graphql_request({"query": QUERY}, token, close=False)
    seconds = 30 if ground.long else 4
    in_a_circle(server.address, request, 8, 1)
    usual = in_a_circle(server.address, request, 8, seconds)
    capacity = usual.count(200) / seconds
    told = f"{capacity:.0f} a second, {usual.latency(200)}"
    right = not usual.broken and not usual.others(200)
    ground.check(f"{engine}: what can be done, with 8 clients", right, told)

    before = server.memory()
    much = at_a_rate(server.address, request, 4 * capacity, LANES, seconds)
    offered = much.asked / seconds
    told = f"{offered:.0f} a second offered on {LANES} connections, {offered / capacity:.1f} times as many; "
    told += f"{much.late} found no free connection"
    ground.check(f"{engine}: overload", offered > 2 * capacity, told)
    done, shed = much.count(200), much.count(503)
    told = f"{done / seconds:.0f} a second done, {much.latency(200)}; {shed} turned away with 503, {much.latency(503)}"
    right = shed > 0 and done > 0 and not much.others(200, 503) and not much.broken
    told += f"; {much.others(200, 503)}, {much.broken} broken"
    ground.check(f"{engine}: what is too much is turned away", right, told)
    missing = much.without_retry_after
    ground.check(f"{engine}: with Retry-After, each of them", missing == 0, f"{missing} without")
    share = done / seconds / capacity
    ground.check(f"{engine}: the rest is done", share > 0.25, f"{share:.0%} of capacity")
    slowest = percentile(much.settled[200], 0.99)
    told = f"after {SETTLES} s: {much.settled_latency(200)}; 503: {much.settled_latency(503)}"
    ground.check(f"{engine}: in good time", slowest < 0.5, told)
    after = server.memory()
    ground.check(f"{engine}: memory stays below {MEMORY} MB", after < MEMORY, f"{before} MB before, {after} MB at most")

    again = in_a_circle(server.address, request, 8, 2)
    right = not again.broken and not again.others(200) and again.count(200) / 2 > capacity / 4
    told = f"{again.count(200) / 2:.0f} a second, {again.latency(200)}"
    ground.check(f"{engine}: afterwards everything is answered", right, told)
    ground.check(f"{engine}: nothing panicked", not server.mistakes(), f"{server.mistakes()[:2]}")
    server.stop()
