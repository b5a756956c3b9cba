"""Requests that a generator makes up from the schema: whatever it asks, no answer is a mistake of the service."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
OPTIONS = ("--demo", "--rate-network", "0", "--rate-user", "0", "--rate-attempts", "0", "--max-following", "0")
OPTIONS += ("--argon2-memory-kib", "8", "--argon2-iterations", "1")
# The token is to stay good.
ENDS = "Mutation.logout"

THINGS = """{ viewer { user { id username timeline { streamCursor edges { cursor node { id } } } } sessions { id isCurrent } }
    users(first: 30) { edges { cursor } nodes { id username } } posts(first: 30) { edges { cursor node { id } } } }"""


def tool(ground):
    """Kept beside the binary's build, for the next time."""
    folder = HERE.parent.parent / "target" / "torture"
    program = folder / "bin" / "schemathesis"
    wanted = (HERE / "requirements.txt").read_text().strip()
    pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    if program.exists() and wanted in subprocess.run([*pip, "freeze"], capture_output=True, text=True).stdout.split():
        return program
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    subprocess.run([*pip, "install", "-q", "-r", HERE / "requirements.txt"], check=True, timeout=300)
    return program


def leaves(value):
    """All texts in an answer."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from leaves(one)
    elif isinstance(value, str):
        yield value


def run(ground):
    program = tool(ground)
    for signed_in in (True, False):
        for url in (ground.sqlite(), ground.database()):
            fuzz(ground, program, url, signed_in)


def fuzz(ground, program, url, signed_in):
    engine = url.split(":")[0]
    folder = ground.path("fuzz")
    folder.mkdir()
    server = ground.serve(url, *OPTIONS)
    token = ground.token(url, "john")
    # Another session, to be ended.
    ground.token(url, "john")
    things = server.data(THINGS, token=token)
    sessions = things["viewer"].pop("sessions")
    known = sorted({*leaves(things), *(session["id"] for session in sessions if not session["isCurrent"])})
    schema, seen, config = folder / "schema.graphql", folder / "seen", folder / "schemathesis.toml"
    schema.write_text(ground.run("schema")[1])
    seen.touch()
    # What is there, among what is made up.
    config.write_text(f"""[dictionaries.known]
values = {json.dumps(known)}
[dictionaries.sizes]
values = [1, 2, 20, 100]
[generation.dictionaries]
integer = {{ dictionary = "sizes", probability = 0.7 }}
string = {{ dictionary = "known", probability = 0.5 }}
""")
    options = ["--checks=nothing_went_wrong", "--continue-on-failure", "--no-color", "--generation-database=none"]
    options += ["--max-examples=500", "--max-time=150"] if ground.long else ["--max-examples=30"]
    options += ["--suppress-health-check=all", "--request-timeout=15"]
    if signed_in:
        options += ["-H", f"Authorization: Bearer {token}", "--exclude-name", ENDS]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"SCHEMATHESIS_HOOKS": "hooks", "TORTURE_SEEN": str(seen), "TORTURE_SCHEMA": str(schema)}
    address = f"http://{server.address[0]}:{server.address[1]}/graphql"
    command = [program, "--config-file", config, "run", address, *options]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, timeout=400)
    answers = [json.loads(line) for line in seen.read_text().splitlines()]
    statuses = Counter(answer[0] for answer in answers)
    codes = Counter(code for answer in answers for code in answer[1:])
    who = "signed in" if signed_in else "not signed in"
    internal = server.errors("INTERNAL")
    right = ended.returncode == 0 and len(answers) > 100 and not internal and not server.mistakes() and 401 not in statuses
    if not right:
        print("\n".join(f"  {line}" for line in (ended.stdout + ended.stderr).splitlines()[-80:]))
        print("\n".join(f"  {line}" for line in server.mistakes()[:5]))
    told = f"{len(answers)} requests; statuses {dict(statuses)}; {dict(codes)}; {internal} INTERNAL"
    ground.check(f"{engine}, {who}: every answer is right", right, told)
    report = ground.doctor(url)
    ground.check(f"{engine}, {who}: the doctor finds nothing", report == "all is well", report)
    server.stop()
