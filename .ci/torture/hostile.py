"""Attack requests: small to send, expensive to execute, each with the expected rejection."""

import base64
from dataclasses import dataclass
from functools import partial

TOO_COMPLEX = "QUERY_TOO_COMPLEX"
VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
BAD_REQUEST = "BAD_REQUEST"
PAGE_SIZE = "PAGE_SIZE_OUT_OF_RANGE"
INVALID_CURSOR = "INVALID_CURSOR"

ALL_TRANSPORTS = ("post", "get", "sse", "websocket")


@dataclass
class Attack:
    """A request with its expected error code, and its expected status over POST."""

    name: str
    body: dict | bytes
    code: str
    status: int = 400
    # The transports over which the request is sent.
    transports: tuple = ALL_TRANSPORTS
    # The response body must not contain these bytes.
    forbidden: bytes = b"\r\nset-cookie"


def request(document, **members):
    return {"query": document, **members}


def viewer_user(selection):
    return request(f"{{ viewer {{ user {{ {selection} }} }} }}")


def repeat(count, part):
    return " ".join(part(n) for n in range(count))


def fragment_bomb(levels, spreads):
    fragments = repeat(levels, lambda n: f"fragment f{n} on User {{ {f'...f{n + 1} ' * spreads}}}")
    return f"{fragments} fragment f{levels} on User {{ id }}"


def page(field, selection):
    return f"{field}(first: 100) {{ nodes {{ {selection} }} }}"


def fragments():
    for levels, spreads in ((24, 2), (9, 10), (60, 2), (60, 40)):
        bomb = fragment_bomb(levels, spreads)
        name = f"fragment bomb: {levels} levels of {spreads} spreads"
        used = f"{{ viewer {{ user {{ ...f0 }} }} }} {bomb}"
        yield Attack(name, request(used), TOO_COMPLEX)
        yield Attack(f"{name}, unused", request(f"{{ viewer {{ email }} }} {bomb}"), TOO_COMPLEX)
    chain = repeat(62, lambda n: f"fragment f{n} on User {{ {'...{' * 20}...f{n + 1}{'}' * 20} }}")
    text = f"{{ viewer {{ user {{ ...f0 }} }} }} {chain} fragment f62 on User {{ id }}"
    yield Attack("chain of 62 fragments, 20 levels each", request(text), TOO_COMPLEX)
    for text in (
        "{ viewer { ...f } } fragment f on Viewer { ...f }",
        "{ viewer { ...f } } fragment f on Viewer { user { ...g } } fragment g on User { ...f }",
        "{ __typename } fragment f on Viewer { email ...g } fragment g on Viewer { ...f ...f }",
    ):
        yield Attack("fragment cycle", request(text), VALIDATION_FAILED)


def floods():
    aliases = repeat(1000, lambda n: f"a{n}:id")
    yield Attack("alias flood: 1,000 aliases", viewer_user(aliases), TOO_COMPLEX)
    logins = repeat(
        100, lambda n: f'a{n}:login(input:{{username:"john",password:"guess {n}"}}){{token}}'
    )
    document = request(f"mutation {{ {logins} }}")
    yield Attack("alias flood: 100 logins", document, TOO_COMPLEX, transports=("post", "websocket"))
    alias = "a" * 15000
    text = f"{{ {page('users', page('followers', f'{alias}: id'))} }}"
    yield Attack("alias of 15,000 bytes in nested lists", request(text), TOO_COMPLEX)
    text = f"{{ {'__typename ' * 1000} }}"
    yield Attack("field flood: 1,000 root fields", request(text), TOO_COMPLEX)
    yield Attack("field flood: 4,000 fields", viewer_user("id " * 4000), TOO_COMPLEX)
    text = f"{{ __typename {'@include(if: true) ' * 800} }}"
    yield Attack("directive flood: 800 directives", request(text), TOO_COMPLEX)
    text = f"query ({repeat(1500, lambda n: f'$v{n}:Int')}) {{ __typename }}"
    yield Attack("variable flood: 1,500 variables", request(text), TOO_COMPLEX)
    text = f"{{ __typename }} #{'x' * 20000}"
    yield Attack("document of 20,000 bytes", request(text), TOO_COMPLEX)
    operations = repeat(1200, lambda n: f"query q{n}{{a}}")
    yield Attack("operation flood: 1,200 operations", request(operations), TOO_COMPLEX)
    operations = repeat(5000, lambda n: f"query q{n} {{ __typename }}")
    yield Attack(
        "operation flood: 5,000 operations", request(operations), BAD_REQUEST, 413, ("post",)
    )
    unused = repeat(5000, lambda n: f"fragment f{n} on User {{ id }}")
    body = request(f"{{ __typename }} {unused}")
    yield Attack("fragment flood: 5,000 fragments", body, BAD_REQUEST, 413, ("post",))
    body = request("{ __typename }", variables={"a": "x" * 5_000_000})
    yield Attack("body of 5 MB", body, BAD_REQUEST, 413, ("post",))
    batch = b"[" + b",".join([b'{"query":"{ __typename }"}'] * 1000) + b"]"
    yield Attack("batch of 1,000 requests", batch, BAD_REQUEST, 400, ("post", "sse"))


