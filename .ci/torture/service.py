"""The service as a process, and how it is asked: a request at a time, over a connection of its own or one that stays."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time

MODERN = "application/graphql-response+json"


class Answer:
    def __init__(self, status, headers, body, seconds):
        self.status, self.headers, self.body, self.seconds = status, headers, body, seconds

    def json(self):
        """Of server-sent events, the first one's data."""
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            lines = self.body.decode().splitlines()
            return json.loads(next(line[5:] for line in lines if line.startswith("data:") and len(line) > 5))
        return json.loads(self.body)

    def code(self):
        """The first error's code."""
        try:
            return self.json()["errors"][0]["extensions"]["code"]
        except (ValueError, LookupError, TypeError, StopIteration):
            return None


def send(address, raw, patience=20):
    """Sends bytes, and reads until the other side closes. A refusal may come before all was sent."""
    began = time.perf_counter()
    received = b""
    with socket.create_connection(address, timeout=patience) as stream:
        try:
            stream.sendall(raw)
        except OSError:
            pass
        try:
            while piece := stream.recv(1 << 16):
                received += piece
        except ConnectionError:
            pass
    return parse(received, time.perf_counter() - began)


def parse(received, seconds):
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    status = int(parts[1]) if len(parts) > 1 and parts[0].startswith("HTTP/") else 0
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        whole = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            count = int(size, 16) if size else 0
            whole, body = whole + body[:count], body[count + 2 :]
        body = whole
    return Answer(status, headers, body, seconds)


def raw_request(method, path, headers=(), body=b""):
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers)]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def graphql_request(body, token=None, accept=MODERN, headers=(), close=True):
    """A POST of a document with its variables, or of bytes as they are."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    more = [("Content-Type", "application/json"), ("Accept", accept)]
    more += [("Authorization", f"Bearer {token}")] if token else []
    more += [("Connection", "close")] if close else []
    return raw_request("POST", "/graphql", [*more, *headers], body)


class Server:
    def __init__(self, binary, url, folder, options=(), env=None, prefix=(), **popen):
        folder.mkdir()
        self.database, self.folder = url, folder
        # With the same address, the metrics are where everything else is.
        arguments = ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--database-url", url]
        environment = {"PATH": os.environ["PATH"], **(env or {})}
        with open(folder / "printed", "wb") as printed, open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [*prefix, binary, *arguments, *options], stdout=printed, stderr=log, env=environment, cwd=folder, **popen
            )
        self.address = None

    def wait_until_ready(self, seconds=30):
        end = time.monotonic() + seconds
        while "  Database " not in self.printed():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the service did not start: {self.log()}")
            time.sleep(0.02)
        host, port = self.printed().split("GraphQL")[1].split()[0].split("/")[2].split(":")
        self.address = (host, int(port))

    def printed(self):
        return (self.folder / "printed").read_text()

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def ask(self, document, variables=None, token=None):
        body = {"query": document, "variables": variables or {}}
        return send(self.address, graphql_request(body, token))

    def data(self, document, variables=None, token=None):
        answer = self.ask(document, variables, token)
        if answer.status != 200 or "errors" in answer.json():
            raise RuntimeError(f"{answer.status}: {answer.body[:500]!r}")
        return answer.json()["data"]

    def get(self, path, headers=()):
        return send(self.address, raw_request("GET", path, [*headers, ("Connection", "close")]))

    def metrics(self):
        text = self.get("/metrics").body.decode()
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def errors(self, code):
        """How many errors of a code clients were told."""
        return int(self.metrics().get(f'rookery_errors_total{{code="{code}"}}', 0))

    def memory(self):
        """Megabytes: the most that were ever in use."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def mistakes(self):
        """Lines of the log that should not be there."""
        return [line for line in self.log().splitlines() if "panicked" in line or " ERROR " in line]

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self, seconds=30):
        """In good order; its exit code."""
        self.terminate()
        return self.process.wait(seconds)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Connection:
    """One that stays open, for a token."""

    def __init__(self, address, token=None, patience=20):
        self.connection = http.client.HTTPConnection(*address, timeout=patience)
        self.headers = {"Content-Type": "application/json", "Accept": MODERN}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def ask(self, document, variables=None):
        """The status, and the answer; raises OSError or HTTPException when the connection broke."""
        body = json.dumps({"query": document, "variables": variables or {}})
        self.connection.request("POST", "/graphql", body, self.headers)
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def close(self):
        self.connection.close()
