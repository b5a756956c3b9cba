//! Posts: create and edit the viewer's posts, and list all posts.
//!
//! Only the author may change a post. Each write also keeps the author's counts equal to the
//! numbers of posts and of replies, and records an event for the subscribers of timelines.
//! `deletion` deletes posts.
//!
//! A reply belongs to its author, and outlives the post that it replies to.

use std::time::Duration;

use chrono::SubsecRound as _;
use entity::user::visible_to_sql;
use entity::{event, feed_item, post, user};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait as _, LockType};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, Set,
};

use super::idempotency::IdempotencyKey;
use super::mention;
use super::notification::{self, Notice};
use super::pair::check_contact;
use super::target_post::{
    PostArgument, add_to_count, find_own, lock_author, lock_post, lock_viewer,
};
use super::{Change, PostChange, PostLimits, SECONDS_PER_DAY, Services, day_of, validation};
use crate::auth::Viewer;
use crate::clock;
use crate::database::{SearchIndex, Snapshot};
use crate::error::{Error, UserErrorKind};
use crate::ids::snowflake;
use crate::pagination::{Page, PageRequest, all_pages_sql};

pub use super::mention::MAX_NAMES as MAX_MENTIONS;

/// A page of all public posts, newest first.
pub async fn newest(
    snapshot: &Snapshot,
    request: &PageRequest<i64>,
) -> Result<Page<post::Model>, Error> {
    let engine = snapshot.engine();
    let (start, end) = request.bounds();
    let values = [true.into(), start.into(), end.into(), request.limit().into()];
    // The column is a copy of the rule, for the index. The rule itself decides.
    let is_visible = visible_to_sql("post.author_id", "0");
    let condition = format!("AND is_public = true AND {is_visible}");
    let source = all_pages_sql(engine, "post", &condition, request.direction);
    let sql = format!("SELECT post.* FROM {source}");
    let rows = snapshot.all(2 * request.rows(), &sql, values).await?;
    Ok(Page::new(request, rows, |post: &post::Model| post.id))
}

/// Number of all public posts.
pub async fn count(snapshot: &Snapshot) -> Result<u64, Error> {
    let public = post::Entity::find().filter(post::Column::IsPublic.eq(true));
    let count = public.count(&**snapshot.read(1).await?).await?;
    snapshot.charge_counted(count);
    Ok(count)
}

/// A post that is to be created.
#[derive(Clone, Debug)]
pub struct NewPost {
    pub body: String,
    /// The post that it replies to; `None` if it replies to none.
    pub in_reply_to: Option<i64>,
    /// A key that makes a repetition of the request return the first post.
    pub idempotency_key: Option<String>,
}

/// Creates a post of the viewer, and returns its id.
///
/// If the viewer has used the idempotency key before, it returns the id of the first post, which
/// may have been deleted.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput`, `IdempotencyMismatch` or `TooManyRequests`, and for a
/// reply with `NotFound` or `Blocked`; [`Error::Unauthenticated`] when the account was deleted; any
/// error of the database.
pub async fn create(services: &Services, viewer: &Viewer, new: NewPost) -> Result<i64, Error> {
    let body = validation::body(new.body, &["input", "body"])?;
    let parent = new.in_reply_to.map(i64::to_be_bytes);
    let input = [body.as_bytes(), parent.as_ref().map_or(&[][..], |id| &id[..])];
    let key = new.idempotency_key.map(|key| IdempotencyKey::new(key, &input)).transpose()?;
    let transaction = services.db.begin().await?;
    if let Some(key) = &key {
        // Before the row of the key, which refers to the viewer.
        lock_viewer(&transaction, viewer).await?;
        // Before all other checks: the first request has passed them.
        if let Some(first) = key.claim(services, &transaction, viewer).await? {
            return Ok(first);
        }
    }
    let added = Added { posts: 1, replies: i32::from(new.in_reply_to.is_some()) };
    let author = count_text(services, &transaction, viewer, &body, added).await?;
    let mentioned = mention::resolve(services, &transaction, viewer.id(), &body).await?;
    let parent = match new.in_reply_to {
        Some(id) => Some(count_reply(services, &transaction, viewer, id).await?),
        None => None,
    };
    let kind = if parent.is_some() { feed_item::Kind::Reply } else { feed_item::Kind::Post };
    let id = services.ids.next();
    let post = post::ActiveModel {
        id: Set(id),
        author_id: Set(viewer.id()),
        body: Set(body.clone()),
        created_at: Set(snowflake::timestamp_of(id)),
        edited_at: Set(None),
        is_public: Set(!author.is_protected),
        in_reply_to_id: Set(new.in_reply_to),
        likes_count: Set(0),
        replies_count: Set(0),
        reposts_count: Set(0),
    };
    post::Entity::insert(post).exec_without_returning(&transaction).await?;
    mention::insert(services, &transaction, id, &mentioned).await?;
    services.db.index_words(&*transaction, SearchIndex::Posts, id, &body).await?;
    let item = feed_item::ActiveModel {
        actor_id: Set(viewer.id()),
        id: Set(id),
        post_id: Set(id),
        subject_id: Set(parent.as_ref().map(|parent| parent.author_id)),
        kind: Set(kind),
    };
    feed_item::Entity::insert(item).exec_without_returning(&transaction).await?;
    if let Some(key) = &key {
        key.record(&transaction, viewer, id).await?;
    }
    let added = Change { kind: event::Kind::PostAdded, actor: viewer.id(), object: id };
    let mut parts: Vec<Change> = parent.as_ref().map(Change::counted).into_iter().collect();
    let mut notices = mention::notices_of_new(viewer.id(), id, &mentioned);
    notices.extend(parent.as_ref().map(|parent| {
        let (recipient, kind) = (parent.author_id, entity::notification::Kind::Reply);
        Notice { recipient, kind, actor: viewer.id(), post: Some(id) }
    }));
    // After the feed item, by which the author of the parent gets no notification of a mention.
    parts.extend(notification::notify(services, &transaction, &notices).await?);
    services.record(&transaction, added, &parts).await?;
    services.commit(transaction, viewer).await?;
    Ok(id)
}

