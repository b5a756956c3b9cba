//! GraphQL types of posts: the object, the public list, and the author's mutations.
//!
//! A [`Post`] has its whole row, and its author if the row of the list has the author's summary, so
//! that `author` needs no further statement.

use async_graphql::{ComplexObject, Context, ID, InputObject, MergedObject, Object, SimpleObject};
use entity::post;

use super::connection::{Connection, Edge, PageArgs, cost_of_posts, multiply_cost, with_count};
use super::eager::Eager;
use super::error::{UserErrorInterface, user_errors};
use super::mention::Mention;
use super::post_list::PostCount;
use super::reaction::Reactions;
use super::reply::Conversation;
use super::scalar::DateTime;
use super::text::Text;
use super::timeline::TimelineEdge;
use super::user::User;
use super::{Outcome, loaders, request, run_mutation, services, viewer};
use crate::domain;
use crate::domain::PostChange;
use crate::domain::post::{MAX_MENTIONS, NewPost};
use crate::error::Error;
use crate::ids::GlobalId;
use crate::loaders::{ListedPost, TimelineRow};
use crate::pagination::CursorKind;

/// A post of a user. It is public unless its author is protected.
#[derive(Clone, MergedObject)]
pub struct Post(Content, Reactions, Conversation);

/// The fields of a post beside reactions and the conversation.
#[derive(Clone)]
struct Content {
    row: post::Model,
    /// The author, if they were read in the same statement.
    author: Option<User>,
}

impl From<post::Model> for Post {
    fn from(row: post::Model) -> Self {
        let (reactions, conversation) = (Reactions::from(&row), Conversation::from(&row));
        Self(Content { row, author: None }, reactions, conversation)
    }
}

impl From<&TimelineRow> for Post {
    fn from(entry: &TimelineRow) -> Self {
        let (row, author) = (entry.post.clone(), Some(User::from(&entry.author)));
        let (reactions, conversation) = (Reactions::from(&row), Conversation::from(&row));
        Self(Content { row, author }, reactions, conversation)
    }
}

#[Object]
impl Content {
    /// Opaque, globally unique id.
    async fn id(&self) -> ID {
        GlobalId::Post(self.row.id).encode().into()
    }

    /// The plain text, 1 to 5000 characters (Unicode code points).
    ///
    /// Errors: `QUERY_TOO_COMPLEX` if the response exceeds its maximum of text.
    async fn body(&self) -> Text<'_> {
        self.row.body.as_str().into()
    }

    /// When the post was created. Lists of posts are ordered by it, newest first.
    async fn created_at(&self) -> DateTime {
        DateTime(self.row.created_at)
    }

    /// When the text was last changed. Null if it was never changed.
    async fn edited_at(&self) -> Option<DateTime> {
        self.row.edited_at.map(DateTime)
    }

    /// The user who wrote the post.
    async fn author(&self, ctx: &Context<'_>) -> Result<Eager<User>, Error> {
        match &self.author {
            Some(author) => Ok(Eager(author.clone())),
            None => User::load(ctx, self.row.author_id).await.map(Eager),
        }
    }

    /// The users whom the text names as `@username`, in the order of the text.
    ///
    /// At most 20: the first 20 names of the text are looked up when it is written or edited.
    /// A name is plain text if there is no such user, or if the user or the author blocks the
    /// other. A letter, a digit, `_` or `@` before the `@` makes it plain text, too. Case does not
    /// matter.
    #[graphql(complexity = "multiply_cost(MAX_MENTIONS, child_complexity)")]
    async fn mentions(&self, ctx: &Context<'_>) -> Result<Vec<Mention>, Error> {
        let mentions = loaders(ctx).mentions.load(self.row.id).await?.unwrap_or_default();
        Ok(mentions.iter().cloned().map(Mention).collect())
    }

    /// Whether the viewer is the author, and may therefore edit and delete the post.
    async fn viewer_can_delete(&self, ctx: &Context<'_>) -> bool {
        request(ctx).viewer().is_some_and(|viewer| viewer.id() == self.row.author_id)
    }
}

