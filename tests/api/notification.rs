//! Notifications: their causes and rules, the list, the read marker and pruning.

mod reading;

use futures_util::future::join_all;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, TestApp};

/// The viewer's notifications, newest first.
///
/// Each is `TYPE actor`, with a colon and the text of the post if it has one. The unread ones must
/// be as many as the viewer's count says.
async fn list(viewer: &Actor<'_>) -> Vec<String> {
    let document = "{ viewer { unreadNotificationsCount notifications(first: 100) { nodes { type
        isRead createdAt actor { username } post { body } } } } }";
    let viewer = viewer.query(document).await["viewer"].take();
    let nodes = viewer["notifications"]["nodes"].as_array().unwrap();
    let unread = nodes.iter().filter(|node| node["isRead"] == false).count();
    assert_eq!(viewer["unreadNotificationsCount"], unread, "{viewer}");
    nodes.iter().map(text).collect()
}

fn text(node: &Value) -> String {
    assert!(node["createdAt"].is_string(), "{node}");
    let [kind, actor] = [&node["type"], &node["actor"]["username"]].map(|text| text.as_str());
    let text = format!("{} {}", kind.unwrap(), actor.unwrap());
    match node["post"]["body"].as_str() {
        Some(body) => format!("{text}: {body}"),
        None => text,
    }
}

/// The ids of the viewer's notifications, newest first.
async fn ids(viewer: &Actor<'_>) -> Vec<String> {
    let data = viewer.query("{ viewer { notifications { nodes { id } } } }").await;
    texts(&data["viewer"]["notifications"]["nodes"], "id")
}

/// Executes a mutation, which must succeed. Returns `changed` of its payload.
async fn change(viewer: &Actor<'_>, call: &str) -> bool {
    let payload = viewer.mutate(&format!("{call} {{ changed userErrors {{ code }} }}")).await;
    assert_eq!(payload["userErrors"], json!([]), "{call}");
    payload["changed"] == true
}

/// Executes a mutation of a relationship with another user. Returns `changed`.
async fn relate(viewer: &Actor<'_>, verb: &str, other: &Actor<'_>) -> bool {
    change(viewer, &format!("{verb}(user: {{username: \"{}\"}})", other.username)).await
}

/// Executes a mutation of a post. Returns `changed`.
async fn react(viewer: &Actor<'_>, verb: &str, post: &str) -> bool {
    change(viewer, &format!("{verb}(postId: \"{post}\")")).await
}

async fn edit(author: &Actor<'_>, post: &str, body: &str) {
    let call = format!("editPost(input: {{id: \"{post}\", body: \"{body}\"}})");
    assert!(change(author, &call).await);
}

async fn delete(author: &Actor<'_>, post: &str) {
    assert!(change(author, &format!("deletePost(id: \"{post}\")")).await);
}

