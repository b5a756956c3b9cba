"""Killed without warning, again and again, while it writes: whatever was acknowledged is there."""

import random
import time
from functools import partial

from ground import wait_for
from writers import OPTIONS, Work, join, sums, wrongs

PEOPLE = 6


def run(ground):
    rounds = 30 if ground.long else 3
    service(ground, ground.sqlite(), rounds)
    service(ground, ground.database(), rounds)
    if ground.long:
        database(ground, 10)


def tell(ground, what, people, found, reports, extra=""):
    codes = sums(people)
    told = f"{codes.pop('done')} acknowledged, {codes.pop('broken', 0)} broken off, {dict(codes)}"
    for one in found[:10]:
        print(f"  {one}")
    ground.check(f"{what}: all that was acknowledged is there, once", not found, f"{told}{extra}; {len(found)} wrong")
    unwell = [report for report in reports if report != "all is well"]
    ground.check(f"{what}: the doctor finds nothing", not unwell, f"asked {len(reports)} times; {unwell[:2]}")


def service(ground, url, rounds):
    engine = url.split(":")[0]
    server = ground.serve(url, *OPTIONS)
    people, found, reports, starts = join(server, PEOPLE), [], [], []
    chance = random.Random(rounds)
    for _ in range(rounds):
        with Work(server, people):
            time.sleep(0.3 + chance.random() * 0.7)
            server.kill()
        reports.append(ground.doctor(url))
        began = time.monotonic()
        server = ground.serve(url, *OPTIONS)
        starts.append(time.monotonic() - began)
        found += wrongs(server, people)
    reports.append(ground.doctor(url))
    told = f", up again in {max(starts):.1f} s at most"
    tell(ground, f"{engine}: kill -9 of the service, {rounds} times", people, found, reports, told)
    ground.check(f"{engine}: it stops in good order", server.stop() == 0)


def answers(server):
    return server.ask("{ users(first: 1) { totalCount } }").status == 200


def database(ground, rounds):
    """The server goes down under the service, which goes on when it is back; each third time both do."""
    cluster = ground.cluster()
    url = ground.database(cluster.url)
    server = ground.serve(url, *OPTIONS, "--database-acquire-timeout", "1")
    people, found, reports, backs = join(server, PEOPLE), [], [], []
    for number in range(rounds):
        with Work(server, people):
            time.sleep(0.7)
            cluster.stop_at_once()
            if number % 3 == 2:
                server.kill()
            time.sleep(0.5)
            cluster.start()
            if number % 3 != 2:
                began = time.monotonic()
                wait_for(partial(answers, server), 20)
                backs.append(time.monotonic() - began)
                time.sleep(0.5)
        if number % 3 == 2:
            server = ground.serve(url, *OPTIONS, "--database-acquire-timeout", "1")
        found += wrongs(server, people)
        reports.append(ground.doctor(url))
    told = f", the service is back {max(backs):.1f} s after the server at most"
    tell(ground, f"postgres: the server stopped at once, {rounds} times", people, found, reports, told)
    ground.check("postgres: it stops in good order", server.stop() == 0)
    cluster.kill()
