"""createPost with 20 mentions, beside the same text without mentions."""

import random

import client
import graph
from figures import maximum, median, percentile
from traffic import WrongResponse

TITLE = "createPost with 20 mentions"
COLUMNS = ["mentions", "posts", "median ms", "p99 ms", "maximum ms"]
NOTES = """\
On one connection, with and without mentions in turn. The texts have the same length. Each mention
is stored, and the user is notified."""

CREATE = """mutation ($body: String!) {
    createPost(input: {body: $body}) { post { id } userErrors { code } } }"""
NAMES = 20  # the maximum of a text


def measure(bench):
    author, *others = graph.users(bench.database, 1_001)
    token = graph.sign_in(bench.database, [author])[author]
    listed = ", ".join(map(str, others))
    names = bench.database.query(f'SELECT username FROM "user" WHERE id IN ({listed}) ORDER BY id')
    rng = random.Random(1)
    before = int(bench.database.query("SELECT count(*) FROM mention")[0])
    connection = client.Connection(bench.port)
    times = {"@": [], "#": []}
    for _ in range(bench.sizes.posts + 1):
        chosen = rng.sample(names, NAMES)
        for sign, found in times.items():
            body = "Hello " + " ".join(sign + name for name in chosen)
            seconds, response = connection.timed(client.encode(CREATE, {"body": body}, token))
            client.data(response)
            found.append(seconds)
    connection.close()
    after = int(bench.database.query("SELECT count(*) FROM mention")[0])
    if after - before != NAMES * (bench.sizes.posts + 1):
        raise WrongResponse(f"{after - before} mentions were stored")
    for sign, found in times.items():
        # The first request fills the caches.
        found = found[1:]
        count = str(NAMES if sign == "@" else 0)
        yield [count, str(len(found)), median(found), percentile(found, 99), maximum(found)]
