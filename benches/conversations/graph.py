"""The graph: seeded once, with words to search for. Rows that a measurement adds by SQL."""

import base64
import datetime
import hashlib
import json
import sqlite3
import struct
import subprocess
import tempfile
import time
from contextlib import closing

import client
import data
from report import note

# Words of posts that are added to the seeded ones, which use the words of "lorem ipsum" only.
RARE, UNCOMMON = "quokka", "numbat"
RARE_POSTS = 25
POSTS_PER_UNCOMMON = 1_000
PASSWORD = "correct horse battery"
REGISTER = """mutation ($name: String!, $email: String!, $password: String!) {
    register(input: {username: $name, email: $email, password: $password}) {
        token userErrors { code message } } }"""
LIKE, FOLLOW = 3, 0  # kinds of notifications
# The largest part of the follows of an account that are follows by the account.
MAX_FOLLOWING = 10_000
TIMESTAMP_BITS = 21  # bits of an id below its milliseconds
TIMEOUT = 60  # seconds that a statement waits for the writes of the server


def prepare(database, rookery, sizes):
    """Seeds the database if it does not exist."""
    data.FOLDER.mkdir(parents=True, exist_ok=True)
    if not database.exists():
        note(f"seeding {database.name} on {database.engine}")
        database.create(lambda url: seed(rookery, url, sizes))


def seed(rookery, url, sizes):
    options = {"users": sizes.users, "follows-per-user": sizes.follows_per_user,
               "posts-per-user": sizes.posts_per_user, "reposts-per-100-posts": 30,
               "replies-percent": 30, "protected-percent": 3, "likes-per-post": 0,
               "blocks-per-100-users": 0, "requests-per-100-users": 0, "mutes-per-100-users": 0,
               "rng-seed": 1}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    run(rookery, url, "seed", *words)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps(post) + "\n" for post in posts_to_find(url, sizes))
        file.flush()
        run(rookery, url, "import", "posts", file.name)


def run(rookery, url, *arguments):
    command = [rookery, *arguments, "--database-url", url]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def posts_to_find(url, sizes):
    """Posts with the rare and the uncommon word, evenly distributed over the last year."""
    names = 'SELECT username FROM "user" WHERE NOT is_protected ORDER BY id LIMIT 1000'
    names = query(url, names)
    now, year = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=365)
    uncommon = sizes.users * sizes.posts_per_user // POSTS_PER_UNCOMMON
    for word, count in ((RARE, RARE_POSTS), (UNCOMMON, uncommon)):
        for n in range(count):
            created_at = now - year * ((n + 0.5) / count)
            yield {"author": names[n % len(names)], "createdAt": created_at.isoformat(),
                   "body": f"Number {n}: the {word} sleeps in the shade of a tree."}


