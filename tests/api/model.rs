//! The whole service compared with a model.
//!
//! The model is plain lists of users, follows, requests, blocks, mutes, posts and likes. Random
//! users act on two instances. Each payload must be the one that the model expects. After every few
//! actions, viewers of several kinds read all that they can. Meanwhile the clients of three users
//! keep their timelines by events. A second test executes operations concurrently, and then
//! compares counts with lists.
//!
//! The run is the same for the same seed. `ROOKERY_TEST_SEED` and `ROOKERY_TEST_ACTIONS` change the
//! seed and the number of actions.

mod action;
mod concurrent;
mod graph;
mod reading;
mod watching;

use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use self::action::{Action, Verb};
use self::graph::{Graph, name};
use self::reading::{Reader, check_lists, check_nodes, check_profile, check_timeline};
use self::watching::{Entry, Saved, Watcher};
use crate::support::actors::Actor;
use crate::support::app::{TestApp, two_instances};

/// Number of users at the start.
const USERS: usize = 20;
/// Minimum number of users who keep their accounts.
const MIN_USERS: usize = 12;
/// Number of users who keep their accounts, and whose clients stay connected.
const WATCHERS: usize = 3;
/// Number of actions between two checkpoints.
const ACTIONS_PER_CHECKPOINT: usize = 25;
/// Number of users whose data are compared at a checkpoint.
const TARGETS: usize = 2;
/// Number of actions that a failed run prints.
const LAST_ACTIONS: usize = 40;

/// A number from the environment, or the default.
fn setting<T: std::str::FromStr>(variable: &str, default: T) -> T {
    let Ok(text) = std::env::var(variable) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}"))
}

/// The payload of a mutation, or the code of its error.
///
/// The second value is the id of the new post, if there is one.
fn outcome(mut response: Value) -> (Value, String) {
    if response.get("errors").is_some() {
        let code = response["errors"][0]["extensions"]["code"].as_str();
        return (action::error(code.unwrap_or("no code")), String::new());
    }
    let mut payload = response["data"]["do"].take();
    let post = payload.get_mut("post").and_then(Value::as_object_mut);
    let new_id = post.and_then(|post| post.remove("newId"));
    (payload, new_id.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// The actions of a run. The last of them are printed if it fails.
#[derive(Default)]
struct Log(Vec<String>);

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let first = self.0.len().saturating_sub(LAST_ACTIONS);
            for (n, line) in self.0.iter().enumerate().skip(first) {
                println!("{n}: {line}");
            }
        }
    }
}

/// A run of random actions.
struct Run<'a> {
    apps: [&'a TestApp; 2],
    actors: Vec<Actor<'a>>,
    graph: Graph,
    random: ChaCha8Rng,
    watchers: Vec<Watcher>,
    /// Positions that clients resume from, with the users.
    saved: Vec<(usize, Saved)>,
    log: Log,
}

