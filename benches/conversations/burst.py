"""Likes of one post by many users at the same time, beside likes of as many different posts."""

import statistics

import client
import graph
from traffic import WrongResponse

TITLE = "Burst of likes"
COLUMNS = ["likes of", "likes", "connections", "rounds", "likes/s, median", "lowest", "highest"]
NOTES = "Each like is by another user. After each round, the count of the one post was exact."

LIKE = """mutation ($post: ID!) { like(postId: $post) { changed userErrors { code } } }"""
CREATE = """mutation ($body: String!) {
    createPost(input: {body: $body}) { post { id } userErrors { code } } }"""
COUNT = "query ($post: ID!) { node(id: $post) { ... on Post { likesCount } } }"
CONNECTIONS = 50


def measure(bench):
    likes = bench.sizes.likes
    author, *likers = graph.users(bench.database, likes + 1)
    authors = graph.users(bench.database, likes, "posts_count > 0", "id DESC")
    others = [graph.global_id("P", post) for post in newest_public(bench, authors)]
    tokens = graph.sign_in(bench.database, [author, *likers])
    likers = [tokens[liker] for liker in likers]
    rates = {"one post": [], "different posts": []}
    for number in range(bench.sizes.rounds):
        body = {"body": f"All like this, round {number}."}
        post = client.query(bench.port, CREATE, body, tokens[author])["createPost"]["post"]["id"]
        same = [client.encode(LIKE, {"post": post}, liker) for liker in likers]
        rates["one post"].append(rate(bench, same))
        check_count(bench, post)
        # In each round, each of the posts gets a like by another user.
        shifted = others[number:] + others[:number]
        different = [client.encode(LIKE, {"post": other}, liker)
                     for other, liker in zip(shifted, likers)]
        rates["different posts"].append(rate(bench, different))
        bench.note(f"round {number + 1}: {rates['one post'][-1]:,.0f} likes/s of one post, "
                   f"{rates['different posts'][-1]:,.0f} of different posts")
    for name, found in rates.items():
        figures = (statistics.median(found), min(found), max(found))
        yield [name, f"{likes:,}", str(CONNECTIONS), str(len(found)),
               *(f"{figure:,.0f}" for figure in figures)]


def newest_public(bench, authors):
    posts = graph.newest_posts(bench.database, authors)
    if len(posts) < bench.sizes.likes:
        raise WrongResponse(f"only {len(posts)} users have posts: the graph is too small")
    return [posts[author] for author in authors]


def rate(bench, requests):
    """Likes per second. Each request must succeed and add a like."""
    seconds, bodies = client.burst(bench.port, requests, CONNECTIONS)
    for body in bodies:
        if not client.data(body)["like"]["changed"]:
            raise WrongResponse(f"a like changed nothing: {body}")
    return len(requests) / seconds


def check_count(bench, post):
    """Checks that the stored count and the number of rows are the number of the requests."""
    counted = client.query(bench.port, COUNT, {"post": post})["node"]["likesCount"]
    sql = f'SELECT count(*) FROM "like" WHERE post_id = {graph.row_id(post)}'
    rows = int(bench.database.query(sql)[0])
    if not counted == rows == bench.sizes.likes:
        raise WrongResponse(f"{bench.sizes.likes} likes: {counted} were counted, {rows} are stored")
