"""The databases: seeded once and kept, and copies of them for what writes.

A database is made under another name and gets its own when it is complete, so what is there is whole.
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
PEOPLE = 1_000  # whose pages are asked for
WRITERS = 100  # who have a bearer token
EVENLY = """SELECT username FROM (SELECT username, row_number() OVER (ORDER BY id) AS n FROM "user") AS numbered
            WHERE n % {step} = 0 ORDER BY n"""


class Sqlite:
    """A file in target/bench."""

    engine = "sqlite"

    def __init__(self, name):
        self.path = FOLDER / f"graph-{name}.db"
        self.name, self.url = name, f"sqlite://{self.path}"

    def exists(self):
        return self.path.exists()

    def make(self, seed):
        making = Sqlite(f"{self.name}-making")
        making.drop()
        seed(making.url)
        making.query("PRAGMA wal_checkpoint(TRUNCATE)")
        making.path.rename(self.path)
        making.drop()

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
    """A database of a server; statements go through psql."""

    engine = "postgres"

    def __init__(self, server, name):
        self.server, self.name = server, "rookery_bench_" + name.replace("-", "_")
        self.url = urlsplit(server)._replace(path=f"/{self.name}").geturl()

    def exists(self):
        return bool(self.admin(f"SELECT 1 FROM pg_database WHERE datname = '{self.name}'"))

    def make(self, seed):
        making = Postgres(self.server, self.name.removeprefix("rookery_bench_") + "_making")
        making.drop()
        making.admin(f"CREATE DATABASE {making.name}")
        seed(making.url)
        making.query("VACUUM ANALYZE")
        making.admin(f"ALTER DATABASE {making.name} RENAME TO {self.name}")

    def query(self, sql):
        return psql(self.url, sql)

    def about(self):
        size = self.query(f"SELECT pg_size_pretty(pg_database_size('{self.name}'))")
        shown = [f"{name} {self.query(f'SHOW {name}')[0]}" for name in ("shared_buffers", "synchronous_commit")]
        tls = f"PGSSLMODE={os.environ['PGSSLMODE']}"
        return ", ".join([f"PostgreSQL {self.query('SHOW server_version')[0]}", *size, *shown, tls])

    def copy(self):
        copy = Postgres(self.server, self.name.removeprefix("rookery_bench_") + "_copy")
        copy.drop()
        for attempt in range(20):  # until the last connection to the original is closed
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
    """Seeds the database if it is not there."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if database.exists():
        return
    note(f"seeding {database.name}")
    users, follows, posts = map(str, sizes)
    database.make(lambda url: subprocess.run(
        [rookery, "seed", "--database-url", url, "--users", users, "--follows-per-user", follows,
         "--posts-per-user", posts, "--rng-seed", "1"], check=True, stdout=subprocess.DEVNULL))


def people(database):
    """Usernames, evenly spread over everybody."""
    count = int(database.query('SELECT count(*) FROM "user"')[0])
    return database.query(EVENLY.format(step=max(1, count // PEOPLE)))[:PEOPLE]


def tokens(database, rookery, usernames):
    """Bearer tokens by username, for some of the people; made once and kept in a file beside the database."""
    path = FOLDER / f"{database.engine}-{database.name}.tokens"
    if not path.exists() or database.query("SELECT count(*) FROM session") == ["0"]:
        command = [rookery, "token", "create", "--database-url", database.url, "--days", "3650"]
        writers = usernames[:: max(1, len(usernames) // WRITERS)]
        lines = [f"{name} {subprocess.check_output([*command, name], text=True).strip()}\n" for name in writers]
        path.write_text("".join(lines))
        os.chmod(path, 0o600)
    return dict(line.split() for line in path.read_text().splitlines())


@contextmanager
def copied(database):
    copy = database.copy()
    try:
        yield copy
    finally:
        copy.drop()


@contextmanager
def empty(engine, server):
    """The address of a database without tables."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    database = Sqlite("live") if engine == "sqlite" else Postgres(server, "live")
    database.drop()
    if engine == "postgres":
        database.admin(f"CREATE DATABASE {database.name}")
    try:
        yield database.url
    finally:
        database.drop()