/// A number that a statement selects.
async fn number(app: &TestApp, sql: &str) -> i64 {
    let statement = app.database().statement(sql, []);
    let row = app.database().writer().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

const NONE: [&str; 0] = [];

#[tokio::test]
async fn reactions_to_posts_notify_once_and_their_undoing_withdraws() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let post = susan.write("hello").await;
    for (verb, undo, kind) in [("like", "unlike", "LIKE"), ("repost", "unrepost", "REPOST")] {
        let expected = [format!("{kind} john: hello")];
        assert!(react(&john, verb, &post).await);
        assert_eq!(list(&susan).await, expected);
        let id = ids(&susan).await;
        assert!(!react(&john, verb, &post).await);
        assert_eq!(ids(&susan).await, id, "once");
        assert!(react(&john, undo, &post).await);
        assert!(!react(&john, undo, &post).await);
        assert_eq!(list(&susan).await, NONE);
        assert!(react(&john, verb, &post).await);
        assert_eq!(list(&susan).await, expected, "again");
        assert!(react(&john, undo, &post).await);
    }
    let reply = john.reply(&post, "answer").await;
    assert_eq!(list(&susan).await, ["REPLY john: answer"]);
    delete(&john, &reply).await;
    assert_eq!(list(&susan).await, NONE);
    let mention = john.write("@susan, hi @SUSAN").await;
    assert_eq!(list(&susan).await, ["MENTION john: @susan, hi @SUSAN"]);
    delete(&john, &mention).await;
    assert_eq!(list(&susan).await, NONE);
    assert_eq!(list(&john).await, NONE, "the actor gets none");
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn follows_and_requests_notify_and_their_end_withdraws() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    for undo in ["unfollow", "removeFollower"] {
        assert!(john.follow(&susan).await);
        assert!(!john.follow(&susan).await);
        assert_eq!(list(&susan).await, ["FOLLOW john"]);
        let (actor, other) = if undo == "unfollow" { (&john, &susan) } else { (&susan, &john) };
        assert!(relate(actor, undo, other).await);
        assert_eq!(list(&susan).await, NONE, "{undo}");
    }
    susan.protect(true).await;
    for (end, actor, other) in [("unfollow", &john, &susan), ("rejectFollowRequest", &susan, &john)]
    {
        assert!(john.follow(&susan).await);
        assert!(!john.follow(&susan).await);
        assert_eq!(list(&susan).await, ["FOLLOW_REQUEST john"]);
        assert!(relate(actor, end, other).await);
        assert_eq!(list(&susan).await, NONE, "{end}");
    }
    for (end, actor, other) in [("unfollow", &john, &susan), ("removeFollower", &susan, &john)] {
        assert!(john.follow(&susan).await);
        assert!(relate(&susan, "acceptFollowRequest", &john).await);
        assert_eq!(list(&susan).await, NONE, "susan has decided herself");
        assert_eq!(list(&john).await, ["REQUEST_ACCEPTED susan"]);
        assert!(!relate(&susan, "acceptFollowRequest", &john).await);
        assert_eq!(list(&john).await, ["REQUEST_ACCEPTED susan"]);
        assert!(relate(actor, end, other).await);
        assert_eq!(list(&john).await, NONE, "{end}");
    }
    assert!(john.follow(&susan).await);
    susan.protect(false).await;
    assert_eq!(list(&susan).await, ["FOLLOW_REQUEST john"]);
    assert!(john.follow(&susan).await, "the request becomes a follow");
    assert_eq!(list(&susan).await, ["FOLLOW john"]);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn follows_of_many_users_notify_each() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    mary.protect(true).await;
    let ids = json!([susan.id, mary.id, john.id]);
    let call = format!("followMany(userIds: {ids})");
    assert!(change(john, &call).await);
    assert!(!change(john, &call).await);
    assert_eq!(list(susan).await, ["FOLLOW john"]);
    assert_eq!(list(mary).await, ["FOLLOW_REQUEST john"]);
    mary.protect(false).await;
    assert!(change(john, &call).await);
    assert_eq!(list(susan).await, ["FOLLOW john"]);
    assert_eq!(list(mary).await, ["FOLLOW john"]);
    assert_eq!(list(john).await, NONE);
}

/// The event of the write has parts for the recipients' other devices.
#[tokio::test]
async fn changes_of_notifications_are_parts_of_the_event_of_their_cause() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let post = susan.write("hello").await;
    let events = app.event_count().await;
    react(&john, "like", &post).await;
    let notified = "SELECT count(*) FROM event_part JOIN notification
        ON notification.id = event_part.object AND notification.user_id = event_part.actor
        WHERE event_part.kind = 20 AND event_part.txn = (SELECT max(txn) FROM event)";
    assert_eq!(number(&app, notified).await, 1);
    react(&john, "unlike", &post).await;
    let withdrawn = "SELECT count(*) FROM event_part AS ended JOIN event_part AS part
        ON part.object = ended.object AND part.actor = ended.actor AND part.kind = 20
        WHERE ended.kind = 21";
    assert_eq!(number(&app, withdrawn).await, 1);
    assert_eq!(app.event_count().await, events + 2, "one event for each write");
    let many = format!("followMany(userIds: {})", json!([susan.id]));
    assert!(change(&john, &many).await);
    assert_eq!(number(&app, notified).await, 1);
}

#[tokio::test]
async fn users_get_no_notifications_of_themselves() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let post = john.write("for @john").await;
    john.reply(&post, "answer").await;
    for verb in ["like", "repost"] {
        assert!(react(&john, verb, &post).await);
    }
    edit(&john, &post, "again for @john").await;
    assert_eq!(list(&john).await, NONE);
}

