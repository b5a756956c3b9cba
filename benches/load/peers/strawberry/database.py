"""SQLAlchemy on asyncpg: the tables, the statements, and the loaders of one request.

The API only reads, so connections are in autocommit mode, without a transaction around each
statement. Each batch uses its own connection, so batches of one request run concurrently. asyncpg
prepares each statement once per connection.
"""

import os
from collections import defaultdict
from functools import partial
from pathlib import Path

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Integer, Select, String, any_, bindparam, func, select, true
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Mapped, mapped_column
from strawberry.dataloader import DataLoader

# The settings of Rookery's connections: a statement is planned once.
SETTINGS = {"jit": "off", "plan_cache_mode": "force_generic_plan"}
engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgres://", "postgresql+asyncpg://", 1).partition("?")[0],
    pool_size=10,
    max_overflow=0,
    # pg, the driver of the Node.js peers, uses no TLS by default either.
    connect_args={"ssl": False, "server_settings": SETTINGS},
    isolation_level="AUTOCOMMIT",
    skip_autocommit_rollback=True,
)
TIMELINE = Path(os.environ["TIMELINE_SQL"]).read_text()
NEWEST = 2**63 - 1


class Base(DeclarativeBase):
    type_annotation_map = {int: BigInteger}


class User(Base):
    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    followers_count: Mapped[int] = mapped_column(Integer)
    following_count: Mapped[int] = mapped_column(Integer)
    posts_count: Mapped[int] = mapped_column(Integer)


class Follow(Base):
    __tablename__ = "follow"
    id: Mapped[int] = mapped_column(primary_key=True)
    follower_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    followed_id: Mapped[int] = mapped_column(ForeignKey(User.id))


USER = (User.id, User.username, User.followers_count, User.following_count, User.posts_count)
IDS = bindparam("ids", type_=ARRAY(BigInteger))
BY_NAME = select(*USER).where(func.lower(User.username) == any_(bindparam("names", type_=ARRAY(String))))
BY_ID = select(*USER).where(User.id == any_(IDS))


def neighbours(mine: InstrumentedAttribute[int], theirs: InstrumentedAttribute[int]) -> Select:
    """The statement for the first users of the lists of many owners, newest follow first."""
    owner = func.unnest(IDS).table_valued("value").render_derived(name="owner")
    page = (
        select(Follow.id, theirs.label("user_id"))
        .where(mine == owner.c.value)
        .order_by(Follow.id.desc())
        .limit(bindparam("size", type_=BigInteger))
        .lateral("page")
    )
    return (
        select(owner.c.value.label("owner"), *USER)
        .select_from(owner.join(page, true()).join(User, User.id == page.c.user_id))
        .order_by(owner.c.value, page.c.id.desc())
    )


FOLLOWERS = neighbours(Follow.followed_id, Follow.follower_id)
FOLLOWING = neighbours(Follow.follower_id, Follow.followed_id)


async def rows(statement: Select, **values):
    async with engine.connect() as connection:
        return (await connection.execute(statement, values)).all()


async def users_by_name(names: list[str]):
    found = {user.username.lower(): user for user in await rows(BY_NAME, names=names)}
    return [found.get(name) for name in names]


async def users_by_id(ids: list[int]):
    found = {user.id: user for user in await rows(BY_ID, ids=ids)}
    return [found.get(id) for id in ids]


async def users_of(statement: Select, size: int, owners: list[int]):
    lists = defaultdict(list)
    for user in await rows(statement, ids=owners, size=size):
        lists[user.owner].append(user)
    return [lists[owner] for owner in owners]


async def timelines(size: int, owners: list[int]):
    async with engine.connect() as connection:
        posts = (await connection.exec_driver_sql(TIMELINE, (owners, NEWEST, 0, size))).all()
    lists = defaultdict(list)
    for post in sorted(posts, key=lambda post: post.id, reverse=True):
        lists[post.owner].append(post)
    return [lists[owner] for owner in owners]


class Loaders:
    """A loader for each kind of key; lists have one for each page size."""

    def __init__(self) -> None:
        self.by_name = DataLoader(users_by_name)
        self.by_id = DataLoader(users_by_id)
        self.lists: dict[tuple, DataLoader] = {}

    def followers(self, owner: int, size: int):
        return self._list("followers", size, partial(users_of, FOLLOWERS, size)).load(owner)

    def following(self, owner: int, size: int):
        return self._list("following", size, partial(users_of, FOLLOWING, size)).load(owner)

    def timeline(self, owner: int, size: int):
        return self._list("timeline", size, partial(timelines, size)).load(owner)

    def _list(self, kind: str, size: int, load) -> DataLoader:
        return self.lists.setdefault((kind, size), DataLoader(load))
