//! Dataloaders: batched and cached reads of one request.
//!
//! Each resolver loads a single key. The loader collects the keys of all resolvers that run
//! concurrently and reads them in one statement. [`Loaders`] is the set of all loaders; it lives as
//! long as its request and reads from one snapshot.
//!
//! [`Loader`] wraps the `dataloader` crate so that every key gets a result. A batch that fails or
//! panics fails all of its keys. A batch that is cancelled, because the future of its leading key
//! was dropped, is retried.

mod feed;
mod follow;
mod follow_filter;
mod follow_list;
mod follow_side;
mod mention;
mod notification;
mod post;
mod post_mark;
mod relationship;
mod reply;
mod reposter;
mod scheduler;
mod session;
mod timeline;
mod timeline_filter;
mod timeline_sql;
mod user;
mod user_list;

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dataloader::{BatchFn, cached};
use entity::user::Model as UserRow;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sea_orm::{FromQueryResult, Value};

use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::pagination::{Direction, PageRequest};
use crate::retry::{immediately, with_retries};
use scheduler::BatchScheduler;

pub use feed::{FeedPages, ListedPost, RepostCounts, feed_sql, repost_count_sql};
pub use follow::FollowExists;
pub use follow_filter::{FollowFilter, FollowList, Side};
pub use follow_list::{FilteredList, FollowCounts, FollowPage, FollowPages};
pub use mention::Mentions;
pub use notification::{Notifications, notifications};
pub use post::{PostPageKey, PostPages, Posts};
pub use post_mark::{PostMark, PostMarks};
pub use relationship::{Relationship, Relationships};
pub use reply::{
    Ancestors, MAX_ANCESTORS, ReplyCounts, ReplyPages, ancestors_sql, replies_sql, reply_count_sql,
};
pub use reposter::{Reposters, reposters, reposters_of_authors};
pub use scheduler::poll_inline;
pub use session::Sessions;
pub use timeline::{
    NewerCountKey, NewerCounts, SCAN_MIN_FOLLOWING, SCAN_WINDOW, Timeline, TimelineKey,
    TimelineRow, Timelines, timeline_rows,
};
pub use timeline_filter::{ItemFilter, ShownReplies, TimelineFilter};
pub use timeline_sql::{merge_heads, scan_recent};
pub use user::{Usernames, Users, users};
pub use user_list::{ListedUser, UserList, UserLists, sql as user_list_sql};

/// Maximum number of keys in a batch.
///
/// A request cannot have more, so no batch is split.
const MAX_BATCH: usize = 30_000;
/// Polls for which the `dataloader` crate collects keys.
///
/// One is enough: the [`BatchScheduler`] releases all keys of a round in the same poll.
const YIELDS_BEFORE_DISPATCH: usize = 1;
/// Look-ups for whether the viewer may see a user's lists: the user and a follow.
const OWNER_LOOKUPS: usize = 2;
/// Maximum number of attempts to load a key. Each retry follows a cancelled batch.
const MAX_ATTEMPTS: u32 = 100;

/// A page of the list of one owner: the key of every nested connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageKey {
    pub owner: i64,
    pub page: PageRequest<i64>,
}

/// A batched read: many keys in one statement or a few.
pub trait Batch: Send + 'static {
    type Key: Clone + Debug + Eq + Hash + Send + Sync + 'static;
    type Value: Clone + Send + 'static;

    /// Reads the values of all keys. Keys without a value are absent from the result.
    fn load(
        &self,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<HashMap<Self::Key, Self::Value>, Error>> + Send;
}

/// The result of one key: its value, if there is one, or the error of its batch.
type LoadResult<V> = Result<Option<V>, Error>;

/// Adapts a [`Batch`] to the `dataloader` crate, which needs an entry for each key.
struct BatchAdapter<B>(B);

impl<B: Batch> BatchFn<B::Key, LoadResult<B::Value>> for BatchAdapter<B> {
    async fn load(&mut self, keys: &[B::Key]) -> HashMap<B::Key, LoadResult<B::Value>> {
        let values = AssertUnwindSafe(self.0.load(keys)).catch_unwind().await;
        let mut values = values.unwrap_or_else(|_| {
            tracing::error!("a loader's batch panicked");
            Err(Error::Internal)
        });
        keys.iter()
            .map(|key| {
                let result = match &mut values {
                    Ok(values) => Ok(values.remove(key)),
                    Err(error) => Err(error.clone()),
                };
                (key.clone(), result)
            })
            .collect()
    }
}

/// A dataloader: batches and caches the reads of a [`Batch`].
pub struct Loader<B: Batch> {
    inner: cached::Loader<B::Key, LoadResult<B::Value>, BatchAdapter<B>>,
    scheduler: Arc<BatchScheduler>,
}