/// Choices.
impl<'a> Run<'a> {
    fn app(&mut self) -> &'a TestApp {
        let index = self.random.random_range(0..2_usize);
        self.apps[index]
    }

    /// A user, in rare cases one whose account was deleted.
    fn user(&mut self) -> usize {
        if self.random.random_ratio(1, 30) {
            return self.random.random_range(0..USERS);
        }
        let users: Vec<usize> = self.graph.users.iter().copied().collect();
        *users.choose(&mut self.random).unwrap()
    }

    /// A viewer and a target for which the change is likely to have an effect.
    fn pair(&mut self, verb: Verb) -> (usize, usize) {
        let graph = &self.graph;
        let effective = match verb {
            // A mute of a followed user changes a timeline.
            Verb::Unfollow | Verb::Mute => graph.follows.all(),
            Verb::RemoveFollower => graph.follows.all_reversed(),
            Verb::Accept | Verb::Reject => graph.requests.all_reversed(),
            Verb::Unblock => graph.blocks.all(),
            Verb::Unmute => graph.mutes.all(),
            Verb::Follow | Verb::Block => vec![],
        };
        if self.random.random_ratio(2, 3)
            && let Some(pair) = effective.choose(&mut self.random)
        {
            return *pair;
        }
        (self.user(), self.user())
    }

    /// A post, which is likely to be one of the author's. `None` if there are no posts.
    fn post(&mut self, author: Option<usize>) -> Option<usize> {
        let own = author.map(|author| self.graph.posts_of(author)).unwrap_or_default();
        if self.random.random_ratio(2, 3)
            && let Some(post) = own.choose(&mut self.random)
        {
            return Some(*post);
        }
        let count = self.graph.posts.len();
        (count > 0).then(|| self.random.random_range(0..count))
    }

    /// An action and its user.
    fn action(&mut self, n: usize) -> (usize, Action) {
        let verb = match self.random.random_range(0..100) {
            0..24 => Verb::Follow,
            24..28 => Verb::Unfollow,
            28..31 => Verb::RemoveFollower,
            31..38 => Verb::Accept,
            38..40 => Verb::Reject,
            40..44 => Verb::Block,
            44..47 => Verb::Unblock,
            47..52 => Verb::Mute,
            52..55 => Verb::Unmute,
            _ => return self.other_action(n),
        };
        let (viewer, target) = self.pair(verb);
        (viewer, Action::Change(verb, target))
    }

    /// An action that concerns no other user.
    fn other_action(&mut self, n: usize) -> (usize, Action) {
        let user = self.user();
        let may_leave = user >= WATCHERS && self.graph.users.len() > MIN_USERS;
        let create = Action::CreatePost(format!("post {n}"));
        let action = match self.random.random_range(0..58) {
            0..17 => Some(create.clone()),
            17..23 => Some(Action::Protect(self.random.random_ratio(1, 2))),
            23..29 => {
                let is_same = self.random.random_ratio(1, 4);
                self.post(Some(user)).map(|post| {
                    let same = || self.graph.posts[post].body.clone();
                    let body = if is_same { same() } else { format!("edit {n}") };
                    Action::EditPost(post, body)
                })
            }
            29..33 => self.post(Some(user)).map(Action::DeletePost),
            33..41 => self.post(None).map(Action::Bookmark),
            41..44 => {
                let bookmarks = self.graph.bookmarks.after(user);
                let bookmarked = bookmarks.choose(&mut self.random).copied();
                bookmarked.or_else(|| self.post(None)).map(Action::Unbookmark)
            }
            44..54 => self.post(None).map(Action::Like),
            54..57 => {
                let liked = self.graph.likes.after(user).choose(&mut self.random).copied();
                liked.or_else(|| self.post(None)).map(Action::Unlike)
            }
            _ => may_leave.then_some(Action::DeleteAccount),
        };
        (user, action.unwrap_or(create))
    }

    /// A viewer of each kind that exists for a user.
    fn readers(&mut self, target: usize) -> Vec<Reader<'a>> {
        let graph = &self.graph;
        let others = |condition: &dyn Fn(usize) -> bool| -> Vec<usize> {
            let others = graph.users.iter().copied().filter(|user| *user != target);
            others.filter(|user| condition(*user)).collect()
        };
        let follows = |user| graph.follows.contains(user, target);
        let is_blocked = |user| graph.blocks.contains(target, user);
        let kinds = [
            ("a stranger", others(&|user| !follows(user) && !is_blocked(user))),
            ("a follower", others(&follows)),
            ("the owner", Vec::from_iter(graph.users.get(&target).copied())),
            ("a blocked user", others(&is_blocked)),
        ];
        let client = self.app().anonymous();
        let mut readers = vec![Reader { kind: "an anonymous client", user: None, client }];
        for (kind, users) in kinds {
            if let Some(user) = users.choose(&mut self.random).copied() {
                let app = self.app();
                let client = self.actors[user].at(app);
                readers.push(Reader { kind, user: Some(user), client });
            }
        }
        readers
    }
}

