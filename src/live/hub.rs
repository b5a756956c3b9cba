//! The one task that reads events and hands them out to those whom they concern.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use entity::event::{self, Kind};
use futures_util::FutureExt as _;
use sea_orm::FromQueryResult;

use super::audience::{Audience, Index};
use super::{Happening, Interest, Live, Told, log, shows_post};
use crate::database::{Moment, Snapshot};
use crate::error::Error;
use crate::loader::{entries, users};

/// How often to look whether anybody has come, when nobody rings.
const ALONE: Duration = Duration::from_mins(1);
/// How many are subscribed with one look at most, and whose follows are read with one statement.
const MOST_JOINING: usize = 1_000;
const AT_ONCE: usize = 100;
/// How long to wait before the database is asked again.
const BREATHER: Duration = Duration::from_secs(1);

/// What some events are told with.
struct Needed {
    posts: Vec<i64>,
    users: Vec<i64>,
    /// Of those who are told.
    sessions: HashSet<i64>,
}

impl Live {
    /// Looks whenever the bell rings, for as long as anybody else has this hub.
    pub(super) async fn run(self) {
        // Nobody waits in vain for a task that is no more: they are told to come back.
        while AssertUnwindSafe(self.watch()).catch_unwind().await.is_err() {
            tracing::error!("the task that tells what happens panicked");
            *self.audience() = Audience::default();
            tokio::time::sleep(BREATHER).await;
        }
    }

    async fn watch(&self) {
        let mut told = None;
        while Arc::strong_count(&self.0) > 1 {
            let telling = &self.0.telling;
            let patience = if self.subscribers() > 0 { telling.patience } else { ALONE };
            self.0.db.bell().heard(patience).await;
            if self.look(&mut told).await.is_err() {
                self.drop_stale();
                tokio::time::sleep(BREATHER).await;
            }
        }
    }

    /// Tells what has happened since `told`; then those who have come since are subscribed, of the same moment.
    /// Nothing is told while nobody is.
    async fn look(&self, told: &mut Option<Moment>) -> Result<(), Error> {
        if self.subscribers() == 0 {
            *told = None;
            return Ok(());
        }
        // Who comes later may have seen more than this snapshot.
        let joining: Vec<u64> =
            self.audience().joining.keys().copied().take(MOST_JOINING).collect();
        if joining.len() == MOST_JOINING {
            self.0.db.bell().ring_here();
        }
        let snapshot = Snapshot::new(&self.0.db);
        let mut now = match told {
            Some(told) if log::reaches(&snapshot, told).await? => told.clone(),
            Some(_) => {
                self.lose();
                snapshot.moment().await?
            }
            None => snapshot.moment().await?,
        };
        loop {
            let chapter = log::since(&snapshot, &now).await?;
            self.tell(&snapshot, &now, &chapter).await?;
            now = chapter.until;
            *told = Some(now.clone());
            if chapter.is_last {
                break;
            }
        }
        self.join(&snapshot, &now, joining).await
    }

    /// The database has been put back to an earlier state, or could not be asked for so long that what happened
    /// is not kept any more.
    fn lose(&self) {
        let mut audience = self.audience();
        let subscribers: Vec<u64> = audience.subscribers.keys().copied().collect();
        for one in subscribers.into_iter().filter_map(|id| audience.remove(id)) {
            one.tell(Told::Lost);
        }
    }

    async fn tell(
        &self,
        snapshot: &Snapshot,
        told: &Moment,
        chapter: &log::Chapter,
    ) -> Result<(), Error> {
        let Needed { posts, users: needed, sessions } = self.needed(&chapter.events);
        let posts = entries(snapshot, &posts).await?;
        let users = Arc::new(users(snapshot, &needed).await?);
        let signed_in = signed_in(snapshot, &sessions).await?;
        // Nothing fails from here on, so nothing is told twice.
        let mut audience = self.audience();
        for event in &chapter.events {
            let concerned = audience.concerned(event);
            audience.follow(event);
            if concerned.is_empty() {
                continue;
            }
            let happening = Arc::new(Happening {
                event: event.clone(),
                moment: told.up_to(event.into(), &chapter.until),
                post: posts.get(&event.object).filter(|_| shows_post(event)).cloned(),
                users: Arc::clone(&users),
            });
            for id in concerned {
                let Some(one) = audience.subscribers.get(&id) else { continue };
                if one.session.is_none_or(|session| signed_in.contains(&session)) {
                    one.tell(Told::Happened(Arc::clone(&happening)));
                } else if let Some(one) = audience.remove(id) {
                    one.tell(Told::SignedOut);
                }
            }
        }
        Ok(())
    }