#[tokio::test]
async fn a_mute_with_notifications_stops_new_ones_until_it_ends() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let post = susan.write("hello").await;
    john.follow(susan).await;
    let mute = |options: &str| format!("mute(user: {{username: \"john\"}}{options})");
    change(susan, &mute("")).await;
    assert_eq!(list(susan).await, ["FOLLOW john"], "an existing one stays");
    react(john, "like", &post).await;
    john.reply(&post, "answer").await;
    let mention = john.write("@susan and @mary").await;
    assert_eq!(list(susan).await, ["FOLLOW john"]);
    assert_eq!(list(mary).await, ["MENTION john: @susan and @mary"], "the mute is susan's");
    change(susan, &mute(", notifications: false")).await;
    react(john, "repost", &post).await;
    assert_eq!(list(susan).await, ["REPOST john: hello", "FOLLOW john"]);
    edit(john, &mention, "@susan, @mary").await;
    assert_eq!(list(susan).await.len(), 2, "a mention that stays notifies nothing new");
    change(susan, &mute(", expiresInSeconds: 3600")).await;
    react(john, "unlike", &post).await;
    react(john, "like", &post).await;
    assert_eq!(list(susan).await, ["REPOST john: hello", "FOLLOW john"]);
    let expire = "UPDATE mute SET expires_at = '2026-01-01T00:00:00+00:00'";
    app.database().writer().execute_unprepared(expire).await.unwrap();
    react(john, "unlike", &post).await;
    react(john, "like", &post).await;
    assert_eq!(list(susan).await, ["LIKE john: hello", "REPOST john: hello", "FOLLOW john"]);
}

#[tokio::test]
async fn a_block_deletes_the_notifications_between_both_users() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let (johns, susans) = (john.write("john's").await, susan.write("susan's").await);
    for (actor, post) in [(john, &susans), (susan, &johns), (mary, &johns), (mary, &susans)] {
        react(actor, "like", post).await;
    }
    assert_eq!(list(john).await, ["LIKE mary: john's", "LIKE susan: john's"]);
    assert!(relate(susan, "block", john).await);
    for viewer in [john, susan] {
        let name = &viewer.username;
        assert_eq!(list(viewer).await, [format!("LIKE mary: {name}'s")]);
    }
    john.write("@susan").await;
    assert!(relate(susan, "unblock", john).await);
    assert_eq!(list(susan).await, ["LIKE mary: susan's"]);
    react(john, "unlike", &susans).await;
    react(john, "like", &susans).await;
    assert_eq!(list(susan).await, ["LIKE john: susan's", "LIKE mary: susan's"]);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn posts_of_a_protected_author_notify_followers_only() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    john.follow(susan).await;
    let marys = mary.write("mary's").await;
    susan.protect(true).await;
    let post = susan.write("@john @mary").await;
    susan.reply(&marys, "answer").await;
    assert_eq!(list(john).await, ["MENTION susan: @john @mary"]);
    assert_eq!(list(mary).await, NONE);
    react(susan, "like", &marys).await;
    assert_eq!(list(mary).await, ["LIKE susan: mary's"], "her own post");
    edit(susan, &post, "@mary @john").await;
    susan.protect(false).await;
    assert_eq!(list(mary).await, ["LIKE susan: mary's"], "the posts caused none");
}

#[tokio::test]
async fn edits_notify_new_mentions_and_withdraw_removed_ones() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let post = john.write("hi @susan").await;
    let first = ids(susan).await;
    edit(john, &post, "hi @mary and @susan").await;
    assert_eq!(ids(susan).await, first, "a kept mention keeps its notification");
    assert_eq!(list(susan).await, ["MENTION john: hi @mary and @susan"]);
    assert_eq!(list(mary).await, ["MENTION john: hi @mary and @susan"]);
    edit(john, &post, "bye @mary").await;
    assert_eq!(list(susan).await, NONE);
    assert_eq!(list(mary).await, ["MENTION john: bye @mary"]);
    edit(john, &post, "bye").await;
    assert_eq!(list(mary).await, NONE);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn the_author_of_a_post_is_notified_of_the_reply_and_not_of_a_mention_in_it() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let post = susan.write("hello").await;
    let reply = john.reply(&post, "@susan @mary").await;
    assert_eq!(list(susan).await, ["REPLY john: @susan @mary"]);
    assert_eq!(list(mary).await, ["MENTION john: @susan @mary"]);
    edit(john, &reply, "nothing").await;
    assert_eq!(list(susan).await, ["REPLY john: nothing"]);
    assert_eq!(list(mary).await, NONE);
    edit(john, &reply, "@mary @susan").await;
    assert_eq!(list(susan).await, ["REPLY john: @mary @susan"]);
    assert_eq!(list(mary).await, ["MENTION john: @mary @susan"]);
}

