//! Event streams compared with a model.
//!
//! No event is lost, no event comes twice, and the order is right. Only the addition and the edits
//! of a post that has been deleted may be missing.
//!
//! A property test performs random actions of four users, who also disconnect, resume and reload. A
//! second test writes concurrently on two instances, where transactions are not committed in the
//! order of their ids.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::{TIMELINE, read_timeline};
use crate::support::actors::{Actor, texts};
use crate::support::app::{TestApp, two_instances};
use crate::support::stream_client::EventClient;

/// Number of users.
const USERS: usize = 4;

/// An action of a user. The first number is the user.
#[derive(Clone, Debug)]
enum Action {
    Follow(usize, usize),
    Unfollow(usize, usize),
    Post(usize),
    /// Edits one of the user's posts, by a number modulo their count.
    Edit(usize, usize),
    /// Deletes one of the user's posts, by a number modulo their count.
    Delete(usize, usize),
    /// Disconnects, and resumes after the last cursor.
    ///
    /// The second number is the number of actions before the client resumes.
    Disconnect(usize, usize),
    /// Reloads the timeline, and resumes after its cursor.
    Reload(usize),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let user = || 0..USERS;
    let action = prop_oneof![
        3 => (user(), user()).prop_map(|(follower, followed)| Action::Follow(follower, followed)),
        2 => (user(), user()).prop_map(|(follower, followed)| Action::Unfollow(follower, followed)),
        5 => user().prop_map(Action::Post),
        2 => (user(), 0..9_usize).prop_map(|(author, post)| Action::Edit(author, post)),
        2 => (user(), 0..9_usize).prop_map(|(author, post)| Action::Delete(author, post)),
        2 => (user(), 0..9_usize).prop_map(|(user, actions)| Action::Disconnect(user, actions)),
        1 => user().prop_map(Action::Reload),
    ];
    prop::collection::vec(action, 20..60)
}

/// A timeline event: a character for its kind, and a post's id or user's name.
type Event = (char, String);

/// The expected state of the database and of all streams.
#[derive(Default)]
struct Model {
    /// Follower and followed user of each follow.
    follows: BTreeSet<(usize, usize)>,
    /// The author of each existing post, by the post's id.
    posts: BTreeMap<String, usize>,
    /// Ids of deleted posts.
    deleted: BTreeSet<String>,
    /// Author and id of all posts that were ever written, in order.
    written: Vec<(usize, String)>,
    /// For each user, the events of the timeline in order.
    expected: Vec<Vec<Event>>,
}

impl Model {
    /// Adds an event of a post to the timelines that show its author.
    fn record_event(&mut self, author: usize, event: &Event) {
        for user in 0..USERS {
            if user == author || self.follows.contains(&(user, author)) {
                self.expected[user].push(event.clone());
            }
        }
    }

    /// The events that must be delivered. Of a deleted post, that is only its removal.
    fn mandatory<'a>(&self, events: &'a [Event]) -> Vec<&'a Event> {
        let all = events.iter();
        all.filter(|(kind, subject)| *kind == '-' || !self.deleted.contains(subject)).collect()
    }

    /// The ids of a user's timeline, newest first.
    fn timeline(&self, user: usize) -> Vec<String> {
        let is_shown = |author| author == user || self.follows.contains(&(user, author));
        let posts = self
            .written
            .iter()
            .rev()
            .filter(|(author, id)| is_shown(*author) && !self.deleted.contains(id));
        posts.map(|(_, id)| id.clone()).collect()
    }
}

/// The client of one user.
struct Subscriber {
    /// `None` while the client is disconnected.
    events: Option<EventClient>,
    /// The cursor of the last event or of the last reload.
    cursor: Option<String>,
    received: Vec<Event>,
    /// Number of actions until the client reconnects.
    actions_until_resume: usize,
}

impl Subscriber {
    async fn read(&mut self) {
        let event = self.events.as_mut().unwrap().next().await;
        self.cursor = Some(event["cursor"].as_str().unwrap().to_owned());
        self.received.push(to_event(&event));
    }
}

fn to_event(event: &Value) -> Event {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    match event["__typename"].as_str().unwrap() {
        "TimelinePostAdded" => ('+', text(&event["edge"]["node"]["id"])),
        "TimelinePostUpdated" => ('=', text(&event["post"]["id"])),
        "TimelinePostRemoved" => ('-', text(&event["postId"])),
        "TimelineRepostRemoved" => ('~', text(&event["postId"])),
        "TimelineReset" => ('!', text(&event["user"]["username"])),
        other => panic!("{other}"),
    }
}

