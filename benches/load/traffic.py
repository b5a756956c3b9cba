"""What is sent and what comes back: the requests, the check of the answers, and wrk."""

import json
import os
import random
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from data import FOLDER
from usage import postgres_cpu, processes

READS, WRITES = ("Q1", "Q2", "Q3"), ("M1", "M2")
SCRIPT = Path(__file__).resolve().parent / "wrk.lua"
PAIRS = 2_000  # of follower and followed
CHECKED = 30  # users
NOT_COMPARED = {"id", "nodeId", "__typename"}
# Where in the answer to Q2 the count stands that a mutation changes.
COUNT_OF = {"M1": 1, "M2": 3}
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Wrong(Exception):
    """An answer that is not right."""


def request(template, username, token=""):
    """Method, path, token and body of a request."""
    body = template.get("body", "")
    if "query" in template:
        variables = template.get("variables", {"username": username})
        body = json.dumps({"query": template["query"], "variables": variables})
    return template["method"], template["path"].replace("{username}", username), token, body


def requests(server, query, people, tokens, connections):
    """The same for each server: random users, or random pairs for M1, in the order in which they are sent."""
    rng, template = random.Random(7), server.queries[query]
    if query == "M1":
        return follows(template, rng, people, tokens, 2 * connections)
    if query == "M2":
        return [request(template, name, tokens[name]) for name in rng.choices(list(tokens), k=len(people))]
    return [request(template, name) for name in rng.sample(people, len(people))]


def follows(template, rng, people, tokens, lag):
    """Follows and unfollows in turn. A pair is parted `lag` pairs later, when its follow has long been answered."""
    pairs = {(who, whom) for who in tokens for whom in people if who != whom}
    pairs = rng.sample(sorted(pairs), min(PAIRS, len(pairs)))
    found = []
    for i in range(len(pairs) + lag):
        if i < len(pairs):
            who, whom = pairs[i]
            found.append(request(template[0], whom, tokens[who]))
        if 0 <= i - lag < len(pairs):
            who, whom = pairs[i - lag]
            found.append(request(template[1], whom, tokens[who]))
    return found


def mixed(server, people, tokens, connections):
    """All queries in turn, each a fifth of the requests."""
    each = [requests(server, query, people, tokens, connections) for query in READS + WRITES]
    length = max(map(len, each))
    return [one[i % len(one)] for i in range(length) for one in each]


def ask(server, query, username, token="", step=0):
    """The answer as JSON (None when there is none)."""
    template = server.queries[query]
    method, path, token, body = request(template[step] if query == "M1" else template, username, token)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if body:
        headers["Content-Type"] = "application/json" if body.startswith("{") else "text/plain"
    url = f"http://127.0.0.1:{server.port}{path}"
    sent = urllib.request.Request(url, body.encode() or None, headers, method=method)
    try:
        with DIRECT.open(sent, timeout=30) as response:
            text = response.read()
    except urllib.error.HTTPError as error:
        raise OSError(f"{server.name} answers {query} with {error.code} {error.read()[:300]}") from error
    answer = json.loads(text) if text else None
    if isinstance(answer, dict) and answer.get("errors"):
        raise Wrong(f"{server.name} answers {query} for {username} with {text.decode()[:500]}")
    return answer


def leaves(value):
    """All values of an answer in the order of the document, as text: engines differ in how they write a count."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() if key not in NOT_COMPARED for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [str(value)]


def check_reads(running, query, people):
    """All servers answer as the first one does."""
    if not running:
        return
    first, *others = running
    for username in people[:: max(1, len(people) // CHECKED)][:CHECKED]:
        expected = leaves(ask(first, query, username))
        if expected in ([], ["None"]) and query != "Q1":
            raise Wrong(f"{first.name} does not know {username}")
        for server in others:
            found = leaves(ask(server, query, username))
            if found != expected:
                raise Wrong(difference(query, username, (first.name, expected), (server.name, found)))


def difference(query, username, left, right):
    pairs = zip(left[1] + ["(end)"], right[1] + ["(end)"])
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), 0)
    sides = "\n".join(f"  {name} ({len(all)} values): … {' | '.join(all[max(0, at - 2):at + 4])} …"
                      for name, all in (left, right))
    return f"{query} for {username}: the answers differ from value {at} on\n{sides}"


def check_writes(server, query, people, tokens):
    """A follow adds one to a count, and the unfollow takes it away; a post adds one."""
    who, token = next(iter(tokens.items()))
    whom = who if query == "M2" else next(name for name in people if name != who)

    def count_after(step):
        if step is not None:
            ask(server, query, whom, token, step)
        return int(leaves(ask(server, "Q2", whom))[COUNT_OF[query]])

    steps = (None, 0) if query == "M2" else (1, 0, 1)
    counts = [count_after(step) for step in steps]
    if [count - counts[0] for count in counts] != [0, 1, 0][: len(steps)]:
        raise Wrong(f"{server.name}: counts {counts} of {whom} about {query}")


def drive(server, sent, connections, seconds, sample=None, every=0.5):
    """Lets wrk send the requests, and returns what it measured; `sample` is called while it does."""
    plan = FOLDER / "requests.tsv"
    plan.write_text("".join("\t".join(one) + "\n" for one in sent))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", SCRIPT,
               f"http://127.0.0.1:{server.port}"]
    wrk = subprocess.Popen(command, env={**os.environ, "REQUESTS": str(plan)}, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    own_cpu = 0
    try:
        due = time.monotonic()
        while wrk.poll() is None:
            if sample and time.monotonic() >= due:
                sample()
                due += every
            own_cpu = next((p.cpu for p in processes() if p.pid == wrk.pid), 0) or own_cpu
            time.sleep(min(every, 0.5))
        output = wrk.stdout.read()
    finally:
        wrk.kill()
    return parsed(server, output, own_cpu)


def parsed(server, output, own_cpu):
    line = next((line for line in output.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise Wrong(f"{server.name}: wrk failed:\n{output}")
    count, duration, p50, p99, failures, *text = line.split(maxsplit=6)[1:]
    if int(failures) or int(count) == 0:
        raise Wrong(f"{server.name}: {failures} of {count} requests failed: {' '.join(text)}\n{output}")
    seconds = int(duration) / 1e6
    return {"requests": int(count), "rate": int(count) / seconds, "p50": int(p50) / 1000, "p99": int(p99) / 1000,
            "wrk_cpu": own_cpu / seconds}


def measure(server, sent, connections, seconds, on_postgres):
    """One round: wrk's figures, and what the server used meanwhile."""
    used = []
    cpu, other_cpu = server.cpu(), postgres_cpu()
    result = drive(server, sent, connections, seconds, lambda: used.append(server.memory()))
    used.append(server.memory())
    a_request = 1000 / result["requests"]
    result["cpu"] = (server.cpu() - cpu) * a_request
    result["postgres_cpu"] = (postgres_cpu() - other_cpu) * a_request if on_postgres else None
    result["memory"], result["peak"] = max(used), server.peak()
    return result