def nested(depth, before, after):
    """Nests to `depth`, or as deep as a document of 16,000 bytes allows."""
    depth = min(depth, 16000 // len(before + after))
    return before * depth + after * depth


def deep_nesting():
    for depth in (200, 4000):
        nest = partial(nested, depth)
        for name, text in (
            ("selections", f"{{ viewer {nest('{ user ', '}')} }}"),
            ("inline fragments", f"{{ viewer {{ {nest('...{ email ', '}')} }} }}"),
            ("unclosed inline fragments", "{ ..." * min(depth, 3000)),
            ("lists", f"{{ nodes(ids: {nest('[', ']')}) {{ id }} }}"),
            (
                "lists after an unclosed block string",
                f'{{ nodes(ids: ["""x" {nest("[", "]")}]) {{ id }} }}',
            ),
            ("objects", f"{{ user(by: {nest('{ id: ', '}')}) {{ id }} }}"),
            ("types", f"query ($a: {nest('[', ']')}) {{ nodes(ids: $a) {{ id }} }}"),
        ):
            code = PARSE_FAILED if "unclosed block string" in name else TOO_COMPLEX
            yield Attack(f"{name} nested {depth} deep", request(text), code)
        template = '{"query": "query ($a: [ID!]!) { nodes(ids: $a) { id } }", '
        template += '"variables": {"a": %s}}'
        for name, value in (
            ("lists", "[" * depth + "]" * depth),
            ("objects", '{"a":' * depth + "1" + "}" * depth),
        ):
            body = (template % value).encode()
            name = f"JSON {name} nested {depth} deep"
            yield Attack(name, body, BAD_REQUEST, 400, ("post", "sse"))
    ids = [[]]
    for _ in range(90):
        ids = [ids]
    text = "query ($a: [ID!]!) { nodes(ids: $a) { id } }"
    body = request(text, variables={"a": ids})
    yield Attack("JSON lists nested 90 deep", body, VALIDATION_FAILED)


def expensive_pages(user_id):
    circle = page("users", page("followers", page("following", "id")))
    yield Attack("circular relations", request(f"{{ {circle} }}"), TOO_COMPLEX)
    aliases = repeat(10, lambda n: f"a{n}: {page('posts', 'body author { username }')}")
    text = f"{{ {page('users', aliases)} }}"
    yield Attack("10 aliased lists in a list", request(text), TOO_COMPLEX)
    followers = page("followers", page("followers", "id username"))
    text = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on User {{ {followers} }} }} }}"
    body = request(text, variables={"ids": [user_id] * 100})
    yield Attack("followers of the same user 100 times", body, TOO_COMPLEX)
    text = f"{{ nodes(ids: $ids) {{ ... on User {{ {page('posts', 'body')} }} }} }}"
    text = f"query ($ids: [ID!]!) {text}"
    body = request(text, variables={"ids": [user_id] * 100})
    yield Attack("100 long posts 100 times", body, TOO_COMPLEX)
    # The cost of this query is below the limit. Its response text is above the limit.
    body = request(text, variables={"ids": [user_id] * 80})
    yield Attack("100 long posts 80 times", body, TOO_COMPLEX)
    for rounds in (2, 6, 7):
        circle = "possibleTypes { interfaces { " * rounds + "name" + " } }" * rounds
        text = f'{{ __type(name: "UserError") {{ {circle} }} }}'
        yield Attack("circular introspection", request(text), TOO_COMPLEX)
    schema = repeat(19, lambda n: f"a{n}: __schema {{ types {{ name fields {{ name }} }} }}")
    yield Attack("__schema 19 times", request(f"{{ {schema} }}"), TOO_COMPLEX)
    sizes = ("first: 0", "first: -1", "first: 1000000", "last: 0", "last: -2147483648")
    for size in (*sizes, "first: 1, last: 1"):
        for before, after in (
            ("posts", ""),
            ("viewer { bookmarks", "}"),
            ("viewer { user { timeline", "} }"),
        ):
            text = f"{{ {before}({size}) {{ pageInfo {{ endCursor }} }} {after} }}"
            name = f"page size out of range, {size}"
            yield Attack(name, request(text), PAGE_SIZE, 200, ("post", "sse", "websocket"))
    text = "{ users(first: 2147483648) { totalCount } }"
    yield Attack("page size of 2^31", request(text), VALIDATION_FAILED)


