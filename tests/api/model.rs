//! The whole service compared with a model.
//!
//! The model is plain lists of users, follows, requests, blocks, mutes, posts, reactions and
//! notifications. Random users act on two instances. Each payload must be the one that the model
//! expects. After every few actions, viewers of several kinds read all that they can. Meanwhile the
//! clients of three users keep their timelines and notifications by events, and disconnect and
//! resume again and again. Further tests execute operations concurrently, and then compare counts
//! with lists.
//!
//! The run is the same for the same seed. `ROOKERY_TEST_SEED` and `ROOKERY_TEST_ACTIONS` change the
//! seed and the number of actions.

mod action;
mod choosing;
mod concurrent;
mod concurrent_posts;
mod graph;
mod reading;
mod watching;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use self::action::{Action, Verb};
use self::graph::{Filter, Graph, name};
use self::reading::{assert_same, check_lists, check_nodes, check_profile, check_timeline};
use self::watching::{Inbox, SavedInbox, SavedTimeline, Watcher};
use crate::support::actors::Actor;
use crate::support::app::{TestApp, two_instances};

/// Number of users who act at random.
const USERS: usize = 20;
/// A further user, with whom no other user has to do.
///
/// Nothing prevents that its follow of a user causes a notification.
const LAST_FOLLOWER: usize = USERS;
/// Minimum number of users who keep their accounts.
const MIN_USERS: usize = 12;
/// Number of users who keep their accounts, and whose clients follow their streams.
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
    inboxes: Vec<Inbox>,
    /// What clients resume from, with the users.
    saved: Vec<(usize, SavedTimeline, SavedInbox)>,
    log: Log,
}

/// Actions.
impl<'a> Run<'a> {
    async fn start(apps: [&'a TestApp; 2], seed: u64) -> Self {
        let mut actors = Vec::new();
        for user in 0..=LAST_FOLLOWER {
            actors.push(apps[user % 2].register(&name(user)).await);
        }
        let (mut watchers, mut inboxes) = (Vec::new(), Vec::new());
        for (user, actor) in actors.iter().enumerate().take(WATCHERS) {
            watchers.push(Watcher::open(user, actor).await);
            inboxes.push(Inbox::open(user, actor).await);
        }
        Self {
            graph: Graph::new(actors.len()),
            apps,
            actors,
            random: ChaCha8Rng::seed_from_u64(seed),
            watchers,
            inboxes,
            saved: vec![],
            log: Log::default(),
        }
    }

    /// Performs a random action.
    ///
    /// In some cases a client disconnects or resumes before it.
    async fn step(&mut self, n: usize) {
        if self.random.random_ratio(1, 8) {
            self.disconnect_or_resume().await;
        }
        let (user, action) = self.action(n);
        let action = self.with_position(user, action).await;
        self.perform(user, &action).await;
    }

    /// Reads the id or the cursor of a mark, as a client does before it marks.
    async fn with_position(&mut self, user: usize, action: Action) -> Action {
        let app = self.app();
        let client = self.actors[user].at(app);
        match action {
            Action::MarkTimelineRead(item, _) => {
                let items = self.graph.timeline(user, Some(user), Filter::ALL);
                let index = items.iter().position(|other| *other == item).unwrap();
                let page = "query ($first: Int) { viewer { user {
                    timeline(first: $first) { edges { cursor } } } } }";
                let data = client.run(page, json!({ "first": index + 1 })).await;
                let edge = &data["viewer"]["user"]["timeline"]["edges"][index];
                Action::MarkTimelineRead(item, edge["cursor"].as_str().unwrap().to_owned())
            }
            Action::MarkNotificationsRead(Some((number, _))) => {
                let numbers = self.graph.notices_of(user);
                let index = numbers.iter().position(|other| *other == number).unwrap();
                let page = "query ($first: Int) { viewer {
                    notifications(first: $first) { nodes { id } } } }";
                let data = client.run(page, json!({ "first": index + 1 })).await;
                let id = &data["viewer"]["notifications"]["nodes"][index]["id"];
                let id = id.as_str().unwrap().to_owned();
                Action::MarkNotificationsRead(Some((number, id)))
            }
            other => other,
        }
    }

    /// Performs an action in the service and in the model.
    async fn perform(&mut self, user: usize, action: &Action) {
        let app = self.app();
        let client = self.actors[user].at(app);
        let (document, variables) = action.mutation(&self.graph);
        let (payload, new_id) = outcome(client.execute(&document, variables).await);
        self.log.0.push(format!("{} {action:?}: {payload}", name(user)));
        let notices = self.graph.notices.len();
        let expected = action.apply(user, &mut self.graph, &new_id);
        assert_same(&format!("{} {action:?}: payload", name(user)), &payload, &expected);
        self.graph.record_hidden_notices();
        if !new_id.is_empty() {
            self.catch_up_with_post(user, &new_id).await;
        }
        for notice in notices..self.graph.notices.len() {
            self.catch_up_with_notice(notice).await;
        }
    }
}

