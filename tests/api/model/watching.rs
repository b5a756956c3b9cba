//! A client that keeps the timeline of a user by its events.

use serde_json::{Value, json};

use crate::live::{TIMELINE, summary};
use crate::support::actors::Actor;
use crate::support::stream_client::EventClient;

/// The id and the body of a post.
///
/// The id of a repost is that of the post, a space, and the id of the user who reposted it.
pub type Entry = (String, String);

/// An open stream of timeline events, and the posts that the client shows.
pub struct Watcher {
    /// The owner of the timeline, as a number of the model.
    pub user: usize,
    events: EventClient,
    pub saved: Saved,
}

/// What a client keeps while it is not connected.
#[derive(Clone)]
pub struct Saved {
    /// The cursor of the last event, or the `streamCursor` of the first page.
    cursor: String,
    /// The posts of the timeline, newest first.
    pub posts: Vec<Entry>,
}

impl Watcher {
    /// Subscribes to the changes of a timeline, and reads it.
    pub async fn open(user: usize, client: &Actor<'_>) -> Self {
        let events = client.subscribe_and_join(TIMELINE, json!({})).await;
        Self { user, events, saved: read(client).await }
    }

    /// Resumes from a saved cursor.
    pub async fn resume(user: usize, client: &Actor<'_>, saved: Saved) -> Self {
        let events = client.subscribe(TIMELINE, json!({ "after": saved.cursor })).await;
        Self { user, events, saved }
    }

    /// Applies events until the post with the id `last` has been added.
    pub async fn catch_up(&mut self, client: &Actor<'_>, last: &str) {
        loop {
            let event = self.events.next().await;
            self.apply(client, &event).await;
            if event["edge"]["node"]["id"] == last {
                return;
            }
        }
    }

    async fn apply(&mut self, client: &Actor<'_>, event: &Value) {
        let posts = &mut self.saved.posts;
        match event["__typename"].as_str().unwrap() {
            "TimelinePostAdded" => {
                let (id, body) = entry(&event["edge"]);
                if posts.iter().all(|post| post.0 != id) {
                    posts.insert(0, (id, body));
                }
            }
            "TimelinePostUpdated" => {
                let (id, body) = (text(&event["post"]["id"]), text(&event["post"]["body"]));
                for post in posts.iter_mut().filter(|post| post_of(post) == id) {
                    post.1.clone_from(&body);
                }
            }
            "TimelinePostRemoved" => posts.retain(|post| event["postId"] != post_of(post)),
            "TimelineRepostRemoved" => {
                let id = format!("{} {}", text(&event["postId"]), text(&event["repostedById"]));
                posts.retain(|post| post.0 != id);
            }
            "TimelineReset" => *posts = read(client).await.posts,
            _ => panic!("{} for {}", summary(event), client.username),
        }
        self.saved.cursor = text(&event["cursor"]);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn entry(edge: &Value) -> Entry {
    let (id, body) = (text(&edge["node"]["id"]), text(&edge["node"]["body"]));
    let reposter = edge["repostedBy"]["id"].as_str();
    (reposter.map_or(id.clone(), |user| format!("{id} {user}")), body)
}

/// The id of the post of an entry.
fn post_of(entry: &Entry) -> &str {
    entry.0.split_once(' ').map_or(&*entry.0, |(post, _)| post)
}

const PAGE: &str = "query ($after: String) { viewer { user { timeline(first: 100, after: $after) {
    streamCursor edges { repostedBy { id } node { id body } }
    pageInfo { hasNextPage endCursor } } } } }";

/// All pages of the timeline, and the `streamCursor` of the first one.
async fn read(client: &Actor<'_>) -> Saved {
    let mut saved = Saved { cursor: String::new(), posts: vec![] };
    let mut after = Value::Null;
    loop {
        let data = client.run(PAGE, json!({ "after": after })).await;
        let timeline = &data["viewer"]["user"]["timeline"];
        if saved.cursor.is_empty() {
            saved.cursor = text(&timeline["streamCursor"]);
        }
        saved.posts.extend(timeline["edges"].as_array().unwrap().iter().map(entry));
        if timeline["pageInfo"]["hasNextPage"] == false {
            return saved;
        }
        after = timeline["pageInfo"]["endCursor"].clone();
    }
}
