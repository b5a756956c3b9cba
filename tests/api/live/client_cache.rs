//! A client-side cache that is updated by events has the posts of the timeline.
//!
//! The client applies events to its page and reloads it only on `TimelineReset` or `StreamLagged`.
//! Meanwhile users write on two instances at random, and the client reconnects again and again. The
//! test compares the entries and the bodies of the posts, not their order. It does not compare the
//! bodies of reposted posts, whose edits are not replayed. On SQLite both instances are the same
//! one.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::TIMELINE;
use crate::support::actors::Actor;
use crate::support::app::{TestApp, two_instances};
use crate::support::stream_client::{EventClient, IDLE_TIMEOUT};

/// Number of writes of each user.
const WRITES: usize = 24;

/// An entry: the id of the post, and of the user who reposted it.
type Entry = (String, Option<String>);

#[derive(Default)]
struct CachedTimeline {
    /// Bodies of posts by their entries, and nothing for reposts.
    entries: BTreeMap<Entry, String>,
    /// Where to resume: the `streamCursor` of the page or the last event's cursor.
    cursor: String,
    /// Cursors of the entries added since the last reload. Each must come once.
    seen: HashSet<String>,
    /// Number of times that the client disconnected.
    disconnects: usize,
}

impl CachedTimeline {
    async fn reload(&mut self, actor: &Actor<'_>) {
        let query = "{ viewer { user { timeline(first: 100) { streamCursor edges {
            repostedBy { id } node { id body } } } } } }";
        let timeline = actor.query(query).await["viewer"]["user"]["timeline"].take();
        let edges = timeline["edges"].as_array().unwrap();
        assert!(edges.len() < 100, "the timeline may not fit on one page");
        self.entries = edges.iter().map(entry).collect();
        self.cursor = text(&timeline["streamCursor"]);
        self.seen.clear();
    }

    /// Applies an event. Returns whether the client must reload.
    fn apply(&mut self, event: &Value) -> bool {
        if event["__typename"] == "StreamLagged" {
            return true;
        }
        self.cursor = text(&event["cursor"]);
        match event["__typename"].as_str().unwrap() {
            "TimelinePostAdded" => {
                let edge = &event["edge"];
                assert!(self.seen.insert(text(&edge["cursor"])), "{event} came twice");
                self.entries.extend([entry(edge)]);
            }
            "TimelinePostUpdated" => {
                let entry = (text(&event["post"]["id"]), None);
                if let Some(body) = self.entries.get_mut(&entry) {
                    *body = text(&event["post"]["body"]);
                }
            }
            "TimelinePostRemoved" => {
                self.entries.retain(|(post, _), _| event["postId"] != post.as_str());
            }
            "TimelineRepostRemoved" => {
                let entry = (text(&event["postId"]), Some(text(&event["repostedById"])));
                self.entries.remove(&entry);
            }
            _ => return true,
        }
        false
    }
}

