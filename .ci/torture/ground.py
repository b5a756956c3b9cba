"""What every check stands on: the binary, a folder of its own, what was started and has to end, and the tally."""

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

from service import Server

NOBODY = 65534


def wait_for(what, seconds, every=0.05):
    """Asks until the answer is yes, and says how long that took; None when it took too long."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if what():
            return time.monotonic() - began
        time.sleep(every)
    return None


class Ground:
    def __init__(self, binary, postgres, long):
        self.folder = Path(tempfile.mkdtemp(prefix="torture-"))
        self.folder.chmod(0o755)
        # Where everybody may run it, whoever may read the folder of the build.
        self.binary = self.folder / "rookery"
        shutil.copy(binary, self.binary)
        self.binary.chmod(0o755)
        self.postgres = postgres.rstrip("/")
        self.long = long
        self.passed, self.failed, self.skipped = 0, [], 0
        self.started, self.made, self.number = [], [], 0

    def check(self, what, holds, figures=""):
        if holds:
            self.passed += 1
        else:
            self.failed.append(what)
        print(f"{'ok' if holds else 'not ok'}: {what}" + (f" ({figures})" if figures else ""), flush=True)
        return holds

    def skip(self, what, why):
        self.skipped += 1
        print(f"skipped: {what} ({why})", flush=True)

    def path(self, name):
        self.number += 1
        return self.folder / f"{self.number}-{name}"

    def sqlite(self):
        """The address of a file that is not there yet."""
        folder = self.path("sqlite")
        folder.mkdir()
        return f"sqlite://{folder / 'rookery.db'}"

    def database(self, server=None):
        """The address of an empty database on PostgreSQL."""
        self.number += 1
        server, name = server or self.postgres, f"torture_{os.getpid()}_{self.number}"
        self.psql(f"{server}/postgres", f"CREATE DATABASE {name}")
        self.made.append((server, name))
        return f"{server}/{name}"

    def psql(self, url, sql):
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", url, "-c", sql]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def change(self, url, sql):
        """Behind the service's back, on either engine."""
        if not url.startswith("sqlite:"):
            self.psql(url, sql)
            return
        connection = sqlite3.connect(file_of(url))
        connection.execute(sql)
        connection.commit()
        connection.close()

    def rows(self, url, sql):
        """What a statement finds, as texts, on either engine."""
        if url.startswith("sqlite:"):
            connection = sqlite3.connect(f"file:{file_of(url)}?mode=ro", uri=True)
            found = [[str(value) for value in row] for row in connection.execute(sql)]
            connection.close()
            return found
        return [line.split("|") for line in self.psql(url, sql).splitlines()]

    def serve(self, url, *options, **more):
        server = Server(self.binary, url, self.path("server"), options, **more)
        self.started.append(server)
        server.wait_until_ready()
        return server

    def run(self, *arguments, url=None, seconds=60, **more):
        """A command to its end: its code, what it printed, what it complained of."""
        command = [self.binary, *arguments, *(["--database-url", url] if url else [])]
        environment = {"PATH": os.environ["PATH"], "COLUMNS": "1000"}
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, env=environment, cwd=self.folder, **more
        )
        return ended.returncode, ended.stdout.strip(), ended.stderr.strip()

    def doctor(self, url):
        code, printed, complaint = self.run("doctor", url=url)
        return printed if code == 0 else f"{printed} {complaint} (exit code {code})"

    def token(self, url, name):
        code, printed, complaint = self.run("token", "create", name, url=url)
        if code != 0:
            raise RuntimeError(complaint)
        return printed

    def cluster(self, *options):
        cluster = Cluster(self.path("postgres"), options)
        self.started.append(cluster)
        return cluster

    def kill_all(self):
        while self.started:
            self.started.pop().kill()

    def end(self):
        self.kill_all()
        for server, name in self.made:
            if not server.startswith(self.postgres):
                continue
            try:
                self.psql(f"{server}/postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            except (subprocess.SubprocessError, OSError) as error:
                print(f"the database {name} could not be removed: {error}", flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def file_of(url):
    return Path(url.removeprefix("sqlite://"))


def as_nobody():
    """For subprocess: root may read and write everything, and PostgreSQL refuses it."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Cluster:
    """A PostgreSQL of our own, to be killed."""

    def __init__(self, folder, options=()):
        self.folder, self.port = folder, free_port()
        folder.mkdir(mode=0o700)
        if os.getuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        found = subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True, text=True)
        self.programs = Path(found.stdout.strip())
        self.program("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", *options)
        self.url = f"postgres://postgres@127.0.0.1:{self.port}"
        self.start()

    def program(self, name, *arguments):
        command = [self.programs / name, "-D", self.folder, *arguments]
        subprocess.run(
            command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=90, **as_nobody()
        )

    def start(self):
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=60"
        self.program("pg_ctl", "start", "-s", "-w", "-l", self.folder / "log", "-o", options)

    def processes(self):
        """The server's own, and one for each connection."""
        server = (self.folder / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        return [int(pid) for pid in (server, *children)]

    def stop_at_once(self):
        self.program("pg_ctl", "stop", "-s", "-m", "immediate")

    def kill(self):
        try:
            self.stop_at_once()
        except (subprocess.SubprocessError, OSError):
            pass
