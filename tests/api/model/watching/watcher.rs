//! A client that keeps the timeline of a user by its events.

use serde_json::{Value, json};

use super::{position_at, text};
use crate::live::summary;
use crate::model::graph::{Filter, Graph, name};
use crate::support::actors::Actor;
use crate::support::stream_client::EventClient;

const EVENTS: &str = "subscription ($after: String) { timelineEvents(after: $after) {
    __typename
    ... on StreamEvent { cursor }
    ... on TimelinePostAdded {
        edge { repostedAt repostedBy { id username } node { id body createdAt } } }
    ... on TimelinePostUpdated { post { id body } }
    ... on TimelinePostRemoved { postId }
    ... on TimelineRepostRemoved { postId repostedById }
    ... on TimelineReset { user { username } }
    ... on StreamLagged { missed resumeAfter }
} }";

const PAGE: &str = "query ($after: String) { viewer { user { timeline(first: 100, after: $after) {
    streamCursor edges { repostedAt repostedBy { id } node { id body createdAt } }
    pageInfo { hasNextPage endCursor } } } } }";

/// An entry of a timeline.
#[derive(Clone)]
struct Entry {
    /// The id of the post.
    ///
    /// Of a repost also a space, and the id of the user who reposted it.
    id: String,
    /// The time that orders the entries.
    time: String,
    body: String,
}

impl Entry {
    fn new(edge: &Value) -> Self {
        let (post, body) = (text(&edge["node"]["id"]), text(&edge["node"]["body"]));
        match edge["repostedBy"]["id"].as_str() {
            Some(user) => {
                Self { id: format!("{post} {user}"), time: text(&edge["repostedAt"]), body }
            }
            None => Self { id: post, time: text(&edge["node"]["createdAt"]), body },
        }
    }

    fn is_repost(&self) -> bool {
        self.id.contains(' ')
    }

    /// The id of the post.
    fn post(&self) -> &str {
        self.id.split(' ').next().unwrap_or_default()
    }
}

/// What a client keeps while it is not connected.
#[derive(Clone)]
pub struct SavedTimeline {
    /// The cursor of the last event, or the `streamCursor` of the first page.
    cursor: String,
    /// Newest first.
    entries: Vec<Entry>,
    /// Whether the bodies of reposts are current.
    ///
    /// A replay has no edits of posts that the timeline shows by a repost only.
    has_bodies_of_reposts: bool,
}

/// A client with the timeline of a user, and its stream of events.
pub struct Watcher {
    /// The owner of the timeline, as a number of the model.
    pub user: usize,
    /// `None` while the client is disconnected.
    events: Option<EventClient>,
    pub saved: SavedTimeline,
}

impl Watcher {
    /// Subscribes to the changes of a timeline, and reads it.
    pub async fn open(user: usize, client: &Actor<'_>) -> Self {
        let events = client.subscribe_and_join(EVENTS, json!({})).await;
        Self { user, events: Some(events), saved: read(client).await }
    }

    /// A client that resumes from what it has saved.
    pub async fn resume(user: usize, client: &Actor<'_>, saved: SavedTimeline) -> Self {
        let mut watcher = Self { user, events: None, saved };
        watcher.reconnect(client).await;
        watcher
    }

    pub fn is_connected(&self) -> bool {
        self.events.is_some()
    }

    /// Ends the stream, whose last events may not have been received.
    pub fn disconnect(&mut self) {
        self.events = None;
    }

    pub async fn reconnect(&mut self, client: &Actor<'_>) {
        let after = json!({ "after": self.saved.cursor });
        self.events = Some(client.subscribe_and_join(EVENTS, after).await);
        self.saved.has_bodies_of_reposts = false;
    }

    /// Applies events until the post with the id `last` has been added.
    pub async fn catch_up(&mut self, client: &Actor<'_>, last: &str) {
        loop {
            let event = self.events.as_mut().expect("the client is connected").next().await;
            self.apply(client, &event).await;
            let edge = &event["edge"];
            if edge["node"]["id"] == last && edge["repostedBy"].is_null() {
                return;
            }
        }
    }

    async fn apply(&mut self, client: &Actor<'_>, event: &Value) {
        let entries = &mut self.saved.entries;
        match event["__typename"].as_str().unwrap() {
            "TimelinePostAdded" => {
                let entry = Entry::new(&event["edge"]);
                if entries.iter().all(|other| other.id != entry.id) {
                    let times = entries.iter().map(|other| other.time.as_str());
                    let position = position_at(&entry.time, times).unwrap_or(entries.len());
                    entries.insert(position, entry);
                }
            }
            "TimelinePostUpdated" => {
                let (id, body) = (text(&event["post"]["id"]), text(&event["post"]["body"]));
                for entry in entries.iter_mut().filter(|entry| entry.post() == id) {
                    entry.body.clone_from(&body);
                }
            }
            "TimelinePostRemoved" => entries.retain(|entry| event["postId"] != entry.post()),
            "TimelineRepostRemoved" => {
                let id = format!("{} {}", text(&event["postId"]), text(&event["repostedById"]));
                entries.retain(|entry| entry.id != id);
            }
            "TimelineReset" => self.saved = read(client).await,
            _ => panic!("{} for {}", summary(event), client.username),
        }
        self.saved.cursor = text(&event["cursor"]);
    }

    /// Compares the entries with the timeline of the model.
    ///
    /// `users` are the global ids of all users.
    pub fn check(&self, what: &str, graph: &Graph, users: &[&str]) {
        let has_body = |is_repost: bool| !is_repost || self.saved.has_bodies_of_reposts;
        let items = graph.timeline(self.user, Some(self.user), Filter::ALL);
        let expected = items.into_iter().map(|item| {
            let item = &graph.feed[item];
            let post = &graph.posts[item.post];
            let by = if item.is_repost { format!(" {}", users[item.actor]) } else { String::new() };
            let body = if has_body(item.is_repost) { &*post.body } else { "" };
            (format!("{}{by}", post.id), body.to_owned())
        });
        let actual = self.saved.entries.iter().map(|entry| {
            let body = if has_body(entry.is_repost()) { &*entry.body } else { "" };
            (entry.id.clone(), body.to_owned())
        });
        let (actual, expected) = (actual.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        assert_eq!(actual, expected, "the timeline of {what} of {}", name(self.user));
    }
}

/// All pages of the timeline, and the `streamCursor` of the first one.
async fn read(client: &Actor<'_>) -> SavedTimeline {
    let (cursor, has_bodies_of_reposts) = (String::new(), true);
    let mut saved = SavedTimeline { cursor, entries: vec![], has_bodies_of_reposts };
    let mut after = Value::Null;
    loop {
        let data = client.run(PAGE, json!({ "after": after })).await;
        let timeline = &data["viewer"]["user"]["timeline"];
        if saved.cursor.is_empty() {
            saved.cursor = text(&timeline["streamCursor"]);
        }
        saved.entries.extend(timeline["edges"].as_array().unwrap().iter().map(Entry::new));
        if timeline["pageInfo"]["hasNextPage"] == false {
            return saved;
        }
        after = timeline["pageInfo"]["endCursor"].clone();
    }
}
