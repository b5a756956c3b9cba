"""An honest client beside the others, in a process of its own: asks one thing again and again, until its input ends.

canary.py PORT TOKEN DOCUMENT PAUSE ADDRESS, which it comes from: prints how often it was answered how, and how long that took, as JSON."""

import http.client
import json
import select
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True

from figures import percentile


class Canary:
    """The other end of it: `with Canary(...) as canary: ...; print(canary.told())`."""

    def __init__(self, server, token, document="{ viewer { email } }", pause=0.01, address="127.0.0.1"):
        command = [sys.executable, Path(__file__), str(server.address[1]), token, document, str(pause), address]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.result = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.result is None:
            printed, _ = self.process.communicate(timeout=60)
            self.result = json.loads(printed)
        return self.result

    def told(self):
        told = self.end()
        latencies = ", ".join(f"{name} {told[name]:.1f} ms" for name in ("p50", "p99", "max"))
        return f"canary: {told['answered']} answered, {told['failed']} not; {latencies}"

    def sings(self):
        """It was answered all the time, if slowly at times."""
        told = self.end()
        return told["answered"] > 10 and told["failed"] == 0 and told["p99"] < 2000


def main(port, token, document, pause, address):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    body = json.dumps({"query": document})
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30, source_address=(address, 0))
    took, failed = [], 0
    while not select.select([sys.stdin], [], [], float(pause))[0]:
        began = time.perf_counter()
        try:
            connection.request("POST", "/graphql", body, headers)
            answer = connection.getresponse()
            told = answer.read()
            right = answer.status == 200 and b'"errors"' not in told
        except (OSError, http.client.HTTPException):
            right = False
            connection.close()
        if right:
            took.append((time.perf_counter() - began) * 1000)
        else:
            failed += 1
    figures = {name: percentile(took, part) for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}
    print(json.dumps({"answered": len(took), "failed": failed, **figures}))


if __name__ == "__main__":
    main(*sys.argv[1:])
