"""Requests that are small to send and were meant to be large to answer, and what each is to be answered with."""

import base64
from dataclasses import dataclass
from functools import partial

COMPLEX = "QUERY_TOO_COMPLEX"
INVALID = "GRAPHQL_VALIDATION_FAILED"
PARSE = "GRAPHQL_PARSE_FAILED"
BAD = "BAD_REQUEST"
PAGE = "PAGE_SIZE_OUT_OF_RANGE"
CURSOR = "INVALID_CURSOR"

EVERYWHERE = ("post", "get", "sse", "socket")


@dataclass
class Attack:
    """Over POST; the other ways too where it fits."""

    name: str
    body: dict | bytes
    code: str
    status: int = 400
    ways: tuple = EVERYWHERE
    # What the answer must not have in it.
    without: bytes = b"\r\nset-cookie"


def document(text, **more):
    return {"query": text, **more}


def of_user(text):
    return document(f"{{ viewer {{ user {{ {text} }} }} }}")


def each(count, part):
    return " ".join(part(n) for n in range(count))


def bomb(levels, spreads):
    fragments = each(levels, lambda n: f"fragment f{n} on User {{ {f'...f{n + 1} ' * spreads}}}")
    return f"{fragments} fragment f{levels} on User {{ id }}"


def page(name, inside):
    return f"{name}(first: 100) {{ nodes {{ {inside} }} }}"


def fragments():
    for levels, spreads in ((24, 2), (9, 10), (60, 2), (60, 40)):
        text = bomb(levels, spreads)
        name = f"fragments: {levels} levels of {spreads} spreads"
        yield Attack(name, document(f"{{ viewer {{ user {{ ...f0 }} }} }} {text}"), COMPLEX)
        yield Attack(f"{name}, unused", document(f"{{ viewer {{ email }} }} {text}"), COMPLEX)
    chain = each(62, lambda n: f"fragment f{n} on User {{ {'...{' * 20}...f{n + 1}{'}' * 20} }}")
    text = f"{{ viewer {{ user {{ ...f0 }} }} }} {chain} fragment f62 on User {{ id }}"
    yield Attack("fragments: a chain of 62, 20 levels each", document(text), COMPLEX)
    for text in (
        "{ viewer { ...f } } fragment f on Viewer { ...f }",
        "{ viewer { ...f } } fragment f on Viewer { user { ...g } } fragment g on User { ...f }",
        "{ __typename } fragment f on Viewer { email ...g } fragment g on Viewer { ...f ...f }",
    ):
        yield Attack("fragments: a cycle", document(text), INVALID)


def floods():
    yield Attack("1,000 aliases", of_user(each(1000, lambda n: f"a{n}:id")), COMPLEX)
    logins = each(100, lambda n: f'a{n}:login(input:{{username:"john",password:"guess {n}"}}){{token}}')
    yield Attack("100 logins by aliases", document(f"mutation {{ {logins} }}"), COMPLEX, ways=("post", "socket"))
    name = "a" * 15000
    yield Attack("a long alias in long lists", document(f"{{ {page('users', page('followers', f'{name}: id'))} }}"), COMPLEX)
    yield Attack("1,000 fields at the root", document(f"{{ {'__typename ' * 1000} }}"), COMPLEX)
    yield Attack("4,000 fields", of_user("id " * 4000), COMPLEX)
    yield Attack("800 directives", document(f"{{ __typename {'@include(if: true) ' * 800} }}"), COMPLEX)
    yield Attack("1,500 variables", document(f"query ({each(1500, lambda n: f'$v{n}:Int')}) {{ __typename }}"), COMPLEX)
    yield Attack("a long document", document(f"{{ __typename }} #{'x' * 20000}"), COMPLEX)
    yield Attack("1,200 operations", document(each(1200, lambda n: f"query q{n}{{a}}")), COMPLEX)
    operations = each(5000, lambda n: f"query q{n} {{ __typename }}")
    yield Attack("5,000 operations", document(operations), BAD, 413, ("post",))
    unused = each(5000, lambda n: f"fragment f{n} on User {{ id }}")
    yield Attack("5,000 fragments", document(f"{{ __typename }} {unused}"), BAD, 413, ("post",))
    yield Attack("a body of 5 MB", document("{ __typename }", variables={"a": "x" * 5_000_000}), BAD, 413, ("post",))
    many = b"[" + b",".join([b'{"query":"{ __typename }"}'] * 1000) + b"]"
    yield Attack("a batch of 1,000", many, BAD, 400, ("post", "sse"))