async fn perform(actions: &[Action]) {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let users = [&actors.john, &actors.susan, &actors.mary, &actors.david];
    let mut model = Model { expected: vec![vec![]; USERS], ..Model::default() };
    let mut subscribers = Vec::new();
    for user in users {
        let (cursor, _) = read_timeline(user).await;
        let events = Some(user.subscribe_and_join(TIMELINE, json!({})).await);
        let cursor = Some(cursor);
        let received = vec![];
        subscribers.push(Subscriber { events, cursor, received, actions_until_resume: 0 });
    }
    for action in actions {
        apply(action, &users, &mut model, &mut subscribers).await;
        for (subscriber, user) in subscribers.iter_mut().zip(users) {
            if subscriber.events.is_none() && subscriber.actions_until_resume == 0 {
                resume(user, subscriber).await;
            }
            subscriber.actions_until_resume = subscriber.actions_until_resume.saturating_sub(1);
        }
    }
    let mut last_posts = BTreeSet::new();
    for (subscriber, user) in subscribers.iter_mut().zip(users) {
        if subscriber.events.is_none() {
            resume(user, subscriber).await;
        }
        // When the event of this last post has come, so have all events before it.
        let id = user.write("the last post").await;
        let last_event = ('+', id.clone());
        while subscriber.received.last() != Some(&last_event) {
            subscriber.read().await;
        }
        last_posts.insert(id.clone());
        subscriber.received.retain(|(_, subject)| !last_posts.contains(subject));
        subscriber.events = None;
        user.mutate(&format!("deletePost(id: \"{id}\") {{ changed }}")).await;
    }
    for (n, (subscriber, user)) in subscribers.iter().zip(users).enumerate() {
        assert_expected(&model, &model.expected[n], &subscriber.received);
        assert_eq!(timeline_ids(user).await, model.timeline(n));
    }
}

/// The ids of the posts in a user's timeline.
async fn timeline_ids(user: &Actor<'_>) -> Vec<String> {
    let query = "{ viewer { user { timeline(first: 100) { nodes { id } } } } }";
    let data = user.query(query).await;
    texts(&data["viewer"]["user"]["timeline"]["nodes"], "id")
}

async fn resume(user: &Actor<'_>, subscriber: &mut Subscriber) {
    let after = json!({ "after": subscriber.cursor });
    subscriber.events = Some(user.subscribe(TIMELINE, after).await);
}

