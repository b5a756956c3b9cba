"""Fuzzing: schemathesis generates requests from the schema.

Each response conforms to the schema, and no request causes an error of the server.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from harness import DOCTOR_OK, on_both_engines

HERE = Path(__file__).parent
# `run` installs schemathesis into the environment of this Python.
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
OPTIONS = ("--demo", "--rate-limit-per-network", "0", "--rate-limit-per-user", "0", "--credential-attempts-per-minute", "0")
OPTIONS += ("--max-following", "0", "--argon2-memory-kib", "8", "--argon2-iterations", "1")
# This mutation would revoke the token of the following requests.
EXCLUDED = "Mutation.logout"
MIN_RESPONSES = 100

KNOWN_VALUES = """{ viewer { sessions { id isCurrent }
        user { id username timeline { streamCursor edges { cursor node { id } } } } }
    users(first: 30) { edges { cursor } nodes { id username } }
    posts(first: 30) { edges { cursor node { id } } } }"""


def strings_in(value):
    """All strings in a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from strings_in(item)
    elif isinstance(value, str):
        yield value


def configuration(known):
    """The configuration of schemathesis: half of the generated strings are known values."""
    return f"""[dictionaries.known]
values = {json.dumps(known)}
[dictionaries.sizes]
values = [1, 2, 20, 100]
[generation.dictionaries]
integer = {{ dictionary = "sizes", probability = 0.7 }}
string = {{ dictionary = "known", probability = 0.5 }}
"""


def run_schemathesis(folder, server, schema, known, options):
    """Returns the completed process, and the status and error codes of each response."""
    schema_file, response_log = folder / "schema.graphql", folder / "responses"
    config_file = folder / "schemathesis.toml"
    schema_file.write_text(schema)
    response_log.touch()
    config_file.write_text(configuration(known))
    url = f"http://{server.address[0]}:{server.address[1]}/graphql"
    command = [SCHEMATHESIS, "--config-file", config_file, "run", url, *options]
    command += ["--checks=response_conforms", "--continue-on-failure", "--no-color"]
    command += ["--generation-database=none", "--suppress-health-check=all", "--request-timeout=15"]
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SCHEMATHESIS_HOOKS": "fault_hooks",
        "TORTURE_RESPONSES": str(response_log),
        "TORTURE_SCHEMA": str(schema_file),
    }
    completed = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=400,
    )
    return completed, [json.loads(line) for line in response_log.read_text().splitlines()]


@on_both_engines
@pytest.mark.parametrize("signed_in", [True, False], ids=["signed_in", "anonymous"])
@pytest.mark.server_options(*OPTIONS)
def test_generated_requests_get_conforming_responses(harness, server, check, signed_in):
    url = server.database_url
    token = harness.create_token(url, "john")
    # A second session, which a generated request may end.
    harness.create_token(url, "john")
    values = server.data(KNOWN_VALUES, token=token)
    sessions = values["viewer"].pop("sessions")
    other_sessions = [session["id"] for session in sessions if not session["isCurrent"]]
    known = sorted({*strings_in(values), *other_sessions})
    options = ["--max-examples=30"]
    if harness.long:
        options = ["--max-examples=500", "--max-time=150"]
    if signed_in:
        options += ["-H", f"Authorization: Bearer {token}", "--exclude-name", EXCLUDED]
    folder = harness.new_path("fuzz")
    folder.mkdir()
    schema = harness.run_command("schema").stdout
    completed, responses = run_schemathesis(folder, server, schema, known, options)

    statuses = Counter(response[0] for response in responses)
    codes = Counter(code for response in responses for code in response[1:])
    internal, error_lines = server.error_count("INTERNAL"), server.error_lines()
    conform = completed.returncode == 0 and len(responses) > MIN_RESPONSES
    conform = conform and not internal and not error_lines and 401 not in statuses
    figures = f"{len(responses)} requests; statuses {dict(statuses)}; {dict(codes)}; "
    figures += f"{internal} INTERNAL"
    details = (completed.stdout + completed.stderr).splitlines()[-80:] + error_lines[:5]
    name = "each response to a generated request conforms to the schema and is no server error"
    check(name, conform, figures, details)
    report = harness.doctor_report(url)
    check("the doctor finds no problem", report == DOCTOR_OK, report)
    server.stop()
