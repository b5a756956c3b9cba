//! Events of reposts: which timelines receive them, live and in replays.
//!
//! Updates of counts come at other times, and are left out here.

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use super::{TIMELINE, read_timeline, summary};
use crate::support::actors::Actor;
use crate::support::app::{PASSWORD, TestApp};
use crate::support::stream_client::EventClient;

/// Executes `repost` or `unrepost`, which must change something.
async fn react(user: &Actor<'_>, verb: &str, post: &str) {
    let payload = user.mutate(&format!("{verb}(postId: \"{post}\") {{ changed }}")).await;
    assert_eq!(payload["changed"], true, "{verb} by {}", user.username);
}

/// Executes `block`, `unblock`, `mute` or `unmute`, which must change something.
async fn relate(user: &Actor<'_>, verb: &str, other: &Actor<'_>) {
    let field = format!("{verb}(user: {{username: \"{}\"}}) {{ changed }}", other.username);
    assert_eq!(user.mutate(&field).await["changed"], true, "{field}");
}

async fn delete_post(author: &Actor<'_>, post: &str) {
    let payload = author.mutate(&format!("deletePost(id: \"{post}\") {{ changed }}")).await;
    assert_eq!(payload["changed"], true);
}

async fn delete_account(user: &Actor<'_>) {
    let field = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
    assert_eq!(user.mutate(&field).await["changed"], true);
}

/// The next event that is no update of a post.
async fn next(events: &mut EventClient) -> Value {
    loop {
        let event = events.next().await;
        if event["__typename"] != "TimelinePostUpdated" {
            return event;
        }
    }
}

/// Asserts the next events, as short texts. Returns the last of them.
async fn expect(events: &mut EventClient, expected: &[&str]) -> Value {
    let mut last = Value::Null;
    for (n, text) in expected.iter().enumerate() {
        last = next(events).await;
        assert_eq!(summary(&last), *text, "event {n} of {expected:?}");
    }
    last
}

/// The end of a repost, as a short text.
fn end(post: &str, reposter: &Actor<'_>) -> String {
    format!("~{post} by {}", reposter.id)
}

#[tokio::test]
async fn reposts_are_added_and_removed_one_by_one() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    john.follow(susan).await;
    john.follow(david).await;
    let post = mary.write("mary's").await;
    let (start, _) = read_timeline(john).await;
    let mut events = john.subscribe_and_join(TIMELINE, json!({})).await;
    let mut of_mary = mary.subscribe_and_join(TIMELINE, json!({})).await;

    react(susan, "repost", &post).await;
    let added = expect(&mut events, &["+mary's by susan"]).await;
    assert_eq!(added["edge"]["reason"], "REPOST");
    // The edge of the event equals that of the timeline.
    let query = "{ viewer { user { timeline(first: 1) { edges {
        cursor reason repostedBy { id username } node { id body author { username } } } } } } }";
    let data = john.query(query).await;
    assert_eq!(data["viewer"]["user"]["timeline"]["edges"][0], added["edge"]);

    react(david, "repost", &post).await;
    expect(&mut events, &["+mary's by david"]).await;
    react(susan, "unrepost", &post).await;
    expect(&mut events, &[&end(&post, susan)]).await;
    react(susan, "repost", &post).await;
    let again = expect(&mut events, &["+mary's by susan"]).await;
    assert_ne!(again["edge"]["cursor"], added["edge"]["cursor"], "it is another entry");
    // The owner's own reposts are events too.
    react(john, "repost", &post).await;
    expect(&mut events, &["+mary's by john"]).await;
    let reply = susan.reply(&post, "a reply").await;
    expect(&mut events, &["+a reply"]).await;
    delete_post(susan, &reply).await;
    expect(&mut events, &[&format!("-{reply}")]).await;

    // A replay leaves out the repost that was withdrawn, and has its end.
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": start })).await;
    let ended = end(&post, susan);
    let removed = format!("-{reply}");
    let missed =
        ["+mary's by david", &ended, "+mary's by susan", "+mary's by john", removed.as_str()];
    expect(&mut resumed, &missed).await;
    let mut after = json!(start);
    for received in 0..=missed.len() {
        let mut resumed = john.subscribe(TIMELINE, json!({ "after": after })).await;
        if received < missed.len() {
            after = expect(&mut resumed, &missed[received..=received]).await["cursor"].take();
            expect(&mut resumed, &missed[received + 1..]).await;
        }
        susan.write(&format!("marker {received}")).await;
        let markers: Vec<String> = (0..=received).map(|n| format!("+marker {n}")).collect();
        expect(&mut resumed, &markers.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    // The author's timeline has neither reposts nor their ends.
    mary.write("the last post").await;
    expect(&mut of_mary, &["+the last post"]).await;
}

/// One event of the deletion ends the reposts of a post.
///
/// A client can disconnect between its parts.
#[tokio::test]
async fn a_deletion_of_a_post_ends_each_of_its_reposts() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    john.follow(susan).await;
    john.follow(david).await;
    let post = mary.write("mary's").await;
    react(susan, "repost", &post).await;
    react(david, "repost", &post).await;
    let (start, _) = read_timeline(john).await;
    let live = john.subscribe_and_join(TIMELINE, json!({})).await;
    let mut of_mary = mary.subscribe_and_join(TIMELINE, json!({})).await;
    delete_post(mary, &post).await;
    expect(&mut of_mary, &[&format!("-{post}")]).await;
    let replay = john.subscribe(TIMELINE, json!({ "after": start })).await;
    let mut expected = [end(&post, susan), end(&post, david)];
    expected.sort();
    susan.write("marker").await;
    for mut events in [live, replay] {
        let parts = [next(&mut events).await, next(&mut events).await];
        let mut received = parts.each_ref().map(summary);
        received.sort();
        assert_eq!(received, expected);
        expect(&mut events, &["+marker"]).await;
        // A client that has received the first part only receives the other one.
        let after = &parts[0]["cursor"];
        let mut resumed = john.subscribe(TIMELINE, json!({ "after": after })).await;
        let mut rest = vec![];
        while rest.last().is_none_or(|event| event != "+marker") {
            rest.push(summary(&next(&mut resumed).await));
        }
        assert!(rest.contains(&summary(&parts[1])), "{rest:?}");
        let after = &parts[1]["cursor"];
        let mut resumed = john.subscribe(TIMELINE, json!({ "after": after })).await;
        expect(&mut resumed, &["+marker"]).await;
    }
}

