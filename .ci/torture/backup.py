"""Backups that are made while people write: what is restored is one moment of everything."""

import shutil
import sqlite3
import subprocess
import time

from ground import file_of, wait_for
from writers import OPTIONS, POSTS, Work, join, sums, whole

DUMP = ("pg_dump", "--format=custom")
RESTORE = ("pg_restore", "--exit-on-error", "--no-owner")
COUNTS = """query ($after: String) { users(first: 100, after: $after) { totalCount nodes { username
    followersCount followers(first: 1) { totalCount } followingCount following(first: 1) { totalCount }
    postsCount posts(first: 1) { totalCount } } pageInfo { hasNextPage endCursor } } }"""


def run(ground):
    for _ in range(5 if ground.long else 1):
        restored(ground, ground.sqlite(), ground.sqlite(), sqlite_backup)
        restored(ground, ground.database(), ground.database(), postgres_backup)


def sqlite_backup(url, to):
    if shutil.which("sqlite3"):
        command = ["sqlite3", file_of(url), f'.backup "{file_of(to)}"']
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        return
    source, target = sqlite3.connect(file_of(url)), sqlite3.connect(file_of(to))
    source.backup(target)
    source.close()
    target.close()


def postgres_backup(url, to):
    with subprocess.Popen([*DUMP, url], stdout=subprocess.PIPE) as dump:
        subprocess.run([*RESTORE, "--dbname", to], stdin=dump.stdout, check=True, timeout=120)
    if dump.returncode != 0:
        raise RuntimeError(f"pg_dump ended with {dump.returncode}")


def restored(ground, url, to, backup):
    engine = url.split(":")[0]
    ground.run("seed", "--users", "300", "--follows-per-user", "20", "--posts-per-user", "20", url=url)
    server = ground.serve(url, *OPTIONS)
    people = join(server, 4, filler=1000)
    with Work(server, people):
        wait_for(lambda: sums(people)["done"] > 100, 20)
        before = {writer.name: set(writer.posts) for writer in people}
        done, began = sums(people)["done"], time.monotonic()
        backup(url, to)
        took, meanwhile = time.monotonic() - began, sums(people)["done"] - done
        wait_for(lambda: sums(people)["done"] > done + meanwhile + 100, 20)
    codes = sums(people)
    told = f"{took:.1f} s, {meanwhile} writes meanwhile; {dict(codes)}"
    ground.check(f"{engine}: a backup while people write", meanwhile > 0 and set(codes) == {"done"}, told)
    reports = [ground.doctor(to), ground.doctor(url)]
    ground.check(f"{engine}: the doctor says of both that all is well", set(reports) == {"all is well"}, f"{reports}")

    copy = ground.serve(to, *OPTIONS)
    lost, wrong, users, after = 0, 0, 0, None
    while True:
        page = copy.data(COUNTS, {"after": after})["users"]
        for user in page["nodes"]:
            users += 1
            lists = ("followers", "following", "posts")
            wrong += any(user[f"{name}Count"] != user[name]["totalCount"] for name in lists)
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    right = wrong == 0 and users == page["totalCount"] == 300 + len(people)
    ground.check(f"{engine}: restored, its counts equal its lists", right, f"{users} users, {wrong} wrong")
    # Tokens go on being good, too.
    for writer in people:
        posts, counts = whole(copy, writer.token, POSTS, "posts")
        lost += len(before[writer.name] - {post["body"] for post in posts}) + (counts != {len(posts)})
    known = sum(map(len, before.values()))
    ground.check(f"{engine}: what was acknowledged before is in it", lost == 0, f"{known} posts, {lost} lost")
    again = copy.data("mutation { createPost(input: {body: \"after\"}) { userErrors { code } } }", token=people[0].token)
    ground.check(f"{engine}: and it can be written", again == {"createPost": {"userErrors": []}})
    copy.stop()
    server.stop()
