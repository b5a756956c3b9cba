"""CPU time and memory of processes, from /proc."""

import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


class Process:
    """`cpu` is the CPU time in seconds, with that of exited children."""

    def __init__(self, pid, name, fields):
        self.pid, self.name, self.session = pid, name, int(fields[3])
        self.cpu = sum(map(int, fields[11:15])) / TICK


def processes():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.append(Process(int(pid), name, rest.split()))
    return found


def postgres_cpu():
    """CPU seconds of all PostgreSQL processes of this machine."""
    return sum(row.cpu for row in processes() if row.name == "postgres")


def status(pid, field):
    """A size from /proc/PID/status in bytes; 0 if the process has exited."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0