impl Post {
    /// A post that a mutation has changed.
    ///
    /// `None` if it was deleted since, or without an id.
    async fn after(ctx: &Context<'_>, id: Option<i64>) -> Result<Option<Self>, Error> {
        let Some(id) = id else { return Ok(None) };
        Ok(loaders(ctx).posts.load(id).await?.map(Self::from))
    }

    /// The global id, as the interface `Node` requests it.
    #[expect(clippy::unused_async, reason = "the interface awaits it")]
    pub async fn id(&self, _: &Context<'_>) -> async_graphql::Result<ID> {
        Ok(GlobalId::Post(self.row().id).encode().into())
    }

    pub fn row(&self) -> &post::Model {
        &self.0.row
    }
}

/// An entry of a list of posts.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct PostEdge {
    /// The cursor of this entry.
    cursor: String,
    #[graphql(skip)]
    listed: ListedPost,
}

#[ComplexObject]
impl PostEdge {
    /// The post.
    async fn node(&self) -> Post {
        Post::from(self.listed.post.clone())
    }

    /// When the user of the list reposted the post.
    ///
    /// Null unless the entry is a repost, as in `User.posts` with `filter: {reposts: true}`.
    async fn reposted_at(&self) -> Option<DateTime> {
        self.listed.repost.map(DateTime::from_id)
    }
}

impl Edge for PostEdge {
    const CONNECTION: &'static str = "PostConnection";
    type Row = ListedPost;
    type Node = Post;
    type Key = i64;
    type CountSource = PostCount;

    fn new(row: &ListedPost, cursor: String) -> Self {
        Self { cursor, listed: row.clone() }
    }

    fn key(row: &ListedPost) -> i64 {
        row.position()
    }

    async fn load(row: &ListedPost, _: &Context<'_>) -> Result<Post, Error> {
        Ok(Post::from(row.post.clone()))
    }

    async fn count(source: &PostCount, ctx: &Context<'_>) -> Result<i32, Error> {
        source.read(ctx).await
    }
}

#[derive(Default)]
pub struct PostQuery;

#[Object]
impl PostQuery {
    /// The posts of all users who are not protected, newest first.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "with_count(cost_of_posts(first, last, child_complexity))")]
    async fn posts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<PostEdge>, Error> {
        let page = PageArgs { first, after, last, before }.parse(CursorKind::Posts)?;
        let page = domain::post::newest(&loaders(ctx).snapshot, &page).await?;
        let page = page.map(ListedPost::from).into();
        let count_source = PostCount::Public;
        Ok(Connection { order: CursorKind::Posts.into(), page, count_source })
    }
}

/// Input of `createPost`: the new post.
#[derive(InputObject)]
pub struct CreatePostInput {
    /// The text of the post, 1 to 5000 characters (Unicode code points).
    ///
    /// At least one must be visible. The only control characters that are allowed are newline and
    /// tab.
    body: String,
    /// The id of the post that the new post replies to. Null if it replies to none.
    ///
    /// The viewer may reply to their own posts, too.
    in_reply_to_id: Option<ID>,
    /// A key that the client chooses, 1 to 100 visible characters without spaces.
    ///
    /// With the key of an earlier request of the viewer within 24 hours, and with the same input,
    /// the mutation creates no post and returns the first one. A request that failed leaves no
    /// key.
    idempotency_key: Option<String>,
}

/// Input of `editPost`.
#[derive(InputObject)]
pub struct EditPostInput {
    /// The id of a post of the viewer.
    id: ID,
    /// The new text of the post, 1 to 5000 characters (Unicode code points).
    ///
    /// At least one must be visible. The only control characters that are allowed are newline and
    /// tab.
    body: String,
}

pub struct CreatePostPayload(Outcome<i64>);

/// Payload of `createPost`.
#[Object]
impl CreatePostPayload {
    /// The new post. Null on failure, and if the post has been deleted since.
    async fn post(&self, ctx: &Context<'_>) -> Result<Option<Post>, Error> {
        Post::after(ctx, self.0.as_ref().ok().copied()).await
    }

