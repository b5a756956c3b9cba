"""What is told of many measurements."""


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


def times(seconds):
    figures = (("median", 0.5), ("p99", 0.99), ("max", 1.0))
    return ", ".join(f"{name} {percentile(seconds, part) * 1000:.1f} ms" for name, part in figures)
