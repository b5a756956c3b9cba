//! Events of notifications: each kind and the rules of delivery.

mod resuming;
mod statement_counts;

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::stream_client::EventClient;

/// A subscription to the viewer's notifications.
const NOTIFICATIONS: &str = "subscription ($after: String) { notificationEvents(after: $after) {
    __typename
    ... on StreamEvent { cursor occurredAt }
    ... on NotificationAdded { removedIds
        notification { id type createdAt isRead actor { username } post { body author { username } } } }
    ... on NotificationRemoved { removedIds }
    ... on NotificationsRead { upTo }
    ... on StreamLagged { missed resumeAfter }
} }";

/// An event as a short text, such as `+LIKE john: body`.
///
/// Removed notifications are a minus and their number.
fn summary(event: &Value) -> String {
    let removed = event["removedIds"].as_array().map(Vec::len);
    match event["__typename"].as_str().unwrap() {
        "NotificationAdded" => {
            let node = &event["notification"];
            let [kind, actor] = [&node["type"], &node["actor"]["username"]]
                .map(|text| text.as_str().unwrap().to_owned());
            let body = node["post"]["body"].as_str().map(|body| format!(": {body}"));
            let replaced =
                removed.filter(|removed| *removed > 0).map(|number| format!(" -{number}"));
            format!("+{kind} {actor}{}{}", body.unwrap_or_default(), replaced.unwrap_or_default())
        }
        "NotificationRemoved" => format!("-{}", removed.unwrap()),
        "NotificationsRead" => "read".to_owned(),
        other => other.to_owned(),
    }
}

/// The next `count` events as short texts.
async fn summaries(events: &mut EventClient, count: usize) -> Vec<String> {
    let mut summaries = Vec::new();
    for _ in 0..count {
        summaries.push(summary(&events.next().await));
    }
    summaries
}

/// The stream cursor of the viewer's notifications, and the ids of the first page.
async fn read_page(viewer: &Actor<'_>) -> (String, Vec<String>) {
    let query = "{ viewer { notifications(first: 100) { streamCursor nodes { id } } } }";
    let page = &viewer.query(query).await["viewer"]["notifications"];
    (page["streamCursor"].as_str().unwrap().to_owned(), texts(&page["nodes"], "id"))
}

/// Executes a mutation, which must change something.
async fn change(viewer: &Actor<'_>, call: &str) {
    let payload = viewer.mutate(&format!("{call} {{ changed userErrors {{ code }} }}")).await;
    assert_eq!(payload, json!({ "changed": true, "userErrors": [] }), "{call}");
}

/// Executes a mutation of a relationship with another user.
async fn relate(viewer: &Actor<'_>, verb: &str, other: &Actor<'_>) {
    change(viewer, &format!("{verb}(user: {{username: \"{}\"}})", other.username)).await;
}

/// Executes a mutation of a post.
async fn react(viewer: &Actor<'_>, verb: &str, post: &str) {
    change(viewer, &format!("{verb}(postId: \"{post}\")")).await;
}

async fn mark_read(viewer: &Actor<'_>) {
    change(viewer, "markNotificationsRead").await;
}

/// Everything that changes notifications of susan, with the events.
#[derive(Default)]
struct Script {
    /// The live events of susan, each of which is awaited.
    live: Option<EventClient>,
    /// The events of a replay afterwards. Withdrawn notifications are gone then.
    replayed: Vec<String>,
}

impl Script {
    async fn expect(&mut self, event: &str, replayed: Option<&str>) {
        if let Some(live) = &mut self.live {
            assert_eq!(summary(&live.next().await), event);
        }
        self.replayed.extend(replayed.map(str::to_owned));
    }

    /// Expects an event that a replay has, too.
    async fn expect_lasting(&mut self, event: &str) {
        self.expect(event, Some(event)).await;
    }

    async fn run(&mut self, john: &Actor<'_>, susan: &Actor<'_>) {
        let post = susan.write("hello").await;
        react(john, "like", &post).await;
        self.expect_lasting("+LIKE john: hello").await;
        react(john, "repost", &post).await;
        self.expect("+REPOST john: hello", None).await;
        react(john, "unrepost", &post).await;
        self.expect_lasting("-1").await;
        john.reply(&post, "answer for @susan").await;
        self.expect_lasting("+REPLY john: answer for @susan").await;
        let mention = john.write("hi @susan").await;
        self.expect("+MENTION john: hi @susan", None).await;
        change(john, &format!("editPost(input: {{id: \"{mention}\", body: \"hi\"}})")).await;
        self.expect_lasting("-1").await;
        mark_read(susan).await;
        self.expect_lasting("read").await;
        susan.protect(true).await;
        john.follow(susan).await;
        self.expect("+FOLLOW_REQUEST john", None).await;
        susan.protect(false).await;
        john.follow(susan).await;
        // The request became a follow in one transaction. A replay still has the first change.
        self.expect("+FOLLOW john -1", Some("-1")).await;
        john.unfollow(susan).await;
        self.expect_lasting("-1").await;
        change(john, &format!("followMany(userIds: [\"{}\"])", susan.id)).await;
        self.expect_lasting("+FOLLOW john").await;
        john.protect(true).await;
        susan.follow(john).await;
        relate(john, "acceptFollowRequest", susan).await;
        self.expect_lasting("+REQUEST_ACCEPTED john").await;
    }
}