def query(url, sql):
    """The first column of the rows, as text."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite://"))) as connection:
            return [str(row[0]) for row in connection.execute(sql)]
    return data.psql(url, sql)


def execute(database, sql):
    """Executes statements. Only those that change no indexed text: see `search_index.rs`."""
    if database.engine == "sqlite":
        with closing(sqlite3.connect(database.path, timeout=TIMEOUT)) as connection:
            connection.executescript(f"BEGIN IMMEDIATE; {sql}; COMMIT")
    else:
        psql(database.url, f"BEGIN; {sql}; COMMIT")


def psql(url, sql):
    """The output of psql for statements of any length."""
    command = ["psql", url, "-XAtq", "-v", "ON_ERROR_STOP=1"]
    return subprocess.run(command, check=True, input=sql, stdout=subprocess.PIPE, text=True).stdout


def settle(database, *tables):
    """What autovacuum and checkpoints would do after many writes, before a measurement."""
    if database.engine == "postgres":
        for table in tables:
            database.query(f'VACUUM (ANALYZE) "{table}"')
        database.query("CHECKPOINT")
    else:
        database.query("PRAGMA wal_checkpoint(PASSIVE)")


def users(database, count, condition="true", order="id"):
    """Ids of users who are not protected."""
    sql = f"""SELECT id FROM "user" WHERE NOT is_protected AND {condition}
        ORDER BY {order} LIMIT {count}"""
    return [int(user) for user in database.query(sql)]


def newest_posts(database, authors):
    """The newest post of each of the authors who have posts, by author."""
    listed = ", ".join(map(str, authors))
    pair = "author_id || ' ' || max(id)"
    sql = f"SELECT {pair} FROM post WHERE author_id IN ({listed}) GROUP BY author_id"
    found = {}
    for line in database.query(sql):
        author, post = map(int, line.split())
        found[author] = post
    return found


def username(database, user):
    return database.query(f'SELECT username FROM "user" WHERE id = {user}')[0]


def sign_in(database, users):
    """The bearer tokens of users, by id. Adds the sessions."""
    now = datetime.datetime.now(datetime.timezone.utc)
    at = lambda days: f"'{now + datetime.timedelta(days=days):%Y-%m-%d %H:%M:%S}+00:00'"
    blob = "X'{}'" if database.engine == "sqlite" else "'\\x{}'::bytea"
    tokens, rows = {}, []
    for user in users:
        tokens[user] = token = token_of(user)
        digest = blob.format(hashlib.sha256(token.encode()).hexdigest())
        rows.append(f"({user}, {user}, {digest}, {at(0)}, {at(0)}, {at(30)})")
    columns = "id, user_id, token_hash, created_at, last_used_at, expires_at"
    execute(database, f"INSERT INTO session ({columns}) VALUES {', '.join(rows)} "
                      "ON CONFLICT DO NOTHING")
    return tokens


def token_of(user):
    secret = hashlib.sha256(f"benches/conversations {user}".encode()).digest()
    return "rookery_" + base64.urlsafe_b64encode(secret).decode().rstrip("=")


def global_id(kind, row):
    """The id of an object for clients; `kind` is the first letter of its type."""
    return base64.urlsafe_b64encode(kind.encode() + struct.pack(">q", row)).decode().rstrip("=")


def row_id(global_id):
    padding = "=" * (-len(global_id) % 4)
    return struct.unpack(">xq", base64.urlsafe_b64decode(global_id + padding))[0]


def old_id(hours):
    """The first of many unused ids, of some hours ago."""
    return int((time.time() - 3_600 * hours) * 1_000) << TIMESTAMP_BITS


def add_likes(database, post, author, count):
    """Likes of a post by the first users other than the author, with their notifications."""
    likers = f"""SELECT id, row_number() OVER (ORDER BY id) AS n FROM "user"
        WHERE id <> {author} ORDER BY id LIMIT {count}"""
    execute(database, f"""
        INSERT INTO "like" (id, user_id, post_id)
            SELECT {old_id(1)} + n, id, {post} FROM ({likers}) AS liker;
        INSERT INTO notification (id, user_id, kind, actor_id, post_id)
            SELECT {old_id(1)} + n, {author}, {LIKE}, id, {post} FROM ({likers}) AS liker;
        UPDATE post SET likes_count = (SELECT count(*) FROM "like" WHERE post_id = {post})
            WHERE id = {post}""")
    settle(database, "like", "notification", "post")


def add_follows(database, account, count):
    """Follows of an account and by the account, with the notifications of the former.

    A tenth of them are by the account, but not more than a user may follow by default.
    """
    following = min(count // 10, MAX_FOLLOWING)
    others = f"""SELECT id, row_number() OVER (ORDER BY id) AS n FROM "user"
        WHERE id <> {account} ORDER BY id LIMIT"""
    followers, followed = f"{others} {count - following}", f"{others} {following}"
    execute(database, f"""
        INSERT INTO follow (id, follower_id, followed_id)
            SELECT {old_id(2)} + n, id, {account} FROM ({followers}) AS follower;
        INSERT INTO follow (id, follower_id, followed_id)
            SELECT {old_id(1)} + n, {account}, id FROM ({followed}) AS followed;
        INSERT INTO notification (id, user_id, kind, actor_id)
            SELECT {old_id(2)} + n, {account}, {FOLLOW}, id FROM ({followers}) AS follower;
        UPDATE "user" SET following_count = following_count + 1
            WHERE id IN (SELECT follower_id FROM follow WHERE followed_id = {account});
        UPDATE "user" SET followers_count = followers_count + 1
            WHERE id IN (SELECT followed_id FROM follow WHERE follower_id = {account});
        UPDATE "user" SET followers_count = {count - following}, following_count = {following}
            WHERE id = {account}""")
    settle(database, "follow", "notification", "user")


def register(port, name):
    """Registers a user. Returns the token."""
    variables = {"name": name, "email": f"{name}@example.com", "password": PASSWORD}
    return client.query(port, REGISTER, variables)["register"]["token"]
