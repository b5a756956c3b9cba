"""All that one address may ask for and may have, at the defaults: whoever comes from another one is served as before."""

import socket
import time

from canary import Canary
from load import in_a_circle
from service import graphql_request

CONNECTIONS = 200
MEMORY = 700
# With four bytes for each character, as large as an answer may be.
LARGE = "{ " + " ".join(f"a{n}: posts(first: 100) {{ nodes {{ body }} }}" for n in range(4)) + " }"
# As long as is counted.
LONG = "{ posts(first: 5) { nodes { body } } }"
COUNTS = "{ " + " ".join(f"a{n}: posts(first: 1) {{ totalCount }}" for n in range(19)) + " }"
ELSEWHERE = "127.0.0.2"
TIMELINE = "{ viewer { user { timeline(first: 20) { nodes { body author { username } } } } } }"


def run(ground):
    server = ground.serve(ground.sqlite(), "--demo")
    token, susan = ground.token(server.database, "john"), ground.token(server.database, "susan")
    document = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } } }"
    for _ in range(100):
        server.data(document, {"body": "🐦" * 5000}, token)
    unread(ground, server, susan)
    counting(ground, server, susan)
    ground.check("nothing panicked", not server.mistakes(), f"{server.mistakes()[:2]}")
    server.stop()


def unread(ground, server, susan):
    """Large answers, each over a connection of its own, that nobody reads."""
    before, streams = server.memory(), []
    with Canary(server, susan, LONG, address=ELSEWHERE) as canary:
        for _ in range(CONNECTIONS):
            stream = socket.socket()
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stream.connect(server.address)
            stream.sendall(graphql_request({"query": LARGE}))
            streams.append(stream)
        time.sleep(8 if ground.long else 4)
        held = int(server.metrics()["rookery_answer_bytes"])
        canary.end()
    ground.check("large answers are held", held > 0, f"{held / 1e6:.0f} MB of {CONNECTIONS} answers")
    ground.check("somebody elsewhere is served meanwhile", canary.sings(), canary.told())
    most = server.memory()
    ground.check(f"memory stays below {MEMORY} MB", most < MEMORY, f"{before} MB before, {most} MB at most")
    for stream in streams:
        stream.close()


def counting(ground, server, susan):
    """Small answers that are much work."""
    with Canary(server, susan, TIMELINE, address=ELSEWHERE) as canary:
        tally = in_a_circle(server.address, graphql_request({"query": COUNTS}, close=False), CONNECTIONS, 4)
        canary.end()
    told = f"{tally.count(200)} answered, {tally.count(429)} too many, {tally.count(503)} turned away"
    right = tally.count(429) > 0 and not tally.broken and not tally.others(200, 429, 503)
    ground.check("one address has its share", right, told)
    ground.check("somebody elsewhere is served beside it", canary.sings(), canary.told())
