"""A canary: a well-behaved client that measures whether an attack affects other clients.

The canary runs in a process of its own, so that load in the test process does not distort its
latencies. It repeats a query until its standard input ends.

Usage: canary.py PORT TOKEN DOCUMENT PAUSE ADDRESS. ADDRESS is the source address of the connection.
The canary prints the number of responses and failures and its latencies as JSON.
"""

import http.client
import json
import select
import subprocess
import sys
import time
from pathlib import Path

from stats import P50_P99, percentile

QUANTILES = (*P50_P99, ("max", 1.0))
MAX_P99_MS = 2000
MAX_WAIT_MS = 1000
EMAIL = "{ viewer { email } }"


class Canary:
    """Runs a canary: `with Canary(...) as canary: ...`, then `canary.summary()`."""

    def __init__(self, server, token, document=EMAIL, pause=0.01, address="127.0.0.1"):
        command = [sys.executable, Path(__file__), str(server.address[1]), token]
        command += [document, str(pause), address]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.result = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Stops the canary and returns its measurements. Latencies are in milliseconds."""
        if self.result is None:
            output, _ = self.process.communicate(timeout=60)
            self.result = json.loads(output)
        return self.result

    def summary(self):
        result = self.stop()
        latencies = ", ".join(f"{name} {result[name]:.1f} ms" for name, _ in QUANTILES)
        return f"canary: {result['answered']} responses, {result['failed']} failures; {latencies}"

    def was_served(self):
        """More than 10 responses, no failure, and a p99 below `MAX_P99_MS`."""
        result = self.stop()
        return result["answered"] > 10 and result["failed"] == 0 and result["p99"] < MAX_P99_MS

    def never_waited(self):
        """More than 10 responses, no failure, and none later than `MAX_WAIT_MS`."""
        result = self.stop()
        return result["answered"] > 10 and result["failed"] == 0 and result["max"] < MAX_WAIT_MS


def main(port, token, document, pause, address):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    body = json.dumps({"query": document})
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(port), timeout=30, source_address=(address, 0)
    )
    latencies, failed = [], 0
    while not select.select([sys.stdin], [], [], float(pause))[0]:
        started = time.perf_counter()
        try:
            connection.request("POST", "/graphql", body, headers)
            response = connection.getresponse()
            content = response.read()
            succeeded = response.status == 200 and b'"errors"' not in content
        except (OSError, http.client.HTTPException):
            succeeded = False
            connection.close()
        if succeeded:
            latencies.append((time.perf_counter() - started) * 1000)
        else:
            failed += 1
    quantiles = {name: percentile(latencies, fraction) for name, fraction in QUANTILES}
    print(json.dumps({"answered": len(latencies), "failed": failed, **quantiles}))


if __name__ == "__main__":
    main(*sys.argv[1:])
