"""The requests, the comparison of the responses, and wrk."""

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
PAIRS = 2_000  # pairs of follower and followed user for M1
CHECKED = 30  # users whose responses are compared
NOT_COMPARED = {"id", "nodeId", "__typename"}
# Index of the count in the response to Q2 that a mutation changes.
COUNT_OF = {"M1": 1, "M2": 3}
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class WrongResponse(Exception):
    """A response that is not as expected."""


def request(template, username, token=""):
    """Method, path, token and body of a request from queries.json or plain.json."""
    body = template.get("body", "")
    if "query" in template:
        variables = template.get("variables", {"username": username})
        body = json.dumps({"query": template["query"], "variables": variables})
    return template["method"], template["path"].replace("{username}", username), token, body


def requests(server, query, usernames, tokens, connections):
    """The requests in their order, equal for all servers: for random users, or pairs for M1."""
    rng, template = random.Random(7), server.queries[query]
    if query == "M1":
        return follow_requests(template, rng, usernames, tokens, 2 * connections)
    if query == "M2":
        authors = rng.choices(list(tokens), k=len(usernames))
        return [request(template, author, tokens[author]) for author in authors]
    return [request(template, name) for name in rng.sample(usernames, len(usernames))]


def follow_requests(template, rng, usernames, tokens, lag):
    """Alternating follows and unfollows.

    The unfollow of a pair is sent `lag` pairs after its follow, so that the response to the follow
    has arrived.
    """
    pairs = {(follower, followed) for follower in tokens for followed in usernames
             if follower != followed}
    pairs = rng.sample(sorted(pairs), min(PAIRS, len(pairs)))
    found = []
    for i in range(len(pairs) + lag):
        if i < len(pairs):
            follower, followed = pairs[i]
            found.append(request(template[0], followed, tokens[follower]))
        if 0 <= i - lag < len(pairs):
            follower, followed = pairs[i - lag]
            found.append(request(template[1], followed, tokens[follower]))
    return found


def mixed(server, usernames, tokens, connections):
    """All requests in turn. Each query is a fifth of them."""
    lists = [requests(server, query, usernames, tokens, connections) for query in READS + WRITES]
    length = max(map(len, lists))
    return [each[i % len(each)] for i in range(length) for each in lists]


def send(server, query, username, token="", step=0):
    """Sends one request. Returns the response as JSON, or None for an empty response."""
    template = server.queries[query]
    template = template[step] if query == "M1" else template
    method, path, token, body = request(template, username, token)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if body:
        headers["Content-Type"] = "application/json" if body.startswith("{") else "text/plain"
    url = f"http://127.0.0.1:{server.port}{path}"
    sent = urllib.request.Request(url, body.encode() or None, headers, method=method)
    try:
        with DIRECT.open(sent, timeout=30) as response:
            text = response.read()
    except urllib.error.HTTPError as error:
        body = error.read()[:300]
        raise OSError(f"{server.name} responds to {query} with {error.code} {body}") from error
    found = json.loads(text) if text else None
    if isinstance(found, dict) and found.get("errors"):
        text = text.decode()[:500]
        raise WrongResponse(f"{server.name} responds to {query} for {username} with {text}")
    return found


def leaves(value):
    """The scalar values of a response in their order, as text: the types of counts differ."""
    if isinstance(value, dict):
        compared = [item for key, item in value.items() if key not in NOT_COMPARED]
        return [leaf for item in compared for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [str(value)]


def check_reads(running, query, usernames):
    """Checks that the responses of all servers equal those of the first."""
    if not running:
        return
    first, *others = running
    for username in usernames[:: max(1, len(usernames) // CHECKED)][:CHECKED]:
        expected = leaves(send(first, query, username))
        if expected in ([], ["None"]) and query != "Q1":
            raise WrongResponse(f"{first.name} has no user {username}")
        for server in others:
            found = leaves(send(server, query, username))
            if found != expected:
                sides = (first.name, expected), (server.name, found)
                raise WrongResponse(difference(query, username, *sides))


def difference(query, username, left, right):
    pairs = zip(left[1] + ["(end)"], right[1] + ["(end)"])
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), 0)
    sides = "\n".join(f"  {name} ({len(all)} values): … {' | '.join(all[max(0, at - 2):at + 4])} …"
                      for name, all in (left, right))
    return f"{query} for {username}: the responses differ from value {at} on\n{sides}"


def check_writes(server, query, usernames, tokens):
    """Checks that a follow adds one to a count, an unfollow subtracts one, and a post adds one."""
    viewer, token = next(iter(tokens.items()))
    target = viewer if query == "M2" else next(name for name in usernames if name != viewer)

    def count_after(step):
        if step is not None:
            send(server, query, target, token, step)
        return int(leaves(send(server, "Q2", target))[COUNT_OF[query]])

    steps = (None, 0) if query == "M2" else (1, 0, 1)
    counts = [count_after(step) for step in steps]
    if [count - counts[0] for count in counts] != [0, 1, 0][: len(steps)]:
        raise WrongResponse(f"{server.name}: counts of {target} during {query}: {counts}")


def drive(server, sent, connections, seconds, sample=None, every=0.5):
    """Sends the requests with wrk and returns its measurements. Calls `sample` periodically."""
    plan = FOLDER / "requests.tsv"
    plan.write_text("".join("\t".join(each) + "\n" for each in sent))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", SCRIPT,
               f"http://127.0.0.1:{server.port}"]
    wrk = subprocess.Popen(command, env={**os.environ, "REQUESTS": str(plan)}, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wrk_cpu = 0
    try:
        due = time.monotonic()
        while wrk.poll() is None:
            if sample and time.monotonic() >= due:
                sample()
                due += every
            wrk_cpu = next((p.cpu for p in processes() if p.pid == wrk.pid), 0) or wrk_cpu
            time.sleep(min(every, 0.5))
        output = wrk.stdout.read()
    finally:
        wrk.kill()
    return parse_result(server, output, wrk_cpu)


def parse_result(server, output, wrk_cpu):
    line = next((line for line in output.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise WrongResponse(f"{server.name}: wrk failed:\n{output}")
    count, duration, p50, p99, failures, *text = line.split(maxsplit=6)[1:]
    if int(failures) or int(count) == 0:
        text = f"{failures} of {count} requests failed: {' '.join(text)}"
        raise WrongResponse(f"{server.name}: {text}\n{output}")
    seconds = int(duration) / 1e6
    return {"requests": int(count), "rate": int(count) / seconds, "p50": int(p50) / 1000,
            "p99": int(p99) / 1000, "wrk_cpu": wrk_cpu / seconds}


def measure(server, sent, connections, seconds, on_postgres):
    """Measures one round: latencies by wrk, and CPU and memory of the server. Times are in ms."""
    used = []
    cpu, other_cpu = server.cpu(), postgres_cpu()
    result = drive(server, sent, connections, seconds, lambda: used.append(server.memory()))
    used.append(server.memory())
    per_request = 1000 / result["requests"]
    result["cpu"] = (server.cpu() - cpu) * per_request
    result["postgres_cpu"] = (postgres_cpu() - other_cpu) * per_request if on_postgres else None
    result["memory"], result["peak"] = max(used), server.peak()
    return result