impl<B: Batch> Loader<B> {
    fn new(scheduler: &Arc<BatchScheduler>, batch: B) -> Self {
        let inner = cached::Loader::new(BatchAdapter(batch))
            .with_max_batch_size(MAX_BATCH)
            .with_yield_count(YIELDS_BEFORE_DISPATCH);
        Self { inner, scheduler: Arc::clone(scheduler) }
    }

    /// Loads the value of `key`, or `None` if it has none.
    ///
    /// The future is boxed because it is part of the future of each field of its object, and most
    /// fields load nothing.
    ///
    /// # Errors
    /// The error of the batch; [`Error::Internal`] when the batch panicked.
    pub fn load(&self, key: B::Key) -> BoxFuture<'_, LoadResult<B::Value>> {
        Box::pin(self.load_uncancellable(key))
    }

    async fn load_uncancellable(&self, key: B::Key) -> LoadResult<B::Value> {
        let load = async || {
            let _in_flight = self.scheduler.next_round().await;
            self.inner.try_load(key.clone()).await
        };
        // An error means that the batch with this key was cancelled before it was complete.
        let result = with_retries(MAX_ATTEMPTS, |_| true, immediately, load).await;
        result.unwrap_or_else(|_| Err(Error::internal("all batches with a key were cancelled")))
    }

    /// Caches a value that another statement has read.
    pub async fn prime(&self, key: B::Key, value: B::Value) {
        self.inner.prime(key, Ok(Some(value))).await;
    }
}

/// Id of the viewer, shared by a request's loaders; 0 for an anonymous request.
#[derive(Clone, Debug, Default)]
pub struct ViewerId(Arc<AtomicI64>);

impl From<i64> for ViewerId {
    fn from(id: i64) -> Self {
        Self(Arc::new(id.into()))
    }
}

impl ViewerId {
    fn set(&self, id: Option<i64>) {
        self.0.store(id.unwrap_or_default(), Ordering::Relaxed);
    }

    fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }

    /// The id as a parameter: 0 for an anonymous request.
    fn value(&self) -> Value {
        self.0.load(Ordering::Relaxed).into()
    }
}

