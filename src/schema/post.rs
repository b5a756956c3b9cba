//! Posts as clients see them: the object, the public list, and the author's verbs.

use async_graphql::{ComplexObject, Context, ID, InputObject, Object, SimpleObject};
use entity::post;

use super::connection::{Connection, Edge, PageArgs, cost_of_posts, int, with_count};
use super::error::{UserErrorInterface, user_errors};
use super::prompt::Prompt;
use super::scalar::DateTime;
use super::timeline::TimelineEdge;
use super::user::User;
use super::{Outcome, caller, graph, loaders, viewer, write};
use crate::error::Error;
use crate::graph;
use crate::graph::PostChange;
use crate::id::Id;
use crate::loader::Entry;
use crate::page::List;

/// A post, and its author if a row of the same list brought them along.
#[derive(Clone)]
pub struct Post {
    row: post::Model,
    author: Option<User>,
}

impl From<post::Model> for Post {
    fn from(row: post::Model) -> Self {
        Self { row, author: None }
    }
}

impl From<&Entry> for Post {
    fn from(entry: &Entry) -> Self {
        Self { row: entry.post.clone(), author: Some(User::from(&entry.author)) }
    }
}

/// Something that a user wrote for everybody to read.
#[Object]
impl Post {
    /// Opaque and globally unique.
    pub async fn id(&self) -> ID {
        Id::Post(self.row.id).encode().into()
    }

    /// The text, 1 to 5000 characters, plain.
    ///
    /// Errors: `QUERY_TOO_COMPLEX` when the answer has more text than it has room for.
    async fn body(&self, ctx: &Context<'_>) -> Result<&str, Error> {
        caller(ctx).spend(&self.row.body)
    }

    /// When it was written: its place in every list.
    async fn created_at(&self) -> DateTime {
        DateTime(self.row.created_at)
    }

    /// When the text was last changed; null when never.
    async fn edited_at(&self) -> Option<DateTime> {
        self.row.edited_at.map(DateTime)
    }

    /// Who wrote it.
    async fn author(&self, ctx: &Context<'_>) -> Result<Prompt<User>, Error> {
        match &self.author {
            Some(author) => Ok(Prompt(author.clone())),
            None => User::load(ctx, self.row.author_id).await.map(Prompt),
        }
    }

    /// Whether the viewer has bookmarked it; false when not signed in.
    async fn viewer_has_bookmarked(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        Ok(loaders(ctx).bookmarked.load(self.row.id).await?.is_some())
    }

    /// Whether the viewer may edit and delete it: only its author may.
    async fn viewer_can_delete(&self, ctx: &Context<'_>) -> bool {
        caller(ctx).viewer().is_some_and(|viewer| viewer.id() == self.row.author_id)
    }
}

impl Post {
    pub fn row(&self) -> &post::Model {
        &self.row
    }
}

/// A post in a list.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct PostEdge {
    /// The place of this entry in the list.
    cursor: String,
    #[graphql(skip)]
    post: post::Model,
}

#[ComplexObject]
impl PostEdge {
    /// The post.
    async fn node(&self) -> Post {
        Post::from(self.post.clone())
    }
}

impl Edge for PostEdge {
    const CONNECTION: &'static str = "PostConnection";
    type Row = post::Model;
    type Node = Post;
    type Position = i64;
    /// The stored count, where the list has one.
    type Whole = Option<i32>;

    fn new(row: &post::Model, cursor: String) -> Self {
        Self { cursor, post: row.clone() }
    }

    fn position(row: &post::Model) -> i64 {
        row.id
    }

    async fn load(row: &post::Model, _: &Context<'_>) -> Result<Post, Error> {
        Ok(Post::from(row.clone()))
    }

    async fn count(stored: &Option<i32>, ctx: &Context<'_>) -> Result<i32, Error> {
        match stored {
            Some(count) => Ok(*count),
            None => graph::post::count(&loaders(ctx).snapshot).await.map(int),
        }
    }
}

#[derive(Default)]
pub struct PostQuery;

