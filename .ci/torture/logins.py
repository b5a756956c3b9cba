"""A flood of logins: whoever reads is served beside it."""

import time

from canary import Canary
from load import all_at_once
from service import graphql_request

OPTIONS = ("--demo", "--rate-attempts", "0", "--rate-network", "0", "--rate-user", "0")
TIMELINE = "{ viewer { user { timeline(first: 20) { nodes { body author { username } } } } } }"
LOGIN = 'mutation { login(input: {username: "john", password: "%s"}) { token userErrors { code } } }'
MANY = 200
# Argon2 takes 19 MiB for each of two at a time.
MEMORY = 250


def run(ground):
    server = ground.serve(ground.sqlite(), *OPTIONS)
    token = ground.token(server.database, "susan")
    rounds = 100 if ground.long else 10
    with Canary(server, token, TIMELINE, pause=0.002) as alone:
        time.sleep(10 if ground.long else 4)
        alone.end()
    passwords = ("correct horse battery", "wrong horse battery")
    requests = [graphql_request({"query": LOGIN % passwords[n % 2]}, close=False) for n in range(MANY)]
    marks = (b'"token":"', b"INVALID_CREDENTIALS", b"TOO_MANY_REQUESTS")
    tallies, before = [], server.metrics()["rookery_passwords_hashed"]
    began = time.monotonic()
    with Canary(server, token, TIMELINE, pause=0.002) as beside:
        for _ in range(rounds):
            tallies.append(all_at_once(server.address, requests, marks))
        took = time.monotonic() - began
        beside.end()
    hashed = int(server.metrics()["rookery_passwords_hashed"] - before)
    sums = [sum(tally.bodies[mark] for tally in tallies) for mark in marks]
    told = f"{rounds} times {MANY} in {took:.1f} s: {sums[0]} signed in, {sums[1]} wrong, {sums[2]} turned away"
    told += f"; {hashed} hashed"
    all_well = sum(sums) == rounds * MANY and not any(tally.broken or tally.others(200) for tally in tallies)
    ground.check("logins in parallel are answered", all_well and sums[0] > 0 and sums[0] + sums[1] == hashed, told)
    ground.check("a timeline without logins", alone.sings(), alone.told())
    ground.check("a timeline beside them", beside.sings() and beside.result["p99"] < 500, beside.told())
    ground.check(f"memory stays below {MEMORY} MB", server.memory() < MEMORY, f"{server.memory()} MB")
    ground.check("nothing panicked", not server.mistakes(), f"{server.mistakes()[:2]}")
    server.stop()