#[tokio::test]
async fn each_change_of_notifications_arrives_once() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let mut of_mary = mary.subscribe_and_join(NOTIFICATIONS, json!({})).await;
    let live = Some(susan.subscribe_and_join(NOTIFICATIONS, json!({})).await);
    let mut script = Script { live, ..Script::default() };
    script.run(john, susan).await;
    script.live.unwrap().assert_idle().await;
    of_mary.assert_idle().await;
}

#[tokio::test]
async fn an_event_shows_the_notification_of_the_list() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let mut events = susan.subscribe_and_join(NOTIFICATIONS, json!({})).await;
    let post = susan.write("hello").await;
    react(&john, "like", &post).await;
    let event = events.next().await;
    let list = "{ viewer { notifications(first: 1) { nodes { id type createdAt isRead
        actor { username } post { body author { username } } } } } }";
    let nodes = &susan.query(list).await["viewer"]["notifications"]["nodes"];
    assert_eq!(event["notification"], nodes[0]);
    let id = event["notification"]["id"].clone();
    assert_eq!(event["notification"]["isRead"], false);
    mark_read(&susan).await;
    let event = events.next().await;
    assert_eq!((summary(&event), &event["upTo"]), ("read".to_owned(), &id));
    let again = susan.mutate("markNotificationsRead { changed }").await;
    assert_eq!(again["changed"], false);
    react(&john, "unlike", &post).await;
    let event = events.next().await;
    assert_eq!((summary(&event), &event["removedIds"]), ("-1".to_owned(), &json!([id])));
    john.mutate(&format!("unlike(postId: \"{post}\") {{ changed }}")).await;
    events.assert_idle().await;
}

#[tokio::test]
async fn events_have_the_number_of_unread_notifications() {
    const COUNTED: &str = "subscription { notificationEvents { __typename
        ... on NotificationAdded { unreadCount one: unreadCount(cap: 1) }
        ... on NotificationRemoved { unreadCount } ... on NotificationsRead { unreadCount } } }";
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let mut events = susan.subscribe_and_join(COUNTED, json!({})).await;
    let post = susan.write("hello").await;
    react(&john, "like", &post).await;
    assert_eq!(events.next().await["unreadCount"], 1);
    react(&john, "repost", &post).await;
    let event = events.next().await;
    assert_eq!((&event["unreadCount"], &event["one"]), (&json!(2), &json!(1)));
    react(&john, "unlike", &post).await;
    assert_eq!(events.next().await["unreadCount"], 1);
    mark_read(&susan).await;
    assert_eq!(events.next().await["unreadCount"], 0);
    let wrong = COUNTED.replace("cap: 1", "cap: 0");
    let mut events = susan.subscribe_and_join(&wrong, json!({})).await;
    react(&john, "like", &post).await;
    assert_eq!(events.error().await, "ARGUMENT_OUT_OF_RANGE");
}

/// A client that resumed between two events of a transaction would lose the second.
#[tokio::test]
async fn a_block_withdraws_all_notifications_with_one_event() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let posts = [susan.write("one").await, susan.write("two").await];
    for post in &posts {
        react(john, "like", post).await;
        react(mary, "like", post).await;
    }
    let (start, mut ids) = read_page(susan).await;
    let mut events = susan.subscribe_and_join(NOTIFICATIONS, json!({})).await;
    relate(susan, "block", john).await;
    let event = events.next().await;
    assert_eq!(summary(&event), "-2");
    let (_, left) = read_page(susan).await;
    ids.retain(|id| !left.contains(id));
    assert_eq!(event["removedIds"], json!(ids), "newest first");
    events.assert_idle().await;
    let mut resumed = susan.subscribe(NOTIFICATIONS, json!({ "after": start })).await;
    let replayed = resumed.next().await;
    assert_eq!(replayed["removedIds"], json!(ids));
    let after = &replayed["cursor"];
    let mut resumed = susan.subscribe(NOTIFICATIONS, json!({ "after": after })).await;
    resumed.assert_idle().await;
}

#[tokio::test]
async fn no_transaction_adds_two_notifications_of_a_user() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    Script::default().run(john, susan).await;
    let post = susan.write("hello").await;
    let reply = mary.reply(&post, "@susan @susan @david").await;
    change(mary, &format!("editPost(input: {{id: \"{reply}\", body: \"@david @susan @john\"}})"))
        .await;
    change(mary, &format!("followMany(userIds: {})", json!([susan.id, actors.david.id]))).await;
    let added = "SELECT count(*) FROM (SELECT txn FROM event_part WHERE kind = 20
        GROUP BY txn, actor HAVING count(*) > 1) AS doubled";
    let statement = app.database().statement(added, []);
    let row = app.database().writer().query_one_raw(statement).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 0);
}

