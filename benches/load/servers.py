"""The servers of the load tests: their list, start and stop."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import traffic
from data import FOLDER
from report import note
from usage import processes, status

HERE = Path(__file__).resolve().parent
# Binaries of this workspace: the file with their requests, the supported requests, and options.
OWN = {
    "rookery": ("queries.json", ("Q1", "Q2", "Q3", "M1", "M2"), ["--log", "warn"]),
    "axum-baseline": ("plain.json", ("Q1", "Q2", "Q3", "M1", "M2"), []),
    "driver-baseline": ("plain.json", ("Q1", "Q2", "Q3"), []),
}
# Each peer is a folder in peers/ with `install`, `start` and queries.json. `start` gets the
# variables DATABASE_URL, PORT and TIMELINE. The peers in this set use SQLite. All others use
# PostgreSQL and run twice: with Rookery's timeline statement (TIMELINE=topk), and with the plain
# union (TIMELINE=union), which is only for Q1.
PEERS_ON_SQLITE = {"flask"}
START_TIMEOUT = 60  # seconds

# All load comes from one address, so limits per network and per user are off or high.
LIMITS = {
    "ROOKERY_RATE_LIMIT_PER_NETWORK": "0",
    "ROOKERY_RATE_LIMIT_PER_USER": "0",
    "ROOKERY_MAX_POSTS_PER_DAY": "0",
    "ROOKERY_MAX_POST_BYTES_PER_DAY": "0",
    "ROOKERY_CREDENTIAL_ATTEMPTS_PER_MINUTE": "0",
    "ROOKERY_MAIL_FOLDER": "none",
    "ROOKERY_MAX_ANONYMOUS_STREAMS_PER_NETWORK": "100000",
    "ROOKERY_MAX_STREAMS_PER_NETWORK": "100000",
    "ROOKERY_MAX_STREAMS": "100000",
}


class Server:
    """A server of one database. It runs in its own session, which identifies all its processes."""

    def __init__(self, name, kind, queries, command, options=(), folder=None, timeline=None):
        self.name, self.kind, self.queries, self.timeline = name, kind, queries, timeline
        self.command, self.options, self.folder = command, options, folder
        self.process = self.port = None

    def start(self, url):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command, environment = [self.command], {**os.environ, **LIMITS}
        if self.kind == "peer":
            environment |= {"DATABASE_URL": url, "PORT": str(self.port), "TIMELINE": self.timeline}
        else:
            command += ["--listen", f"127.0.0.1:{self.port}", "--database-url", url, *self.options]
        with open(self.log(), "w") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True)

    def wait(self, username):
        """Waits for the response to a first query. Returns the seconds."""
        started, failure = time.perf_counter(), "it exited"
        while self.process.poll() is None:
            seconds = time.perf_counter() - started
            if seconds >= START_TIMEOUT:
                break
            try:
                traffic.send(self, next(iter(self.queries)), username)
                return time.perf_counter() - started
            except OSError as error:
                failure = error
            time.sleep(0.001 if seconds < 1 else 0.1)
        output = "\n".join(self.log().read_text(errors="replace").splitlines()[-15:])
        raise Unusable(f"{self.name} does not respond ({failure}); its output:\n{output}")

    def stop(self):
        if self.process is None:
            return
        kill_group(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            pass
        kill_group(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def log(self):
        return FOLDER / f"{self.name}.log"

    def cpu(self):
        """CPU seconds of all processes of the server."""
        return sum(row.cpu for row in processes() if row.session == self.process.pid)

    def memory(self):
        """Bytes of anonymous and shared memory of all processes, without mapped files."""
        pids = [row.pid for row in processes() if row.session == self.process.pid]
        return sum(status(pid, "RssAnon") + status(pid, "RssShmem") for pid in pids)

    def peak(self):
        """Peak memory of the first process in bytes, with pages of mapped files."""
        return status(self.process.pid, "VmHWM")


class Unusable(Exception):
    """A server that cannot run on this machine."""


def kill_group(group, signal_number):
    try:
        os.killpg(group, signal_number)
    except ProcessLookupError:
        pass


def listed(engine, wanted, binaries):
    """The servers for an engine. `wanted` is a list of names, or None for all."""
    servers = []
    for name, (file, supported, options) in OWN.items():
        if wanted is None or name in wanted:
            path = Path(binaries, name).resolve()
            if path.exists():
                queries = json.loads((HERE / file).read_text())
                queries = {query: queries[query] for query in supported}
                servers.append(Server(name, "own", queries, path, options))
            elif wanted is None:
                note(f"skipped {name}: not built")
            else:
                raise Unusable(f"{name}: {path} does not exist")
    return servers + [server for folder in peer_folders(engine) for server in peers(folder, wanted)]


def peer_folders(engine=None):
    folders = [file.parent for file in sorted(HERE.glob("peers/*/start"))]
    return [f for f in folders if engine in (None, "sqlite" if f.name in PEERS_ON_SQLITE else "postgres")]


def names():
    peers = [folder.name for folder in peer_folders()]
    return [*OWN, *peers, *(f"{name}-union" for name in peers if name not in PEERS_ON_SQLITE)]


def peers(folder, wanted):
    """A server for each timeline statement of a peer. Empty if the peer cannot be installed."""
    name, queries = folder.name, json.loads((folder / "queries.json").read_text())
    forms = {name: "union"} if name in PEERS_ON_SQLITE else {name: "topk", f"{name}-union": "union"}
    chosen = [each for each in forms if wanted is None or each in wanted or name in wanted]
    if not chosen or not installed(folder):
        return []
    return [Server(each, "peer", {"Q1": queries["Q1"]} if each != name else queries, folder / "start",
                   folder=folder, timeline=forms[each]) for each in chosen]


def installed(folder):
    """Installs the peer unless it is installed. Returns whether that succeeded."""
    note(f"installing {folder.name}")
    done = subprocess.run([folder / "install"], cwd=folder, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        last_line = (done.stdout.strip().splitlines() or [""])[-1]
        note(f"skipped {folder.name}: the installation failed: {last_line}")
    return done.returncode == 0
