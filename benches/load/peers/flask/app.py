"""The home timeline of Miguel Grinberg's Flask Mega-Tutorial, on Rookery's tables.

It is the timeline of the chapter "Followers". One query joins the posts of followed users, adds the
user's own posts by a union, and sorts them. The author of a post is loaded lazily, and followers
are counted for each author.
"""

import os

import sqlalchemy as sa
import sqlalchemy.orm as so
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///" + os.environ["DATABASE_URL"].removeprefix("sqlite://")
app.json.sort_keys = False
db = SQLAlchemy(app)

follow = sa.Table(
    "follow",
    db.metadata,
    sa.Column("follower_id", sa.Integer, sa.ForeignKey("user.id"), primary_key=True),
    sa.Column("followed_id", sa.Integer, sa.ForeignKey("user.id"), primary_key=True),
)


class User(db.Model):
    id: so.Mapped[int] = so.mapped_column(primary_key=True)
    username: so.Mapped[str]
    following: so.WriteOnlyMapped["User"] = so.relationship(
        secondary=follow,
        primaryjoin=follow.c.follower_id == id,
        secondaryjoin=follow.c.followed_id == id,
        back_populates="followers",
    )
    followers: so.WriteOnlyMapped["User"] = so.relationship(
        secondary=follow,
        primaryjoin=follow.c.followed_id == id,
        secondaryjoin=follow.c.follower_id == id,
        back_populates="following",
    )

    def followers_count(self):
        return db.session.scalar(sa.select(sa.func.count()).select_from(self.followers.select().subquery()))

    def following_count(self):
        return db.session.scalar(sa.select(sa.func.count()).select_from(self.following.select().subquery()))

    def following_posts(self):
        followed = (
            sa.select(Post)
            .join(follow, follow.c.followed_id == Post.author_id)
            .where(follow.c.follower_id == self.id)
        )
        own = sa.select(Post).where(Post.author_id == self.id)
        entry = so.aliased(Post, followed.union(own).subquery())
        return sa.select(entry).order_by(entry.id.desc())  # Ids are time-ordered.


class Post(db.Model):
    id: so.Mapped[int] = so.mapped_column(primary_key=True)
    body: so.Mapped[str]
    author_id: so.Mapped[int] = so.mapped_column(sa.ForeignKey(User.id))
    author: so.Mapped[User] = so.relationship()


@app.get("/q1/<username>")
def timeline(username):
    user = db.first_or_404(sa.select(User).where(sa.func.lower(User.username) == username.lower()))
    posts = db.session.scalars(user.following_posts().limit(20))
    return {
        "timeline": [
            {
                "id": post.id,
                "body": post.body,
                "author": {
                    "id": post.author.id,
                    "username": post.author.username,
                    "followersCount": post.author.followers_count(),
                    "followingCount": post.author.following_count(),
                },
            }
            for post in posts
        ]
    }
