//! The request's dataloaders, and nothing else that batches. Resolvers that run side by side each
//! ask for one thing; the loader asks the database once for all of them.
//!
//! One set lives as long as one request. [`Loader`] wraps the `dataloader` crate so that a key never
//! goes unanswered: a failed batch, a panic in it, or a leader that was dropped before it finished.

mod bookmark;
mod follow;
mod pace;
mod post;
mod session;
mod timeline;
mod user;

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dataloader::BatchFn;
use dataloader::cached;
use entity::user::Model as UserRow;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sea_orm::FromQueryResult;

use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::page::{Direction, Page};
use pace::Pace;

pub use bookmark::Bookmarked;
pub use follow::{
    Follows, Neighbour, Pairs, Relationship, Relationships, Side, sql as follows_sql,
};
pub use pace::take_turns;
pub use post::{PostPages, Posts};
pub use session::Sessions;
pub use timeline::{
    Entry, MANY, Newer, NewerThan, TimelineOf, Timelines, WINDOW, entries, merge, walk,
};
pub use user::{Usernames, Users, users};

/// More keys than one request can name; a batch never splits.
const MAX_BATCH: usize = 30_000;
/// Turns in which the keys of one round find together: they are let go in the same one.
const GATHERING_TURNS: usize = 1;
/// How often a key is asked again after its batch was lost. Each loss needs a dropped leader.
const MAX_TRIES: usize = 100;

/// A page of the list that belongs to `owner`: the key of every nested connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageOf {
    pub owner: i64,
    pub page: Page<i64>,
}

/// Many keys in, one or a few statements, what was found out.
pub trait Batch: Send + 'static {
    type Key: Clone + Debug + Eq + Hash + Send + Sync + 'static;
    type Value: Clone + Send + 'static;

    fn load(
        &self,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<HashMap<Self::Key, Self::Value>, Error>> + Send;
}

type Answer<V> = Result<Option<V>, Error>;

struct Answering<B>(B);

impl<B: Batch> BatchFn<B::Key, Answer<B::Value>> for Answering<B> {
    async fn load(&mut self, keys: &[B::Key]) -> HashMap<B::Key, Answer<B::Value>> {
        let found = AssertUnwindSafe(self.0.load(keys)).catch_unwind().await;
        let mut found = found.unwrap_or_else(|_| {
            tracing::error!("a batch panicked");
            Err(Error::Internal)
        });
        keys.iter()
            .map(|key| {
                let answer = match &mut found {
                    Ok(found) => Ok(found.remove(key)),
                    Err(error) => Err(error.clone()),
                };
                (key.clone(), answer)
            })
            .collect()
    }
}

pub struct Loader<B: Batch> {
    inner: cached::Loader<B::Key, Answer<B::Value>, Answering<B>>,
    pace: Arc<Pace>,
}

impl<B: Batch> Loader<B> {
    fn new(pace: &Arc<Pace>, batch: B) -> Self {
        let inner = cached::Loader::new(Answering(batch))
            .with_max_batch_size(MAX_BATCH)
            .with_yield_count(GATHERING_TURNS);
        Self { inner, pace: Arc::clone(pace) }
    }

    /// What belongs to `key`; `None` when there is nothing. In a box: it is part of the future of every
    /// field of its object, and most fields load nothing.
    ///
    /// # Errors
    /// Whatever the batch failed with.
    pub fn load(&self, key: B::Key) -> BoxFuture<'_, Answer<B::Value>> {
        Box::pin(self.load_whatever_happens(key))
    }

    async fn load_whatever_happens(&self, key: B::Key) -> Answer<B::Value> {
        for _ in 0..MAX_TRIES {
            let _unanswered = self.pace.round().await;
            // An error here says that the batch with this key was dropped on its way: ask again.
            if let Ok(answer) = self.inner.try_load(key.clone()).await {
                return answer;
            }
        }
        Err(Error::internal("a key was lost again and again"))
    }

    /// Tells the loader what a statement has already brought along.
    pub async fn prime(&self, key: B::Key, value: B::Value) {
        self.inner.prime(key, Ok(Some(value))).await;
    }
}

/// Whose eyes the request looks through; 0 for nobody's.
#[derive(Clone, Debug, Default)]
struct ViewerKey(Arc<AtomicI64>);

impl ViewerKey {
    fn set(&self, key: Option<i64>) {
        self.0.store(key.unwrap_or_default(), Ordering::Relaxed);
    }

    fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|key| *key != 0)
    }
}