/// Declares [`Loaders`] from a list of loaders.
///
/// Each has a name, a batch type, and an expression that makes the batch from the snapshot and the
/// viewer.
macro_rules! loaders {
    ($($(#[$doc:meta])* $name:ident: $batch:ty = |$db:ident, $viewer:ident| $new:expr;)*) => {
        /// All loaders of a request, for one viewer and from one snapshot.
        pub struct Loaders {
            pub snapshot: Snapshot,
            viewer: ViewerId,
            $($(#[$doc])* pub $name: Loader<$batch>,)*
        }

        impl Loaders {
            fn with_viewer_id(snapshot: Snapshot, viewer: ViewerId) -> Self {
                let scheduler = Arc::new(BatchScheduler::default());
                Self {
                    $($name: {
                        let ($db, $viewer) = (snapshot.clone(), viewer.clone());
                        let _ = &$viewer;
                        Loader::new(&scheduler, $new)
                    },)*
                    snapshot,
                    viewer,
                }
            }

            /// Empties the caches and releases the database connection.
            ///
            /// Called around each write, so that a mutation's result is read from a new snapshot.
            pub async fn clear(&self) {
                self.snapshot.reset().await;
                $(self.$name.inner.clear_all().await;)*
            }
        }
    };
}

loaders! {
    /// Users by id.
    users: Users = |db, viewer| Users(db);
    /// Users by lower-cased username.
    usernames: Usernames = |db, viewer| Usernames(db);
    /// Posts by id, if the viewer may see them.
    posts: Posts = |db, viewer| Posts { db, viewer };
    /// Pages of followers.
    followers: UserLists = |db, viewer| UserLists { db, viewer, list: UserList::Followers };
    /// Pages of followed users.
    following: UserLists = |db, viewer| UserLists { db, viewer, list: UserList::Following };
    /// Pages of the users whom a user blocks.
    blocked: UserLists = |db, viewer| UserLists { db, viewer, list: UserList::Blocked };
    /// Pages of the users whom a user mutes.
    muted: UserLists = |db, viewer| UserLists { db, viewer, list: UserList::Muted };
    /// Pages of the requests to follow a user.
    follow_requests: UserLists =
        |db, viewer| UserLists { db, viewer, list: UserList::FollowRequests };
    /// Pages of a user's requests to follow others.
    sent_follow_requests: UserLists =
        |db, viewer| UserLists { db, viewer, list: UserList::SentFollowRequests };
    /// Pages of the users who like a post.
    likers: UserLists = |db, viewer| UserLists { db, viewer, list: UserList::Likers };
    /// Pages of the users who have reposted a post.
    reposters: UserLists = |db, viewer| UserLists { db, viewer, list: UserList::Reposters };
    /// Pages of filtered followers or followed users.
    follow_pages: FollowPages = |db, viewer| FollowPages { db, sides: follow_side::Sides { viewer } };
    /// Lengths of these lists.
    follow_counts: FollowCounts = |db, viewer| FollowCounts { db, sides: follow_side::Sides { viewer } };
    /// Whether a user follows another.
    follow_exists: FollowExists = |db, viewer| FollowExists(db);
    /// Pages of a user's posts.
    post_pages: PostPages = |db, viewer| PostPages { db, viewer };
    /// Pages of what a user posts and reposts.
    feed_pages: FeedPages = |db, viewer| FeedPages { db, viewer };
    /// Numbers of a user's reposts that the viewer may see.
    repost_counts: RepostCounts = |db, viewer| RepostCounts { db, viewer };
    /// Ancestors of posts that reply to others.
    ancestors: Ancestors = |db, viewer| Ancestors { db, viewer };
    /// Mentions in the texts of posts.
    mentions: Mentions = |db, viewer| Mentions(db);
    /// Pages of the replies to a post.
    reply_pages: ReplyPages = |db, viewer| ReplyPages { db, viewer };
    /// Numbers of replies that the viewer may see.
    reply_counts: ReplyCounts = |db, viewer| ReplyCounts { db, viewer };
    /// Pages of home timelines.
    timelines: Timelines = |db, viewer| Timelines::new(db, viewer, SCAN_WINDOW);
    /// Counts of timeline entries that are newer than a feed item.
    newer_counts: NewerCounts = |db, viewer| NewerCounts { db, viewer };
    /// The viewer's relationships with users.
    relationships: Relationships = |db, viewer| Relationships { db, viewer };
    /// Whether the viewer has bookmarked posts.
    bookmarked: PostMarks = |db, viewer| PostMarks { db, viewer, mark: PostMark::Bookmark };
    /// Whether the viewer has liked posts.
    liked: PostMarks = |db, viewer| PostMarks { db, viewer, mark: PostMark::Like };
    /// Whether the viewer has reposted posts.
    reposted: PostMarks = |db, viewer| PostMarks { db, viewer, mark: PostMark::Repost };
    /// The viewer's sessions by id.
    sessions: Sessions = |db, viewer| Sessions { db, viewer };
    /// The viewer's notifications by id.
    notifications: Notifications = |db, viewer| Notifications { db, viewer };
}

impl Loaders {
    /// Loaders for a viewer whose row was read on the primary.
    ///
    /// The row is cached unless the snapshot is on a replica, whose state may differ.
    pub async fn new(snapshot: Snapshot, viewer: Option<&UserRow>) -> Self {
        let id = ViewerId::default();
        id.set(viewer.map(|user| user.id));
        let loaders = Self::with_viewer_id(snapshot, id);
        let is_same_state = !loaders.snapshot.is_on_replica().await;
        if let Some(user) = viewer.filter(|_| is_same_state) {
            loaders.users.prime(user.id, Arc::new(user.clone())).await;
        }
        loaders
    }

    /// Changes the viewer after `login` or `logout`.
    pub async fn set_viewer(&self, viewer: Option<i64>) {
        self.viewer.set(viewer);
        self.clear().await;
    }
}

/// Loads pages of lists, with one statement for all owners that need the same page.
///
/// All parents of a nested connection need the same page. The parameters of the statement are those
/// of [`crate::pagination::page_sql`], and then the values beside `sql`. `rows` is the number of
/// rows that it looks up for a key.
async fn pages<R: FromQueryResult, T>(
    db: &Snapshot,
    keys: &[PageKey],
    (sql, further_values): (impl Fn(Engine, Direction) -> String, &[Value]),
    new_page: impl Fn(&PageRequest<i64>, Vec<R>) -> T,
    owner: impl Fn(&R) -> i64,
    rows: impl Fn(&PageKey) -> usize,
) -> Result<HashMap<PageKey, T>, Error> {
    let mut owners: HashMap<&PageRequest<i64>, (Vec<i64>, usize)> = HashMap::new();
    for key in keys {
        let (owners, lookups) = owners.entry(&key.page).or_default();
        owners.push(key.owner);
        *lookups += rows(key);
    }
    let mut pages = HashMap::with_capacity(keys.len());
    for (request, (owners, lookups)) in owners {
        let (start, end) = request.bounds();
        let ids = db.engine().bind_ids(owners.iter().copied());
        let mut values = vec![ids, start.into(), end.into(), request.limit().into()];
        values.extend_from_slice(further_values);
        let mut by_owner: HashMap<i64, Vec<R>> = HashMap::with_capacity(owners.len());
        for row in db.all::<R, _>(lookups, &sql(db.engine(), request.direction), values).await? {
            by_owner.entry(owner(&row)).or_default().push(row);
        }
        for owner in owners {
            let rows = by_owner.remove(&owner).unwrap_or_default();
            pages.insert(PageKey { owner, page: request.clone() }, new_page(request, rows));
        }
    }
    Ok(pages)
}

#[cfg(test)]
mod tests;
