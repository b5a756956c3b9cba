"""Writers: clients that post, follow and unfollow concurrently, and verify the result.

Each writer records the outcome of its writes. An acknowledged write exists exactly once. A rejected
write does not exist. A write without a response may exist or not.
"""

import http.client
import random
import threading
import time
from collections import Counter

from service import KeepAliveConnection

# The rate of the writers is above the default limits, which are not under test here.
OPTIONS = ("--rate-limit-per-network", "0", "--rate-limit-per-user", "0", "--credential-attempts-per-minute", "0")
OPTIONS += ("--max-following", "0", "--max-follows-per-day", "0")
OPTIONS += ("--max-posts-per-day", "0", "--max-post-bytes-per-day", "0")
OPTIONS += ("--argon2-memory-kib", "8", "--argon2-iterations", "1")

REGISTER = """mutation ($name: String!, $email: String!) {
    register(input: {username: $name, email: $email, password: "correct horse battery"}) {
        token } }"""
POST = """mutation ($body: String!) {
    createPost(input: {body: $body}) { post { id } userErrors { code } } }"""
FOLLOW = """mutation ($name: String!) {
    %s(user: {username: $name}) { changed userErrors { code } } }"""
POSTS = """query ($after: String) { viewer { user { postsCount posts(first: 100, after: $after) {
    totalCount nodes { id body } pageInfo { hasNextPage endCursor } } } } }"""
FOLLOWING = """query ($after: String) { viewer { user {
    followingCount following(first: 100, after: $after) {
        totalCount nodes { username } pageInfo { hasNextPage endCursor } } } } }"""
FOLLOWERS = """query ($name: String!) { user(by: {username: $name}) {
    followersCount followers(first: 100) { totalCount nodes { username } } } }"""

# Codes of errors after which the write certainly does not exist.
REJECTED = ("UNAVAILABLE", "TIMEOUT")
RETRY_DELAY = 0.02
ACKNOWLEDGED, BROKEN = "acknowledged", "broken connection"