/// Everything a request can load, from one viewer's point of view, at one moment.
pub struct Loaders {
    pub snapshot: Snapshot,
    viewer: ViewerKey,
    pub users: Loader<Users>,
    pub usernames: Loader<Usernames>,
    pub posts: Loader<Posts>,
    pub followers: Loader<Follows>,
    pub following: Loader<Follows>,
    pub pairs: Loader<Pairs>,
    pub post_pages: Loader<PostPages>,
    pub timelines: Loader<Timelines>,
    pub newer: Loader<Newer>,
    pub relationships: Loader<Relationships>,
    pub bookmarked: Loader<Bookmarked>,
    pub sessions: Loader<Sessions>,
}

impl Loaders {
    /// For a viewer whose row was read on the primary: in the snapshot, unless that is a replica's.
    pub async fn new(snapshot: Snapshot, viewer: Option<&UserRow>) -> Self {
        let key = ViewerKey::default();
        key.set(viewer.map(|user| user.id));
        let pace = &Arc::new(Pace::default());
        let db = || snapshot.clone();
        let seen_by = || key.clone();
        let follows = |side| Loader::new(pace, Follows { db: db(), side });
        let loaders = Self {
            users: Loader::new(pace, Users(db())),
            usernames: Loader::new(pace, Usernames(db())),
            posts: Loader::new(pace, Posts(db())),
            followers: follows(Side::Followers),
            following: follows(Side::Following),
            pairs: Loader::new(pace, Pairs(db())),
            post_pages: Loader::new(pace, PostPages(db())),
            timelines: Loader::new(pace, Timelines::new(db(), WINDOW)),
            newer: Loader::new(pace, Newer(db())),
            relationships: Loader::new(pace, Relationships { db: db(), viewer: seen_by() }),
            bookmarked: Loader::new(pace, Bookmarked { db: db(), viewer: seen_by() }),
            sessions: Loader::new(pace, Sessions { db: db(), viewer: seen_by() }),
            snapshot,
            viewer: key,
        };
        let same_moment = !loaders.snapshot.is_on_replica().await;
        if let Some(user) = viewer.filter(|_| same_moment) {
            loaders.users.prime(user.id, Arc::new(user.clone())).await;
        }
        loaders
    }

    /// Somebody signed in or out while the request ran.
    pub async fn set_viewer(&self, viewer: Option<i64>) {
        self.viewer.set(viewer);
        self.clear().await;
    }

    /// Forgets everything: called after each write, so that what a mutation returns is read anew.
    pub async fn clear(&self) {
        self.snapshot.renew().await;
        self.users.inner.clear_all().await;
        self.usernames.inner.clear_all().await;
        self.posts.inner.clear_all().await;
        self.followers.inner.clear_all().await;
        self.following.inner.clear_all().await;
        self.pairs.inner.clear_all().await;
        self.post_pages.inner.clear_all().await;
        self.timelines.inner.clear_all().await;
        self.newer.inner.clear_all().await;
        self.relationships.inner.clear_all().await;
        self.bookmarked.inner.clear_all().await;
        self.sessions.inner.clear_all().await;
    }
}

/// Loads pages: one statement for all owners that ask for the same page of their list, which is
/// what a nested connection does. Its parameters are those of
/// [`crate::page::rows`].
async fn pages<R: FromQueryResult, T>(
    db: &Snapshot,
    keys: &[PageOf],
    sql: impl Fn(Engine, Direction) -> String,
    slice: impl Fn(&Page<i64>, Vec<R>) -> T,
    owner: impl Fn(&R) -> i64,
) -> Result<HashMap<PageOf, T>, Error> {
    let mut owners: HashMap<&Page<i64>, Vec<i64>> = HashMap::new();
    for key in keys {
        owners.entry(&key.page).or_default().push(key.owner);
    }
    let mut found = HashMap::with_capacity(keys.len());
    for (page, owners) in owners {
        let (start, end) = page.bounds();
        let list = db.engine().keys(owners.iter().copied());
        let values = [list, start.into(), end.into(), page.limit().into()];
        let mut by_owner: HashMap<i64, Vec<R>> = HashMap::with_capacity(owners.len());
        for row in db.all::<R, _>(&sql(db.engine(), page.direction), values).await? {
            by_owner.entry(owner(&row)).or_default().push(row);
        }
        for owner in owners {
            let rows = by_owner.remove(&owner).unwrap_or_default();
            found.insert(PageOf { owner, page: page.clone() }, slice(page, rows));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