#[tokio::test]
async fn a_deletion_of_an_account_ends_its_reposts_and_those_of_its_posts() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    john.follow(susan).await;
    john.follow(david).await;
    let (post, johns) = (mary.write("mary's").await, john.write("john's").await);
    for user in [susan, david] {
        react(user, "repost", &post).await;
    }
    react(mary, "repost", &johns).await;
    let (start, _) = read_timeline(john).await;
    let mut live = john.subscribe_and_join(TIMELINE, json!({})).await;
    // A user who has reposted and is followed: the timeline must be read again.
    delete_account(david).await;
    expect(&mut live, &["!null"]).await;
    // The author of the post, who is not followed.
    delete_account(mary).await;
    expect(&mut live, &[&end(&post, susan)]).await;
    assert_eq!(john.timeline().await, ["john's"]);
    susan.write("marker").await;
    expect(&mut live, &["+marker"]).await;
    // A replay has a reset for each account.
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": start })).await;
    expect(&mut resumed, &["!null", "!null", &end(&post, susan), "+marker"]).await;
}

/// Each author is hidden by another rule.
///
/// A repost of Mary shows that the others would have come.
#[tokio::test]
async fn timelines_receive_only_the_reposts_that_they_show() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    let names = ["followed", "muted", "blocked", "blocking"];
    let mut authors = vec![];
    for name in names {
        authors.push(app.register(name).await);
    }
    john.follow(susan).await;
    john.follow(&authors[0]).await;
    relate(john, "mute", &authors[1]).await;
    relate(john, "block", &authors[2]).await;
    relate(&authors[3], "block", john).await;
    let mut posts = vec![john.write("john's").await];
    for author in &authors {
        posts.push(author.write(&author.username).await);
    }
    let marys = mary.write("mary's").await;
    let (start, _) = read_timeline(john).await;
    let mut live = john.subscribe_and_join(TIMELINE, json!({})).await;
    for post in posts.iter().chain([&marys]) {
        // A user whom john does not follow, and one whom he follows.
        react(david, "repost", post).await;
        react(susan, "repost", post).await;
    }
    susan.write("marker").await;
    let expected = ["+mary's by susan", "+marker"];
    expect(&mut live, &expected).await;
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": start })).await;
    expect(&mut resumed, &expected).await;

    // Reposts by a muted user.
    react(susan, "unrepost", &marys).await;
    expect(&mut live, &[&end(&marys, susan)]).await;
    relate(john, "mute", susan).await;
    expect(&mut live, &["!susan"]).await;
    react(susan, "repost", &marys).await;
    react(susan, "unrepost", &marys).await;
    john.write("own").await;
    expect(&mut live, &["+own"]).await;
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": start })).await;
    expect(&mut resumed, &["!susan", "+own"]).await;
}