#[tokio::test]
async fn muted_and_blocked_users_cause_no_events() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let post = susan.write("hello").await;
    relate(susan, "mute", john).await;
    relate(susan, "block", mary).await;
    let mut events = susan.subscribe_and_join(NOTIFICATIONS, json!({})).await;
    react(john, "like", &post).await;
    john.reply(&post, "answer").await;
    john.follow(susan).await;
    mary.write("@susan").await;
    susan.reply(&post, "to myself, @susan").await;
    actors.david.follow(susan).await;
    assert_eq!(summaries(&mut events, 1).await, ["+FOLLOW david"]);
    events.assert_idle().await;
}

#[tokio::test]
async fn a_notification_of_a_post_that_the_viewer_may_not_see_any_more_is_left_out() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    susan.follow(&john).await;
    john.protect(true).await;
    let (start, _) = read_page(&susan).await;
    john.write("secret @susan").await;
    let mut resumed = susan.subscribe(NOTIFICATIONS, json!({ "after": start })).await;
    assert_eq!(summaries(&mut resumed, 1).await, ["+MENTION john: secret @susan"]);
    relate(&john, "removeFollower", &susan).await;
    john.follow(&susan).await;
    let mut resumed = susan.subscribe(NOTIFICATIONS, json!({ "after": start })).await;
    assert_eq!(summaries(&mut resumed, 1).await, ["+FOLLOW john"], "the mention is hidden");
    resumed.assert_idle().await;
}

#[tokio::test]
async fn notifications_that_are_gone_are_left_out() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let (start, _) = read_page(susan).await;
    let deleted = susan.write("deleted").await;
    react(john, "like", &deleted).await;
    change(susan, &format!("deletePost(id: \"{deleted}\")")).await;
    mary.follow(susan).await;
    let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
    mary.mutate(&delete).await;
    john.follow(susan).await;
    let mut events = susan.subscribe(NOTIFICATIONS, json!({ "after": start })).await;
    assert_eq!(summaries(&mut events, 1).await, ["+FOLLOW john"]);
    events.assert_idle().await;
}

#[tokio::test]
async fn streams_end_with_their_session() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let mut of_susan = susan.subscribe_and_join(NOTIFICATIONS, json!({})).await;
    susan.mutate("logout { changed }").await;
    john.follow(susan).await;
    assert_eq!(of_susan.error().await, "UNAUTHENTICATED");
    let mut of_mary = mary.subscribe_and_join(NOTIFICATIONS, json!({})).await;
    let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
    mary.mutate(&delete).await;
    assert_eq!(of_mary.error().await, "UNAUTHENTICATED", "the account is deleted");
    let anonymous = app.anonymous().subscription_error(NOTIFICATIONS, json!({})).await;
    assert_eq!(anonymous, "UNAUTHENTICATED");
}

/// A block withdraws any number of notifications, in bounded transactions.
#[tokio::test]
async fn a_block_withdraws_many_notifications_in_several_events() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.follow(&susan).await;
    let [johns, susans] = ["john", "susan"]
        .map(|name| format!("(SELECT id FROM \"user\" WHERE username = '{name}')"));
    let numbers = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500)";
    for sql in [
        format!(
            "{numbers} INSERT INTO post (id, author_id, body, created_at)
             SELECT 10000 + n, {susans}, 'x', '2026-01-01T00:00:00+00:00' FROM n"
        ),
        format!(
            "{numbers} INSERT INTO notification (id, user_id, kind, actor_id, post_id)
             SELECT 20000 + n, {susans}, 3, {johns}, 10000 + n FROM n"
        ),
    ] {
        app.database().writer().execute_unprepared(&sql).await.unwrap();
    }
    let mut events = susan.subscribe_and_join(NOTIFICATIONS, json!({})).await;
    let block = "block(user: {username: \"john\"}) { changed userErrors { code } }";
    let made = json!({ "changed": true, "userErrors": [] });
    assert_eq!(susan.mutate(block).await, made);
    // With that of the follow.
    assert_eq!(summaries(&mut events, 3).await, ["-1000", "-1000", "-501"]);
    assert_eq!(susan.mutate(block).await["changed"], false);
    let unblock = "unblock(user: {username: \"john\"}) { changed }";
    assert_eq!(susan.mutate(unblock).await["changed"], true);
    john.follow(&susan).await;
    assert_eq!(summaries(&mut events, 1).await, ["+FOLLOW john"]);
    let (_, left) = read_page(&susan).await;
    assert_eq!(left.len(), 1);
}
