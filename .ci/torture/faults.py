"""Faults below the server: read-only, newer and damaged databases, and a full disk.

Each fault yields a clear error, and no acknowledged write is lost.
"""

import random
import shutil
import subprocess

from harness import (
    DOCTOR_OK,
    on_both_engines,
    sqlite_path,
    unprivileged,
    wait_until,
)
from writers import (
    ACKNOWLEDGED,
    OPTIONS,
    Writing,
    find_inconsistencies,
    register_writers,
    total_outcomes,
)

SEED = ("seed", "--users", "300", "--follows-per-user", "20", "--posts-per-user", "20")
SERVE = ("serve", "--listen", "127.0.0.1:0")
READ_ONLY = "cannot write the database"
NEWER_VERSION = "comes from a newer version"
FUTURE_MIGRATION = """INSERT INTO seaql_migrations (version, applied_at)
    VALUES ('m29990101_000001_to_come', 1)"""
PAGE_BYTES = 4096
REFUSAL = "the server exits with code 1 and a one-line error"


def check_refuses_to_start(harness, check, database, url, message, **popen_options):
    result = harness.run_command(*SERVE, url=url, timeout=20, **popen_options)
    one_line = result.stderr.startswith("error: ") and len(result.stderr.splitlines()) == 1
    refused = result.exit_code == 1 and not result.stdout and one_line and message in result.stderr
    figures = f"exit code {result.exit_code}, {result.stderr!r}"
    check(f"{database}: {REFUSAL}", refused, figures)


def test_read_only_file_is_refused_at_start(harness, database_url, check):
    harness.run_command(*SEED, url=database_url)
    file = sqlite_path(database_url)
    # Only the mode of the file itself prevents writes; its folder is writable.
    file.parent.chmod(0o777)
    file.chmod(0o444)
    check_refuses_to_start(
        harness, check, "read-only file", database_url, READ_ONLY, **unprivileged()
    )


@on_both_engines
def test_newer_database_is_refused(harness, database_url, check):
    harness.run_command("migrate", "up", url=database_url)
    harness.execute_sql(database_url, FUTURE_MIGRATION)
    check_refuses_to_start(
        harness, check, "database of a newer version", database_url, NEWER_VERSION
    )
    result = harness.run_command("doctor", url=database_url)
    refused = result.exit_code == 1 and NEWER_VERSION in result.stderr
    name = "database of a newer version: the doctor exits with code 1 and the same error"
    check(name, refused, f"exit code {result.exit_code}, {result.stderr!r}")


