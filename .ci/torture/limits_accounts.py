"""Limits of accounts: bytes of posts per day, and logins per client network.

A client network is an IPv4 address or an IPv6 /56. The loopback interface has no second /56, so
these tests use a trusted proxy that reports the addresses of its clients.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from canary import Canary
from graph import TIMELINE
from networks import MAX_SECONDS, OTHER_NETWORK, Attack, check_log, check_never_waits
from service import KeepAliveConnection, graphql_request, send_raw

MAX_POST_BYTES_PER_DAY = 4_194_304
BODY = "🐦" * 5000
POST_BYTES = len(BODY.encode())
CREATE_POST = """mutation ($body: String!) { createPost(input: {body: $body}) {
    post { id } userErrors { code } } }"""
EDIT_POST = """mutation ($id: ID!, $body: String!) { editPost(input: {id: $id, body: $body}) {
    post { id } userErrors { code } } }"""
TOO_MANY_REQUESTS, WRONG_PASSWORD = b"TOO_MANY_REQUESTS", b"INVALID_CREDENTIALS"
LOGIN = """mutation { login(input: {username: "%s", password: "%s"}) {
    token userErrors { code } } }"""
LOGINS_PER_MINUTE = 60
MIN_LOGINS = 10
FORWARDED_FOR = "X-Forwarded-For"
PROXY = ("--demo", "--trusted-proxies", "127.0.0.1")


@pytest.mark.server_options("--demo")
def test_an_account_is_stopped_after_the_bytes_of_a_day(harness, server, check):
    writer, other = (harness.create_token(server.database_url, name) for name in ("john", "susan"))
    connection = KeepAliveConnection(server.address, writer)
    posts, code, statuses, started = [], None, set(), time.monotonic()
    with Canary(server, other, TIMELINE, address=OTHER_NETWORK) as canary:
        # Twice as many as an account may write.
        for _ in range(2 * MAX_POST_BYTES_PER_DAY // POST_BYTES):
            status, body = connection.query(CREATE_POST, {"body": BODY})
            statuses.add(status)
            payload = (body.get("data") or {}).get("createPost")
            if not payload or payload["userErrors"]:
                code = payload and payload["userErrors"][0]["code"]
                break
            posts.append(payload["post"]["id"])
    seconds, written = time.monotonic() - started, len(posts) * POST_BYTES
    figures = f"{len(posts)} posts, {written} bytes in {seconds:.1f} s, then {code}; {statuses}"
    bounded = MAX_POST_BYTES_PER_DAY - POST_BYTES < written <= MAX_POST_BYTES_PER_DAY
    stopped = bounded and code == "TOO_MANY_REQUESTS" and statuses == {200}
    check("an account is stopped when it has written its bytes of a day", stopped, figures)
    variables = {"id": posts[0], "body": BODY.replace("🐦", "🐤")}
    edit = server.data(EDIT_POST, variables, writer)["editPost"]["userErrors"]
    stopped = [error["code"] for error in edit] == ["TOO_MANY_REQUESTS"]
    check("edits count too", stopped, f"{edit}")
    errors = server.data(CREATE_POST, {"body": BODY}, other)["createPost"]["userErrors"]
    check("another account may write", not errors, f"{errors}")
    check_never_waits(check, "beside the writer", canary)
    check_log(check, server)


def log_in(server, address):
    """Logs in from an address behind the proxy."""
    document = {"query": LOGIN % ("susan", "correct horse battery")}
    return send_raw(server.address, graphql_request(document, headers=[(FORWARDED_FOR, address)]))


# With the limit, a network is stopped after some attempts. Without it, its attempts queue.
@pytest.mark.parametrize("limit", [LOGINS_PER_MINUTE, 0])
def test_logins_of_one_ipv6_56_delay_no_other(harness, database_url, limit, check):
    options = (*PROXY, "--credential-attempts-per-minute", str(limit))
    server = harness.start_server(database_url, *options)
    seconds = 10 if harness.long else 3.5
    attackers = [[(FORWARDED_FOR, f"2001:db8:1:2{n:02x}::1")] for n in range(0, 256, 8)]
    document = LOGIN % ("john", "wrong horse battery")
    with ThreadPoolExecutor(1) as pool:
        outcomes = (WRONG_PASSWORD, TOO_MANY_REQUESTS)
        load = pool.submit(Attack, server, [document], None, seconds, outcomes, attackers)
        time.sleep(0.5)
        responses = []
        while not load.done():
            # The addresses differ from those of the attackers in the last bits of the /56.
            responses.append(log_in(server, f"2001:db8:1:{len(responses) + 3:x}00::1"))
            time.sleep(0.05)
        attack = load.result()
    tried, refused = (attack.marked[outcome] for outcome in outcomes)
    figures = f"{tried} wrong passwords, {refused} refused; {attack.summary()}"
    bounded = tried > 0 and attack.answered_with(200, 429, 503)
    if limit:
        # The limit allows a further attempt each second.
        bounded = bounded and tried <= LOGINS_PER_MINUTE + seconds + 2
    check(f"{len(attackers)} addresses of a /56 share one limit", bounded, figures)
    signed_in = sum(b'"token":"' in response.body for response in responses)
    slowest = max(response.seconds for response in responses)
    figures = f"{signed_in} of {len(responses)} signed in, the slowest after {slowest:.3f} s"
    served = signed_in == len(responses) >= MIN_LOGINS and slowest < MAX_SECONDS
    check("logins from other networks succeed in a second", served, figures)
    check_log(check, server)
