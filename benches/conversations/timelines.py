"""The first page of timelines with reposts, beside statements that read posts only."""

import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path

import client
import graph
from figures import median
from traffic import WrongResponse

TITLE = "First page of 20 of a timeline with reposts"
COLUMNS = ["followed users", "owners", "reposts on the page", "only the viewer", "default filter",
           "includeReposts: false", "replies: NONE", "replies: TO_FOLLOWED",
           "statement: merge of posts", "statement: union of posts"]
NOTES = """\
Median milliseconds. Requests are by the owner, each owner and filter in turn. "Only the viewer" is
a request without a timeline. A statement runs directly on the database: on SQLite by Python's
sqlite3, on PostgreSQL by psql. It reads posts only, without authors. The merge is the one of
timelines before there were reposts. The union is the form of tutorials: a join, a union and a sort.
Both found the posts of the request without reposts."""

VIEWER = "{ viewer { user { id } } }"
TIMELINE = """query ($filter: TimelineFilter) { viewer { user {
    timeline(first: 20, filter: $filter) { edges { reason node { id body author { username } } } }
} } }"""
FILTERS = {
    "default filter": None,
    "includeReposts: false": {"includeReposts": False},
    "replies: NONE": {"replies": "NONE"},
    "replies: TO_FOLLOWED": {"replies": "TO_FOLLOWED"},
}
HERE = Path(__file__).resolve().parent
STATEMENTS = {
    "sqlite": {"merge": HERE / "merge.sqlite.sql", "union": HERE / "union.sqlite.sql"},
    "postgres": {"merge": HERE.parent / "load/peers/timeline.sql",
                 "union": HERE.parent / "load/peers/union.sql"},
}
PARAMETERS = "bigint[], bigint, bigint, bigint"
FIRST_PAGE = "9223372036854775807, 0, 20"
# Maximum of the difference between the number of followed users and the wanted number.
TOLERANCE = 0.25


def measure(bench):
    for wanted in bench.sizes.followed:
        owners = nearest(bench, wanted)
        if not owners:
            bench.note(f"skipped: no user follows about {wanted:,} users")
            continue
        yield row(bench, owners)
        bench.note(f"timelines of users who follow about {wanted:,}")


def nearest(bench, wanted):
    """The users whose number of followed users is nearest, with that number, by id."""
    sql = f"""SELECT id || ' ' || following_count FROM "user"
        WHERE NOT is_protected AND abs(following_count - {wanted}) <= {wanted * TOLERANCE}
        ORDER BY abs(following_count - {wanted}), id LIMIT {bench.sizes.owners}"""
    return dict(map(int, line.split()) for line in bench.database.query(sql))


def row(bench, owners):
    tokens = graph.sign_in(bench.database, owners)
    connection = client.Connection(bench.port)
    times = {"only the viewer": [], **{name: [] for name in FILTERS}}
    reposts, pages = [], {}
    for number in range(bench.sizes.runs + 1):
        for owner in owners:
            requests = {"only the viewer": client.encode(VIEWER, {}, tokens[owner])}
            for name, chosen in FILTERS.items():
                variables = {"filter": chosen}
                requests[name] = client.encode(TIMELINE, variables, tokens[owner])
            for name, request in requests.items():
                seconds, body = connection.timed(request)
                user = client.data(body)["viewer"]["user"]
                # The first run fills the caches of the database.
                if number > 0:
                    times[name].append(seconds)
                elif "timeline" in user:
                    pages[owner, name] = user["timeline"]["edges"]
    connection.close()
    for owner in owners:
        reasons = [edge["reason"] for edge in pages[owner, "default filter"]]
        reposts.append(reasons.count("REPOST"))
    statements = [direct(bench, owners, name, pages) for name in ("merge", "union")]
    return [f"{statistics.mean(owners.values()):,.0f}", str(len(owners)),
            f"{statistics.mean(reposts):.1f}", *map(median, times.values()), *statements]


def direct(bench, owners, name, pages):
    """The time of a statement. Its posts must be those of the request without reposts."""
    sql = STATEMENTS[bench.database.engine][name].read_text()
    run = run_sqlite if bench.database.engine == "sqlite" else run_postgres
    times, found = run(bench, owners, sql)
    for owner in owners:
        edges = pages[owner, "includeReposts: false"]
        expected = {graph.row_id(edge["node"]["id"]) for edge in edges}
        if found[owner] != expected:
            sides = f"{sorted(found[owner])} instead of {sorted(expected)}"
            raise WrongResponse(f"the {name} for user {owner} found {sides}")
    return median(times)


def run_sqlite(bench, owners, sql):
    times, found = [], {}
    with closing(sqlite3.connect(bench.database.path)) as connection:
        connection.execute("PRAGMA mmap_size = 2147418112")
        for number in range(bench.sizes.runs + 1):
            for owner in owners:
                started = time.perf_counter()
                rows = connection.execute(sql, {"owner": owner}).fetchall()
                if number > 0:
                    times.append(time.perf_counter() - started)
                found[owner] = {row[0] for row in rows}
    return times, found


def run_postgres(bench, owners, sql):
    call = lambda name, owner: f"EXECUTE {name}('{{{owner}}}', {FIRST_PAGE})"
    lines = [f"PREPARE ids ({PARAMETERS}) AS SELECT id FROM (\n{sql}\n) AS page;"]
    for owner in owners:
        lines += [f"\\echo owner {owner}", f"{call('ids', owner)};"]
    lines += [f"PREPARE page ({PARAMETERS}) AS\n{sql};", "\\timing on"]
    for _ in range(bench.sizes.runs + 1):
        lines += [f"{call('page', owner)} \\g /dev/null" for owner in owners]
    times, found = [], {}
    for line in graph.psql(bench.database.url, "\n".join(lines)).splitlines():
        if line.startswith("Time: "):
            times.append(float(line.split()[1]) / 1000)
        elif line.startswith("owner "):
            owner = int(line.removeprefix("owner "))
            found[owner] = set()
        else:
            found[owner].add(int(line))
    return times[len(owners):], found