def test_damaged_pages_yield_errors_and_no_panic(harness, database_url, check):
    harness.run_command(*SEED, url=database_url)
    file, rng = sqlite_path(database_url), random.Random(1)
    intact = file.with_suffix(".intact")
    shutil.copy(file, intact)
    pages = file.stat().st_size // PAGE_BYTES
    for share in (0.3, 0.02):
        for sidecar in file.parent.glob("rookery.db-*"):
            sidecar.unlink()
        shutil.copy(intact, file)
        with open(file, "r+b") as content:
            for page in rng.sample(range(pages // 10, pages), int(pages * share)):
                content.seek(page * PAGE_BYTES)
                content.write(rng.randbytes(PAGE_BYTES))
        damage = f"{share:.0%} of the pages overwritten"
        result = harness.run_command("doctor", url=database_url)
        report = f"{result.stdout} {result.stderr}".strip()
        reported = "damaged" in report or "malformed" in report
        check(
            f"{damage}: the doctor exits with code 1, reports the damage and does not panic",
            result.exit_code == 1 and reported and "panicked" not in report,
            f"exit code {result.exit_code}, {report[:90]!r}",
        )
        query_damaged(harness, check, damage, database_url)


def query_damaged(harness, check, damage, url):
    selections = ("posts(first: 5) { nodes { body } }",)
    selections += ("followers(first: 9) { nodes { username } }",)
    documents = ["{ users { totalCount nodes { username followersCount } } }"]
    documents += ["{ posts { nodes { body } } }"]
    for letter in "abcdefghijklmnop":
        users = f'users(usernamePrefix: "{letter}")'
        documents += [f"{{ {users} {{ nodes {{ {part} }} }} }}" for part in selections]
    try:
        server = harness.start_server(url, *OPTIONS)
    except RuntimeError as error:
        clear = "error: " in str(error) and "panicked" not in str(error)
        name = f"{damage}: the server does not start and prints an error without a panic"
        check(name, clear, str(error)[-120:].strip())
        return
    responses = [server.query(document) for document in documents]
    codes = [response.code() for response in responses]
    figures = f"{codes.count(None)} of {len(codes)} without an error, "
    figures += f"{codes.count('INTERNAL')} INTERNAL"
    expected = set(codes) <= {None, "INTERNAL"}
    expected = expected and all(response.status in (200, 500) for response in responses)
    running = server.process.poll() is None and "panicked" not in server.log()
    name = f"{damage}: a query of damaged pages fails with INTERNAL and without a panic"
    check(name, expected and running, figures)
    words = (b"malformed", b"sqlite", b"SELECT")
    leaked = any(word in response.body for response in responses for word in words)
    logged = "malformed" in server.log()
    check(
        f"{damage}: the cause is in the log and not in the response",
        not leaked and logged == ("INTERNAL" in codes),
    )
    server.kill()


def test_full_disk_with_sqlite(harness, database_url, check):
    """The file size limit is 100 KB above the size of the WAL: the WAL reaches it first."""

    def limit(server):
        wal = sqlite_path(f"{database_url}-wal")
        return [server.process.pid], wal.stat().st_size + 100_000, {}

    check_full_disk(harness, check, database_url, limit)


def test_full_disk_with_postgres(harness, check):
    """The table of posts reaches the file size limit first: WAL segments have only 1 MB."""
    postgres = harness.start_postgres("--wal-segsize=1")
    url = harness.new_database("postgres", postgres.url)

    def limit(_):
        table = "SELECT pg_relation_filepath('post')"
        toast = "SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'post'"
        files = [postgres.folder / harness.query_rows(url, sql)[0][0] for sql in (toast, table)]
        # The limit is not a multiple of the page size. PostgreSQL reports a short write as a full
        # disk.
        limit_bytes = max(2 << 20, *(file.stat().st_size for file in files)) + 3000
        return postgres.process_ids(), limit_bytes, unprivileged()

    check_full_disk(harness, check, url, limit)
    postgres.kill()


def check_full_disk(harness, check, url, limit):
    """Simulates a full disk by RLIMIT_FSIZE.

    `limit(server)` returns the limited processes, the limit in bytes, and options of `subprocess`.
    """
    # Python ignores SIGXFSZ. With `restore_signals` the signal would kill the server instead.
    server = harness.start_server(url, *OPTIONS, restore_signals=False)
    writers = register_writers(server, 4, filler_bytes=3000)

    def acknowledged():
        return total_outcomes(writers)[ACKNOWLEDGED]

    def failed():
        return total_outcomes(writers).total() - acknowledged()

    with Writing(server, writers):
        wait_until(lambda: acknowledged() > 400, 20)
    before = acknowledged()
    processes, limit_bytes, popen_options = limit(server)
    limit_file_size(processes, limit_bytes, popen_options)
    with Writing(server, writers):
        wait_until(lambda: failed() > 40, 30)
        response = server.query("{ users { totalCount } }")
    outcomes = total_outcomes(writers)
    figures = f"{outcomes[ACKNOWLEDGED] - before} writes until the disk was full, {dict(outcomes)}"
    unavailable = set(outcomes) == {ACKNOWLEDGED, "UNAVAILABLE"}
    check("writes on a full disk fail with UNAVAILABLE", unavailable, figures)
    served = response.status == 200 and response.code() is None
    check("reads on a full disk succeed", served, f"{response.status}")
    limit_file_size(processes, "unlimited", popen_options)
    before = acknowledged()
    with Writing(server, writers):
        seconds = wait_until(lambda: acknowledged() > before + 20, 20)
    name = "writes succeed again once the disk has space"
    check(name, seconds is not None, f"after {seconds or 0:.1f} s")
    inconsistencies = find_inconsistencies(server, writers)
    server.kill()
    server = harness.start_server(url, *OPTIONS)
    inconsistencies += find_inconsistencies(server, writers)
    figures = f"{acknowledged()} acknowledged, {len(inconsistencies)} inconsistencies"
    name = "each acknowledged write exists exactly once, also after a kill and a restart"
    check(name, not inconsistencies, figures, inconsistencies[:10])
    report = harness.doctor_report(url)
    check("the doctor finds no problem", report == DOCTOR_OK, report)
    server.stop()


def limit_file_size(processes, limit_bytes, popen_options):
    for pid in processes:
        command = ["prlimit", f"--pid={pid}", f"--fsize={limit_bytes}:unlimited"]
        # A backend process that has already exited needs no limit.
        subprocess.run(command, check=False, capture_output=True, **popen_options)