#[Object]
impl PostQuery {
    /// Everybody's posts, newest first. `totalCount` counts them when it is asked for.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "with_count(cost_of_posts(first, last, child_complexity))")]
    async fn posts(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many entries, from the start or from `after`: 1 to 100; 20 without `last`."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(
            desc = "How many entries, back from the end or from `before`: 1 to 100. Not with `first`."
        )]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<PostEdge>, Error> {
        let page = PageArgs { first, after, last, before }.of(List::Posts)?;
        let slice = graph::post::newest(&loaders(ctx).snapshot, &page).await?;
        Ok(Connection { list: List::Posts, slice: slice.into(), whole: None })
    }
}

/// A new post.
#[derive(InputObject)]
pub struct CreatePostInput {
    /// The text: 1 to 5000 characters, not blank, no control characters save newline and tab.
    body: String,
}

/// A change to one of the viewer's posts.
#[derive(InputObject)]
pub struct EditPostInput {
    /// The post.
    id: ID,
    /// The new text: 1 to 5000 characters, not blank, no control characters save newline and tab.
    body: String,
}

pub struct CreatePostPayload(Outcome<post::Model>);

/// The answer to `createPost`.
#[Object]
impl CreatePostPayload {
    /// The new post.
    async fn post(&self) -> Option<Post> {
        self.0.as_ref().ok().cloned().map(Post::from)
    }

    /// The entry to put at the head of the viewer's timeline.
    async fn timeline_edge(&self) -> Option<TimelineEdge> {
        let post = self.0.as_ref().ok()?;
        Some(TimelineEdge::new(post.author_id, Post::from(post.clone())))
    }

    /// Why nothing was written; empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct PostPayload(pub Outcome<PostChange>);

/// The answer to a mutation of one post.
#[Object]
impl PostPayload {
    /// Whether anything changed. False when it was so already, a success all the same.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|change| change.changed)
    }

    /// The post, as it is now.
    async fn post(&self) -> Option<Post> {
        self.0.as_ref().ok().map(|change| Post::from(change.post.clone()))
    }

    /// Why nothing was changed; empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct DeletePostPayload {
    id: ID,
    outcome: Outcome<bool>,
}

/// The answer to `deletePost`.
#[Object]
impl DeletePostPayload {
    /// Whether a post was deleted. False when there was none, a success all the same.
    async fn changed(&self) -> bool {
        self.outcome == Ok(true)
    }

    /// The id to take out of every list.
    async fn deleted_post_id(&self) -> Option<&ID> {
        self.outcome.is_ok().then_some(&self.id)
    }

    /// Why nothing was deleted; empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.outcome)
    }
}

#[derive(Default)]
pub struct PostMutation;

#[Object]
impl PostMutation {
    /// Publishes a post. It is in the timelines of the viewer and of all followers at once.
    ///
    /// User errors: `INVALID_INPUT`. Errors: `UNAUTHENTICATED`.
    async fn create_post(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The post.")] input: CreatePostInput,
    ) -> Result<CreatePostPayload, Error> {
        let viewer = viewer(ctx)?;
        let created = || graph::post::create(graph(ctx), &viewer, input.body.clone());
        Ok(CreatePostPayload(write(ctx, created).await?))
    }

    /// Changes the text of one of the viewer's posts. Its place in the lists stays the same.
    ///
    /// User errors: `INVALID_INPUT`, `NOT_FOUND`. Errors: `UNAUTHENTICATED`, `INVALID_ID`, `FORBIDDEN`
    /// for somebody else's post.
    async fn edit_post(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The post and its new text.")] input: EditPostInput,
    ) -> Result<PostPayload, Error> {
        let (viewer, id) = (viewer(ctx)?, Id::post(&input.id)?);
        let edited = || graph::post::edit(graph(ctx), &viewer, id, input.body.clone());
        Ok(PostPayload(write(ctx, edited).await?))
    }

    /// Deletes one of the viewer's posts, and everybody's bookmarks of it. A post that is not there
    /// counts as deleted.
    ///
    /// Errors: `UNAUTHENTICATED`, `INVALID_ID`, `FORBIDDEN` for somebody else's post.
    async fn delete_post(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The post.")] id: ID,
    ) -> Result<DeletePostPayload, Error> {
        let (viewer, key) = (viewer(ctx)?, Id::post(&id)?);
        let deleted = || graph::post::delete(graph(ctx), &viewer, key);
        Ok(DeletePostPayload { id, outcome: write(ctx, deleted).await? })
    }
}