    /// What events are told with, for all whom they may concern.
    fn needed(&self, events: &[event::Model]) -> Needed {
        let audience = self.audience();
        let followed: HashSet<i64> = events
            .iter()
            .filter(|event| event.kind == Kind::Followed)
            .map(|event| event.object)
            .collect();
        let watched = |author| audience.shows(author) || followed.contains(&author);
        let posts = events.iter().filter(|event| shows_post(event) && watched(event.actor));
        let authors = posts.clone().map(|event| event.actor);
        let mut users: HashSet<i64> = authors.collect();
        if events.iter().any(|event| event.kind == Kind::UserRemoved) {
            users.extend(audience.persons());
        }
        let posts = posts.map(|event| event.object).collect();
        let concerned = events.iter().flat_map(|event| audience.concerned(event));
        let sessions = concerned.filter_map(|id| audience.subscribers.get(&id)?.session);
        Needed { posts, users: users.into_iter().collect(), sessions: sessions.collect() }
    }

    /// Subscribes those who wait for it; timelines that have changed altogether are read anew.
    async fn join(
        &self,
        snapshot: &Snapshot,
        now: &Moment,
        joining: Vec<u64>,
    ) -> Result<(), Error> {
        let (owners, sessions) = {
            let audience = self.audience();
            let new = || joining.iter().filter_map(|id| audience.joining.get(id));
            let owners = new().filter_map(|one| match one.interest {
                Interest::Timeline(owner) => Some(owner),
                Interest::Person(_) => None,
            });
            let owners = owners.chain(audience.stale.iter().copied()).collect();
            (owners, new().filter_map(|one| one.session).collect())
        };
        let mut authors = authors(snapshot, &owners).await?;
        let signed_in = signed_in(snapshot, &sessions).await?;
        let mut audience = self.audience();
        for owner in std::mem::take(&mut audience.stale) {
            // Whoever left meanwhile is not there any more.
            if audience.timelines.contains_key(&owner) {
                audience.show(owner, authors.remove(&owner).unwrap_or_default());
            }
        }
        for id in joining {
            let Some(one) = audience.joining.remove(&id) else { continue };
            if one.session.is_some_and(|session| !signed_in.contains(&session)) {
                one.tell(Told::SignedOut);
                continue;
            }
            let mut shown = HashSet::new();
            if let Interest::Timeline(owner) = one.interest {
                if let Some(authors) = authors.remove(&owner) {
                    audience.show(owner, authors);
                }
                if one.comes_back {
                    shown.clone_from(&audience.timelines[&owner].authors);
                }
            }
            self.0.joined.fetch_add(1, Ordering::Relaxed);
            one.tell(Told::Joined(now.clone(), shown));
            audience.add(id, one);
        }
        Ok(())
    }

    /// Timelines that changed altogether and could not be read anew are not told of: who watches them comes back.
    fn drop_stale(&self) {
        let mut audience = self.audience();
        let stale = std::mem::take(&mut audience.stale);
        let watch = |owner| audience.timelines.get(owner).into_iter().flat_map(|it| &it.watchers);
        let watchers: Vec<u64> = stale.iter().flat_map(watch).copied().collect();
        for id in watchers {
            audience.remove(id);
        }
    }
}

/// Which of these sessions are still open.
pub async fn signed_in(
    snapshot: &Snapshot,
    sessions: &HashSet<i64>,
) -> Result<HashSet<i64>, Error> {
    #[derive(FromQueryResult)]
    struct Open {
        id: i64,
    }
    if sessions.is_empty() {
        return Ok(HashSet::new());
    }
    let engine = snapshot.engine();
    let sql = format!("SELECT id FROM session WHERE {} AND expires_at > $2", engine.is_in("id", 1));
    let values = [engine.keys(sessions.iter().copied()), Utc::now().into()];
    let open: Vec<Open> = snapshot.all(&sql, values).await?;
    Ok(open.into_iter().map(|session| session.id).collect())
}

/// Whose posts the timelines of these users show.
async fn authors(snapshot: &Snapshot, owners: &HashSet<i64>) -> Result<Index<i64>, Error> {
    #[derive(FromQueryResult)]
    struct Follow {
        follower_id: i64,
        followed_id: i64,
    }
    let engine = snapshot.engine();
    let these = engine.is_in("follower_id", 1);
    let sql = format!("SELECT follower_id, followed_id FROM follow WHERE {these}");
    let mut authors: Index<i64> =
        owners.iter().map(|owner| (*owner, HashSet::from([*owner]))).collect();
    let owners: Vec<i64> = owners.iter().copied().collect();
    for some in owners.chunks(AT_ONCE) {
        let rows: Vec<Follow> = snapshot.all(&sql, [engine.keys(some.iter().copied())]).await?;
        for Follow { follower_id, followed_id } in rows {
            authors.entry(follower_id).or_default().insert(followed_id);
        }
    }
    Ok(authors)
}