/// Replaces the body of a post of the viewer. The same body changes nothing.
///
/// # Errors
/// [`Error::Expected`] with `InvalidInput`, `NotFound` or `TooManyRequests`; [`Error::Forbidden`]
/// when another user wrote the post; [`Error::Unauthenticated`] when the account was deleted; any
/// error of the database.
pub async fn edit(
    services: &Services,
    viewer: &Viewer,
    id: i64,
    body: String,
) -> Result<PostChange, Error> {
    let body = validation::body(body, &["input", "body"])?;
    let transaction = services.db.begin().await?;
    // Users are locked before the post, as by a deletion.
    lock_viewer(&transaction, viewer).await?;
    mention::lock_mentioned(&transaction, id).await?;
    let mentioned = mention::resolve(services, &transaction, viewer.id(), &body).await?;
    let Some(post) = find_own(services, &transaction, viewer, id).await? else {
        return Err(UserErrorKind::NotFound.at(&["input", "id"], "There is no such post.").into());
    };
    if post.body == body {
        return Ok(PostChange { changed: false, post: id });
    }
    let added = Added { posts: 0, replies: 0 };
    count_text(services, &transaction, viewer, &body, added).await?;
    let mut post: post::ActiveModel = post.into();
    post.body = Set(body);
    post.edited_at = Set(Some(clock::now().trunc_subsecs(3)));
    let post = post.update(&transaction).await?;
    services.db.index_words(&*transaction, SearchIndex::Posts, id, &post.body).await?;
    let parts = mention::replace(services, &transaction, &post, &mentioned).await?;
    let edited = Change { kind: event::Kind::PostUpdated, actor: viewer.id(), object: id };
    services.record(&transaction, edited, &parts).await?;
    services.commit(transaction, viewer).await?;
    Ok(PostChange { changed: true, post: id })
}

/// Locks a post that the viewer replies to, and counts the reply.
///
/// This and `deletion` are all that changes the count.
///
/// # Errors
/// [`Error::Expected`] with `NotFound` or `Blocked`; any error of the database.
async fn count_reply(
    services: &Services,
    transaction: &DatabaseTransaction,
    viewer: &Viewer,
    id: i64,
) -> Result<post::Model, Error> {
    let argument = PostArgument { id, path: &["input", "inReplyToId"] };
    lock_author(transaction, id).await?;
    let parent = lock_post(services, transaction, viewer, argument, LockType::NoKeyUpdate).await?;
    // Blocks lock both users, and the viewer is locked, so none is made until the commit.
    check_contact(transaction, (viewer.id(), parent.author_id), argument.path).await?;
    add_to_count(transaction, parent.id, post::Column::RepliesCount, 1).await?;
    Ok(parent)
}

/// What a text adds to the counts of its author.
#[derive(Clone, Copy, Debug)]
struct Added {
    posts: i32,
    /// How many of these posts are replies.
    replies: i32,
}

/// Adds to the author's counts, and a text to what was written today.
///
/// One statement does both, and checks the limits. Returns the author, who is locked.
///
/// # Errors
/// [`Error::Expected`] with `TooManyRequests` when a limit of the day is reached;
/// [`Error::Unauthenticated`] when the account was deleted; any error of the database.
async fn count_text(
    services: &Services,
    transaction: &DatabaseTransaction,
    viewer: &Viewer,
    text: &str,
    added: Added,
) -> Result<user::Model, Error> {
    let PostLimits { per_day, bytes_per_day } = services.post_limits;
    let max_made = if per_day > 0 { per_day } else { i32::MAX };
    let max_bytes = if bytes_per_day > 0 { bytes_per_day } else { i64::MAX };
    let now = clock::now();
    let (day, bytes) = (day_of(now), i64::try_from(text.len()).unwrap_or(i64::MAX));
    let made_today = |column: user::Column| {
        let is_today = user::Column::PostsDay.eq(day);
        Expr::Case(Box::new(CaseStatement::new().case(is_today, Expr::col(column)).finally(0)))
    };
    let (posts, replies) = (user::Column::PostsCount, user::Column::RepliesCount);
    let (made, bytes_made) = (user::Column::PostsMade, user::Column::PostBytesMade);
    let updated = user::Entity::update_many()
        .col_expr(posts, Expr::col(posts).add(added.posts))
        .col_expr(replies, Expr::col(replies).add(added.replies))
        .col_expr(made, made_today(made).add(1))
        .col_expr(bytes_made, made_today(bytes_made).add(bytes))
        .col_expr(user::Column::PostsDay, Expr::value(day))
        .filter(user::Column::Id.eq(viewer.id()))
        .filter(made_today(made).lt(max_made))
        .filter(made_today(bytes_made).lte(max_bytes.saturating_sub(bytes)))
        .exec_with_returning(transaction)
        .await?;
    if let Some(author) = updated.into_iter().next() {
        return Ok(author);
    }
    if user::Entity::find_by_id(viewer.id()).one(transaction).await?.is_none() {
        return Err(Error::account_changed());
    }
    let rest_of_day = SECONDS_PER_DAY - now.timestamp().rem_euclid(SECONDS_PER_DAY);
    let retry_after = Duration::from_secs(rest_of_day.unsigned_abs());
    let message = "You have reached the limit of posts for today. Try again tomorrow (UTC).";
    Err(UserErrorKind::TooManyRequests { retry_after }.at(&[], message).into())
}
