"""Honest load: many clients behind one address read and write at the default limits.

No request is rejected.
"""

from concurrent.futures import ThreadPoolExecutor

from harness import on_both_engines
from load import closed_loop
from service import graphql_request

# The daily limits of posts and follows do not apply to bookmarks. Each request writes twice.
WRITE = """mutation { bookmark(postId: "%s") { changed userErrors { code } }
    unbookmark(postId: "%s") { changed userErrors { code } } }"""
READ = "{ viewer { user { timeline(first: 20) { nodes { body author { username } } } } } }"
POST = "{ posts(first: 1) { nodes { id } } }"
CLIENTS = 50
# Without these limits a test of some seconds sends what honest clients send in minutes.
OPTIONS = ("--demo", "--rate-limit-per-network", "0", "--rate-limit-per-user", "0")


@on_both_engines
def test_a_hundred_clients_behind_one_address_are_served(harness, database_url, check):
    server = harness.start_server(database_url, *OPTIONS)
    post = server.data(POST)["posts"]["nodes"][0]["id"]
    tokens = [harness.create_token(database_url, name) for name in ("john", "susan")]
    write = graphql_request({"query": WRITE % (post, post)}, tokens[0], close=False)
    read = graphql_request({"query": READ}, tokens[1], close=False)
    seconds = 10 if harness.long else 4
    with ThreadPoolExecutor() as pool:
        loads = [
            pool.submit(closed_loop, server.address, request, CLIENTS, seconds, (b'"errors"',))
            for request in (write, read)
        ]
        writes, reads = (load.result() for load in loads)
    for name, result in (("write", writes), ("read", reads)):
        figures = f"{result.count(200)} responses, {result.latency(200)}; "
        figures += f"{result.other_statuses(200)}, {result.broken} broken"
        served = result.count(200) > CLIENTS and not result.broken
        served = served and not result.other_statuses(200) and not result.markers[b'"errors"']
        check(f"{CLIENTS} clients that {name} are served, beside as many others", served, figures)
    errors = server.error_lines()
    check("the log has no panic and no ERROR line", not errors, f"{errors[:2]}")
    server.stop()