#[tokio::test]
async fn deleted_posts_and_accounts_take_their_notifications_along() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let (one, two) = (susan.write("one").await, susan.write("two").await);
    for (actor, post) in [(john, &one), (john, &two), (mary, &one), (mary, &two)] {
        react(actor, "like", post).await;
    }
    john.follow(susan).await;
    delete(susan, &one).await;
    assert_eq!(list(susan).await, ["FOLLOW john", "LIKE mary: two", "LIKE john: two"]);
    let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
    john.mutate(&delete).await;
    assert_eq!(list(susan).await, ["LIKE mary: two"]);
    susan.mutate(&delete).await;
    assert_eq!(number(&app, "SELECT count(*) FROM notification").await, 0);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_likes_and_unlikes_leave_a_notification_for_each_like() {
    let app = TestApp::new().await;
    let author = app.register("author").await;
    let post = author.write("popular").await;
    let names: Vec<String> = (0..10).map(|n| format!("user{n}")).collect();
    let users = join_all(names.iter().map(|name| app.register(name))).await;
    let again = users.iter().chain(&users).chain(&users);
    assert!(join_all(again.map(|user| react(user, "like", &post))).await.contains(&false));
    assert_eq!(list(&author).await.len(), 10);
    let changes = users
        .iter()
        .flat_map(|user| ["unlike", "like", "unlike", "like"].map(|verb| react(user, verb, &post)));
    join_all(changes).await;
    let differences = "SELECT count(*) FROM notification FULL JOIN \"like\" AS liked
        ON notification.actor_id = liked.user_id AND notification.post_id = liked.post_id
        WHERE notification.id IS NULL OR liked.id IS NULL";
    assert_eq!(number(&app, differences).await, 0);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

/// The block refuses the reaction, or deletes its notification.
#[tokio::test(flavor = "multi_thread")]
async fn no_notification_of_a_concurrent_reaction_survives_a_block() {
    let app = TestApp::new().await;
    let author = app.register("author").await;
    let names: Vec<String> = (0..20).map(|n| format!("user{n}")).collect();
    let mut users = Vec::new();
    for name in &names {
        users.push(app.register(name).await);
    }
    let posts = join_all(names.iter().map(|name| author.write(name))).await;
    let writes =
        users.iter().zip(&posts).enumerate().map(|(n, (user, post))| {
            let (verb, name) = (["like", "repost"][n % 2], &user.username);
            let react = format!("mutation {{ {verb}(postId: \"{post}\") {{ changed }} }}");
            let block =
                format!("mutation {{ block(user: {{username: \"{name}\"}}) {{ changed }} }}");
            let author = &author;
            async move {
                tokio::join!(user.execute(&react, json!({})), author.execute(&block, json!({})))
            }
        });
    for (reaction, block) in join_all(writes).await {
        assert!(reaction.get("errors").is_none(), "{reaction}");
        assert_eq!(block["data"]["block"]["changed"], true, "{block}");
    }
    assert_eq!(number(&app, "SELECT count(*) FROM notification").await, 0);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn statement_count_of_a_post_is_independent_of_the_number_of_mentions() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let mut names = Vec::new();
    for n in 0..20 {
        names.push(format!("@{}", app.register(&format!("user{n}")).await.username));
    }
    let mut counts = Vec::new();
    for mentions in [1, 10, 20] {
        let text = names[..mentions].join(" ");
        counts.push(app.count_statements(john.write(&text)).await.1);
    }
    assert_eq!(counts, vec![counts[0]; 3]);
    assert_eq!(number(&app, "SELECT count(*) FROM notification").await, 31);
}
