"""Attack requests: the server rejects each quickly with the expected status and code.

Well-behaved clients are served meanwhile.
"""

import base64
import json
import random
import threading
import time
from collections import Counter
from urllib.parse import urlencode

import pytest

import hostile
from canary import Canary
from service import (
    EVENT_STREAM,
    GRAPHQL_RESPONSE,
    PASSWORD_HASHES,
    Response,
    graphql_request,
    raw_request,
    send_raw,
)
from stats import latency_summary
from websocket import Closed, WebSocket

MAX_URL_BYTES = 60_000
# Longer than any rejection takes; shorter than the execution that the attack aims at.
MAX_REJECTION_SECONDS = 1.0
MAX_REJECTION_BYTES = 16_384
MAX_MEMORY_MB = 300
# Repetitions of each attack over POST.
ROUNDS = 20
HAMMER_THREADS = 8

CREATE_POST = """mutation ($body: String!) {
    createPost(input: {body: $body}) { post { body } userErrors { code } } }"""
REGISTER = """mutation ($name: String!) {
    register(input: {username: $name, email: "h@example.com", password: "correct horse battery"}) {
        token userErrors { code } } }"""
CURSORS = """{ viewer { user { id timeline(first: 1) { streamCursor }
    posts(first: 1) { pageInfo { endCursor } } } } }"""
CLOSE = ("Connection", "close")


def send_over_post(server, attack, token):
    return send_raw(server.address, graphql_request(attack.body, token))


def send_over_get(server, attack, token):
    """The response, or None when the URL would be longer than `MAX_URL_BYTES`."""
    members = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in attack.body.items()
    }
    path = f"/graphql?{urlencode(members)}"
    if len(path) > MAX_URL_BYTES:
        return None
    headers = [("Accept", GRAPHQL_RESPONSE), ("Authorization", f"Bearer {token}"), CLOSE]
    return send_raw(server.address, raw_request("GET", path, headers))


def send_over_sse(server, attack, token):
    return send_raw(server.address, graphql_request(attack.body, token, EVENT_STREAM, [CLOSE]))


def send_over_websocket(server, attack, token):
    """The first message as a response. Its status is the expected status over POST.

    A closed connection is a response whose status is the close code.
    """
    websocket = WebSocket(server.address)
    try:
        websocket.init(token)
        started = time.perf_counter()
        websocket.subscribe("1", attack.body)
        message = websocket.receive_message()
        payload = message.get("payload")
        body = {"errors": payload} if message["type"] == "error" else payload
        seconds = time.perf_counter() - started
    except Closed as closed:
        return Response(closed.code, {}, b"", 0.0)
    finally:
        websocket.close()
    return Response(attack.status, {}, json.dumps(body).encode(), seconds)


TRANSPORTS = {
    "post": send_over_post,
    "get": send_over_get,
    "sse": send_over_sse,
    "websocket": send_over_websocket,
}


def expected_status(attack, transport):
    """Over SSE an error is an event with status 200, unless the request cannot be parsed."""
    unparsed = attack.code in (hostile.BAD_REQUEST, hostile.PARSE_FAILED)
    return 200 if transport == "sse" and not unparsed else attack.status


def check_attacks(check, server, token, attacks):
    latencies = {transport: [] for transport in TRANSPORTS}
    slowest, unexpected, largest = (0.0, ""), [], 0
    for attack in attacks:
        for transport in attack.transports:
            for _ in range(ROUNDS if transport == "post" else 1):
                response = TRANSPORTS[transport](server, attack, token)
                if response is None:
                    break
                latencies[transport].append(response.seconds)
                slowest = max(slowest, (response.seconds, attack.name))
                largest = max(largest, len(response.body))
                got = (response.status, response.code())
                expected = (expected_status(attack, transport), attack.code)
                if got != expected or attack.forbidden in response.body.lower():
                    problem = f"{attack.name} over {transport}: {got}, expected {expected}"
                    unexpected.append(f"{problem}: {response.body[:200]!r}")
                    break
    count = sum(map(len, latencies.values()))
    figures = f"{count} requests, {len(unexpected)} unexpected responses"
    check(
        f"{len(attacks)} attack requests are rejected with the expected status and code",
        not unexpected,
        figures,
        unexpected,
    )
    for transport, seconds in latencies.items():
        check(
            f"a rejection over {transport} takes less than {MAX_REJECTION_SECONDS} s",
            max(seconds) < MAX_REJECTION_SECONDS,
            f"{len(seconds)} rejections, {latency_summary(seconds)}",
        )
    figures = f"largest {largest} bytes; "
    figures += f"slowest rejection '{slowest[1]}', {slowest[0] * 1000:.1f} ms"
    check(
        f"the body of a rejection is smaller than {MAX_REJECTION_BYTES} bytes",
        largest < MAX_REJECTION_BYTES,
        figures,
    )


