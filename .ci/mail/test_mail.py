"""Mails of the service, received by a real SMTP server (aiosmtpd).

    rookery=target/release/rookery pytest .ci/mail
"""

import email
import email.policy
import json
import os
import re
import ssl
import subprocess
import time
import urllib.request

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

PASSWORD = "correct horse battery"
# Longest wait for a mail. The second attempt follows 30 s after the first.
MAIL_TIMEOUT = 90


class Inbox:
    """Keeps the mails, and rejects recipients with the responses in `responses` first."""

    def __init__(self, responses=()):
        self.mails, self.responses, self.attempts = [], list(responses), 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        self.attempts += 1
        if self.responses:
            return self.responses.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails.append((envelope, message))
        return "250 OK"

    def wait(self, count):
        """The last of `count` mails: its recipients and the message."""
        deadline = time.monotonic() + MAIL_TIMEOUT
        while len(self.mails) < count:
            assert time.monotonic() < deadline, f"{len(self.mails)} of {count} mails"
            time.sleep(0.05)
        assert len(self.mails) == count
        envelope, message = self.mails[-1]
        return envelope.rcpt_tos, message


class SmtpServer(Controller):
    """On a free port."""

    def __init__(self, inbox, **options):
        super().__init__(inbox, hostname="127.0.0.1", port=0, **options)

    def _trigger_server(self):
        # The controller connects to its port, which is known only now.
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Service:
    def __init__(self, folder, url, *options):
        self.log_path = folder / "log"
        command = [os.environ["rookery"], "--listen", "127.0.0.1:0", "--smtp-url", url]
        command += ["--database-url", f"sqlite://{folder}/mail.db", *options]
        with open(folder / "out", "w") as out, open(self.log_path, "w") as log:
            self.process = subprocess.Popen(command, stdout=out, stderr=log, cwd=folder)
        deadline = time.monotonic() + 30
        while "Database" not in (text := (folder / "out").read_text()):
            assert self.process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.05)
        self.url = re.search(r"GraphQL +(\S+)", text).group(1)

    def log(self):
        return self.log_path.read_text()

    def query(self, document, token=None, **variables):
        body = json.dumps({"query": document, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.url, body, headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer
        return answer["data"]

    def register(self, username):
        data = self.query(
            """mutation ($input: RegisterInput!) {
                register(input: $input) { token userErrors { code } } }""",
            input={
                "username": username,
                "email": f"{username}@example.com",
                "password": PASSWORD,
            },
        )
        return data["register"]["token"]

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=30) == 0


@pytest.fixture
def start(tmp_path):
    """Starts SMTP servers and services, which are stopped after the test."""
    running = []

    def start_server(inbox, **options):
        server = SmtpServer(inbox, **options)
        server.start()
        running.append(server)
        return server.port

    def start_service(url, *options):
        service = Service(tmp_path, url, *options)
        running.append(service)
        return service

    yield start_server, start_service
    for each in reversed(running):
        each.stop()


def token_of(message, page):
    """The token of the link, which is the same in the text and in the HTML document."""
    text = message.get_body(("plain",)).get_content()
    html = message.get_body(("html",)).get_content()
    token = re.search(rf"https://birds\.example/{page}#token=(\S+)", text).group(1)
    assert token in html
    return token


def test_register_verify_forget_and_reset(start):
    start_server, start_service = start
    inbox = Inbox()
    port = start_server(inbox)
    service = start_service(
        f"smtp://127.0.0.1:{port}",
        *("--public-url", "https://birds.example", "--mail-from", "Birds <birds@birds.example>"),
    )
    session = service.register("john")
    recipients, message = inbox.wait(1)
    assert recipients == ["john@example.com"] and message["To"] == "john@example.com"
    assert message["From"] == "Birds <birds@birds.example>"
    assert message["Subject"] == "Verify your e-mail address"
    assert message["Message-ID"].endswith("@birds.example>") and message["Date"]
    assert message.get_content_type() == "multipart/alternative"

    token = token_of(message, "verify-email")
    verify = "mutation ($t: String!) { verifyEmail(token: $t) { changed userErrors { code } } }"
    assert service.query(verify, t=token)["verifyEmail"] == {"changed": True, "userErrors": []}
    viewer = service.query("{ viewer { emailVerified } }", session)
    assert viewer == {"viewer": {"emailVerified": True}}

    request = "mutation ($e: String!) { requestPasswordReset(email: $e) { userErrors { code } } }"
    for address in ["unknown@example.com", "john@example.com"]:
        data = service.query(request, e=address)
        assert data == {"requestPasswordReset": {"userErrors": []}}
    recipients, message = inbox.wait(2)
    assert recipients == ["john@example.com"]
    token = token_of(message, "reset-password")
    reset = """mutation ($t: String!, $p: String!) {
        resetPassword(token: $t, newPassword: $p) { changed userErrors { code } } }"""
    changed = {"changed": True, "userErrors": []}
    assert service.query(reset, t=token, p="kingfisher kingfisher")["resetPassword"] == changed
    used = {"changed": False, "userErrors": [{"code": "INVALID_TOKEN"}]}
    assert service.query(reset, t=token, p="kingfisher kingfisher")["resetPassword"] == used
    login = """mutation ($p: String!) {
        login(input: {username: "john", password: $p}) { token userErrors { code } } }"""
    assert service.query(login, p=PASSWORD)["login"]["token"] is None
    assert service.query(login, p="kingfisher kingfisher")["login"]["token"]
    for secret in [token, "example.com", "kingfisher"]:
        assert secret not in service.log()


def test_a_temporary_rejection_is_followed_by_one_mail(start):
    start_server, start_service = start
    inbox = Inbox(["451 4.7.1 greylisted <john@example.com>"])
    service = start_service(f"smtp://127.0.0.1:{start_server(inbox)}")
    service.register("john")
    inbox.wait(1)
    assert inbox.attempts == 2
    log = service.log()
    assert "responded 451" in log and "will retry" in log and "example.com" not in log


def test_a_rejected_recipient_gets_no_further_attempt(start):
    start_server, start_service = start
    inbox = Inbox(["550 5.1.1 no such user <john@example.com>"])
    service = start_service(f"smtp://127.0.0.1:{start_server(inbox)}")
    service.register("john")
    deadline = time.monotonic() + MAIL_TIMEOUT
    while "gave up a mail" not in service.log():
        assert time.monotonic() < deadline, service.log()
        time.sleep(0.05)
    service.register("susan")
    recipients, _ = inbox.wait(1)
    assert recipients == ["susan@example.com"] and inbox.attempts == 2
    assert "example.com" not in service.log()


def test_user_and_password_of_the_url_authenticate(start):
    start_server, start_service = start

    def authenticate(server, session, envelope, mechanism, data):
        expected = LoginPassword(b"birds@example.org", b"p:w/d")
        return AuthResult(success=isinstance(data, LoginPassword) and data == expected)

    inbox = Inbox()
    port = start_server(
        inbox, authenticator=authenticate, auth_required=True, auth_require_tls=False
    )
    service = start_service(f"smtp://birds%40example.org:p%3Aw%2Fd@127.0.0.1:{port}")
    service.register("john")
    inbox.wait(1)
    assert "p:w/d" not in service.log() and "p%3Aw%2Fd" not in service.log()


def test_a_server_with_an_unknown_certificate_gets_no_mail(start, tmp_path):
    start_server, start_service = start
    names = ["-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
        + ["-addext", "subjectAltName=IP:127.0.0.1", *names],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    inbox = Inbox()
    port = start_server(inbox, tls_context=context, require_starttls=True)
    service = start_service(f"smtp://127.0.0.1:{port}?tls=required")
    service.register("john")
    deadline = time.monotonic() + MAIL_TIMEOUT
    while "could not send a mail" not in service.log():
        assert time.monotonic() < deadline, service.log()
        time.sleep(0.05)
    assert inbox.attempts == 0 and inbox.mails == []
