"""Strawberry as an ASGI application. Fields are resolved from the columns of SQLAlchemy's rows."""

import orjson
import strawberry
from database import Loaders
from starlette.applications import Starlette
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache

Info = strawberry.Info[dict, None]


@strawberry.type
class User:
    id: strawberry.ID
    username: str
    followers_count: int
    following_count: int
    posts_count: int

    @strawberry.field
    async def followers(self, info: Info, first: int = 20) -> "Users":
        return Users(nodes=await info.context["loaders"].followers(self.id, first))

    @strawberry.field
    async def following(self, info: Info, first: int = 20) -> "Users":
        return Users(nodes=await info.context["loaders"].following(self.id, first))

    @strawberry.field
    async def timeline(self, info: Info, first: int = 20) -> "Posts":
        return Posts(nodes=await info.context["loaders"].timeline(self.id, first))


@strawberry.type
class Post:
    id: strawberry.ID
    body: str

    @strawberry.field
    async def author(self, info: Info) -> User:
        return await info.context["loaders"].by_id.load(self.author_id)


@strawberry.type
class Users:
    nodes: list[User]


@strawberry.type
class Posts:
    nodes: list[Post]


@strawberry.type
class Query:
    @strawberry.field
    async def user(self, info: Info, username: str) -> User | None:
        return await info.context["loaders"].by_name.load(username.lower())


class View(GraphQL):
    async def get_context(self, request, response) -> dict:
        return {"loaders": Loaders()}

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)


schema = strawberry.Schema(Query, extensions=[ParserCache, ValidationCache])
app = Starlette()
app.add_route("/graphql", View(schema, graphql_ide=None))
