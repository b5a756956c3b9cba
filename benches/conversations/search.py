"""Search for posts: rare and common words, phrases, by an author, and the last pages."""

from collections import Counter

import client
import graph
from figures import maximum, median
from traffic import WrongResponse

TITLE = "Search for posts"
COLUMNS = ["query", "page", "posts that match, about", "found", "median ms", "maximum ms"]
NOTES = """\
Anonymous requests for a page of 20 posts with their authors, each query in turn. The last page is
the one after the cursor of the last post but 20. The numbers of matches are from a sample of the
posts. `found` is the number of posts on the page, or the code of the error."""

SEARCH = """query ($query: String!, $by: UserBy, $first: Int, $after: String, $last: Int) {
    searchPosts(query: $query, by: $by, first: $first, after: $after, last: $last) {
        edges { cursor } pageInfo { hasNextPage } nodes { id body author { username } } } }"""
SAMPLE = 5_000  # posts that are read for the frequent words
FIRST, LAST = "first", "last"


def measure(bench):
    requests, listed = {}, list(searches(bench))
    connection = client.Connection(bench.port)
    for name, matches, variables in listed:
        requests[name, FIRST, matches] = {**variables, "first": 20}
        # Of few matches, the first page is the last one.
        found, _ = send(connection, {**variables, "last": 40})
        if isinstance(found, str):
            bench.note(f"search for {name}, the last 40 posts: {found}")
        elif len(found["edges"]) == 40:
            cursor = found["edges"][19]["cursor"]
            requests[name, LAST, matches] = {**variables, "first": 20, "after": cursor}
    times = {key: [] for key in requests}
    results = {}
    for _ in range(bench.sizes.searches):
        for key, variables in requests.items():
            found, seconds = send(connection, variables)
            times[key].append(seconds)
            results[key] = found if isinstance(found, str) else str(len(found["nodes"]))
            if key[1] == LAST and not isinstance(found, str):
                check_last(key, found)
    connection.close()
    for (name, page, matches), found in times.items():
        figures = [median(found), maximum(found)]
        yield [name, page, f"{matches:,}", results[name, page, matches], *figures]


def send(connection, variables):
    """The page, or the code of an error, and the seconds."""
    seconds, body = connection.timed(client.encode(SEARCH, variables))
    try:
        return client.data(body)["searchPosts"], seconds
    except client.Failed as error:
        return f"`{error.code}`", seconds


def check_last(key, found):
    if len(found["nodes"]) != 20 or found["pageInfo"]["hasNextPage"]:
        raise WrongResponse(f"{key} is not the last page: {found}")


def searches(bench):
    """The name of each query, the number of posts that match, and its variables."""
    sample = f"SELECT body FROM post ORDER BY id LIMIT {SAMPLE}"
    posts = [words(body) for body in bench.database.query(sample)]
    total = int(bench.database.query("SELECT count(*) FROM post")[0])
    count = lambda found: total * sum(map(found, posts)) // len(posts)
    has_word = lambda word: lambda post: word in post
    frequent = Counter(word for post in posts for word in set(post)).most_common(2)
    first, second = (word for word, _ in frequent)
    [(phrase, _)] = Counter(pair for post in posts for pair in set(pairs(post))).most_common(1)
    author = graph.users(bench.database, 1, order="posts_count DESC, id")[0]
    by = {"by": {"id": graph.global_id("U", author)}}
    own = int(bench.database.query(f'SELECT posts_count FROM "user" WHERE id = {author}')[0])
    uncommon = total // graph.POSTS_PER_UNCOMMON
    yield "a rare word", graph.RARE_POSTS, {"query": graph.RARE}
    yield "an uncommon word", uncommon, {"query": graph.UNCOMMON}
    matches = count(has_word(first))
    yield "a common word", matches, {"query": first}
    both = count(lambda post: first in post and second in post)
    yield "two common words", both, {"query": f"{first} {second}"}
    matches_phrase = count(lambda post: phrase in pairs(post))
    yield "a phrase of two words", matches_phrase, {"query": f'"{" ".join(phrase)}"'}
    prefix = first[:3]
    begin = count(lambda post: any(word.startswith(prefix) for word in post))
    yield "a prefix of three letters", begin, {"query": f"{prefix}*"}
    name = f"a common word by the author of {own:,} posts"
    yield name, matches * own // total, {"query": first, **by}
    rare = f"SELECT count(*) FROM post WHERE author_id = {author} AND body LIKE '%{graph.RARE}%'"
    rare = int(bench.database.query(rare)[0])
    yield "a rare word by this author", rare, {"query": graph.RARE, **by}
    yield "a rare and a common word", 0, {"query": f"{graph.RARE} {first}"}


def words(body):
    kept = (letter if letter.isalnum() else " " for letter in body.lower())
    return "".join(kept).split()


def pairs(post):
    return list(zip(post, post[1:]))
