"""The databases of the load tests: seeded once and kept, with temporary copies for writes.

A database is seeded under another name and renamed when it is complete. A database with the final
name is therefore always complete.
"""

import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from report import note

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "target/bench"
USERS = 1_000  # users that requests name
WRITERS = 100  # users with a bearer token
EVERY_NTH_USERNAME = """
    SELECT username
    FROM (SELECT username, row_number() OVER (ORDER BY id) AS n FROM "user") AS numbered
    WHERE n % {step} = 0 ORDER BY n"""


class Sqlite:
    """An SQLite file in target/bench."""

    engine = "sqlite"

    def __init__(self, name):
        self.path = FOLDER / f"graph-{name}.db"
        self.name, self.url = name, f"sqlite://{self.path}"

    def exists(self):
        return self.path.exists()

    def create(self, seed):
        unfinished = Sqlite(f"{self.name}-unfinished")
        unfinished.drop()
        seed(unfinished.url)
        unfinished.query("PRAGMA wal_checkpoint(TRUNCATE)")
        unfinished.path.rename(self.path)
        unfinished.drop()

    def query(self, sql):
        with closing(sqlite3.connect(self.path)) as connection:
            return [str(row[0]) for row in connection.execute(sql)]

    def about(self):
        return f"SQLite: a file of {self.path.stat().st_size / 2**20:,.0f} MB"

    def copy(self):
        copy = Sqlite(f"{self.name}-copy")
        copy.drop()
        with closing(sqlite3.connect(self.path)) as old, closing(sqlite3.connect(copy.path)) as new:
            old.backup(new)
        return copy

    def drop(self):
        for path in self.path.parent.glob(f"{self.path.name}*"):
            path.unlink()


class Postgres:
    """A database on a PostgreSQL server, accessed by psql."""

    engine = "postgres"

    def __init__(self, server, name):
        self.server, self.name = server, "rookery_bench_" + name.replace("-", "_")
        self.url = urlsplit(server)._replace(path=f"/{self.name}").geturl()

    def exists(self):
        return bool(self.admin(f"SELECT 1 FROM pg_database WHERE datname = '{self.name}'"))

    def create(self, seed):
        name = self.name.removeprefix("rookery_bench_") + "_unfinished"
        unfinished = Postgres(self.server, name)
        unfinished.drop()
        unfinished.admin(f"CREATE DATABASE {unfinished.name}")
        seed(unfinished.url)
        unfinished.query("VACUUM ANALYZE")
        unfinished.admin(f"ALTER DATABASE {unfinished.name} RENAME TO {self.name}")

    def query(self, sql):
        return psql(self.url, sql)

    def about(self):
        size = self.query(f"SELECT pg_size_pretty(pg_database_size('{self.name}'))")
        settings = ("shared_buffers", "synchronous_commit")
        shown = [f"{name} {self.query(f'SHOW {name}')[0]}" for name in settings]
        tls = f"PGSSLMODE={os.environ['PGSSLMODE']}"
        return ", ".join([f"PostgreSQL {self.query('SHOW server_version')[0]}", *size, *shown, tls])

    def copy(self):
        copy = Postgres(self.server, self.name.removeprefix("rookery_bench_") + "_copy")
        copy.drop()
        # Fails while a connection to the original is open.
        for attempt in range(20):
            try:
                copy.admin(f"CREATE DATABASE {copy.name} TEMPLATE {self.name}")
                break
            except subprocess.CalledProcessError:
                if attempt == 19:
                    raise
                time.sleep(0.5)
        copy.query("CHECKPOINT")
        return copy

    def drop(self):
        self.admin(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")

    def admin(self, sql):
        return psql(urlsplit(self.server)._replace(path="/postgres").geturl(), sql)


def psql(url, sql):
    command = ["psql", url, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", "SET client_min_messages = error", "-c", sql]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def reachable(server):
    if not shutil.which("psql"):
        return False
    url = urlsplit(server)._replace(path="/postgres").geturl()
    return subprocess.run(["psql", url, "-XAtqc", "SELECT 1"], capture_output=True).returncode == 0


def prepare(database, rookery, sizes):
    """Seeds the database if it does not exist."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if database.exists():
        return
    note(f"seeding {database.name}")
    users, follows, posts = map(str, sizes)
    database.create(lambda url: subprocess.run(
        [rookery, "seed", "--database-url", url, "--users", users, "--follows-per-user", follows,
         "--posts-per-user", posts, "--replies-percent", "0", "--likes-per-post", "0",
         "--reposts-per-100-posts", "0", "--protected-percent", "0", "--blocks-per-100-users", "0",
         "--requests-per-100-users", "0", "--mutes-per-100-users", "0", "--rng-seed", "1"],
        check=True, stdout=subprocess.DEVNULL))


def usernames(database):
    """At most 1,000 usernames, evenly distributed over all users."""
    count = int(database.query('SELECT count(*) FROM "user"')[0])
    return database.query(EVERY_NTH_USERNAME.format(step=max(1, count // USERS)))[:USERS]


def tokens(database, rookery, usernames):
    """Bearer tokens by username, for about 100 of the users.

    They are created once, and kept in a file beside the database.
    """
    path = FOLDER / f"{database.engine}-{database.name}.tokens"
    if not path.exists() or database.query("SELECT count(*) FROM session") == ["0"]:
        command = [rookery, "token", "create", "--database-url", database.url, "--days", "3650"]
        writers = usernames[:: max(1, len(usernames) // WRITERS)]
        token = lambda name: subprocess.check_output([*command, name], text=True).strip()
        path.write_text("".join(f"{name} {token(name)}\n" for name in writers))
        os.chmod(path, 0o600)
    return dict(line.split() for line in path.read_text().splitlines())


@contextmanager
def copied(database):
    """A copy of the database, which is dropped afterwards."""
    copy = database.copy()
    try:
        yield copy
    finally:
        copy.drop()


@contextmanager
def empty(engine, server):
    """The URL of a database without tables, which is dropped afterwards."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    database = Sqlite("live") if engine == "sqlite" else Postgres(server, "live")
    database.drop()
    if engine == "postgres":
        database.admin(f"CREATE DATABASE {database.name}")
    try:
        yield database.url
    finally:
        database.drop()
