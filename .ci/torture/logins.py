"""A login flood: the server bounds password hashing and serves other clients."""

import time
from collections import Counter

import pytest

from canary import Canary
from load import burst
from service import PASSWORD_HASHES, graphql_request

TIMELINE = "{ viewer { user { timeline(first: 20) { nodes { body author { username } } } } } }"
LOGIN = """mutation { login(input: {username: "john", password: "%s"}) {
    token userErrors { code } } }"""
PASSWORDS = ("correct horse battery", "wrong horse battery")
# Markers of the three outcomes: signed in, wrong password, rejected.
OUTCOMES = (b'"token":"', b"INVALID_CREDENTIALS", b"TOO_MANY_REQUESTS")
LOGINS_PER_BURST = 200
MAX_P99_MS = 500
# Argon2 uses 19 MiB for each of 2 concurrent hashes.
MAX_MEMORY_MB = 250


@pytest.mark.server_options(
    "--demo", "--credential-attempts-per-minute", "0", "--rate-limit-per-network", "0", "--rate-limit-per-user", "0"
)
def test_login_flood_does_not_slow_down_reads(harness, server, check):
    token = harness.create_token(server.database_url, "susan")
    bursts = 100 if harness.long else 10
    with Canary(server, token, TIMELINE, pause=0.002) as baseline:
        time.sleep(10 if harness.long else 4)
        baseline.stop()
    requests = [
        graphql_request({"query": LOGIN % PASSWORDS[n % 2]}, close=False)
        for n in range(LOGINS_PER_BURST)
    ]
    results, hashes_before = [], server.metrics()[PASSWORD_HASHES]
    started = time.monotonic()
    with Canary(server, token, TIMELINE, pause=0.002) as canary:
        for _ in range(bursts):
            results.append(burst(server.address, requests, OUTCOMES))
        seconds = time.monotonic() - started
        canary.stop()
    hashes = int(server.metrics()[PASSWORD_HASHES] - hashes_before)
    signed_in, wrong, rejected = (
        sum(result.markers[outcome] for result in results) for outcome in OUTCOMES
    )
    figures = f"{bursts} times {LOGINS_PER_BURST} in {seconds:.1f} s: {signed_in} signed in, "
    figures += f"{wrong} wrong, {rejected} rejected; {hashes} hashed"
    others = sum((Counter(result.other_statuses(200)) for result in results), Counter())
    broken = sum(result.broken for result in results)
    figures += f"; other statuses {dict(others)}, {broken} broken"
    answered = signed_in + wrong + rejected == bursts * LOGINS_PER_BURST
    answered = answered and not others and not broken
    hashed = signed_in > 0 and signed_in + wrong == hashes
    name = "each login is answered, and each login that is not rejected is hashed once"
    check(name, answered and hashed, figures)
    name = "the timeline is served without logins (the baseline)"
    check(name, baseline.was_served(), baseline.summary())
    fast = canary.was_served() and canary.result["p99"] < MAX_P99_MS
    name = f"the timeline is served during the login flood with a p99 below {MAX_P99_MS} ms"
    check(name, fast, canary.summary())
    memory = server.peak_memory_mb()
    name = f"peak memory stays below {MAX_MEMORY_MB} MB"
    check(name, memory < MAX_MEMORY_MB, f"{memory} MB")
    errors = server.error_lines()
    check("the log has no panic and no ERROR line", not errors, f"{errors[:2]}")
    server.stop()
