"""Figures from lists of seconds, and tables."""

import math
import statistics

from report import ENGINES


def ms(seconds):
    return f"{1000 * seconds:.2f}"


def median(times):
    return ms(statistics.median(times))


def percentile(times, percent):
    """The smallest of the times that at least `percent` of them do not exceed."""
    return ms(sorted(times)[math.ceil(len(times) * percent / 100) - 1])


def maximum(times):
    return ms(max(times))


def table(columns, rows):
    """A table. `rows` are pairs of an engine and the cells."""
    head = ["database", *columns]
    lines = [f"| {' | '.join(head)} |", "|---" * 2 + "|---:" * (len(head) - 2) + "|"]
    lines += [f"| {' | '.join([ENGINES[engine], *cells])} |" for engine, cells in rows]
    return "\n".join(lines)
