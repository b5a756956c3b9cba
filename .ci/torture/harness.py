"""The harness: databases, servers and commands of the binary under test.

The harness owns a temporary folder. It kills the processes of a test when the test ends, and drops
its PostgreSQL databases when the run ends.
"""

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from service import Server

UNPRIVILEGED_ID = 65534
# The output of `rookery doctor` when it finds no problem.
DOCTOR_OK = "no problems found"

on_both_engines = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
on_both_engines_when_long = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)], indirect=True
)


def wait_until(condition, timeout, interval=0.05):
    """Polls a condition. Returns the seconds until it held, or None after `timeout` seconds."""
    started = time.monotonic()
    while time.monotonic() - started < timeout:
        if condition():
            return time.monotonic() - started
        time.sleep(interval)
    return None


def engine_of(url):
    return url.split(":")[0]


def sqlite_path(url):
    return Path(url.removeprefix("sqlite://"))


def unprivileged():
    """Options of `subprocess` that drop root.

    Root bypasses file permissions, and PostgreSQL does not run as root.
    """
    if os.getuid() != 0:
        return {}
    return {"user": UNPRIVILEGED_ID, "group": UNPRIVILEGED_ID, "extra_groups": []}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@dataclass
class CommandResult:
    exit_code: int
    stdout: str
    stderr: str


class Harness:
    def __init__(self, binary, postgres, long):
        self.folder = Path(tempfile.mkdtemp(prefix="torture-"))
        self.folder.chmod(0o755)
        # The unprivileged user may be unable to read the build folder.
        self.binary = self.folder / "rookery"
        shutil.copy(binary, self.binary)
        self.binary.chmod(0o755)
        self.postgres = postgres.rstrip("/")
        self.long = long
        self.processes, self.databases, self.counter = [], [], 0

    def new_path(self, name):
        self.counter += 1
        return self.folder / f"{self.counter}-{name}"

    def new_database(self, engine, server=None):
        """The URL of a new, empty database."""
        if engine == "sqlite":
            folder = self.new_path("sqlite")
            folder.mkdir()
            return f"sqlite://{folder / 'rookery.db'}"
        self.counter += 1
        server, name = server or self.postgres, f"torture_{os.getpid()}_{self.counter}"
        self.psql(f"{server}/postgres", f"CREATE DATABASE {name}")
        self.databases.append((server, name))
        return f"{server}/{name}"

    def psql(self, url, sql):
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", url, "-c", sql]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=60
        ).stdout

    def execute_sql(self, url, sql):
        """Executes a statement directly on the database, on either engine."""
        if engine_of(url) != "sqlite":
            self.psql(url, sql)
            return
        connection = sqlite3.connect(sqlite_path(url))
        connection.execute(sql)
        connection.commit()
        connection.close()

    def query_rows(self, url, sql):
        """The rows of a query as lists of strings, on either engine."""
        if engine_of(url) == "sqlite":
            connection = sqlite3.connect(f"file:{sqlite_path(url)}?mode=ro", uri=True)
            rows = [[str(value) for value in row] for row in connection.execute(sql)]
            connection.close()
            return rows
        return [line.split("|") for line in self.psql(url, sql).splitlines()]

    def start_server(self, url, *options, **server_options):
        server = Server(self.binary, url, self.new_path("server"), options, **server_options)
        self.processes.append(server)
        server.wait_until_ready()
        return server

    def start_postgres(self, *initdb_options):
        postgres = PrivatePostgres(self.new_path("postgres"), initdb_options)
        self.processes.append(postgres)
        return postgres

    def run_command(self, *arguments, url=None, timeout=60, **popen_options):
        """Runs a command of the binary until it exits."""
        command = [self.binary, *arguments, *(["--database-url", url] if url else [])]
        environment = {"PATH": os.environ["PATH"], "COLUMNS": "1000"}
        completed = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            cwd=self.folder,
            **popen_options,
        )
        return CommandResult(
            completed.returncode, completed.stdout.strip(), completed.stderr.strip()
        )

    def doctor_report(self, url):
        """The output of `rookery doctor`: `DOCTOR_OK`, or the problems."""
        result = self.run_command("doctor", url=url)
        if result.exit_code == 0:
            return result.stdout
        return f"{result.stdout} {result.stderr} (exit code {result.exit_code})"

    def create_token(self, url, username):
        result = self.run_command("token", "create", username, url=url)
        if result.exit_code != 0:
            raise RuntimeError(result.stderr)
        return result.stdout

    def kill_processes(self):
        while self.processes:
            self.processes.pop().kill()

    def close(self):
        self.kill_processes()
        for server, name in self.databases:
            # The databases of a private PostgreSQL are deleted with its folder.
            if not server.startswith(self.postgres):
                continue
            try:
                self.psql(f"{server}/postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            except (subprocess.SubprocessError, OSError) as error:
                warnings.warn(f"could not drop the database {name}: {error}")
        shutil.rmtree(self.folder, ignore_errors=True)


class PrivatePostgres:
    """A PostgreSQL server of the harness, which a test may stop."""

    def __init__(self, folder, initdb_options=()):
        self.folder, self.port = folder, free_port()
        folder.mkdir(mode=0o700)
        if os.getuid() == 0:
            os.chown(folder, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
        bindir = subprocess.run(
            ["pg_config", "--bindir"], check=True, capture_output=True, text=True
        )
        self.programs = Path(bindir.stdout.strip())
        options = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync")
        self.run_program("initdb", *options, *initdb_options)
        self.url = f"postgres://postgres@127.0.0.1:{self.port}"
        self.start()

    def run_program(self, name, *arguments):
        subprocess.run(
            [self.programs / name, "-D", self.folder, *arguments],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=90,
            **unprivileged(),
        )

    def start(self):
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        options += " -c max_connections=60"
        log = self.folder / "log"
        self.run_program("pg_ctl", "start", "-s", "-w", "-l", log, "-o", options)

    def process_ids(self):
        """The postmaster and its children, among them the backend of each connection."""
        postmaster = (self.folder / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [int(pid) for pid in (postmaster, *children)]

    def stop_immediately(self):
        self.run_program("pg_ctl", "stop", "-s", "-m", "immediate")

    def kill(self):
        try:
            self.stop_immediately()
        except (subprocess.SubprocessError, OSError):
            pass