/// The entry of an edge, with the body that the test compares.
fn entry(edge: &Value) -> (Entry, String) {
    let (post, reposter) = (&edge["node"], edge["repostedBy"]["id"].as_str().map(str::to_owned));
    let body = if reposter.is_some() { String::new() } else { text(&post["body"]) };
    ((text(&post["id"]), reposter), body)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Writes at random as user number `index`.
///
/// The writes are posts, edits, deletions, reposts, likes, follows and their ends. `all_posts` are
/// the ids of the posts of all users, deleted ones included.
async fn write_randomly(
    index: usize,
    (users, instances): (&[Actor<'_>], [&TestApp; 2]),
    all_posts: &Mutex<Vec<String>>,
    seed: u64,
) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut own_posts: Vec<String> = Vec::new();
    for n in 0..WRITES {
        let user = users[index].at(instances[random.random_range(0..2)]);
        let other = &users[(index + random.random_range(1..users.len())) % users.len()];
        let choose = |random: &mut ChaCha8Rng| random.random_range(0..own_posts.len().max(1));
        let any_post = all_posts.lock().unwrap().choose(&mut random).cloned();
        match (random.random_range(0..15), own_posts.len()) {
            (0..2, _) => drop(user.follow(other).await),
            (2, _) => drop(user.unfollow(other).await),
            (3..5, 1..) => {
                let id = &own_posts[choose(&mut random)];
                let edit = format!("editPost(input: {{id: \"{id}\", body: \"edited {n}\"}})");
                user.mutate(&format!("{edit} {{ changed }}")).await;
            }
            (5, 1..) => {
                let id = own_posts.swap_remove(choose(&mut random));
                user.mutate(&format!("deletePost(id: \"{id}\") {{ changed }}")).await;
            }
            (6..11, _) if any_post.is_some() => {
                let verb =
                    ["repost", "repost", "unrepost", "like"][random.random_range(0..4_usize)];
                let post = any_post.unwrap_or_default();
                user.mutate(&format!("{verb}(postId: \"{post}\") {{ changed }}")).await;
            }
            _ => {
                let id = user.write(&format!("{index}.{n}")).await;
                all_posts.lock().unwrap().push(id.clone());
                own_posts.push(id);
            }
        }
    }
}

/// Maintains a cache until all writes are done and no more events come.
async fn maintain_cache(
    actor: &Actor<'_>,
    instances: [&TestApp; 2],
    all_written: watch::Receiver<bool>,
    seed: u64,
) -> CachedTimeline {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut cache = CachedTimeline::default();
    cache.reload(actor).await;
    loop {
        let client = actor.at(instances[random.random_range(0..2)]);
        // Read before subscribing: if the writes end later, this stream may end idle before their
        // events come, and another round is needed.
        let is_last = *all_written.borrow();
        let mut events = client.subscribe(TIMELINE, json!({ "after": cache.cursor })).await;
        let max_events = random.random_range(1..9);
        // A busy server needs a while to replay what the client must not miss.
        let idle = if is_last { Duration::from_secs(5) } else { IDLE_TIMEOUT };
        match apply_events(&mut cache, &mut events, max_events, idle).await {
            Outcome::MustReload => cache.reload(&client).await,
            Outcome::Disconnect => cache.disconnects += 1,
            Outcome::Idle if is_last => return cache,
            Outcome::Idle => {}
        }
    }
}

enum Outcome {
    /// The maximum number of events was applied.
    Disconnect,
    MustReload,
    /// No event came within the time.
    Idle,
}

async fn apply_events(
    cache: &mut CachedTimeline,
    events: &mut EventClient,
    max_events: usize,
    idle: Duration,
) -> Outcome {
    let mut applied = 0;
    while applied < max_events {
        let Ok(event) = timeout(idle, events.next()).await else { return Outcome::Idle };
        let previous = cache.cursor.clone();
        if cache.apply(&event) {
            return Outcome::MustReload;
        }
        // A resumed stream repeats the events before its cursor has changed.
        applied += usize::from(cache.cursor != previous);
    }
    Outcome::Disconnect
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_updated_by_events_equals_the_reloaded_timeline() {
    for seed in 0..3 {
        let (a, b) = two_instances().await;
        let names = ["john", "susan", "mary", "david"];
        let users = join_all(names.iter().map(|name| a.register(name))).await;
        let (instances, all_posts) = ([&a, &b], Mutex::default());
        let (done, all_written) = watch::channel(false);
        let writing = async {
            let all = (0..users.len())
                .map(|n| write_randomly(n, (&users, instances), &all_posts, seed * 100 + n as u64));
            join_all(all).await;
            done.send_replace(true);
        };
        let clients = users.iter().chain(&users).enumerate();
        let caching = join_all(clients.map(|(n, user)| {
            maintain_cache(user, instances, all_written.clone(), seed * 1000 + n as u64)
        }));
        let ((), caches) = tokio::join!(writing, caching);
        for (user, cache) in users.iter().chain(&users).zip(&caches) {
            let mut reloaded = CachedTimeline::default();
            reloaded.reload(user).await;
            assert_eq!(cache.entries, reloaded.entries, "{} with seed {seed}", user.username);
        }
        let disconnects: usize = caches.iter().map(|cache| cache.disconnects).sum();
        assert!(disconnects > 8, "only {disconnects} disconnects");
    }
}
