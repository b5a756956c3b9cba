"""Clock steps: the clock is set back 1 h, under a running server and before a start.

New ids are still greater than all earlier ids.
"""

import subprocess
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from harness import DOCTOR_OK, on_both_engines
from writers import OPTIONS, POST, REGISTER

TIMELINE = """{ viewer { user { timeline(first: 100) { nodes {
    id body createdAt } } } } }"""
POSTS_PER_STEP = 20
HOUR = 3600


@pytest.fixture
def clock_library(harness):
    """The compiled clock.c.

    Debian's libfaketime fails here: it resolves symbols before the allocator of the server is
    ready.
    """
    library = harness.new_path("clock.so")
    source = Path(__file__).with_name("clock.c")
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", library, source]
    subprocess.run(command, check=True, timeout=60)
    return library


def set_offset(file, seconds):
    with open(file, "r+b" if file.exists() else "wb") as content:
        content.write(seconds.to_bytes(8, "little", signed=True))


@on_both_engines
def test_clock_set_back_keeps_the_order_of_posts(harness, database_url, clock_library, check):
    offset_file = harness.new_path("clock-offset")
    environment = {"LD_PRELOAD": str(clock_library), "CLOCK_OFFSET_FILE": str(offset_file)}
    set_offset(offset_file, 0)
    server = harness.start_server(database_url, *OPTIONS, env=environment)
    variables = {"name": "john", "email": "john@example.com"}
    token = server.data(REGISTER, variables)["register"]["token"]
    bodies = []

    def create_posts(step):
        for number in range(POSTS_PER_STEP):
            bodies.append(f"{step} {number}")
            server.data(POST, {"body": bodies[-1]}, token)

    create_posts("before")
    set_offset(offset_file, -HOUR)
    create_posts("set back")
    server.stop()
    server = harness.start_server(database_url, *OPTIONS, env=environment)
    create_posts("set back, after a restart")
    server_time = parsedate_to_datetime(server.get("/livez").headers["date"]).timestamp()
    behind = time.time() - server_time
    server.stop()
    server = harness.start_server(database_url, *OPTIONS)
    create_posts("correct again")

    rows = harness.query_rows(database_url, "SELECT id, body FROM post ORDER BY id")
    ordered = [body for _, body in rows] == bodies
    unique = len({id for id, _ in rows}) == len(bodies)
    name = "ids of posts increase although the clock was set back 1 h"
    figures = f"{len(rows)} posts, clock {behind:.0f} s behind"
    check(name, ordered and unique and behind > HOUR - 60, figures)
    timeline = server.data(TIMELINE, token=token)["viewer"]["user"]["timeline"]["nodes"]
    times = [post["createdAt"] for post in timeline]
    ordered = [post["body"] for post in timeline] == bodies[::-1]
    ordered = ordered and times == sorted(times, reverse=True)
    name = "the timeline keeps the order of creation and createdAt does not decrease"
    check(name, ordered, f"{times[-1]} to {times[0]}")
    report = harness.doctor_report(database_url)
    check("the doctor finds no problem", report == DOCTOR_OK, report)
    server.stop()