/// Clients that keep their data by events.
impl Run<'_> {
    /// Compares the timelines of the clients that receive a new post.
    async fn catch_up_with_post(&mut self, author: usize, post: &str) {
        let users: Vec<&str> = self.actors.iter().map(|actor| actor.id.as_str()).collect();
        for watcher in self.watchers.iter_mut().filter(|watcher| watcher.is_connected()) {
            let user = watcher.user;
            if self.graph.shows(user, author) {
                watcher.catch_up(&self.actors[user], post).await;
                watcher.check("the client", &self.graph, &users);
            }
        }
    }

    /// Compares the notifications of the client that receives a new one.
    async fn catch_up_with_notice(&mut self, notice: usize) {
        let recipient = self.graph.notices[notice].cause.recipient;
        for inbox in self.inboxes.iter_mut().filter(|inbox| inbox.is_connected()) {
            if inbox.user == recipient {
                inbox.catch_up(&self.actors[recipient], &self.graph, notice).await;
                inbox.check("the client", &self.graph);
            }
        }
    }

    /// Disconnects a client, or resumes it if it is disconnected.
    async fn disconnect_or_resume(&mut self) {
        let user = self.random.random_range(0..WATCHERS);
        let is_timeline = self.random.random_ratio(1, 2);
        let is_connected = if is_timeline {
            self.watchers[user].is_connected()
        } else {
            self.inboxes[user].is_connected()
        };
        let stream = if is_timeline { "timeline" } else { "notifications" };
        let change = if is_connected { "disconnects from" } else { "resumes" };
        self.log.0.push(format!("{} {change} the {stream}", name(user)));
        match (is_timeline, is_connected) {
            (true, true) => self.watchers[user].disconnect(),
            (false, true) => self.inboxes[user].disconnect(),
            (_, false) => self.resume(user, is_timeline).await,
        }
    }

    /// Resumes the timeline or the notifications of a client at any instance.
    async fn resume(&mut self, user: usize, is_timeline: bool) {
        let app = self.app();
        let client = self.actors[user].at(app);
        if is_timeline {
            self.watchers[user].reconnect(&client).await;
        } else {
            self.inboxes[user].reconnect(&client).await;
        }
    }

    /// Adds a post and a notification of a user, for whose events the clients wait.
    async fn add_last_events(&mut self, user: usize) {
        let body = format!("last post {} of {}", self.graph.posts.len(), name(user));
        self.perform(user, &Action::CreatePost(body, None)).await;
        let Graph { follows, requests, .. } = &self.graph;
        if follows.contains(LAST_FOLLOWER, user) || requests.contains(LAST_FOLLOWER, user) {
            self.perform(LAST_FOLLOWER, &Action::Change(Verb::Unfollow, user)).await;
        }
        let notices = self.graph.notices.len();
        self.perform(LAST_FOLLOWER, &Action::Change(Verb::Follow, user)).await;
        assert_eq!(self.graph.notices.len(), notices + 1, "{} is notified", name(user));
    }

    /// Keeps the data and the positions of all clients.
    fn save_positions(&mut self) {
        for (watcher, inbox) in self.watchers.iter().zip(&self.inboxes) {
            self.saved.push((watcher.user, watcher.saved.clone(), inbox.saved.clone()));
        }
    }

    /// Resumes from all saved positions, and compares the data.
    async fn resume_from_saved_positions(&mut self) {
        for (user, timeline, notifications) in self.saved.clone() {
            self.add_last_events(user).await;
            let app = self.app();
            let client = self.actors[user].at(app);
            let users: Vec<&str> = self.actors.iter().map(|actor| actor.id.as_str()).collect();
            let post = self.graph.posts_of(user)[0];
            let mut watcher = Watcher::resume(user, &client, timeline).await;
            watcher.catch_up(&client, &self.graph.posts[post].id).await;
            watcher.check("the client with an old position", &self.graph, &users);
            let mut inbox = Inbox::resume(user, &client, notifications).await;
            inbox.catch_up(&client, &self.graph, self.graph.notices.len() - 1).await;
            inbox.check("the client with an old position", &self.graph);
        }
    }
}

/// Checkpoints.
impl Run<'_> {
    /// Compares all that can be read of some users, and the data of all clients.
    async fn checkpoint(&mut self) {
        for user in 0..WATCHERS {
            if !self.watchers[user].is_connected() {
                self.resume(user, true).await;
            }
            if !self.inboxes[user].is_connected() {
                self.resume(user, false).await;
            }
        }
        for user in 0..WATCHERS {
            self.add_last_events(user).await;
        }
        for _ in 0..TARGETS {
            let target = self.user();
            let pages = self.random.random_range(1..=3_usize);
            for reader in self.readers(target) {
                let (filter, search) = (self.filter(), self.search());
                let graph = &self.graph;
                check_profile(graph, &reader, target).await;
                if graph.users.contains(&target) {
                    check_timeline(graph, &reader, target, (filter, pages)).await;
                }
                check_lists(graph, &reader, &search).await;
                check_nodes(graph, &reader).await;
            }
        }
    }
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
            run.step(checkpoint * ACTIONS_PER_CHECKPOINT + n).await;
        }
        run.checkpoint().await;
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
