"""Crash recovery: kill -9 of the server, and immediate stops of PostgreSQL, during writes.

Every acknowledged write exists exactly once afterwards.
"""

import random
import time
from functools import partial

import pytest

from harness import DOCTOR_OK, engine_of, on_both_engines, wait_until
from writers import (
    ACKNOWLEDGED,
    BROKEN,
    OPTIONS,
    Writing,
    find_inconsistencies,
    register_writers,
    total_outcomes,
)

WRITERS = 6
POSTGRES_STOPS = 10
SHORT_ACQUIRE_TIMEOUT = ("--database-acquire-timeout", "1")


def check_durability(check, crash, writers, inconsistencies, reports, figures):
    outcomes = total_outcomes(writers)
    acknowledged, broken = outcomes.pop(ACKNOWLEDGED), outcomes.pop(BROKEN, 0)
    figures = f"{acknowledged} acknowledged, {broken} broken off, {dict(outcomes)}, {figures}; "
    figures += f"{len(inconsistencies)} inconsistencies"
    name = f"after {crash} each acknowledged write exists exactly once"
    check(name, not inconsistencies, figures, inconsistencies[:10])
    problems = [report for report in reports if report != DOCTOR_OK]
    figures = f"{len(reports)} runs of the doctor; {problems[:2]}"
    check(f"after {crash} the doctor finds no problem", not problems, figures)


@on_both_engines
def test_acknowledged_writes_survive_a_kill_of_the_server(harness, database_url, check):
    kills = 30 if harness.long else 3
    server = harness.start_server(database_url, *OPTIONS)
    writers = register_writers(server, WRITERS)
    inconsistencies, reports, start_seconds = [], [], []
    rng = random.Random(kills)
    for _ in range(kills):
        with Writing(server, writers):
            time.sleep(0.3 + rng.random() * 0.7)
            server.kill()
        reports.append(harness.doctor_report(database_url))
        started = time.monotonic()
        server = harness.start_server(database_url, *OPTIONS)
        start_seconds.append(time.monotonic() - started)
        inconsistencies += find_inconsistencies(server, writers)
    reports.append(harness.doctor_report(database_url))
    crash = f"kill -9 of the server on {engine_of(database_url)}, {kills} times,"
    figures = f"start in {max(start_seconds):.1f} s at most"
    check_durability(check, crash, writers, inconsistencies, reports, figures)
    check("SIGTERM ends the server with exit code 0", server.stop() == 0)


def is_serving(server):
    return server.query("{ users(first: 1) { totalCount } }").status == 200


@pytest.mark.long
def test_acknowledged_writes_survive_immediate_stops_of_postgres(harness, check):
    """PostgreSQL stops under the running server. Each third time the server is killed too."""
    postgres = harness.start_postgres()
    url = harness.new_database("postgres", postgres.url)
    server = harness.start_server(url, *OPTIONS, *SHORT_ACQUIRE_TIMEOUT)
    writers = register_writers(server, WRITERS)
    inconsistencies, reports, recovery_seconds = [], [], []
    for number in range(POSTGRES_STOPS):
        kill_server = number % 3 == 2
        with Writing(server, writers):
            time.sleep(0.7)
            postgres.stop_immediately()
            if kill_server:
                server.kill()
            time.sleep(0.5)
            postgres.start()
            if not kill_server:
                started = time.monotonic()
                wait_until(partial(is_serving, server), 20)
                recovery_seconds.append(time.monotonic() - started)
                time.sleep(0.5)
        if kill_server:
            server = harness.start_server(url, *OPTIONS, *SHORT_ACQUIRE_TIMEOUT)
        inconsistencies += find_inconsistencies(server, writers)
        reports.append(harness.doctor_report(url))
    crash = f"an immediate stop of PostgreSQL, {POSTGRES_STOPS} times,"
    figures = f"the server recovers {max(recovery_seconds):.1f} s after PostgreSQL at most"
    check_durability(check, crash, writers, inconsistencies, reports, figures)
    check("SIGTERM ends the server with exit code 0", server.stop() == 0)
    postgres.kill()
