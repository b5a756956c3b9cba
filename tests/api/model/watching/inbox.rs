//! A client that keeps the notifications of a user by their events.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{position_at, text};
use crate::model::graph::{Graph, name};
use crate::support::actors::Actor;
use crate::support::stream_client::EventClient;

const EVENTS: &str = "subscription ($after: String) { notificationEvents(after: $after) {
    __typename
    ... on StreamEvent { cursor }
    ... on NotificationAdded { removedIds
        notification { id type createdAt isRead actor { username } post { id } } }
    ... on NotificationRemoved { removedIds }
    ... on NotificationsRead { upTo }
    ... on StreamLagged { missed resumeAfter }
} }";

const PAGE: &str = "query ($after: String) { viewer { notifications(first: 100, after: $after) {
    streamCursor nodes { id type createdAt isRead actor { username } post { id } }
    pageInfo { hasNextPage endCursor } } } }";

/// A notification in the list of a client.
#[derive(Clone)]
struct Entry {
    id: String,
    /// The time that orders the entries.
    time: String,
    /// The type, the actor and the post.
    cause: String,
    is_read: bool,
}

impl Entry {
    fn new(node: &Value) -> Self {
        Self {
            id: text(&node["id"]),
            time: text(&node["createdAt"]),
            cause: cause(node),
            is_read: node["isRead"] == true,
        }
    }
}

/// The type, the actor and the post of a notification.
fn cause(node: &Value) -> String {
    let post = node["post"]["id"].as_str().unwrap_or("no post");
    format!("{} {} {post}", text(&node["type"]), text(&node["actor"]["username"]))
}

/// What a client keeps while it is not connected.
#[derive(Clone)]
pub struct SavedInbox {
    /// The cursor of the last event, or the `streamCursor` of the first page.
    cursor: String,
    /// Newest first.
    entries: Vec<Entry>,
}

/// A client with the notifications of a user, and its stream of events.
pub struct Inbox {
    /// The recipient, as a number of the model.
    pub user: usize,
    /// `None` while the client is disconnected.
    events: Option<EventClient>,
    pub saved: SavedInbox,
}

impl Inbox {
    /// Subscribes to the changes of notifications, and reads them.
    pub async fn open(user: usize, client: &Actor<'_>) -> Self {
        let events = client.subscribe_and_join(EVENTS, json!({})).await;
        Self { user, events: Some(events), saved: read(client).await }
    }

    /// A client that resumes from what it has saved.
    pub async fn resume(user: usize, client: &Actor<'_>, saved: SavedInbox) -> Self {
        let mut inbox = Self { user, events: None, saved };
        inbox.reconnect(client).await;
        inbox
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
    }

    /// Applies events until the notification `last` of the model has been added.
    pub async fn catch_up(&mut self, client: &Actor<'_>, graph: &Graph, last: usize) {
        let last = cause(&graph.notice_json(last));
        loop {
            let event = self.events.as_mut().expect("the client is connected").next().await;
            self.apply(client, &event).await;
            let added = &event["notification"];
            if added.is_object() && cause(added) == last {
                return;
            }
        }
    }

    async fn apply(&mut self, client: &Actor<'_>, event: &Value) {
        let entries = &mut self.saved.entries;
        for removed in event["removedIds"].as_array().into_iter().flatten() {
            entries.retain(|entry| *removed != entry.id.as_str());
        }
        match event["__typename"].as_str().unwrap() {
            "NotificationAdded" => {
                let entry = Entry::new(&event["notification"]);
                if entries.iter().all(|other| other.id != entry.id) {
                    let times = entries.iter().map(|other| other.time.as_str());
                    let position = position_at(&entry.time, times).unwrap_or(entries.len());
                    entries.insert(position, entry);
                }
            }
            "NotificationRemoved" => {}
            "NotificationsRead" => {
                let newest = entries.iter().position(|entry| event["upTo"] == entry.id.as_str());
                if let Some(newest) = newest {
                    for entry in &mut entries[newest..] {
                        entry.is_read = true;
                    }
                } else {
                    // The client does not have it, for example because its post is hidden.
                    self.saved = read(client).await;
                }
            }
            other => panic!("{other} for {}", client.username),
        }
        self.saved.cursor = text(&event["cursor"]);
    }

    /// Compares the entries with the notifications of the model.
    ///
    /// Events inform neither of deleted posts and accounts nor of gained and lost access to posts.
    pub fn check(&self, what: &str, graph: &Graph) {
        let context = format!("the notifications of {what} of {}", name(self.user));
        let of_model = |numbers: &[usize]| -> BTreeSet<String> {
            numbers.iter().map(|number| cause(&graph.notice_json(*number))).collect()
        };
        let listed = graph.notices_of(self.user);
        let own = (0..graph.notices.len())
            .filter(|number| graph.notices[*number].cause.recipient == self.user);
        let gone: Vec<usize> = own.filter(|n| graph.is_gone_without_event(*n)).collect();
        let (present, gone) = (of_model(&listed), of_model(&gone));
        let received: BTreeSet<String> =
            self.saved.entries.iter().map(|entry| entry.cause.clone()).collect();

        let surplus: Vec<&String> = received.difference(&present).collect();
        let is_explained = surplus.iter().all(|cause| gone.contains(*cause));
        assert!(is_explained, "{context} have more than the list: {surplus:?}, gone are {gone:?}");
        let is_missing = |number: &&usize| {
            let notice = &graph.notices[**number];
            !notice.was_hidden && !received.contains(&cause(&graph.notice_json(**number)))
        };
        let missing: Vec<String> =
            listed.iter().filter(is_missing).map(|n| graph.notice_json(*n).to_string()).collect();
        assert!(missing.is_empty(), "{context} lack {missing:?}");

        let entries = self.saved.entries.iter().filter(|entry| present.contains(&entry.cause));
        let actual: Vec<(String, bool)> =
            entries.map(|entry| (entry.cause.clone(), entry.is_read)).collect();
        let expected = listed.iter().map(|n| (cause(&graph.notice_json(*n)), graph.is_read(*n)));
        let expected: Vec<(String, bool)> =
            expected.filter(|(cause, _)| received.contains(cause)).collect();
        assert_eq!(actual, expected, "{context}");
    }
}

/// All pages of the notifications, and the `streamCursor` of the first one.
async fn read(client: &Actor<'_>) -> SavedInbox {
    let mut saved = SavedInbox { cursor: String::new(), entries: vec![] };
    let mut after = Value::Null;
    loop {
        let data = client.run(PAGE, json!({ "after": after })).await;
        let page = &data["viewer"]["notifications"];
        if saved.cursor.is_empty() {
            saved.cursor = text(&page["streamCursor"]);
        }
        saved.entries.extend(page["nodes"].as_array().unwrap().iter().map(Entry::new));
        if page["pageInfo"]["hasNextPage"] == false {
            return saved;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}