/// Performs an action in the application and in the model.
async fn apply(
    action: &Action,
    users: &[&Actor<'_>],
    model: &mut Model,
    subscribers: &mut [Subscriber],
) {
    match *action {
        Action::Follow(follower, followed) | Action::Unfollow(follower, followed)
            if follower == followed => {}
        Action::Follow(follower, followed) => {
            if users[follower].follow(users[followed]).await {
                assert!(model.follows.insert((follower, followed)));
                model.expected[follower].push(('!', users[followed].username.clone()));
            }
        }
        Action::Unfollow(follower, followed) => {
            if users[follower].unfollow(users[followed]).await {
                assert!(model.follows.remove(&(follower, followed)));
                model.expected[follower].push(('!', users[followed].username.clone()));
            }
        }
        Action::Post(author) => {
            let id = users[author].write("a post").await;
            model.posts.insert(id.clone(), author);
            model.written.push((author, id.clone()));
            model.record_event(author, &('+', id));
        }
        Action::Edit(author, post) => {
            let Some(id) = own_post(model, author, post) else { return };
            let body = format!("edited {}", model.expected[author].len());
            let edit = format!("editPost(input: {{id: \"{id}\", body: \"{body}\"}}) {{ changed }}");
            if users[author].mutate(&edit).await["changed"] == true {
                model.record_event(author, &('=', id));
            }
        }
        Action::Delete(author, post) => {
            let Some(id) = own_post(model, author, post) else { return };
            users[author].mutate(&format!("deletePost(id: \"{id}\") {{ changed }}")).await;
            model.posts.remove(&id);
            model.deleted.insert(id.clone());
            model.record_event(author, &('-', id));
        }
        Action::Disconnect(user, actions) => {
            // The client has read half of the events that it has not read yet.
            let (subscriber, expected) = (&mut subscribers[user], &model.expected[user]);
            if subscriber.events.is_some() {
                let read = model.mandatory(&subscriber.received).len();
                let half = read.midpoint(model.mandatory(expected).len());
                while model.mandatory(&subscriber.received).len() < half {
                    subscriber.read().await;
                }
            }
            subscriber.events = None;
            subscriber.actions_until_resume = actions;
        }
        Action::Reload(user) => {
            let (cursor, _) = read_timeline(users[user]).await;
            assert_eq!(timeline_ids(users[user]).await, model.timeline(user));
            let subscriber = &mut subscribers[user];
            subscriber.received.clone_from(&model.expected[user]);
            subscriber.cursor = Some(cursor);
            resume(users[user], subscriber).await;
        }
    }
}

/// One of the author's existing posts, by a number modulo their count.
fn own_post(model: &Model, author: usize, number: usize) -> Option<String> {
    let posts = model.posts.iter().filter(|(_, post_author)| **post_author == author);
    let ids: Vec<&String> = posts.map(|(id, _)| id).collect();
    ids.get(number % ids.len().max(1)).map(|id| (*id).clone())
}

/// Asserts that all mandatory events were received.
///
/// All received events must be expected and in the expected order.
fn assert_expected(model: &Model, expected: &[Event], received: &[Event]) {
    assert_eq!(model.mandatory(received), model.mandatory(expected));
    let mut rest = expected.iter();
    let is_in_order = received.iter().all(|event| rest.any(|next| next == event));
    assert!(is_in_order, "received {received:?}\nof {expected:?}");
}

#[test]
fn streams_and_pages_agree_with_a_model() {
    let config = ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    TestRunner::new(config)
        .run(&actions(), |actions| {
            runtime.block_on(perform(&actions));
            Ok(())
        })
        .unwrap();
}

/// One subscriber alternates between the instances, and another stays on both.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_on_two_instances_lose_no_event() {
    const WRITERS: usize = 6;
    const POSTS: usize = 40;
    let (a, b) = two_instances().await;
    let john = a.register("john").await;
    let names: Vec<String> = (0..WRITERS).map(|n| format!("writer{n}")).collect();
    let writers = join_all(names.iter().map(|name| a.register(name))).await;
    for writer in &writers {
        john.follow(writer).await;
    }
    let (mut cursor, _) = read_timeline(&john).await;
    // These streams stay connected all the time, on both instances.
    let mary = a.register("mary").await;
    for writer in &writers {
        mary.follow(writer).await;
    }
    let (at_a, at_b) = (mary.at(&a), mary.at(&b));
    let mut streams = [
        at_a.subscribe_and_join(TIMELINE, json!({})).await,
        at_b.subscribe_and_join(TIMELINE, json!({})).await,
    ];
    let streaming = join_all(streams.iter_mut().map(|events| async {
        let mut received = Vec::new();
        while received.len() < WRITERS * POSTS {
            received.push(to_event(&events.next().await).1);
        }
        received.sort();
        received
    }));
    let writing = join_all(writers.iter().enumerate().map(|(n, writer)| {
        let instances = [&a, &b];
        async move {
            let mut written = Vec::new();
            for post in 0..POSTS {
                written.push(writer.at(instances[(n + post) % 2]).write("a post").await);
            }
            written
        }
    }));
    let resuming = async {
        let mut received = Vec::new();
        let mut round = 0;
        while received.len() < WRITERS * POSTS {
            let client = john.at([&a, &b][round % 2]);
            let mut events = client.subscribe(TIMELINE, json!({ "after": cursor })).await;
            for _ in 0..(round % 7 + 1).min(WRITERS * POSTS - received.len()) {
                let event = events.next().await;
                cursor = event["cursor"].as_str().unwrap().to_owned();
                received.push(to_event(&event).1);
            }
            round += 1;
        }
        let mut events = john.subscribe(TIMELINE, json!({ "after": cursor })).await;
        events.assert_idle().await;
        received
    };
    let (written, mut resumed, streamed) = tokio::join!(writing, resuming, streaming);
    let mut written: Vec<String> = written.into_iter().flatten().collect();
    written.sort();
    resumed.sort();
    assert_eq!(resumed, written);
    assert_eq!(streamed, [written.clone(), written]);
}
