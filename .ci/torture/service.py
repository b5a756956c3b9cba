"""The server under test as a process, and HTTP clients for it.

`send_raw` uses a new connection for each request. `KeepAliveConnection` keeps its connection.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import time

GRAPHQL_RESPONSE = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
# Metrics of the server that the tests read.
PASSWORD_HASHES = "rookery_password_hashes_total"
RESPONSE_MEMORY_BYTES = "rookery_response_memory_bytes"
ERRORS_TOTAL = "rookery_errors_total"


class Response:
    def __init__(self, status, headers, body, seconds):
        self.status, self.headers, self.body, self.seconds = status, headers, body, seconds

    def json(self):
        """The decoded body. Of a stream of server-sent events, the data of the first event."""
        if self.headers.get("content-type", "").startswith(EVENT_STREAM):
            lines = self.body.decode().splitlines()
            data = next(line[5:] for line in lines if line.startswith("data:") and len(line) > 5)
            return json.loads(data)
        return json.loads(self.body)

    def code(self):
        """The code of the first error, or None."""
        try:
            return self.json()["errors"][0]["extensions"]["code"]
        except (ValueError, LookupError, TypeError, StopIteration):
            return None


def send_raw(address, request, timeout=20):
    """Sends bytes and reads until the server closes the connection.

    The server may reject a request before the client has sent all of it.
    """
    started = time.perf_counter()
    received = b""
    with socket.create_connection(address, timeout=timeout) as stream:
        try:
            stream.sendall(request)
        except OSError:
            pass
        try:
            while piece := stream.recv(1 << 16):
                received += piece
        except ConnectionError:
            pass
    return parse_response(received, time.perf_counter() - started)


def parse_response(received, seconds):
    """Parses an HTTP response. The status is 0 when the bytes are no HTTP response."""
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    status = int(parts[1]) if len(parts) > 1 and parts[0].startswith("HTTP/") else 0
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = decode_chunks(body)
    return Response(status, headers, body, seconds)


def decode_chunks(body):
    decoded = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        count = int(size, 16) if size else 0
        decoded, body = decoded + body[:count], body[count + 2 :]
    return decoded


def raw_request(method, path, headers=(), body=b""):
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def graphql_request(body, token=None, accept=GRAPHQL_RESPONSE, headers=(), close=True):
    """A POST request. The body is a document with its variables, or raw bytes."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    all_headers = [("Content-Type", "application/json"), ("Accept", accept)]
    all_headers += [("Authorization", f"Bearer {token}")] if token else []
    all_headers += [("Connection", "close")] if close else []
    return raw_request("POST", "/graphql", [*all_headers, *headers], body)


class Server:
    def __init__(self, binary, url, folder, options=(), env=None, prefix=(), **popen_options):
        folder.mkdir()
        self.database_url, self.folder = url, folder
        # With equal addresses the server serves /metrics on the listener of /graphql.
        command = [*prefix, binary, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
        command += ["--database-url", url, *options]
        environment = {"PATH": os.environ["PATH"], "ROOKERY_MAIL_FOLDER": "none", **(env or {})}
        with open(folder / "stdout", "wb") as stdout, open(folder / "stderr", "wb") as stderr:
            self.process = subprocess.Popen(
                command, stdout=stdout, stderr=stderr, env=environment, cwd=folder, **popen_options
            )
        self.address = None

    def wait_until_ready(self, timeout=30):
        deadline = time.monotonic() + timeout
        while "  Database " not in self.stdout():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {self.log()}")
            time.sleep(0.02)
        host, port = self.stdout().split("GraphQL")[1].split()[0].split("/")[2].split(":")
        self.address = (host, int(port))

    def stdout(self):
        return (self.folder / "stdout").read_text()

    def log(self):
        return (self.folder / "stderr").read_text(errors="replace")

    def query(self, document, variables=None, token=None):
        """Sends a document and returns the response."""
        body = {"query": document, "variables": variables or {}}
        return send_raw(self.address, graphql_request(body, token))

    def data(self, document, variables=None, token=None):
        """Sends a document and returns the data. Raises an exception on errors."""
        response = self.query(document, variables, token)
        if response.status != 200 or "errors" in response.json():
            raise RuntimeError(f"{response.status}: {response.body[:500]!r}")
        return response.json()["data"]

    def get(self, path, headers=()):
        request = raw_request("GET", path, [*headers, ("Connection", "close")])
        return send_raw(self.address, request)

    def metrics(self):
        text = self.get("/metrics").body.decode()
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def error_count(self, code):
        """Number of errors with this code in all responses."""
        return int(self.metrics().get(f'{ERRORS_TOTAL}{{code="{code}"}}', 0))

    def peak_memory_mb(self):
        """Peak resident memory in MB."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))

    def open_descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def error_lines(self):
        """Lines of the log with a panic or with level ERROR."""
        lines = self.log().splitlines()
        return [line for line in lines if "panicked" in line or " ERROR " in line]

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self, timeout=30):
        """Sends SIGTERM and returns the exit code."""
        self.terminate()
        return self.process.wait(timeout)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class KeepAliveConnection:
    """A client that sends its requests over the same connection."""

    def __init__(self, address, token=None, timeout=20):
        self.connection = http.client.HTTPConnection(*address, timeout=timeout)
        self.headers = {"Content-Type": "application/json", "Accept": GRAPHQL_RESPONSE}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def query(self, document, variables=None):
        """The status and the decoded body.

        Raises OSError or HTTPException when the connection broke.
        """
        body = json.dumps({"query": document, "variables": variables or {}})
        self.connection.request("POST", "/graphql", body, self.headers)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())

    def close(self):
        self.connection.close()
