"""The servers: which there are, and how they start and stop."""

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
# Our own: the file with its requests, those that it takes, and further options.
OURS = {
    "rookery": ("queries.json", ("Q1", "Q2", "Q3", "M1", "M2"), ["--log", "warn"]),
    "endpoint": ("plain.json", ("Q1", "Q2", "Q3", "M1", "M2"), []),
    "floor": ("plain.json", ("Q1", "Q2", "Q3"), []),
}
# The peers are folders of peers/ with `install`, `start` and queries.json; these are for SQLite, all others for
# PostgreSQL. There, each runs twice: with the timeline's statement that Rookery has (topk), and with the plain
# union, which is for Q1 only. `start` gets DATABASE_URL, PORT and TIMELINE.
PEERS_ON_SQLITE = {"flask"}
PATIENCE = 60  # seconds until a server must answer


class Server:
    """A server of one database; in a session of its own, so that all its processes are known by that."""

    def __init__(self, name, kind, queries, command, options=(), folder=None, timeline=None):
        self.name, self.kind, self.queries, self.timeline = name, kind, queries, timeline
        self.command, self.options, self.folder = command, options, folder
        self.process = self.port = None

    def start(self, url):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        # All load comes from one address.
        rates = {f"ROOKERY_RATE_{name}": "0" for name in ("NETWORK", "USER", "ATTEMPTS")}
        command, environment = [self.command], {**os.environ, **rates, "ROOKERY_MAX_NETWORK_SOCKETS": "100000"}
        if self.kind == "peer":
            environment |= {"DATABASE_URL": url, "PORT": str(self.port), "TIMELINE": self.timeline}
        else:
            command += ["--listen", f"127.0.0.1:{self.port}", "--database-url", url, *self.options]
        with open(self.log(), "w") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    def wait(self, username):
        """Seconds until it has answered its first query."""
        began, failure = time.perf_counter(), "it ended"
        while (seconds := time.perf_counter() - began) < PATIENCE and self.process.poll() is None:
            try:
                traffic.ask(self, next(iter(self.queries)), username)
                return time.perf_counter() - began
            except OSError as error:
                failure = error
            time.sleep(0.001 if seconds < 1 else 0.1)
        said = "\n".join(self.log().read_text(errors="replace").splitlines()[-15:])
        raise Unusable(f"{self.name} does not answer ({failure}); it said:\n{said}")

    def stop(self):
        if self.process is None:
            return
        send(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            pass
        send(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def log(self):
        return FOLDER / f"{self.name}.log"

    def cpu(self):
        """Seconds of all its processes."""
        return sum(row.cpu for row in processes() if row.session == self.process.pid)

    def memory(self):
        """Bytes of memory of its own: pages of mapped files are left out."""
        pids = [row.pid for row in processes() if row.session == self.process.pid]
        return sum(status(pid, "RssAnon") + status(pid, "RssShmem") for pid in pids)

    def peak(self):
        """Bytes at the peak of its first process, pages of mapped files among them."""
        return status(self.process.pid, "VmHWM")


class Unusable(Exception):
    """A server that does not run here."""


def send(group, number):
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def listed(engine, wanted, binaries):
    """The servers for an engine; `wanted` are names, or None for all that there are."""
    servers = []
    for name, (file, takes, options) in OURS.items():
        if wanted is None or name in wanted:
            path = Path(binaries, name).resolve()
            if path.exists():
                queries = json.loads((HERE / file).read_text())
                queries = {query: queries[query] for query in takes}
                servers.append(Server(name, "ours", queries, path, options))
            elif wanted is None:
                note(f"skipped {name}: not built")
            else:
                raise Unusable(f"{name}: there is no {path}")
    return servers + [server for folder in peer_folders(engine) for server in peers(folder, wanted)]


def peer_folders(engine=None):
    folders = [file.parent for file in sorted(HERE.glob("peers/*/start"))]
    return [f for f in folders if engine in (None, "sqlite" if f.name in PEERS_ON_SQLITE else "postgres")]


def names():
    found = [folder.name for folder in peer_folders()]
    return [*OURS, *found, *(f"{name}-union" for name in found if name not in PEERS_ON_SQLITE)]


def peers(folder, wanted):
    """A peer with each form of the timeline's statement; none when it cannot be installed here."""
    name, queries = folder.name, json.loads((folder / "queries.json").read_text())
    forms = {name: "union"} if name in PEERS_ON_SQLITE else {name: "topk", f"{name}-union": "union"}
    chosen = [each for each in forms if wanted is None or each in wanted or name in wanted]
    if not chosen or not installed(folder):
        return []
    return [Server(each, "peer", {"Q1": queries["Q1"]} if each != name else queries, folder / "start",
                   folder=folder, timeline=forms[each]) for each in chosen]


def installed(folder):
    """Whether the peer can be started; its install does nothing when it is there already."""
    note(f"installing {folder.name}")
    done = subprocess.run([folder / "install"], cwd=folder, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        note(f"skipped {folder.name}: its install failed: {(done.stdout.strip().splitlines() or [''])[-1]}")
    return done.returncode == 0
