"""The report in Markdown: a head, a table for each query, and ratios."""

import datetime
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

ENGINES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
# The requests.
TITLES = {
    "Q1": "timeline of 20 posts with authors and counts",
    "Q2": "profile with counts, 20 followers and 20 followed users",
    "Q3": "20 followers and, for each, 10 followed users",
    "M1": "follow and unfollow in turn",
    "M2": "create a post",
}
# The head of the table of subscriptions. `live` prints the rows.
LIVE = """
| database | instances | subscriptions | recipients of each post | MB without WebSockets \
| MB with all subscriptions | KB per WebSocket | KB per subscription \
| ms to the first recipient, p50 | ms to the last recipient, p50 | p99 | CPU ms per post |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""
MEGABYTE = 2**20
BUSY = 0.9  # CPU share of a core above which wrk itself may be the limit


def note(text):
    print(text, file=sys.stderr, flush=True)


def head(version, sizes, program="benches/load/run"):
    model = field("/proc/cpuinfo", "model name") or platform.machine()
    command = shlex.join([program, *sys.argv[1:]])
    command = re.sub("://([^:/@]*):[^/@]*@", r"://\1@", command)  # removes the password
    memory = int(field("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    return "\n".join([
        f"* {datetime.date.today()}, {version}",
        f"* {model}, {os.cpu_count()} cores for servers and clients together, {memory:.0f} GB, "
        f"{platform.system()} {platform.release()}",
        *sizes_of(*sizes),
        f"* `{command}`",
    ])


def sizes_of(users=None, follows=0, posts=0):
    if not users:
        return []
    return [f"* {users:,} users, {users * follows:,} follows, {users * posts:,} posts"]


def field(path, name):
    lines = (line.partition(":") for line in Path(path).read_text().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")


def version(program):
    return subprocess.check_output([program, "--version"], text=True).strip()


def tables(results):
    """A table and its ratios for each engine and query."""
    parts = []
    for engine, query in dict.fromkeys((r["engine"], r["query"]) for r in results):
        rows = medians([r for r in results if (r["engine"], r["query"]) == (engine, query)])
        parts += [f"### {query} on {ENGINES[engine]}: {TITLES[query]}", table(rows, engine), ratios(rows)]
    peaks = [r["peak"] for r in results if r["server"] == "rookery"]
    if peaks:
        peak = max(peaks) / MEGABYTE
        parts.append(f"Peak memory of rookery with pages of mapped files (VmHWM): {peak:.0f} MB.")
    parts.append("Medians of the rounds. CPU is the CPU time of all processes of the server. Memory "
                 "is the peak of their anonymous and shared memory, without mapped files. "
                 f"\\*: wrk used more than {BUSY:.0%} of its core and may be the limit. The tests of "
                 "the server count the SQL statements per request.")
    return "\n\n".join(part for part in parts if part)


def medians(results):
    """One row for each number of connections and server, in the order of the measurement."""
    rows = {}
    for result in results:
        rows.setdefault((result["connections"], result["server"]), []).append(result)
    return [{**rounds[0], **{key: statistics.median(r[key] for r in rounds) for key in
             ("rate", "p50", "p99", "cpu", "memory", "wrk_cpu")}, "postgres_cpu": median_or_none(rounds)}
            for rounds in rows.values()]


def median_or_none(rounds):
    found = [r["postgres_cpu"] for r in rounds if r["postgres_cpu"] is not None]
    return statistics.median(found) if found else None


def table(rows, engine):
    names = ["server", "connections", "requests/s", "p50 ms", "p99 ms", "CPU ms/request"]
    names += ["PostgreSQL's CPU ms/request", "memory MB"] if engine == "postgres" else ["memory MB"]
    lines = [f"| {' | '.join(names)} |", "|---" + "|---:" * (len(names) - 1) + "|"]
    for r in rows:
        star = r"\*" if r["wrk_cpu"] > BUSY else ""
        cells = [r["server"], str(r["connections"]), f"{r['rate']:,.0f}{star}"]
        cells += [f"{r['p50']:.2f}", f"{r['p99']:.2f}"]
        cells += [f"{r[cpu]:.3f}" for cpu in ("cpu", "postgres_cpu") if r[cpu] is not None]
        cells.append(f"{r['memory'] / MEGABYTE:.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def ratios(rows):
    """Rookery divided by its baselines, and by the best peer with each timeline statement."""
    lines = []
    for connections in dict.fromkeys(row["connections"] for row in rows):
        here = [row for row in rows if row["connections"] == connections]
        rookery = next((row for row in here if row["server"] == "rookery"), None)
        for name, other in compared(here) if rookery else []:
            divided = " | ".join(f"{rookery[key] / other[key]:.2f}" if other[key] else "–"
                                 for key in ("rate", "p50", "p99", "cpu", "memory"))
            lines.append(f"| rookery ÷ {name} | {connections} | {divided} |")
    if not lines:
        return ""
    names = "| ratio | connections | requests/s | p50 | p99 | CPU | memory |"
    return "\n".join([names, "|---|---:|---:|---:|---:|---:|---:|", *lines])


def compared(rows):
    baselines = ("axum-baseline", "driver-baseline")
    found = [(row["server"], row) for row in rows if row["server"] in baselines]
    for form, label in (("topk", "with the same statement"), ("union", "with the plain union")):
        peers = [row for row in rows if row["timeline"] == form]
        if peers:
            best = max(peers, key=lambda row: row["rate"])
            label = label if best["query"] == "Q1" else ""
            found.append((f"best peer {label} ({best['server']})".replace("  ", " "), best))
    return found
