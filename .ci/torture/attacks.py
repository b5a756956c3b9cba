"""Attacks: each is refused with its status and its code, in moments, while somebody honest is served beside it."""

import base64
import json
import random
import threading
import time
from collections import Counter
from urllib.parse import urlencode

import hostile
from canary import Canary
from figures import times
from service import MODERN, Answer, graphql_request, raw_request, send
from websocket import Closed, WebSocket

LONGEST_URL = 60_000
# Far more than any refusal takes, far less than the work that the attacks are after.
MOMENTS = 1.0
MEMORY = 300
ROUNDS = 20


def over_post(server, attack, token):
    return send(server.address, graphql_request(attack.body, token))


def over_get(server, attack, token):
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in attack.body.items()}
    path = f"/graphql?{urlencode(fields)}"
    if len(path) > LONGEST_URL:
        return None
    headers = [("Accept", MODERN), ("Authorization", f"Bearer {token}"), ("Connection", "close")]
    return send(server.address, raw_request("GET", path, headers))


def over_sse(server, attack, token):
    return send(server.address, graphql_request(attack.body, token, "text/event-stream", [("Connection", "close")]))


def over_socket(server, attack, token):
    """As an answer, with the status that the same would have over POST."""
    socket = WebSocket(server.address)
    try:
        socket.begin(token)
        began = time.perf_counter()
        socket.subscribe("1", attack.body)
        message = socket.receive()
        payload = message.get("payload")
        answer = {"errors": payload} if message["type"] == "error" else payload
        seconds = time.perf_counter() - began
    except Closed as closed:
        return Answer(closed.code, {}, b"", 0.0)
    finally:
        socket.close()
    return Answer(attack.status, {}, json.dumps(answer).encode(), seconds)


def expected_status(attack, way):
    as_event = way == "sse" and attack.code not in (hostile.BAD, hostile.PARSE)
    return 200 if as_event else attack.status


WAYS = {"post": over_post, "get": over_get, "sse": over_sse, "socket": over_socket}


def table(ground, server, token, attacks):
    took, slowest, wrong, large = {way: [] for way in WAYS}, (0.0, ""), [], 0
    for attack in attacks:
        for way in attack.ways:
            for _ in range(ROUNDS if way == "post" else 1):
                answer = WAYS[way](server, attack, token)
                if answer is None:
                    break
                took[way].append(answer.seconds)
                slowest = max(slowest, (answer.seconds, attack.name))
                large = max(large, len(answer.body))
                got = (answer.status, answer.code())
                if got != (expected_status(attack, way), attack.code) or attack.without in answer.body.lower():
                    wrong.append(f"{attack.name} over {way}: {got}, expected {attack.code}: {answer.body[:200]!r}")
                    break
    for one in wrong:
        print(f"  {one}")
    count = sum(map(len, took.values()))
    ground.check(f"{len(attacks)} attacks are refused with their codes", not wrong, f"{count} requests, {len(wrong)} wrong")
    for way, seconds in took.items():
        ground.check(f"refusals over {way} come in moments", max(seconds) < MOMENTS, f"{len(seconds)}: {times(seconds)}")
    print(f"  the slowest was '{slowest[1]}', {slowest[0] * 1000:.1f} ms; the largest answer had {large} bytes")
    ground.check("the answers stay small", large < 16_384, f"{large} bytes")


