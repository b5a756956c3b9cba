//! Events of posts whose counts have changed: at most one a second for each post.
//!
//! How many changes one event has depends on the time that they take, so the tests wait for the
//! final counts.

use std::time::Instant;

use futures_util::future::join_all;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use super::{TIMELINE, read_timeline, summary};
use crate::support::actors::Actor;
use crate::support::app::TestApp;
use crate::support::stream_client::EventClient;

/// Executes `like`, `unlike`, `repost` or `unrepost`, which must change something.
async fn react(user: &Actor<'_>, verb: &str, post: &str) {
    let payload = user.mutate(&format!("{verb}(postId: \"{post}\") {{ changed }}")).await;
    assert_eq!(payload["changed"], true, "{verb} by {}", user.username);
}

async fn delete(author: &Actor<'_>, post: &str) {
    author.mutate(&format!("deletePost(id: \"{post}\") {{ changed }}")).await;
}

/// The counts of likes, replies and reposts in the update of a post.
fn counts(update: &Value, post: &str) -> [u64; 3] {
    assert_eq!(update["__typename"], "TimelinePostUpdated", "{update}");
    assert_eq!(update["post"]["id"], post, "{update}");
    ["likesCount", "repliesCount", "repostsCount"].map(|count| {
        update["post"][count].as_u64().unwrap_or_else(|| panic!("no {count} in {update}"))
    })
}

/// Reads updates of a post until one has these counts. Returns their number.
///
/// No other event may come, and no update twice.
async fn read_until(events: &mut EventClient, post: &str, expected: [u64; 3]) -> u64 {
    let (mut number, mut previous) = (1, None);
    loop {
        let current = counts(&events.next().await, post);
        assert_ne!(previous, Some(current), "the update came twice");
        if current == expected {
            return number;
        }
        (number, previous) = (number + 1, Some(current));
    }
}

#[tokio::test]
async fn likes_replies_and_reposts_by_any_user_update_a_post_in_timelines() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    john.follow(susan).await;
    let (post, marys) = (susan.write("susan's").await, mary.write("mary's").await);
    let mut of_john = john.subscribe_and_join(TIMELINE, json!({})).await;
    let mut of_susan = susan.subscribe_and_join(TIMELINE, json!({})).await;
    react(mary, "like", &post).await;
    for events in [&mut of_john, &mut of_susan] {
        assert_eq!(read_until(events, &post, [1, 0, 0]).await, 1);
    }
    let reply = david.reply(&post, "a reply").await;
    for events in [&mut of_john, &mut of_susan] {
        read_until(events, &post, [1, 1, 0]).await;
    }
    react(mary, "repost", &post).await;
    for events in [&mut of_john, &mut of_susan] {
        read_until(events, &post, [1, 1, 1]).await;
    }
    react(mary, "unlike", &post).await;
    react(mary, "unrepost", &post).await;
    delete(david, &reply).await;
    for events in [&mut of_john, &mut of_susan] {
        read_until(events, &post, [0, 0, 0]).await;
        events.assert_idle().await;
    }
    // These timelines do not show the post.
    react(susan, "like", &marys).await;
    susan.reply(&marys, "to mary").await;
    for events in [&mut of_john, &mut of_susan] {
        assert_eq!(summary(&events.next().await), "+to mary");
        events.assert_idle().await;
    }
    // A muted author is not shown either.
    john.mutate("mute(user: {username: \"susan\"}) { changed }").await;
    assert_eq!(summary(&of_john.next().await), "!susan");
    react(david, "like", &post).await;
    read_until(&mut of_susan, &post, [1, 0, 0]).await;
    of_john.assert_idle().await;
}

/// A post that a timeline shows by a repost only has updates in open streams.
#[tokio::test]
async fn a_reposted_post_is_updated_live() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    john.follow(susan).await;
    let post = mary.write("mary's").await;
    react(susan, "repost", &post).await;
    let mut events = john.subscribe_and_join(TIMELINE, json!({})).await;
    // A count that had changed before the stream began may come once more.
    react(david, "like", &post).await;
    read_until(&mut events, &post, [1, 0, 1]).await;
    let edit = format!("editPost(input: {{id: \"{post}\", body: \"better\"}}) {{ changed }}");
    mary.mutate(&edit).await;
    assert_eq!(summary(&events.next().await), "=better");
    // The owner hides the author, and the repost with it.
    john.mutate("mute(user: {username: \"mary\"}) { changed }").await;
    assert_eq!(summary(&events.next().await), "!mary");
    react(susan, "like", &post).await;
    let edit = format!("editPost(input: {{id: \"{post}\", body: \"hidden\"}}) {{ changed }}");
    mary.mutate(&edit).await;
    susan.write("the last post").await;
    assert_eq!(summary(&events.next().await), "+the last post");
    events.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_of_a_post_are_at_most_one_event_a_second() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.follow(&susan).await;
    let post = susan.write("popular").await;
    let names: Vec<String> = (0..20).map(|n| format!("user{n}")).collect();
    let mut users = Vec::new();
    for name in &names {
        users.push(app.register(name).await);
    }
    let mut events = john.subscribe_and_join(TIMELINE, json!({})).await;
    let start = Instant::now();
    join_all(users.iter().map(|user| react(user, "like", &post))).await;
    let number = read_until(&mut events, &post, [20, 0, 0]).await;
    // Usually two: the first like at once, and the others a second later.
    let seconds = start.elapsed().as_secs();
    assert!(number <= seconds + 2, "{number} events in {seconds} s");
    events.assert_idle().await;
}