/// These users are not followed, but a timeline can show reposts of their posts.
#[tokio::test]
async fn blocks_and_mutes_of_any_user_reset_the_timeline() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let mut live = john.subscribe_and_join(TIMELINE, json!({})).await;
    let changes = [
        (&john, "mute", &susan),
        (&john, "unmute", &susan),
        (&john, "block", &susan),
        (&john, "unblock", &susan),
        (&susan, "block", &john),
        (&susan, "unblock", &john),
    ];
    for (user, verb, other) in changes {
        let (start, _) = read_timeline(&john).await;
        relate(user, verb, other).await;
        expect(&mut live, &["!susan"]).await;
        john.write(verb).await;
        let marker = format!("+{verb}");
        expect(&mut live, &[&marker]).await;
        let mut resumed = john.subscribe(TIMELINE, json!({ "after": start })).await;
        expect(&mut resumed, &["!susan", &marker]).await;
    }
    // A mute of another user is no event for the muted one.
    let mut of_susan = susan.subscribe_and_join(TIMELINE, json!({})).await;
    relate(&john, "mute", &susan).await;
    susan.write("susan's").await;
    expect(&mut of_susan, &["+susan's"]).await;
}

/// One reset for the reposts by both users.
#[tokio::test]
async fn a_change_of_the_protection_of_a_reposted_author_resets_the_timeline_once() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    john.follow(susan).await;
    john.follow(david).await;
    let post = mary.write("mary's").await;
    for user in [susan, david] {
        react(user, "repost", &post).await;
    }
    let (start, _) = read_timeline(john).await;
    let mut live = john.subscribe_and_join(TIMELINE, json!({})).await;
    // A follower of the author sees the same posts before and after.
    let follower = app.register("follower").await;
    follower.follow(mary).await;
    let mut unchanged = follower.subscribe_and_join(TIMELINE, json!({})).await;
    mary.protect(true).await;
    expect(&mut live, &["!null"]).await;
    assert_eq!(john.timeline().await, Vec::<String>::new());
    // An edit by the protected author is no event here, not even an update of the post.
    let edit = format!("editPost(input: {{id: \"{post}\", body: \"secret\"}}) {{ changed }}");
    mary.mutate(&edit).await;
    susan.write("protected").await;
    assert_eq!(summary(&live.next().await), "+protected");
    mary.protect(false).await;
    expect(&mut live, &["!null"]).await;
    assert_eq!(john.timeline().await, ["protected", "secret", "secret"]);
    mary.write("for followers").await;
    expect(&mut unchanged, &["+for followers"]).await;
    // Without a change of it there is no event.
    mary.mutate("updateProfile(input: {displayName: \"Mary\"}) { user { id } }").await;
    susan.write("marker").await;
    expect(&mut live, &["+marker"]).await;
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": start })).await;
    expect(&mut resumed, &["!null", "+protected", "!null", "+marker"]).await;
}

/// The event lists no reposters. The hub finds the timelines that show one of them.
#[tokio::test]
async fn a_protection_that_hides_reposts_by_many_users_is_one_event() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let users = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1001)
        INSERT INTO \"user\" (id, username, email, created_at)
        SELECT n, 'user' || n, n || '@example.com', '2026-01-01T00:00:00+00:00' FROM n";
    app.database().writer().execute_unprepared(users).await.unwrap();
    let follow = "follow(user: {username: \"user7\"}) { changed }";
    assert_eq!(john.mutate(follow).await["changed"], true);
    susan.write("popular").await;
    let reposts = "INSERT INTO feed_item (actor_id, id, post_id, subject_id, kind)
        SELECT \"user\".id, 10000 + \"user\".id, post.id, post.author_id, 2
        FROM \"user\" CROSS JOIN post WHERE \"user\".id < 1002";
    let count = "UPDATE post SET reposts_count = 1001";
    for sql in [reposts, count] {
        app.database().writer().execute_unprepared(sql).await.unwrap();
    }
    let (start, bodies) = read_timeline(john).await;
    assert_eq!(bodies, ["popular"]);
    let mut events = john.subscribe_and_join(TIMELINE, json!({})).await;
    let mut of_mary = mary.subscribe_and_join(TIMELINE, json!({})).await;
    let before = app.event_count().await;
    susan.protect(true).await;
    assert_eq!(app.event_count().await, before + 1);
    let reset = expect(&mut events, &["!null"]).await;
    let (_, bodies) = read_timeline(john).await;
    assert_eq!(bodies, Vec::<String>::new());
    let parts = "SELECT count(*) FROM event_part WHERE kind = 16";
    let parts = app.database().statement(parts, []);
    let parts = app.database().writer().query_one_raw(parts).await.unwrap().unwrap();
    assert_eq!(parts.try_get_by_index::<i64>(0).unwrap(), 0);
    // A timeline without reposters has no reset.
    mary.write("marker").await;
    expect(&mut of_mary, &["+marker"]).await;
    // A replay has the reset, and nothing after it.
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": start })).await;
    expect(&mut resumed, &["!null"]).await;
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": reset["cursor"] })).await;
    john.write("own").await;
    expect(&mut resumed, &["+own"]).await;
    susan.protect(false).await;
    expect(&mut events, &["+own", "!null"]).await;
    assert_eq!(read_timeline(john).await.1, ["own", "popular"]);
}