def error_floods():
    unused = repeat(90, lambda n: f"$v{n}:Int")
    text = f"query ({unused}) {{ __typename }}"
    yield Attack("90 unused variables", request(text), VALIDATION_FAILED)
    unknown = repeat(900, lambda n: f"wrong{n}")
    text = f"{{ viewer {{ {unknown} }} }}"
    yield Attack("900 unknown fields", request(text), VALIDATION_FAILED)
    text = f"{{ {'é' * 7000} }}"
    yield Attack("name of 7,000 letters", request(text), PARSE_FAILED, transports=("post",))
    text = f"{{ {'e' * 16000} }}"
    yield Attack("unknown field of 16,000 letters", request(text), VALIDATION_FAILED)
    text = f'{{ a(b: "{"x" * 16000}") !! }}'
    yield Attack("syntax error on a line of 16,000 letters", request(text), PARSE_FAILED)
    yield Attack("conflicting fields", viewer_user("a: id a: username " * 15), VALIDATION_FAILED)
    conflicts = repeat(400, lambda n: f"posts(first: {n % 2 + 1}) {{ totalCount }}")
    yield Attack("400 conflicting fields", viewer_user(conflicts), VALIDATION_FAILED)
    operation_name = "a\r\nSet-Cookie: hostile=1\r\n\r\n<script>"
    body = request("query a { __typename }", operationName=operation_name)
    yield Attack("header injection through operationName", body, VALIDATION_FAILED)
    persisted = {"persistedQuery": {"version": 1, "sha256Hash": "00" * 32}}
    body = request("{ __typename }", extensions=persisted)
    yield Attack("persisted query with a wrong hash", body, BAD_REQUEST)


def encode(content):
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def forged_cursors(stream_cursor, post_cursor):
    whole = base64.urlsafe_b64decode(stream_cursor + "=" * (-len(stream_cursor) % 4))
    tag = whole[:1]
    in_progress = b"".join(n.to_bytes(8, "big") for n in range(1, 1500))
    text = "subscription ($after: String) { timelineEvents(after: $after) { __typename } }"
    for name, cursor in (
        (
            "stream cursor with 1,499 transactions in progress",
            encode(tag + in_progress + (1 << 40).to_bytes(8, "big") + bytes(8)),
        ),
        ("truncated stream cursor", encode(whole[:-3])),
        ("stream cursor with all bits set", encode(tag + b"\xff" * 16)),
        ("stream cursor of another list", post_cursor),
        ("stream cursor of 8,001 bytes", encode(tag + bytes(8 * 1000))),
    ):
        body = request(text, variables={"after": cursor})
        yield Attack(name, body, INVALID_CURSOR, 200, ("sse", "websocket"))
    text = "query ($after: String) { users(after: $after) { totalCount } }"
    for cursor in (post_cursor, stream_cursor, "", "%00", "x" * 5000):
        body = request(text, variables={"after": cursor})
        name = "page cursor that is invalid for users"
        yield Attack(name, body, INVALID_CURSOR, 200, ("post", "sse", "websocket"))
    body = request('{ node(id: "\x00\xff") { id } }')
    yield Attack("malformed id", body, "INVALID_ID", 200, ("post", "websocket"))


def all_attacks(user_id, stream_cursor, post_cursor):
    yield from fragments()
    yield from floods()
    yield from deep_nesting()
    yield from expensive_pages(user_id)
    yield from error_floods()
    yield from forged_cursors(stream_cursor, post_cursor)
