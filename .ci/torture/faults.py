"""Faults of what is under the service: each is told in clear words, and nothing that was acknowledged is lost."""

import random
import shutil
import subprocess

import clock
from ground import as_nobody, file_of, wait_for
from writers import OPTIONS, Work, join, sums, wrongs

SEED = ("seed", "--users", "300", "--follows-per-user", "20", "--posts-per-user", "20")
SERVE = ("serve", "--listen", "127.0.0.1:0")


def run(ground):
    read_only(ground)
    newer(ground)
    damaged(ground)
    full(ground, ground.sqlite())
    cluster = ground.cluster("--wal-segsize=1")
    full(ground, ground.database(cluster.url), cluster)
    cluster.kill()
    clock.run(ground)


def refused(ground, what, url, words, **more):
    code, printed, complaint = ground.run(*SERVE, url=url, seconds=20, **more)
    one_line = complaint.startswith("error: ") and len(complaint.splitlines()) == 1
    right = code == 1 and not printed and one_line and words in complaint
    return ground.check(f"{what}: it does not start, and says why", right, f"exit code {code}, {complaint!r}")


def read_only(ground):
    url = ground.sqlite()
    ground.run(*SEED, url=url)
    file = file_of(url)
    # Others may write beside it, so nothing but the file is in the way.
    file.parent.chmod(0o777)
    file.chmod(0o444)
    refused(ground, "a file that cannot be written", url, "cannot write the database", **as_nobody())


def newer(ground):
    for url in (ground.sqlite(), ground.database()):
        ground.run("migrate", "up", url=url)
        to_come = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_to_come', 1)"
        ground.change(url, to_come)
        refused(ground, f"{url.split(':')[0]}: a newer version's database", url, "comes from a newer version")
        code, _, complaint = ground.run("doctor", url=url)
        right = code == 1 and "comes from a newer version" in complaint
        ground.check(f"{url.split(':')[0]}: nor does the doctor look at it", right)


def damaged(ground):
    """Some pages in the middle of the file hold anything."""
    url = ground.sqlite()
    ground.run(*SEED, url=url)
    file, chance = file_of(url), random.Random(1)
    whole = file.with_suffix(".whole")
    shutil.copy(file, whole)
    pages = file.stat().st_size // 4096
    for share, what in ((0.3, "a third of the pages damaged"), (0.02, "a fiftieth of the pages damaged")):
        for beside in file.parent.glob("rookery.db-*"):
            beside.unlink()
        shutil.copy(whole, file)
        with open(file, "r+b") as content:
            for page in chance.sample(range(pages // 10, pages), int(pages * share)):
                content.seek(page * 4096)
                content.write(chance.randbytes(4096))
        code, printed, complaint = ground.run("doctor", url=url)
        told = f"{printed} {complaint}".strip()
        right = code == 1 and ("damaged" in told or "malformed" in told) and "panicked" not in told
        ground.check(f"{what}: the doctor says so", right, f"exit code {code}, {told[:90]!r}")
        ask_damaged(ground, what, url)


def ask_damaged(ground, what, url):
    parts = ("posts(first: 5) { nodes { body } }", "followers(first: 9) { nodes { username } }")
    documents = ["{ users { totalCount nodes { username followersCount } } }", "{ posts { nodes { body } } }"]
    for letter in "abcdefghijklmnop":
        documents += [f'{{ users(usernamePrefix: "{letter}") {{ nodes {{ {part} }} }} }}' for part in parts]
    try:
        server = ground.serve(url, *OPTIONS)
    except RuntimeError as error:
        clear = "error: " in str(error) and "panicked" not in str(error)
        ground.check(f"{what}: it does not start, and says why", clear, str(error)[-120:].strip())
        return
    answers = [server.ask(document) for document in documents]
    codes = [answer.code() for answer in answers]
    told = f"{codes.count(None)} of {len(codes)} answered, {codes.count('INTERNAL')} INTERNAL"
    right = set(codes) <= {None, "INTERNAL"} and all(answer.status in (200, 500) for answer in answers)
    right = right and server.process.poll() is None and "panicked" not in server.log()
    ground.check(f"{what}: what cannot be read is an error, and no panic", right, told)
    shown = any(word in answer.body for answer in answers for word in (b"malformed", b"sqlite", b"SELECT"))
    logged = "malformed" in server.log()
    ground.check(f"{what}: the log says why, the client is not told", not shown and logged == ("INTERNAL" in codes))
    server.kill()


def full(ground, url, cluster=None):
    """Files may not grow beyond a size: what a full disk is like. SQLite's log is full at once; on PostgreSQL,
    where the log is made of files of a megabyte, the posts are."""
    engine = url.split(":")[0]
    # Python would have a signal end the service, which a full disk does not.
    server = ground.serve(url, *OPTIONS, restore_signals=False)
    people = join(server, 4, filler=3000)
    with Work(server, people):
        wait_for(lambda: sums(people)["done"] > 400, 20)
    acknowledged = sums(people)["done"]
    if cluster:
        texts = "SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'post'"
        files = [cluster.folder / ground.rows(url, sql)[0][0] for sql in (texts, "SELECT pg_relation_filepath('post')")]
        # Not a whole number of pages: a write that is cut off is told as a full disk.
        most = max(2 << 20, *(file.stat().st_size for file in files)) + 3000
        limited, owner = cluster.processes(), as_nobody()
    else:
        most = file_of(f"{url}-wal").stat().st_size + 100_000
        limited, owner = [server.process.pid], {}
    limit_files(limited, most, owner)
    with Work(server, people):
        wait_for(lambda: sums(people).total() > sums(people)["done"] + 40, 30)
        read = server.ask("{ users { totalCount } }")
    codes = sums(people)
    told = f"{codes['done'] - acknowledged} more were written, then {dict(codes)}"
    ground.check(f"{engine}: a full disk is UNAVAILABLE", set(codes) == {"done", "UNAVAILABLE"}, told)
    ground.check(f"{engine}: meanwhile it reads", read.status == 200 and read.code() is None, f"{read.status}")
    limit_files(limited, "unlimited", owner)
    before = sums(people)["done"]
    with Work(server, people):
        again = wait_for(lambda: sums(people)["done"] > before + 20, 20)
    ground.check(f"{engine}: with room again, it writes again", again is not None, f"after {again or 0:.1f} s")
    found = wrongs(server, people)
    server.kill()
    server = ground.serve(url, *OPTIONS)
    found += wrongs(server, people)
    for one in found[:10]:
        print(f"  {one}")
    told = f"{sums(people)['done']} acknowledged, {len(found)} wrong"
    ground.check(f"{engine}: nothing that was acknowledged is lost", not found, told)
    report = ground.doctor(url)
    ground.check(f"{engine}: the doctor finds nothing", report == "all is well", report)
    server.stop()


def limit_files(processes, most, owner):
    for pid in processes:
        command = ["prlimit", f"--pid={pid}", f"--fsize={most}:unlimited"]
        # One that is gone by then needs no limit.
        subprocess.run(command, check=False, capture_output=True, **owner)