def nested(depth, before, after):
    """As deep as there is room in a document."""
    depth = min(depth, 16000 // len(before + after))
    return before * depth + after * depth


def depths():
    for depth in (200, 4000):
        nest = partial(nested, depth)
        for name, text in (
            ("selections", f"{{ viewer {nest('{ user ', '}')} }}"),
            ("inline fragments", f"{{ viewer {{ {nest('...{ email ', '}')} }} }}"),
            ("open inline fragments", "{ ..." * min(depth, 3000)),
            ("lists", f"{{ nodes(ids: {nest('[', ']')}) {{ id }} }}"),
            ("lists behind an open block string", f'{{ nodes(ids: ["""x" {nest("[", "]")}]) {{ id }} }}'),
            ("objects", f"{{ user(by: {nest('{ id: ', '}')}) {{ id }} }}"),
            ("types", f"query ($a: {nest('[', ']')}) {{ nodes(ids: $a) {{ id }} }}"),
        ):
            yield Attack(f"{name}, {depth} deep", document(text), COMPLEX)
        ask = '{"query": "query ($a: [ID!]!) { nodes(ids: $a) { id } }", "variables": {"a": %s}}'
        for name, value in (("lists", "[" * depth + "]" * depth), ("objects", '{"a":' * depth + "1" + "}" * depth)):
            yield Attack(f"JSON {name}, {depth} deep", (ask % value).encode(), BAD, 400, ("post", "sse"))
    ids = [[]]
    for _ in range(90):
        ids = [ids]
    text = "query ($a: [ID!]!) { nodes(ids: $a) { id } }"
    yield Attack("JSON, 90 deep", document(text, variables={"a": ids}), INVALID)


def pages(john):
    circle = page("users", page("followers", page("following", "id")))
    yield Attack("a circle of relations", document(f"{{ {circle} }}"), COMPLEX)
    aliased = each(10, lambda n: f"a{n}: {page('posts', 'body author { username }')}")
    yield Attack("aliases times lists", document(f"{{ {page('users', aliased)} }}"), COMPLEX)
    deep = page("followers", page("followers", "id username"))
    text = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on User {{ {deep} }} }} }}"
    yield Attack("one user a hundred times", document(text, variables={"ids": [john] * 100}), COMPLEX)
    text = f"{{ nodes(ids: $ids) {{ ... on User {{ {page('posts', 'body')} }} }} }}"
    text = f"query ($ids: [ID!]!) {text}"
    yield Attack("100 long posts a hundred times", document(text, variables={"ids": [john] * 100}), COMPLEX)
    # Cheap enough to begin with, and too long to be told to the end.
    yield Attack("100 long posts 80 times", document(text, variables={"ids": [john] * 80}), COMPLEX)
    for rounds in (2, 6, 7):
        circle = "possibleTypes { interfaces { " * rounds + "name" + " } }" * rounds
        yield Attack("introspection in a circle", document(f'{{ __type(name: "UserError") {{ {circle} }} }}'), COMPLEX)
    schema = each(19, lambda n: f"a{n}: __schema {{ types {{ name fields {{ name }} }} }}")
    yield Attack("19 times __schema", document(f"{{ {schema} }}"), COMPLEX)
    for size in ("first: 0", "first: -1", "first: 1000000", "last: 0", "last: -2147483648", "first: 1, last: 1"):
        for before, after in (("posts", ""), ("viewer { bookmarks", "}"), ("viewer { user { timeline", "} }")):
            text = f"{{ {before}({size}) {{ pageInfo {{ endCursor }} }} {after} }}"
            yield Attack(f"a page of {size}", document(text), PAGE, 200, ("post", "sse", "socket"))
    yield Attack("a page of 2^31", document("{ users(first: 2147483648) { totalCount } }"), INVALID)


def errors():
    flood = each(90, lambda n: f"$v{n}:Int")
    yield Attack("90 unused variables", document(f"query ({flood}) {{ __typename }}"), INVALID)
    unknown = each(900, lambda n: f"wrong{n}")
    yield Attack("900 unknown fields", document(f"{{ viewer {{ {unknown} }} }}"), INVALID)
    yield Attack("a name of 7,000 letters", document(f"{{ {'é' * 7000} }}"), PARSE, ways=("post",))
    yield Attack("a field of 16,000 letters", document(f"{{ {'e' * 16000} }}"), INVALID)
    yield Attack("a line of 16,000 letters", document(f'{{ a(b: "{"x" * 16000}") !! }}'), PARSE)
    yield Attack("fields that overlap", of_user("a: id a: username " * 15), INVALID)
    overlap = each(400, lambda n: f"posts(first: {n % 2 + 1}) {{ totalCount }}")
    yield Attack("400 fields that overlap", of_user(overlap), INVALID)
    name = "a\r\nSet-Cookie: hostile=1\r\n\r\n<script>"
    text = document("query a { __typename }", operationName=name)
    yield Attack("line ends in operationName", text, INVALID)
    apq = {"persistedQuery": {"version": 1, "sha256Hash": "00" * 32}}
    yield Attack("another document's hash", document("{ __typename }", extensions=apq), BAD)


def encode(content):
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def cursors(stream, of_posts):
    """A cursor of the stream that claims to have missed much, one that is cut off, and one of another list."""
    whole = base64.urlsafe_b64decode(stream + "=" * (-len(stream) % 4))
    open_ones = b"".join(n.to_bytes(8, "big") for n in range(1, 1500))
    text = "subscription ($after: String) { timelineEvents(after: $after) { __typename } }"
    for name, forged in (
        ("that names 1,499 open transactions", encode(whole[:1] + open_ones + (1 << 40).to_bytes(8, "big") + bytes(8))),
        ("that is cut off", encode(whole[:-3])),
        ("that is made of ones", encode(whole[:1] + b"\xff" * 16)),
        ("of another list", of_posts),
        ("that is long", encode(whole[:1] + bytes(8 * 1000))),
    ):
        yield Attack(f"a stream cursor {name}", document(text, variables={"after": forged}), CURSOR, 200, ("sse", "socket"))
    text = "query ($after: String) { users(after: $after) { totalCount } }"
    for after in (of_posts, stream, "", "%00", "x" * 5000):
        ask = document(text, variables={"after": after})
        yield Attack("a cursor that is none of users", ask, CURSOR, 200, ("post", "sse", "socket"))
    yield Attack("an id of nothing", document('{ node(id: "\x00\xff") { id } }'), "INVALID_ID", 200, ("post", "socket"))


def all_of(john, cursor_of_stream, cursor_of_posts):
    yield from fragments()
    yield from floods()
    yield from depths()
    yield from pages(john)
    yield from errors()
    yield from cursors(cursor_of_stream, cursor_of_posts)
