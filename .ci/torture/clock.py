"""A clock that is set back an hour, while it runs and before it starts: what is made then still comes last."""

import shutil
import subprocess
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

from writers import OPTIONS, POST, REGISTER

TIMELINE = "{ viewer { user { timeline(first: 100) { nodes { id body createdAt } } } } }"
EACH = 20
HOUR = 3600


def run(ground):
    if not shutil.which("cc"):
        ground.skip("a clock that is set back", "there is no C compiler")
        return
    # Debian's libfaketime looks symbols up before the service's allocator is ready for what that frees.
    library = ground.path("clock.so")
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True, timeout=60)
    for url in (ground.sqlite(), ground.database()):
        set_back(ground, url, library)


def move(file, seconds):
    with open(file, "r+b" if file.exists() else "wb") as content:
        content.write(seconds.to_bytes(8, "little", signed=True))


def set_back(ground, url, library):
    engine, file = url.split(":")[0], ground.path("clock")
    environment = {"LD_PRELOAD": str(library), "CLOCK_MOVED": str(file)}
    move(file, 0)
    server = ground.serve(url, *OPTIONS, env=environment)
    token = server.data(REGISTER, {"name": "john", "email": "john@example.com"})["register"]["token"]
    bodies = []

    def write(when):
        for number in range(EACH):
            bodies.append(f"{when} {number}")
            server.data(POST, {"body": bodies[-1]}, token)

    write("before")
    move(file, -HOUR)
    write("set back")
    server.stop()
    server = ground.serve(url, *OPTIONS, env=environment)
    write("set back, after a start")
    behind = time.time() - parsedate_to_datetime(server.get("/livez").headers["date"]).timestamp()
    server.stop()
    server = ground.serve(url, *OPTIONS)
    write("as it was")
    rows = ground.rows(url, "SELECT id, body FROM post ORDER BY id")
    in_order = [body for _, body in rows] == bodies
    different = len({id for id, _ in rows}) == len(bodies)
    right = in_order and different and behind > HOUR - 60
    told = f"{len(rows)} posts, {behind:.0f} s"
    ground.check(f"{engine}: ids rise although the clock was set back an hour", right, told)
    shown = server.data(TIMELINE, token=token)["viewer"]["user"]["timeline"]["nodes"]
    right = [post["body"] for post in shown] == bodies[::-1]
    times = [post["createdAt"] for post in shown]
    right = right and times == sorted(times, reverse=True)
    ground.check(f"{engine}: so does the timeline", right, f"{times[-1]} to {times[0]}")
    report = ground.doctor(url)
    ground.check(f"{engine}: the doctor finds nothing", report == "all is well", report)
    server.stop()
