"""Percentiles and summaries of latency samples."""

MEDIAN_P99_MAX = (("median", 0.5), ("p99", 0.99), ("max", 1.0))
P50_P99 = (("p50", 0.5), ("p99", 0.99))


def percentile(samples, fraction):
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))] if ordered else 0.0


def latency_summary(samples, quantiles=MEDIAN_P99_MAX):
    """The quantiles of samples in seconds, printed in milliseconds."""
    return ", ".join(
        f"{name} {percentile(samples, fraction) * 1000:.1f} ms" for name, fraction in quantiles
    )