/// Steps.
impl<'a> Run<'a> {
    async fn start(apps: [&'a TestApp; 2], seed: u64) -> Self {
        let mut actors = Vec::new();
        for user in 0..USERS {
            actors.push(apps[user % 2].register(&name(user)).await);
        }
        let mut watchers = Vec::new();
        for (user, actor) in actors.iter().enumerate().take(WATCHERS) {
            watchers.push(Watcher::open(user, actor).await);
        }
        Self {
            apps,
            actors,
            graph: Graph::new(USERS),
            random: ChaCha8Rng::seed_from_u64(seed),
            watchers,
            saved: vec![],
            log: Log::default(),
        }
    }

    /// Performs an action in the service and in the model.
    async fn perform(&mut self, user: usize, action: &Action) {
        let app = self.app();
        let client = self.actors[user].at(app);
        let (document, variables) = action.mutation(&self.graph);
        let (payload, new_id) = outcome(client.execute(&document, variables).await);
        self.log.0.push(format!("{} {action:?}: {payload}", name(user)));
        let expected = action.apply(user, &mut self.graph, &new_id);
        assert_eq!(payload, expected, "{} {action:?}", name(user));
        if !new_id.is_empty() {
            self.catch_up(user, &new_id).await;
        }
    }

    /// Compares the timelines of the clients that receive a new post.
    async fn catch_up(&mut self, author: usize, post: &str) {
        for watcher in &mut self.watchers {
            let user = watcher.user;
            if self.graph.shows(user, author) {
                watcher.catch_up(&self.actors[user], post).await;
                let expected = entries(&self.graph, user);
                assert_eq!(watcher.saved.posts, expected, "the client of {}", name(user));
            }
        }
    }

    /// Compares all that can be read of some users, and the timelines of all clients.
    async fn checkpoint(&mut self, number: usize) {
        for user in 0..WATCHERS {
            // The last event that the client receives.
            let post = Action::CreatePost(format!("checkpoint {number} of {}", name(user)));
            self.perform(user, &post).await;
        }
        for _ in 0..TARGETS {
            let target = self.user();
            let pages = self.random.random_range(1..=3_usize);
            for reader in self.readers(target) {
                let graph = &self.graph;
                check_profile(graph, &reader, target).await;
                if graph.users.contains(&target) {
                    let posts = graph.timeline(target, reader.user).len();
                    let size = (posts / pages + 1).min(100);
                    check_timeline(graph, &reader, target, size).await;
                }
                check_lists(graph, &reader).await;
                check_nodes(graph, &reader).await;
            }
        }
    }

    /// Keeps the positions of all clients.
    fn save_positions(&mut self) {
        let positions = self.watchers.iter().map(|watcher| (watcher.user, watcher.saved.clone()));
        self.saved.extend(positions);
    }

    /// Resumes from all saved positions, and compares the timelines.
    async fn resume_from_saved_positions(&mut self) {
        for (user, saved) in self.saved.clone() {
            let app = self.app();
            let client = self.actors[user].at(app);
            let mut resumed = Watcher::resume(user, &client, saved).await;
            let last = self.graph.posts_of(user)[0];
            resumed.catch_up(&client, &self.graph.posts[last].id).await;
            let expected = entries(&self.graph, user);
            assert_eq!(resumed.saved.posts, expected, "the resumed client of {}", name(user));
        }
    }
}

/// The posts of a user's own timeline, newest first.
fn entries(graph: &Graph, user: usize) -> Vec<Entry> {
    let posts = graph.timeline(user, Some(user)).into_iter().map(|post| &graph.posts[post]);
    posts.map(|post| (post.id.clone(), post.body.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn random_actions_agree_with_a_model() {
    let seed = setting("ROOKERY_TEST_SEED", 1_u64);
    let actions = setting("ROOKERY_TEST_ACTIONS", 400_usize);
    println!("ROOKERY_TEST_SEED={seed} ROOKERY_TEST_ACTIONS={actions}");
    let (a, b) = two_instances().await;
    let mut run = Run::start([&a, &b], seed).await;
    let checkpoints = actions / ACTIONS_PER_CHECKPOINT;
    for checkpoint in 1..=checkpoints {
        for n in 0..ACTIONS_PER_CHECKPOINT {
            let (user, action) = run.action(checkpoint * ACTIONS_PER_CHECKPOINT + n);
            run.perform(user, &action).await;
        }
        run.checkpoint(checkpoint).await;
        if checkpoint == checkpoints / 2 || checkpoint == checkpoints {
            run.resume_from_saved_positions().await;
        }
        // Positions of the first and of the third quarter, from which clients resume later.
        if checkpoint == checkpoints / 4 || checkpoint == checkpoints * 3 / 4 {
            run.save_positions();
        }
    }
    assert_eq!(a.doctor_report().await, "no problems found\n");
}