class Writer:
    def __init__(self, name, token, others, filler_bytes=0):
        self.name, self.token, self.others = name, token, others
        self.random = random.Random(name)
        # Random text: the database cannot compress it.
        self.filler = self.random.randbytes(filler_bytes // 2).hex()
        # Acknowledged posts (body to id), and the bodies of rejected and unanswered posts.
        self.posts, self.rejected, self.unanswered = {}, set(), set()
        # The possible states of each follow: {True}, {False}, or both after an unanswered write.
        self.follows = {other: {False} for other in others}
        self.number, self.outcomes, self.unexpected = 0, Counter(), []

    def work(self, server, stop):
        """Writes until `stop` is set, or until the server process has ended."""
        connection = KeepAliveConnection(server.address, self.token)
        while not stop.is_set():
            try:
                self.write(connection)
            except (OSError, http.client.HTTPException, ValueError):
                self.outcomes[BROKEN] += 1
                connection.close()
                if server.process.poll() is not None:
                    return
                time.sleep(RETRY_DELAY)
        connection.close()

    def write(self, connection):
        if self.random.random() < 0.5:
            self.create_post(connection)
        else:
            self.change_follow(connection)

    def create_post(self, connection):
        self.number += 1
        body = f"{self.name} {self.number} {self.filler}"
        self.unanswered.add(body)
        outcome, payload = self.send(connection, POST, {"body": body}, "createPost")
        if outcome != "unknown":
            self.unanswered.discard(body)
        if outcome == "acknowledged":
            self.posts[body] = payload["post"]["id"]
        elif outcome == "rejected":
            self.rejected.add(body)

    def change_follow(self, connection):
        other = self.random.choice(self.others)
        follow = self.random.random() < 0.6
        before = self.follows[other]
        self.follows[other] = before | {follow}
        verb = "follow" if follow else "unfollow"
        outcome, payload = self.send(connection, FOLLOW % verb, {"name": other}, verb)
        if outcome == "acknowledged":
            self.follows[other] = {follow}
            changed = payload["changed"]
            if len(before) == 1 and changed != (before != {follow}):
                problem = f"{self.name}: {verb} {other} returned changed: {changed} after {before}"
                self.unexpected.append(problem)
        elif outcome == "rejected":
            self.follows[other] = before

    def send(self, connection, document, variables, field):
        """Returns the outcome (acknowledged, rejected, unknown) and the payload of the field."""
        _, body = connection.query(document, variables)
        if "errors" in body:
            code = body["errors"][0]["extensions"]["code"]
            self.outcomes[code] += 1
            if code in REJECTED:
                time.sleep(RETRY_DELAY)
                return "rejected", None
            return "unknown", None
        payload = body["data"][field]
        if payload["userErrors"]:
            self.unexpected.append(f"{self.name}: {payload['userErrors']}")
            return "rejected", None
        self.outcomes[ACKNOWLEDGED] += 1
        return "acknowledged", payload


def register_writers(server, count, filler_bytes=0):
    """Registers writers, which will follow each other."""
    names = [f"writer{n}" for n in range(count)]
    writers = []
    for name in names:
        variables = {"name": name, "email": f"{name}@example.com"}
        token = server.data(REGISTER, variables)["register"]["token"]
        others = [other for other in names if other != name]
        writers.append(Writer(name, token, others, filler_bytes))
    return writers


class Writing:
    """Context manager: the writers write concurrently inside the `with` block."""

    def __init__(self, server, writers):
        self.stop = threading.Event()
        self.threads = [
            threading.Thread(target=writer.work, args=(server, self.stop)) for writer in writers
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def total_outcomes(writers):
    return sum((writer.outcomes for writer in writers), Counter())


def all_pages(server, token, document, field):
    """All nodes of a connection of the viewer, and the set of its reported counts."""
    after, nodes, counts = None, [], set()
    while True:
        user = server.data(document, {"after": after}, token)["viewer"]["user"]
        page = user[field]
        nodes += page["nodes"]
        counts |= {page["totalCount"], user[f"{field}Count"]}
        if not page["pageInfo"]["hasNextPage"]:
            return nodes, counts
        after = page["pageInfo"]["endCursor"]


def find_inconsistencies(server, writers):
    """Differences between the recorded outcomes and the data of the server."""
    problems, followers = [], Counter()
    for writer in writers:
        problems += writer.unexpected
        problems += find_wrong_posts(server, writer)
        problems += find_wrong_follows(server, writer, followers)
    for writer in writers:
        user = server.data(FOLLOWERS, {"name": writer.name})["user"]
        connection = user["followers"]
        counts = {user["followersCount"], connection["totalCount"], len(connection["nodes"])}
        if counts != {followers[writer.name]}:
            expected = followers[writer.name]
            problems.append(f"{writer.name}: counts {counts} for {expected} followers")
    return problems


def find_wrong_posts(server, writer):
    posts, counts = all_pages(server, writer.token, POSTS, "posts")
    stored = Counter(post["body"] for post in posts)
    ids = {post["body"]: post["id"] for post in posts}
    known = writer.posts.keys() | writer.unanswered
    problems = []
    if counts != {len(posts)}:
        problems.append(f"{writer.name}: counts {counts} for {len(posts)} posts")
    problems += [f"lost: {body[:40]}" for body in writer.posts if stored[body] == 0]
    problems += [
        f"changed id: {body[:40]}" for body, id in writer.posts.items() if ids.get(body, id) != id
    ]
    problems += [f"duplicate: {body[:40]}" for body, count in stored.items() if count > 1]
    problems += [f"rejected but stored: {body[:40]}" for body in writer.rejected if stored[body]]
    problems += [f"never acknowledged: {body[:40]}" for body in stored if body not in known]
    # The outcome of an unanswered post is known now and must not change again.
    for body in writer.unanswered:
        if stored[body]:
            writer.posts[body] = ids[body]
        else:
            writer.rejected.add(body)
    writer.unanswered.clear()
    return problems


def find_wrong_follows(server, writer, followers):
    """Also adds the followed users of the writer to the counter `followers`."""
    users, counts = all_pages(server, writer.token, FOLLOWING, "following")
    followed = Counter(user["username"] for user in users)
    followers.update(followed)
    problems = []
    if counts != {len(users)}:
        problems.append(f"{writer.name}: counts {counts} for {len(users)} followed users")
    for other, states in writer.follows.items():
        if followed[other] not in states:
            problem = f"{writer.name} follows {other} {followed[other]} times"
            problems.append(f"{problem}, expected one of {states}")
        # The outcome of an unanswered follow is known now.
        writer.follows[other] = {followed[other] > 0}
    return problems
