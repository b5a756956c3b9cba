"""Limits of queries, mutations and replays: an attack is bounded by the work that it causes.

The attackers have one client network and as many accounts as they want. A client of another network
never waits for a second.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from canary import Canary
from graph import READER, TIMELINE, WRITER, import_graph, owner_tokens, timeline_cursors
from harness import engine_of, on_both_engines_when_long
from networks import (
    MAX_SECONDS,
    NO_USER_LIMITS,
    OTHER_NETWORK,
    Attack,
    check_log,
    check_never_waits,
)
from websocket import WebSocket

MAX_CONCURRENT_REQUESTS = 128
RETURNING_CLIENTS = 100
MISSED_EVENTS = 90_000

TOO_COMPLEX, ERRORS = b"QUERY_TOO_COMPLEX", b'"errors"'
POST = "{ posts(first: 1) { nodes { id } } }"
CREATE_POST = 'mutation { createPost(input: {body: "new"}) { post { id } } }'
STREAM_CURSOR = "{ viewer { user { timeline(first: 1) { streamCursor } } } }"
RESUME = "subscription ($after: String) { timelineEvents(after: $after) { __typename } }"
# On PostgreSQL the id of an event is that of its transaction.
INSERT_EVENTS = {
    "sqlite": """INSERT INTO event (kind, actor, object, at)
        WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {count})
        SELECT 1, n % 1000, n, (SELECT max(at) FROM event) FROM number""",
    "postgres": """DO $$ BEGIN
        PERFORM set_config('synchronous_commit', 'off', false);
        FOR n IN 1..{count} LOOP
            INSERT INTO event (kind, actor, object, at) VALUES (1, n % 1000, n, now()); COMMIT;
        END LOOP; END $$""",
}


def repeat(count, part):
    return " ".join(f"a{n}: {part}" for n in range(count))


def timelines(users, arguments, aliases=1):
    """A document for a timeline of each of the first users."""
    page = f"users(first: {users}) {{ nodes {{ timeline({arguments}) {{ nodes {{ id }} }} }} }}"
    return f"{{ {repeat(aliases, page)} }}"


def timeline_arguments(server):
    """Arguments of a timeline with no cursor, with either cursor, and with both."""
    newest, oldest = timeline_cursors(server)
    after, before = f'after: "{newest}"', f'before: "{oldest}"'
    return "first: 1", f"first: 1, {after}", f"last: 1, {before}", f"first: 1, {after}, {before}"


def largest_allowed(server, arguments, token):
    """The document for the most users that is not too complex."""
    for users in range(40, 0, -1):
        document = timelines(users, arguments)
        response = server.query(document, token=token)
        if response.status == 200 and ERRORS not in response.body:
            return document
        if TOO_COMPLEX not in response.body:
            raise RuntimeError(f"{users} timelines: {response.body[:300]}")
    raise RuntimeError("a timeline of one user is too complex")


# With few authors the planner of PostgreSQL may expect that a scan of all posts finds one soon.
@pytest.mark.parametrize("authors", [50, pytest.param(1, marks=pytest.mark.long)])
@on_both_engines_when_long
def test_reads_of_one_network_delay_no_other(harness, database_url, authors, check):
    import_graph(harness, database_url, authors)
    server = harness.start_server(database_url, *NO_USER_LIMITS)
    (attacker,) = owner_tokens(harness, database_url, 1)
    reader = harness.create_token(database_url, READER)
    seconds = 10 if harness.long else 2
    all_arguments = timeline_arguments(server)
    rejected = [timelines(100, arguments, 10) for arguments in all_arguments]
    allowed = [largest_allowed(server, arguments, attacker) for arguments in all_arguments]

    for client, token in (("an account without a rate limit", attacker), ("anonymous", None)):
        with Canary(server, reader, TIMELINE, address=OTHER_NETWORK) as canary:
            attack = Attack(server, rejected, token, seconds, (TOO_COMPLEX,))
        too_complex = attack.marked[TOO_COMPLEX]
        bounded = too_complex > 0 and attack.answered_with(200, 400, 429, 503)
        bounded = bounded and too_complex == attack.statuses[200] + attack.statuses[400]
        bounded = bounded and (token is not None or attack.statuses[429] > 0)
        name = f"1,000 timelines in a query are rejected as too complex or rate limited, {client}"
        check(name, bounded, f"{too_complex} too complex; {attack.summary()}")
        check_never_waits(check, f"beside queries that are rejected, {client}", canary)

    with Canary(server, reader, TIMELINE, address=OTHER_NETWORK) as canary:
        attack = Attack(server, allowed, attacker, seconds, (ERRORS,))
    is_full = attack.max_in_flight >= MAX_CONCURRENT_REQUESTS - 8 and attack.statuses[200] > 0
    is_full = is_full and attack.answered_with(200, 503)
    is_full = is_full and attack.marked[ERRORS] == attack.statuses[503]
    check("the largest queries that are allowed use all permits", is_full, attack.summary())
    check_never_waits(check, "beside the largest queries that are allowed", canary)
    check_log(check, server)


@on_both_engines_when_long
def test_writes_of_one_network_delay_no_other(harness, database_url, check):
    import_graph(harness, database_url)
    server = harness.start_server(database_url, *NO_USER_LIMITS)
    (attacker,) = owner_tokens(harness, database_url, 1)
    reader = harness.create_token(database_url, READER)
    post = server.data(POST)["posts"]["nodes"][0]["id"]
    bookmark = f'bookmark(postId: "{post}") {{ changed }}'
    bookmark += f' unbookmark(postId: "{post}") {{ changed }}'
    create = f'createPost(input: {{body: "{"x" * 600}"}}) {{ post {{ id }} }}'
    seconds = 10 if harness.long else 3
    # Such a request takes about 200 ms, and holds a request permit for it.
    users = "author { followers(first: 100) { nodes { username displayName } } }"
    slow = f'bookmark(postId: "{post}") {{ post {{ {users} }} }}'
    for name, write in (
        ("two mutations", bookmark),
        ("20 mutations", repeat(20, create)),
        ("20 mutations with large payloads", repeat(20, slow)),
    ):
        with (
            Canary(server, reader, TIMELINE, address=OTHER_NETWORK) as reading,
            Canary(server, reader, f"mutation {{ {bookmark} }}", address=OTHER_NETWORK) as writing,
        ):
            attack = Attack(server, [f"mutation {{ {write} }}"], attacker, seconds)
        is_full = attack.max_in_flight >= MAX_CONCURRENT_REQUESTS - 8 and attack.statuses[200] > 0
        is_full = is_full and attack.answered_with(200, 503)
        check(f"requests with {name} use all permits", is_full, attack.summary())
        name = f"to read and to write beside requests with {name}"
        check_never_waits(check, name, reading, writing)
    check_log(check, server)


class ReturningClient:
    """A client that resumes its stream on a WebSocket, again and again."""

    def __init__(self, server, token, after, source="127.0.0.1"):
        self.socket, self.after = WebSocket(server.address, source=source), after
        self.socket.init(token)
        self.resumed, self.errors, self.latencies = 0, [], []

    def resume(self):
        """Subscribes, and waits for the first message, the event that was missed."""
        self.resumed += 1
        operation, started = str(self.resumed), time.perf_counter()
        self.socket.subscribe(operation, {"query": RESUME, "variables": {"after": self.after}})
        while (message := self.socket.receive_message())["id"] != operation:
            pass
        self.latencies.append(time.perf_counter() - started)
        if message["type"] != "next" or "TimelinePostAdded" not in str(message["payload"]):
            self.errors.append(message)
        self.socket.send_message({"type": "complete", "id": operation})

    def resume_until(self, stop, pause=0.0):
        while not stop.wait(pause):
            self.resume()

    def never_waited(self):
        return bool(self.latencies) and not self.errors and max(self.latencies) < MAX_SECONDS


def summary_of(clients):
    latencies = sorted(latency for client in clients for latency in client.latencies)
    errors = [error for client in clients for error in client.errors]
    median, longest = latencies[len(latencies) // 2], latencies[-1]
    figures = f"{len(latencies)} replays of {len(clients)} clients, median {median:.3f} s, "
    return figures + f"max {longest:.3f} s; {len(errors)} errors {errors[:1]}"


@on_both_engines_when_long
def test_replays_are_answered_in_a_second(harness, database_url, check):
    import_graph(harness, database_url)
    server = harness.start_server(database_url)
    tokens = owner_tokens(harness, database_url, RETURNING_CLIENTS)
    reader, writer = (harness.create_token(database_url, name) for name in (READER, WRITER))
    after = server.data(STREAM_CURSOR, token=reader)["viewer"]["user"]["timeline"]["streamCursor"]
    insert = INSERT_EVENTS[engine_of(database_url)].format(count=MISSED_EVENTS)
    harness.execute_sql(database_url, insert)
    # As autovacuum would.
    harness.execute_sql(database_url, "ANALYZE")
    # Each client follows the author of this post, and nobody who caused the other events.
    server.data(CREATE_POST, token=writer)
    clients = [ReturningClient(server, token, after) for token in tokens]
    honest = ReturningClient(server, reader, after, OTHER_NETWORK)

    with (
        Canary(server, reader, TIMELINE, address=OTHER_NETWORK) as canary,
        ThreadPoolExecutor(len(clients)) as pool,
    ):
        time.sleep(0.3)
        for resumed in [pool.submit(client.resume) for client in clients]:
            resumed.result()
        time.sleep(0.3)
    served = all(client.never_waited() for client in clients)
    name = f"clients that return at once after {MISSED_EVENTS} events are answered in a second"
    check(name, served, summary_of(clients))
    check_never_waits(check, "beside clients that return at once", canary)

    stop = threading.Event()
    with (
        Canary(server, reader, TIMELINE, address=OTHER_NETWORK) as canary,
        ThreadPoolExecutor(len(clients) + 1) as pool,
    ):
        loads = [pool.submit(client.resume_until, stop) for client in clients]
        loads.append(pool.submit(honest.resume_until, stop, 0.05))
        time.sleep(10 if harness.long else 3)
        stop.set()
        for load in loads:
            load.result()
    check_never_waits(check, "beside clients that return again and again", canary)
    figures = f"honest: {summary_of([honest])}; others: {summary_of(clients)}"
    name = "a returning client of another network is answered in a second beside them"
    check(name, honest.never_waited(), figures)
    check_log(check, server)