/// The cursor is newer than a change that waits for its second to end.
#[tokio::test]
async fn a_replay_has_a_change_that_was_not_yet_sent_at_the_disconnect() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    john.follow(susan).await;
    let post = susan.write("popular").await;
    let mut events = john.subscribe_and_join(TIMELINE, json!({})).await;
    react(mary, "like", &post).await;
    read_until(&mut events, &post, [1, 0, 0]).await;
    react(david, "like", &post).await;
    susan.write("later").await;
    // On a slow machine the change is sent before the post.
    let mut received = vec![];
    let cursor = loop {
        let event = events.next().await;
        if summary(&event) == "+later" {
            break event["cursor"].clone();
        }
        received.push(counts(&event, &post));
    };
    drop(events);
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": cursor })).await;
    if received.is_empty() {
        received.push(counts(&resumed.next().await, &post));
    }
    assert_eq!(received.last(), Some(&[2, 0, 0]));
}

#[tokio::test]
async fn a_replay_has_all_changes_of_a_post_as_one_event_with_the_current_counts() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    john.follow(susan).await;
    john.follow(david).await;
    let (one, two) = (susan.write("one").await, susan.write("two").await);
    let deleted = susan.write("deleted").await;
    let marys = mary.write("mary's").await;
    let (start, _) = read_timeline(john).await;
    for user in [mary, david, john] {
        react(user, "like", &one).await;
    }
    react(mary, "like", &deleted).await;
    react(susan, "like", &marys).await;
    david.reply(&two, "a reply").await;
    delete(susan, &deleted).await;
    let removed = format!("-{deleted}");

    let mut resumed = john.subscribe(TIMELINE, json!({ "after": start })).await;
    let mut updates = [resumed.next().await, resumed.next().await];
    updates.sort_by_key(summary);
    assert_eq!(counts(&updates[0], &one), [3, 0, 0]);
    assert_eq!(counts(&updates[1], &two), [0, 1, 0]);
    let mut last = Value::Null;
    for expected in ["+a reply", &removed] {
        last = resumed.next().await;
        assert_eq!(summary(&last), expected);
    }
    resumed.assert_idle().await;
    // The updates come first, and none of the other events is behind their cursor.
    for update in &updates {
        let after = &update["cursor"];
        let mut resumed = john.subscribe(TIMELINE, json!({ "after": after })).await;
        let mut changes = vec![];
        while changes.len() < 2 {
            let event = resumed.next().await;
            if event["__typename"] != "TimelinePostUpdated" {
                changes.push(summary(&event));
            }
        }
        assert_eq!(changes, ["+a reply", &*removed]);
    }
    assert_ne!(last["cursor"], updates[1]["cursor"]);
}

/// A replay repeats changes of the last seconds before its cursor, not older ones.
#[tokio::test]
async fn a_resume_long_after_a_change_delivers_it_once() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    john.follow(susan).await;
    let post = susan.write("popular").await;
    let (start, _) = read_timeline(john).await;
    react(mary, "like", &post).await;
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": start })).await;
    assert_eq!(read_until(&mut resumed, &post, [1, 0, 0]).await, 1);
    resumed.assert_idle().await;
    drop(resumed);

    // All events so far become old, and the next one is new.
    let age = "UPDATE event SET at = '2020-01-01 00:00:00+00:00'";
    app.database().writer().execute_unprepared(age).await.unwrap();
    susan.write("later").await;
    let (recent, _) = read_timeline(john).await;
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": recent })).await;
    resumed.assert_idle().await;
    react(david, "like", &post).await;
    assert_eq!(read_until(&mut resumed, &post, [2, 0, 0]).await, 1);
    resumed.assert_idle().await;
}
