"""Backups during writes: a restored backup is a consistent snapshot of the whole database."""

import shutil
import sqlite3
import subprocess
import time

import pytest

from harness import DOCTOR_OK, engine_of, on_both_engines, sqlite_path, wait_until
from writers import (
    ACKNOWLEDGED,
    OPTIONS,
    POSTS,
    Writing,
    all_pages,
    register_writers,
    total_outcomes,
)

SEEDED_USERS = 300
SEED = ("seed", "--users", f"{SEEDED_USERS}", "--follows-per-user", "20", "--posts-per-user", "20")
# The lists of protected users are empty for other users, and their counts are not.
SEED += ("--protected-percent", "0")
DUMP = ("pg_dump", "--format=custom")
RESTORE = ("pg_restore", "--exit-on-error", "--no-owner")
COUNTS = """query ($after: String) { users(first: 100, after: $after) { totalCount
    nodes { username
        followersCount followers(first: 1) { totalCount }
        followingCount following(first: 1) { totalCount }
        postsCount posts(first: 1) { totalCount } }
    pageInfo { hasNextPage endCursor } } }"""
CREATE_POST = 'mutation { createPost(input: {body: "after"}) { userErrors { code } } }'

repetitions = pytest.mark.parametrize(
    "repetition", [1, *(pytest.param(n, marks=pytest.mark.long) for n in range(2, 6))]
)


def backup_and_restore(source, target):
    if engine_of(source) == "sqlite":
        copy_sqlite(sqlite_path(source), sqlite_path(target))
    else:
        copy_postgres(source, target)


def copy_sqlite(source, target):
    if shutil.which("sqlite3"):
        command = ["sqlite3", source, f'.backup "{target}"']
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        return
    source, target = sqlite3.connect(source), sqlite3.connect(target)
    source.backup(target)
    source.close()
    target.close()


def copy_postgres(source, target):
    with subprocess.Popen([*DUMP, source], stdout=subprocess.PIPE) as dump:
        command = [*RESTORE, "--dbname", target]
        subprocess.run(command, stdin=dump.stdout, check=True, timeout=120)
    if dump.returncode != 0:
        raise RuntimeError(f"pg_dump failed with exit code {dump.returncode}")


@on_both_engines
@repetitions
def test_backup_during_writes_is_consistent(
    harness, database_url, second_database_url, check, repetition
):
    harness.run_command(*SEED, url=database_url)
    server = harness.start_server(database_url, *OPTIONS)
    writers = register_writers(server, 4, filler_bytes=1000)

    def acknowledged():
        return total_outcomes(writers)[ACKNOWLEDGED]

    with Writing(server, writers):
        wait_until(lambda: acknowledged() > 100, 20)
        posts_before = {writer.name: set(writer.posts) for writer in writers}
        writes_before, started = acknowledged(), time.monotonic()
        backup_and_restore(database_url, second_database_url)
        seconds, writes = time.monotonic() - started, acknowledged() - writes_before
        wait_until(lambda: acknowledged() > writes_before + writes + 100, 20)
    outcomes = total_outcomes(writers)
    figures = f"{seconds:.1f} s, {writes} writes during the backup; {dict(outcomes)}"
    succeeded = writes > 0 and set(outcomes) == {ACKNOWLEDGED}
    check("a backup does not block or fail writes", succeeded, figures)
    reports = [harness.doctor_report(second_database_url), harness.doctor_report(database_url)]
    name = "the doctor finds no problem in the backup and in the original"
    check(name, set(reports) == {DOCTOR_OK}, f"{reports}")

    restored = harness.start_server(second_database_url, *OPTIONS)
    check_counts(check, restored, len(writers))
    check_acknowledged_posts(check, restored, writers, posts_before)
    payload = restored.data(CREATE_POST, token=writers[0].token)
    writable = payload == {"createPost": {"userErrors": []}}
    check("the restored backup is writable", writable)
    restored.stop()
    server.stop()


def check_counts(check, restored, writer_count):
    wrong, users, after = 0, 0, None
    while True:
        page = restored.data(COUNTS, {"after": after})["users"]
        for user in page["nodes"]:
            users += 1
            fields = ("followers", "following", "posts")
            wrong += any(user[f"{name}Count"] != user[name]["totalCount"] for name in fields)
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    complete = users == page["totalCount"] == SEEDED_USERS + writer_count
    figures = f"{users} users, {wrong} with wrong counts"
    check("in the restored backup each count equals its list", wrong == 0 and complete, figures)


def check_acknowledged_posts(check, restored, writers, posts_before):
    """Reads with the tokens of the writers, which are valid in the backup too."""
    lost = 0
    for writer in writers:
        posts, counts = all_pages(restored, writer.token, POSTS, "posts")
        lost += len(posts_before[writer.name] - {post["body"] for post in posts})
        lost += counts != {len(posts)}
    figures = f"{sum(map(len, posts_before.values()))} posts, {lost} lost"
    check("the backup contains each post acknowledged before it", lost == 0, figures)
