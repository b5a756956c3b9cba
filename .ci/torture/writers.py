"""People who post, follow and unfollow as fast as they can, and remember what they were told: what was acknowledged has to
be there, once; what was refused must not be; of what was never answered, either will do."""

import http.client
import random
import threading
import time
from collections import Counter

from service import Connection

# Whoever writes this much would run into limits that this is not about.
OPTIONS = ("--rate-network", "0", "--rate-user", "0", "--rate-attempts", "0", "--max-following", "0")
OPTIONS += ("--max-follows-a-day", "0", "--argon2-memory-kib", "8", "--argon2-iterations", "1")

REGISTER = """mutation ($name: String!, $email: String!) {
    register(input: {username: $name, email: $email, password: "correct horse battery"}) { token } }"""
POST = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id } userErrors { code } } }"
FOLLOW = "mutation ($name: String!) { %s(user: {username: $name}) { changed userErrors { code } } }"
POSTS = """query ($after: String) { viewer { user { postsCount posts(first: 100, after: $after) {
    totalCount nodes { id body } pageInfo { hasNextPage endCursor } } } } }"""
FOLLOWING = """query ($after: String) { viewer { user { followingCount following(first: 100, after: $after) {
    totalCount nodes { username } pageInfo { hasNextPage endCursor } } } } }"""
FOLLOWERS = """query ($name: String!) { user(by: {username: $name}) { followersCount followers(first: 100) {
    totalCount nodes { username } } } }"""

REFUSED = ("UNAVAILABLE", "TIMEOUT")


class Writer:
    def __init__(self, name, token, others, filler=0):
        self.name, self.token, self.others, self.random = name, token, others, random.Random(name)
        # What can not be stored in less.
        self.filler = self.random.randbytes(filler // 2).hex()
        self.posts, self.refused, self.unknown = {}, set(), set()
        # Whom they follow, or may follow.
        self.follows = {other: {False} for other in others}
        self.number, self.codes, self.surprises = 0, Counter(), []

    def work(self, server, end):
        """Until it is told to end, or the connection breaks and there is no other."""
        connection = Connection(server.address, self.token)
        while not end.is_set():
            try:
                self.act(connection)
            except (OSError, http.client.HTTPException, ValueError):
                self.codes["broken"] += 1
                connection.close()
                if server.process.poll() is not None:
                    return
                time.sleep(0.02)
        connection.close()

    def act(self, connection):
        if self.random.random() < 0.5:
            self.number += 1
            body = f"{self.name} {self.number} {self.filler}"
            self.unknown.add(body)
            outcome, payload = self.ask(connection, POST, {"body": body}, "createPost")
            if outcome != "unknown":
                self.unknown.discard(body)
            if outcome == "done":
                self.posts[body] = payload["post"]["id"]
            elif outcome == "refused":
                self.refused.add(body)
            return
        other = self.random.choice(self.others)
        wanted = self.random.random() < 0.6
        before = self.follows[other]
        self.follows[other] = before | {wanted}
        verb = "follow" if wanted else "unfollow"
        outcome, payload = self.ask(connection, FOLLOW % verb, {"name": other}, verb)
        if outcome == "done":
            self.follows[other] = {wanted}
            if len(before) == 1 and payload["changed"] != (before != {wanted}):
                self.surprises.append(f"{self.name}: {verb} {other} says changed: {payload['changed']} after {before}")
        elif outcome == "refused":
            self.follows[other] = before

    def ask(self, connection, document, variables, field):
        _, answer = connection.ask(document, variables)
        if "errors" in answer:
            code = answer["errors"][0]["extensions"]["code"]
            self.codes[code] += 1
            if code in REFUSED:
                time.sleep(0.02)
                return "refused", None
            return "unknown", None
        payload = answer["data"][field]
        if payload["userErrors"]:
            self.surprises.append(f"{self.name}: {payload['userErrors']}")
            return "refused", None
        self.codes["done"] += 1
        return "done", payload


def join(server, count, filler=0):
    """So many people with an account, who will follow each other."""
    names = [f"writer{n}" for n in range(count)]
    people = []
    for name in names:
        token = server.data(REGISTER, {"name": name, "email": f"{name}@example.com"})["register"]["token"]
        people.append(Writer(name, token, [other for other in names if other != name], filler))
    return people


class Work:
    """`with Work(...)`: meanwhile they write."""

    def __init__(self, server, people):
        self.end = threading.Event()
        self.threads = [threading.Thread(target=writer.work, args=(server, self.end)) for writer in people]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        for thread in self.threads:
            thread.join()


def whole(server, token, document, lists):
    """All entries of a list of the viewer's, and the counts that were told of it."""
    after, entries, counts = None, [], set()
    while True:
        user = server.data(document, {"after": after}, token)["viewer"]["user"]
        page = user[lists]
        entries += page["nodes"]
        counts |= {page["totalCount"], user[f"{lists}Count"]}
        if not page["pageInfo"]["hasNextPage"]:
            return entries, counts
        after = page["pageInfo"]["endCursor"]


def wrongs(server, people):
    """What is not as they were told."""
    found = []
    followers = Counter()
    for writer in people:
        found += writer.surprises
        posts, counts = whole(server, writer.token, POSTS, "posts")
        stored = Counter(post["body"] for post in posts)
        ids = {post["body"]: post["id"] for post in posts}
        if counts != {len(posts)}:
            found.append(f"{writer.name}: {counts} are told of {len(posts)} posts")
        found += [f"lost: {body[:40]}" for body in writer.posts if stored[body] == 0]
        found += [f"another id: {body[:40]}" for body, id in writer.posts.items() if ids.get(body, id) != id]
        found += [f"doubled: {body[:40]}" for body, count in stored.items() if count > 1]
        found += [f"refused, and there: {body[:40]}" for body in writer.refused if stored[body]]
        known = writer.posts.keys() | writer.unknown
        found += [f"never acknowledged: {body[:40]}" for body in stored if body not in known]
        names, counts = whole(server, writer.token, FOLLOWING, "following")
        followed = Counter(user["username"] for user in names)
        followers.update(followed)
        if counts != {len(names)}:
            found.append(f"{writer.name}: {counts} are told of {len(names)} followed")
        for other, states in writer.follows.items():
            if followed[other] not in states:
                found.append(f"{writer.name} follows {other} {followed[other]} times, expected one of {states}")
            # From here on it is known.
            writer.follows[other] = {followed[other] > 0}
        # Nor does that change any more.
        for body in list(writer.unknown):
            if stored[body]:
                writer.posts[body] = ids[body]
            else:
                writer.refused.add(body)
        writer.unknown.clear()
    for writer in people:
        user = server.data(FOLLOWERS, {"name": writer.name})["user"]
        told = {user["followersCount"], user["followers"]["totalCount"], len(user["followers"]["nodes"])}
        if told != {followers[writer.name]}:
            found.append(f"{writer.name}: {told} are told of {followers[writer.name]} followers")
    return found


def sums(people):
    return sum((writer.codes for writer in people), Counter())