def hammer(check, server, token, attacks, seconds):
    """Sends the attacks in parallel."""
    totals, lock, deadline = Counter(), threading.Lock(), time.monotonic() + seconds

    def work(first):
        counts = Counter()
        while time.monotonic() < deadline:
            for attack in attacks[first:] + attacks[:first]:
                if time.monotonic() >= deadline:
                    break
                response = send_over_post(server, attack, token)
                expected = (response.status, response.code()) == (attack.status, attack.code)
                counts["expected" if expected else "unexpected"] += 1
        with lock:
            totals.update(counts)

    threads = [
        threading.Thread(target=work, args=(n * len(attacks) // HAMMER_THREADS,))
        for n in range(HAMMER_THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(
        f"{HAMMER_THREADS} attacks in parallel are rejected with the expected status and code",
        totals.total() > 50 and not totals["unexpected"],
        f"{totals.total()} in {seconds} s, {totals['unexpected']} unexpected responses",
    )


def check_cross_site_requests(check, server, token):
    """Requests that a page of another site can send without a CORS preflight."""
    write = 'mutation a { createPost(input: {body: "forged"}) { post { id } } }'
    body = json.dumps({"query": write}).encode()
    bearer = ("Authorization", f"Bearer {token}")
    form, multipart = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
    for media_type in ("text/plain", form, multipart, None):
        headers = [CLOSE, bearer, *([("Content-Type", media_type)] if media_type else [])]
        response = send_raw(server.address, raw_request("POST", "/graphql", headers, body))
        got = (response.status, response.code())
        name = f"a POST with Content-Type {media_type or '(absent)'} is rejected with 415"
        check(name, got == (415, hostile.BAD_REQUEST), f"{got}")
    hidden = f"query b {{ __typename }} {write}"
    headers = [CLOSE, bearer, ("GraphQL-Require-Preflight", "1")]
    for name, members in (
        ("a mutation over GET", {"query": write}),
        ("a mutation beside a query over GET", {"query": hidden, "operationName": "a"}),
    ):
        path = f"/graphql?{urlencode(members)}"
        response = send_raw(server.address, raw_request("GET", path, headers))
        got = (response.status, response.code(), response.headers.get("allow"))
        rejected = got == (405, hostile.BAD_REQUEST, "POST")
        check(f"{name} is rejected with 405 and Allow: POST", rejected, f"{got}")
    cross_site = [CLOSE, ("Origin", "https://hostile.example"), ("Sec-Fetch-Site", "cross-site")]
    request = raw_request("GET", "/graphql?query=%7B__typename%7D", cross_site)
    response = send_raw(server.address, request)
    allowed_origin = response.headers.get("access-control-allow-origin")
    got = (response.status, response.code(), allowed_origin)
    rejected = got == (403, "CSRF_PREVENTED", None)
    check("a cross-site GET is rejected with CSRF_PREVENTED", rejected, f"{got}")
    for headers in (cross_site[1:2], cross_site[2:], [("Origin", "null")]):
        response = WebSocket(server.address, headers).handshake
        got = (response.status, response.code())
        name = f"a WebSocket upgrade with {': '.join(headers[0])}"
        rejected = got == (403, "CSRF_PREVENTED")
        check(f"{name} is rejected with CSRF_PREVENTED", rejected, f"{got}")
    request = raw_request("GET", "/livez", [CLOSE, ("X-Long", "x" * 300_000)])
    response = send_raw(server.address, request)
    name = "a request head of 300 KB is rejected with 431"
    check(name, response.status == 431, f"status {response.status}")
    posts = server.data("{ posts { totalCount nodes { body } } }", token=token)["posts"]["nodes"]
    unforged = all(post["body"] != "forged" for post in posts)
    check("no rejected mutation wrote a post", unforged)


def check_text_input(check, server, token, other_token):
    for name, text, accepted in (
        ("a NUL character", "a\0b", False),
        ("a BEL control character", "a\x07b", False),
        ("four-byte characters", "\U0001f426\U0001f985", True),
        ("a bidirectional override", "abc \u202e cba", True),
    ):
        payload = server.data(CREATE_POST, {"body": text}, token)["createPost"]
        if accepted:
            expected = payload["post"] == {"body": text}
        else:
            expected = payload["userErrors"] == [{"code": "INVALID_INPUT"}]
        outcome = "stored unchanged" if accepted else "rejected with INVALID_INPUT"
        check(f"a post with {name} is {outcome}", expected, f"{payload}"[:80])
    body = b'{"query": "{ __typename }", "operationName": "\\ud800"}'
    response = send_raw(server.address, graphql_request(body))
    rejected = (response.status, response.code()) == (400, hostile.BAD_REQUEST)
    check("an unpaired surrogate is rejected with 400", rejected, f"{response.status}")
    for username in ("j\u043ehn", "jo\u200bhn", "john\u202e", "\uff4aohn"):
        payload = server.data(REGISTER, {"name": username})["register"]
        rejected = payload == {"token": None, "userErrors": [{"code": "INVALID_INPUT"}]}
        check(f"the confusable username {username!a} is rejected", rejected)
    viewer = server.data("{ viewer { sessions { id } } }", token=token)["viewer"]
    variables = {"id": viewer["sessions"][0]["id"]}
    node = server.data("query ($id: ID!) { node(id: $id) { id } }", variables, other_token)
    check("the session of another user is not found", node == {"node": None}, f"{node}")


def check_malformed_requests(check, server, token, cursor_tag):
    """Malformed HTTP, an unbounded chunked body, and well-formed but forged stream cursors."""
    rng, statuses = random.Random(1), Counter()
    starts = (b"", b"POST /graphql HTTP/1.1\r\nHost: a\r\n", b"GET /graphql?query=")
    for number in range(200):
        garbage = rng.randbytes(rng.randrange(1, 2000))
        request = starts[number % 3] + garbage + b"\r\n\r\n"
        statuses[send_raw(server.address, request).status] += 1
    rejected = set(statuses) <= {0, 400, 403, 406, 414, 415, 431}
    check("200 requests of random bytes are rejected", rejected, f"{dict(statuses)}")
    headers = [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]
    head = raw_request("GET", "/graphql", headers).replace(b"GET", b"POST")
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    response = send_raw(server.address, head + chunk * 80)
    got = (response.status, response.code())
    rejected = got == (413, hostile.BAD_REQUEST)
    check("a chunked body of 5 MB is rejected with 413", rejected, f"{got}")
    lagged = "__typename ... on StreamLagged { missed resumeAfter }"
    document = f"subscription ($after: String) {{ timelineEvents(after: $after) {{ {lagged} }} }}"
    for in_progress in (0, 1000):
        numbers = [*range(1, in_progress + 1), 1 << 40, 0]
        cursor = cursor_tag + b"".join(n.to_bytes(8, "big") for n in numbers)
        cursor = base64.urlsafe_b64encode(cursor).decode().rstrip("=")
        body = {"query": document, "variables": {"after": cursor}}
        response = send_raw(server.address, graphql_request(body, token, EVENT_STREAM, [CLOSE]))
        event = response.json().get("data", {}).get("timelineEvents")
        check(
            f"a forged cursor with {in_progress} transactions in progress yields StreamLagged",
            event == {"__typename": "StreamLagged", "missed": None, "resumeAfter": None},
            f"{event}, {response.seconds * 1000:.1f} ms",
        )


@pytest.mark.server_options(
    "--demo", "--rate-limit-per-network", "0", "--rate-limit-per-user", "0", "--credential-attempts-per-minute", "0"
)
def test_attack_requests_are_rejected_and_other_clients_are_served(harness, server, check):
    token = harness.create_token(server.database_url, "john")
    other_token = harness.create_token(server.database_url, "susan")
    for _ in range(100):
        server.data(CREATE_POST, {"body": "\U0001f426" * 5000}, token)
    user = server.data(CURSORS, token=token)["viewer"]["user"]
    stream_cursor = user["timeline"]["streamCursor"]
    post_cursor = user["posts"]["pageInfo"]["endCursor"]
    attacks = list(hostile.all_attacks(user["id"], stream_cursor, post_cursor))
    memory_before = server.peak_memory_mb()
    with Canary(server, token) as canary:
        check_attacks(check, server, token, attacks)
        check_cross_site_requests(check, server, token)
        check_text_input(check, server, token, other_token)
        cursor_tag = base64.urlsafe_b64decode(stream_cursor[:4])[:1]
        check_malformed_requests(check, server, token, cursor_tag)
        name = "a well-behaved client is served during the attacks"
        check(name, canary.was_served(), canary.summary())
    post_attacks = [attack for attack in attacks if "post" in attack.transports]
    with Canary(server, token) as canary:
        hammer(check, server, token, post_attacks, 60 if harness.long else 5)
        name = "a well-behaved client is served during attacks in parallel"
        check(name, canary.was_served(), canary.summary())
    memory = server.peak_memory_mb()
    figures = f"{memory_before} MB before, peak {memory} MB"
    check(f"peak memory stays below {MAX_MEMORY_MB} MB", memory < MAX_MEMORY_MB, figures)
    errors = server.error_lines() + ["INTERNAL"] * server.error_count("INTERNAL")
    name = "no request causes a panic, an ERROR line in the log or an INTERNAL error"
    check(name, not errors, f"{len(errors)} {errors[:3]}")
    check("no request forges a line of the log", "hostile=1" not in server.log())
    server.stop()


def guess(number, username="john"):
    arguments = f'username: "{username}", password: "wrong guess {number}"'
    return f"a{number}: login(input: {{{arguments}}}) {{ token userErrors {{ code message }} }}"


@pytest.mark.server_options("--demo", "--credential-attempts-per-minute", "5", "--max-batch", "20")
@pytest.mark.parametrize(
    "body",
    [
        {"query": f"mutation {{ {hostile.repeat(20, guess)} }}"},
        [{"query": f"mutation {{ {guess(n)} }}"} for n in range(20)],
    ],
    ids=["20_aliases", "batch_of_20"],
)
def test_packed_password_guesses_count_one_by_one(server, check, body):
    hashes_before = server.metrics()[PASSWORD_HASHES]
    response = send_raw(server.address, graphql_request(body))
    hashes = int(server.metrics()[PASSWORD_HASHES] - hashes_before)
    expected = {"INVALID_CREDENTIALS": 5, "TOO_MANY_REQUESTS": 15}
    codes = {code: response.body.count(f'"{code}"'.encode()) for code in expected}
    check(
        "with 5 attempts per minute, 5 of 20 guesses are hashed and 15 rejected",
        hashes == 5 and codes == expected,
        f"{hashes} hashed, {codes}",
    )
    server.stop()


@pytest.mark.server_options("--demo", "--credential-attempts-per-minute", "0")
def test_login_does_not_reveal_whether_a_user_exists(server, check):
    bodies, latencies = set(), {"john": [], "nobody_at_all": []}
    for username in ("john", "nobody_at_all") * 20:
        response = server.query(f"mutation {{ {guess(0, username)} }}")
        bodies.add(response.body)
        latencies[username].append(response.seconds)
    same = len(bodies) == 1 and b"INVALID_CREDENTIALS" in response.body
    figures = f"known user: {latency_summary(latencies['john'])}; "
    figures += f"unknown user: {latency_summary(latencies['nobody_at_all'])}"
    check("a wrong password and an unknown user get the same response", same, figures)
    server.stop()


@pytest.mark.server_options("--demo", "--rate-limit-per-network", "20000")
def test_rejected_requests_are_charged_to_the_rate_limit(harness, server, check):
    token = harness.create_token(server.database_url, "john")
    bomb = next(iter(hostile.fragments()))
    statuses, response = Counter(), None
    for _ in range(500):
        response = send_over_post(server, bomb, None)
        statuses[response.status] += 1
        if response.status == 429:
            break
    retry_after = int(response.headers.get("retry-after", 0))
    check(
        "a client that sends only fragment bombs is rejected with 429 and Retry-After",
        response.code() == "RATE_LIMITED" and 1 <= retry_after <= 60,
        f"{dict(statuses)}",
    )
    status = server.query("{ viewer { email } }", token=token).status
    check("a signed-in client of the same network is served", status == 200)
    server.stop()