    /// The entry of the new post in the viewer's timeline, at first the first one.
    ///
    /// Null on failure, and if the post has been deleted since.
    async fn timeline_edge(&self, ctx: &Context<'_>) -> Result<Option<TimelineEdge>, Error> {
        let post = Post::after(ctx, self.0.as_ref().ok().copied()).await?;
        Ok(post.map(|post| TimelineEdge::of_post(post.row().author_id, post)))
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct PostPayload(pub Outcome<PostChange>);

/// Payload of `editPost`, and of `bookmark`, `like`, `repost` and their opposites.
#[Object]
impl PostPayload {
    /// True if anything changed. False if nothing had to change, and on failure.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|change| change.changed)
    }

    /// The post, after the mutation. Null on failure, and if it has been deleted since.
    async fn post(&self, ctx: &Context<'_>) -> Result<Option<Post>, Error> {
        Post::after(ctx, self.0.as_ref().ok().map(|change| change.post)).await
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

pub struct DeletePostPayload {
    id: ID,
    outcome: Outcome<bool>,
}

/// Payload of `deletePost`.
#[Object]
impl DeletePostPayload {
    /// True if the post was deleted. False if it did not exist, and on failure.
    async fn changed(&self) -> bool {
        self.outcome == Ok(true)
    }

    /// The id of the post to remove from cached lists. Null on failure.
    async fn deleted_post_id(&self) -> Option<&ID> {
        self.outcome.is_ok().then_some(&self.id)
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.outcome)
    }
}

#[derive(Default)]
pub struct PostMutation;

#[Object]
impl PostMutation {
    /// Publishes a post. It appears in the timelines of the viewer and all followers.
    ///
    /// User errors: `INVALID_INPUT`, `TOO_MANY_REQUESTS`, `IDEMPOTENCY_MISMATCH`. For a reply also
    /// `NOT_FOUND` if there is no such post or the viewer may not see it, and `BLOCKED` if the
    /// viewer or its author blocks the other. Errors: `UNAUTHENTICATED`, `INVALID_ID`.
    async fn create_post(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new post.")] input: CreatePostInput,
    ) -> Result<CreatePostPayload, Error> {
        let viewer = viewer(ctx)?;
        let in_reply_to = input.in_reply_to_id.map(|id| GlobalId::post(&id)).transpose()?;
        let new = NewPost { body: input.body, in_reply_to, idempotency_key: input.idempotency_key };
        let write = || domain::post::create(services(ctx), &viewer, new.clone());
        Ok(CreatePostPayload(run_mutation(ctx, write).await?))
    }

    /// Changes the text of a post of the viewer. The order of lists stays the same.
    ///
    /// User errors: `INVALID_INPUT`, `NOT_FOUND`, also for a post that the viewer may not see;
    /// `TOO_MANY_REQUESTS`. Errors: `UNAUTHENTICATED`, `INVALID_ID`, `FORBIDDEN` for a post of
    /// another user.
    async fn edit_post(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the post, and its new text.")] input: EditPostInput,
    ) -> Result<PostPayload, Error> {
        let (viewer, id) = (viewer(ctx)?, GlobalId::post(&input.id)?);
        let write = || domain::post::edit(services(ctx), &viewer, id, input.body.clone());
        Ok(PostPayload(run_mutation(ctx, write).await?))
    }

    /// Deletes a post of the viewer and all bookmarks, likes and reposts of the post.
    ///
    /// Replies to the post stay.
    ///
    /// A post with many of these is deleted in several steps. After `OUTCOME_UNKNOWN` some can be
    /// gone while the post exists: send the mutation again.
    ///
    /// Deleting a post that does not exist, or that the viewer may not see, succeeds.
    ///
    /// Errors: `UNAUTHENTICATED`, `INVALID_ID`, `FORBIDDEN` for a post of another user.
    async fn delete_post(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the post.")] id: ID,
    ) -> Result<DeletePostPayload, Error> {
        let (viewer, key) = (viewer(ctx)?, GlobalId::post(&id)?);
        let write = || domain::deletion::delete_post(services(ctx), &viewer, key);
        Ok(DeletePostPayload { id, outcome: run_mutation(ctx, write).await? })
    }
}