def hammer(ground, server, token, attacks, seconds):
    """All of them, eight at a time."""
    refusals, lock, end = Counter(), threading.Lock(), time.monotonic() + seconds

    def strike(first):
        mine = Counter()
        while time.monotonic() < end:
            for attack in attacks[first:] + attacks[:first]:
                if time.monotonic() >= end:
                    break
                answer = over_post(server, attack, token)
                mine["as expected" if (answer.status, answer.code()) == (attack.status, attack.code) else "other"] += 1
        with lock:
            refusals.update(mine)

    threads = [threading.Thread(target=strike, args=(n * len(attacks) // 8,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = f"{refusals.total()} in {seconds} s, {refusals['other']} answered otherwise"
    ground.check("eight at a time, they are refused too", refusals.total() > 50 and not refusals["other"], told)


def simple_requests(ground, server, token):
    """What a page of another site can send without being asked."""
    write = 'mutation a { createPost(input: {body: "forged"}) { post { id } } }'
    body = json.dumps({"query": write}).encode()
    close, bearer = ("Connection", "close"), ("Authorization", f"Bearer {token}")
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None):
        headers = [close, bearer, *([("Content-Type", kind)] if kind else [])]
        answer = send(server.address, raw_request("POST", "/graphql", headers, body))
        got = (answer.status, answer.code())
        ground.check(f"a POST of {kind or 'no type'} is refused", got == (415, hostile.BAD), f"{got}")
    hidden = f"query b {{ __typename }} {write}"
    headers = [close, bearer, ("GraphQL-Require-Preflight", "1")]
    for name, fields in (("a mutation", {"query": write}), ("one among queries", {"query": hidden, "operationName": "a"})):
        answer = send(server.address, raw_request("GET", f"/graphql?{urlencode(fields)}", headers))
        got = (answer.status, answer.code(), answer.headers.get("allow"))
        ground.check(f"{name} over GET is refused", got == (405, hostile.BAD, "POST"), f"{got}")
    foreign = [close, ("Origin", "https://hostile.example"), ("Sec-Fetch-Site", "cross-site")]
    answer = send(server.address, raw_request("GET", "/graphql?query=%7B__typename%7D", foreign))
    got = (answer.status, answer.code(), answer.headers.get("access-control-allow-origin"))
    ground.check("a GET of a foreign page is refused", got == (403, "CSRF_PREVENTED", None), f"{got}")
    for headers in (foreign[1:2], foreign[2:], [("Origin", "null")]):
        answer = WebSocket(server.address, headers).answer
        got = (answer.status, answer.code())
        ground.check(f"a socket of {headers[0][1]} is refused", got == (403, "CSRF_PREVENTED"), f"{got}")
    answer = send(server.address, raw_request("GET", "/livez", [close, ("X-Long", "x" * 300_000)]))
    ground.check("a head of 300 KB is refused", answer.status == 431, f"status {answer.status}")
    written = server.data("{ posts { totalCount nodes { body } } }", token=token)["posts"]["nodes"]
    ground.check("nothing of it was written", all(post["body"] != "forged" for post in written))


def guesses(ground):
    """However they are packed, five guesses a minute are five."""

    def guess(n, name="john"):
        login = f'a{n}: login(input: {{username: "{name}", password: "wrong guess {n}"}})'
        return f"{login} {{ token userErrors {{ code message }} }}"

    batch = [{"query": f"mutation {{ {guess(n)} }}"} for n in range(20)]
    for name, body in (
        ("20 aliases", {"query": f"mutation {{ {hostile.each(20, guess)} }}"}),
        ("a batch of 20", batch),
    ):
        options = ("--demo", "--rate-attempts", "5", "--max-batch", "20")
        server = ground.serve(ground.sqlite(), *options)
        before = server.metrics()["rookery_passwords_hashed"]
        answer = send(server.address, graphql_request(body))
        hashed = int(server.metrics()["rookery_passwords_hashed"] - before)
        codes = {code: answer.body.count(f'"{code}"'.encode()) for code in ("INVALID_CREDENTIALS", "TOO_MANY_REQUESTS")}
        told = f"{hashed} hashed, {codes}"
        right = hashed == 5 and codes == {"INVALID_CREDENTIALS": 5, "TOO_MANY_REQUESTS": 15}
        ground.check(f"of guesses by {name}, five are tried", right, told)
        server.stop()
    server = ground.serve(ground.sqlite(), "--demo", "--rate-attempts", "0")
    told, took = set(), {"john": [], "nobody_at_all": []}
    for name in ("john", "nobody_at_all") * 20:
        answer = server.ask(f"mutation {{ {guess(0, name)} }}")
        told.add(answer.body)
        took[name].append(answer.seconds)
    same = len(told) == 1 and b"INVALID_CREDENTIALS" in answer.body
    figures = f"john: {times(took['john'])}; nobody: {times(took['nobody_at_all'])}"
    ground.check("a wrong password and an unknown user get the same answer", same, figures)
    server.stop()


def texts(ground, server, token, other):
    write = "mutation ($body: String!) { createPost(input: {body: $body}) { post { body } userErrors { code } } }"
    for name, text, stored in (
        ("NUL", "a\0b", False),
        ("a bell", "a\x07b", False),
        ("four-byte characters", "\U0001f426\U0001f985", True),
        ("an override of direction", "abc \u202e cba", True),
    ):
        payload = server.data(write, {"body": text}, token)["createPost"]
        right = payload["post"] == {"body": text} if stored else payload["userErrors"] == [{"code": "INVALID_INPUT"}]
        ground.check(f"a post with {name} is {'kept as it is' if stored else 'refused'}", right, f"{payload}"[:80])
    answer = send(server.address, graphql_request(b'{"query": "{ __typename }", "operationName": "\\ud800"}'))
    ground.check("half a character is refused", (answer.status, answer.code()) == (400, hostile.BAD), f"{answer.status}")
    register = """mutation ($name: String!) { register(input: {username: $name, email: "h@example.com",
        password: "correct horse battery"}) { token userErrors { code } } }"""
    for name in ("j\u043ehn", "jo\u200bhn", "john\u202e", "\uff4aohn"):
        payload = server.data(register, {"name": name})["register"]
        right = payload == {"token": None, "userErrors": [{"code": "INVALID_INPUT"}]}
        ground.check(f"the username {ascii(name)} is refused", right)
    sessions = server.data("{ viewer { sessions { id } } }", token=token)["viewer"]["sessions"]
    seen = server.data("query ($id: ID!) { node(id: $id) { id } }", {"id": sessions[0]["id"]}, other)
    ground.check("somebody else's session is not there", seen == {"node": None}, f"{seen}")


def garbage(ground, server, token, tag):
    """What is no HTTP, what does not end, and a cursor that is well made and of no moment that ever was."""
    chance, statuses = random.Random(1), Counter()
    for number in range(200):
        rest = chance.randbytes(chance.randrange(1, 2000))
        begin = (b"", b"POST /graphql HTTP/1.1\r\nHost: a\r\n", b"GET /graphql?query=")[number % 3]
        statuses[send(server.address, begin + rest + b"\r\n\r\n").status] += 1
    right = set(statuses) <= {0, 400, 403, 406, 414, 415, 431}
    ground.check("200 pieces of garbage are refused", right, f"{dict(statuses)}")
    head = raw_request("GET", "/graphql", [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")])
    chunks = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    answer = send(server.address, head.replace(b"GET", b"POST") + chunks * 80)
    got = (answer.status, answer.code())
    ground.check("a body of 5 MB that does not say how long it is", got == (413, hostile.BAD), f"{got}")
    lagged = "__typename ... on StreamLagged { missed resumeAfter }"
    text = f"subscription ($after: String) {{ timelineEvents(after: $after) {{ {lagged} }} }}"
    for many in (0, 1000):
        numbers = [*range(1, many + 1), 1 << 40, 0]
        place = base64.urlsafe_b64encode(tag + b"".join(n.to_bytes(8, "big") for n in numbers))
        asked = {"query": text, "variables": {"after": place.decode().rstrip("=")}}
        answer = send(server.address, graphql_request(asked, token, "text/event-stream", [("Connection", "close")]))
        event = answer.json().get("data", {}).get("timelineEvents")
        right = event == {"__typename": "StreamLagged", "missed": None, "resumeAfter": None}
        told = f"{event}, {answer.seconds * 1000:.1f} ms"
        ground.check(f"a forged cursor with {many} open transactions leads nowhere", right, told)


def rates(ground):
    """Refusals cost too: whoever sends nothing else is soon not read any more, and others are."""
    server = ground.serve(ground.sqlite(), "--demo", "--rate-network", "20000")
    token = ground.token(server.database, "john")
    bomb = next(iter(hostile.fragments()))
    statuses, last = Counter(), None
    for _ in range(500):
        last = over_post(server, bomb, None)
        statuses[last.status] += 1
        if last.status == 429:
            break
    right = last.code() == "RATE_LIMITED" and 1 <= int(last.headers.get("retry-after", 0)) <= 60
    ground.check("who only sends bombs is not read any more", right, f"{dict(statuses)}")
    ground.check("who is signed in is", server.ask("{ viewer { email } }", token=token).status == 200)
    server.stop()


def run(ground):
    options = ("--demo", "--rate-network", "0", "--rate-user", "0", "--rate-attempts", "0")
    server = ground.serve(ground.sqlite(), *options)
    token, other = ground.token(server.database, "john"), ground.token(server.database, "susan")
    write = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }"
    for _ in range(100):
        server.data(write, {"body": "\U0001f426" * 5000}, token)
    page = "{ viewer { user { id timeline(first: 1) { streamCursor } posts(first: 1) { pageInfo { endCursor } } } } }"
    user = server.data(page, token=token)["viewer"]["user"]
    cursors = (user["timeline"]["streamCursor"], user["posts"]["pageInfo"]["endCursor"])
    attacks = list(hostile.all_of(user["id"], *cursors))
    before = server.memory()
    with Canary(server, token) as canary:
        table(ground, server, token, attacks)
        simple_requests(ground, server, token)
        texts(ground, server, token, other)
        garbage(ground, server, token, base64.urlsafe_b64decode(cursors[0][:4])[:1])
        ground.check("somebody honest is served meanwhile", canary.sings(), canary.told())
    posted = [attack for attack in attacks if "post" in attack.ways]
    with Canary(server, token) as canary:
        hammer(ground, server, token, posted, 60 if ground.long else 5)
        ground.check("and so they are then", canary.sings(), canary.told())
    after = server.memory()
    ground.check(f"memory stays below {MEMORY} MB", after < MEMORY, f"{before} MB before, {after} MB at most")
    mistakes = server.mistakes() + ["INTERNAL"] * server.errors("INTERNAL")
    ground.check("nothing panicked, nothing is INTERNAL", not mistakes, f"{len(mistakes)} {mistakes[:3]}")
    ground.check("no line of the log was forged", "hostile=1" not in server.log())
    server.stop()
    guesses(ground)
    rates(ground)
