"""A social graph with expensive timelines: users who follow very many users without posts.

The owners are u100, u101 and so on, the first users by name. All of them follow the same inactive
users, and `WRITER`, who has no post yet. `READER` is an honest client, who follows `WRITER` and the
authors of all posts.
"""

import json
from concurrent.futures import ThreadPoolExecutor

OWNERS = 150
INACTIVE = 2500
POSTS = 2500
WRITER, READER = "u900001", "u900002"
FIRST_OWNER, FIRST_INACTIVE, FIRST_AUTHOR = 100, 200_000, 800_000

TIMELINE = "{ viewer { user { timeline(first: 20) { nodes { body author { username } } } } } }"
TIMELINE_CURSORS = """query ($by: UserBy!) { user(by: $by) {
    newest: timeline(first: 1) { edges { cursor } } oldest: timeline(last: 1) { edges { cursor } }
} }"""


def import_graph(harness, url, authors=50):
    """Imports users, follows and posts into an empty database."""
    writer, reader = WRITER[1:], READER[1:]
    edges, posts = harness.new_path("edges"), harness.new_path("posts")
    inactive = range(FIRST_INACTIVE, FIRST_INACTIVE + INACTIVE)
    with open(edges, "w", encoding="ascii") as file:
        followed = (writer, *range(FIRST_AUTHOR, FIRST_AUTHOR + authors))
        file.writelines(f"{reader} {author}\n" for author in followed)
        for follower in range(FIRST_OWNER, FIRST_OWNER + OWNERS):
            file.writelines(f"{follower} {followed}\n" for followed in (writer, *inactive))
    with open(posts, "w", encoding="utf-8") as file:
        for n in range(POSTS):
            created_at = f"2026-01-01T00:{n // 60:02}:{n % 60:02}Z"
            author = f"u{FIRST_AUTHOR + n % authors}"
            post = {"author": author, "body": "x" * 100, "createdAt": created_at}
            file.write(json.dumps(post) + "\n")
    for kind, path in (("follows", edges), ("posts", posts)):
        result = harness.run_command("import", kind, path, url=url)
        if result.exit_code != 0:
            raise RuntimeError(result.stderr)


def owner_tokens(harness, url, count):
    """Tokens of so many owners."""
    names = [f"u{FIRST_OWNER + n}" for n in range(count)]
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda name: harness.create_token(url, name), names))


def timeline_cursors(server):
    """The cursors of the newest and of the oldest post, for any timeline."""
    user = server.data(TIMELINE_CURSORS, {"by": {"username": READER}})["user"]
    return user["newest"]["edges"][0]["cursor"], user["oldest"]["edges"][0]["cursor"]
