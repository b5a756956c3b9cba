"""The delay of other writers while a post with many likes, or an account, is deleted."""

import threading
import time
from contextlib import closing

import client
import graph
from figures import maximum, median, percentile
from traffic import WrongResponse

TITLE = "Delay of writers during a deletion"
COLUMNS = ["deletion", "seconds", "requests", "writer", "writes", "median ms", "p99 ms",
           "maximum ms", "without it: writes", "median ms", "p99 ms", "maximum ms"]
NOTES = """\
The writers send createPost, one after the other on a connection of their own. Both write during the
deletion, and before it for comparison. The target is a delay of at most 1 s. `requests`: a deletion
that takes longer than the timeout of a request is sent again until it is done."""

CREATE = """mutation ($body: String!) {
    createPost(input: {body: $body}) { post { id } userErrors { code } } }"""
DELETE_POST = "mutation ($id: ID!) { deletePost(id: $id) { changed userErrors { code } } }"
DELETE_ACCOUNT = """mutation ($password: String!) {
    deleteAccount(input: {password: $password}) { changed userErrors { code } } }"""
# Codes after which a client sends the deletion again.
UNFINISHED = {"OUTCOME_UNKNOWN", "TIMEOUT", "UNAVAILABLE"}
MAX_REQUESTS = 100
PAUSE = 0.5  # seconds between the writes before the deletion and the deletion


def measure(bench):
    yield from delete_post(bench)
    yield from delete_account(bench)


def delete_post(bench):
    author, stranger = graph.users(bench.database, 2, order="id DESC")
    # Users with small ids like the post.
    liker = graph.users(bench.database, 1)[0]
    tokens = graph.sign_in(bench.database, [author, stranger, liker])
    post = client.query(bench.port, CREATE, {"body": "Many like this."}, tokens[author])
    post = post["createPost"]["post"]["id"]
    likes = bench.sizes.deleted
    graph.add_likes(bench.database, graph.row_id(post), author, likes)
    liked = f'"like" WHERE post_id = {graph.row_id(post)}'
    check_count(bench, liked, likes)
    bench.note(f"a post with {likes:,} likes")
    writers = {"a user who likes the post": tokens[liker], "another user": tokens[stranger]}
    request = client.encode(DELETE_POST, {"id": post}, tokens[author])
    yield from rows(bench, f"a post with {likes:,} likes", request, writers)
    check_count(bench, liked, 0)
    check_count(bench, f"post WHERE id = {graph.row_id(post)}", 0)


def delete_account(bench):
    name = f"bench_{time.time_ns() // 1_000_000}"
    token = graph.register(bench.port, name)
    account = int(bench.database.query(f"SELECT id FROM \"user\" WHERE username = '{name}'")[0])
    follower, stranger = (graph.users(bench.database, 1, f"id <> {account}", order)[0]
                          for order in ("id", "id DESC"))
    tokens = graph.sign_in(bench.database, [follower, stranger])
    follows = bench.sizes.deleted
    graph.add_follows(bench.database, account, follows)
    both_sides = f"follow WHERE {account} IN (follower_id, followed_id)"
    check_count(bench, both_sides, follows)
    bench.note(f"an account with {follows:,} follows")
    writers = {"a follower": tokens[follower], "another user": tokens[stranger]}
    request = client.encode(DELETE_ACCOUNT, {"password": graph.PASSWORD}, token)
    yield from rows(bench, f"an account with {follows:,} follows", request, writers)
    check_count(bench, both_sides, 0)
    check_count(bench, f'"user" WHERE id = {account}', 0)


def check_count(bench, rows, expected):
    count = int(bench.database.query(f"SELECT count(*) FROM {rows}")[0])
    if count != expected:
        raise WrongResponse(f"{count} rows instead of {expected}: {rows}")


def rows(bench, name, request, writers):
    before, _, _ = write(bench, writers, lambda: time.sleep(bench.sizes.seconds))
    time.sleep(PAUSE)
    during, seconds, requests = write(bench, writers, lambda: delete(bench, request))
    for writer in writers:
        yield [name, f"{seconds:.1f}", str(requests), writer,
               *figures(during[writer]), *figures(before[writer])]


def figures(writes):
    """The cells of the writes that began during an action. A short deletion may have none."""
    times, failures = writes
    count = f"{len(times):,}" + (f" ({failures} failed)" if failures else "")
    if not times:
        return [count, "–", "–", "–"]
    return [count, median(times), percentile(times, 99), maximum(times)]


def delete(bench, request):
    """Deletes, with as many requests as it needs. Returns their number."""
    with closing(client.Connection(bench.port)) as connection:
        for number in range(1, MAX_REQUESTS + 1):
            _, body = connection.timed(request)
            try:
                client.data(body)
                return number
            except client.Failed as error:
                if error.code not in UNFINISHED:
                    raise
    raise WrongResponse(f"the deletion was not done after {MAX_REQUESTS} requests")


def write(bench, tokens, action):
    """Runs the action while the writers write.

    Returns the writes that began meanwhile by writer, the seconds of the action and its result.
    """
    writers = {name: Writer(bench.port, token) for name, token in tokens.items()}
    for writer in writers.values():
        writer.start()
    try:
        time.sleep(PAUSE)
        started = time.perf_counter()
        result = action()
        ended = time.perf_counter()
    finally:
        for writer in writers.values():
            writer.stop.set()
        for writer in writers.values():
            writer.join()
    writes = {name: writer.between(started, ended) for name, writer in writers.items()}
    return writes, ended - started, result


class Writer(threading.Thread):
    """A client that creates one post after the other."""

    def __init__(self, port, token):
        super().__init__(daemon=True)
        self.connection, self.stop = client.Connection(port), threading.Event()
        self.request = client.encode(CREATE, {"body": "A small write."}, token)
        # The start and the seconds of each write, and whether it failed.
        self.writes, self.exception = [], None

    def run(self):
        try:
            while not self.stop.is_set():
                started = time.perf_counter()
                seconds, body = self.connection.timed(self.request)
                self.writes.append((started, seconds, has_failed(body)))
        except Exception as exception:
            self.exception = exception
        finally:
            self.connection.close()

    def between(self, started, ended):
        """The seconds of the writes that began between two times, and the number that failed."""
        if self.exception:
            raise WrongResponse(f"a writer ended: {self.exception}") from self.exception
        writes = [write for write in self.writes if started <= write[0] <= ended]
        return [seconds for _, seconds, _ in writes], sum(failed for _, _, failed in writes)


def has_failed(body):
    try:
        client.data(body)
        return False
    except client.Failed:
        return True
