//! Subscriptions: delivery, resuming after a cursor, lag, sign-out and limits.
//!
//! The submodules compare streams with a model and with a client-side cache, test the events of
//! reposts, of changed counts and of notifications, inject faults, count SQL statements, and test
//! the WebSocket protocol. `documents` has the subscriptions.

mod client_cache;
mod counts;
mod credentials;
mod documents;
mod faults;
mod model;
mod notifications;
mod reposts;
mod socket;
mod socket_limits;
mod statement_counts;

use futures_util::future::join_all;
use indicatif::ProgressBar;
use rookery::command::seed;
use rookery::command::seed::SeedOptions;
use rookery::pagination::{CursorKind, encode_cursor_bytes};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::stream_client::EventClient;

pub use documents::{COUNTS, FOLLOWS, TIMELINE, summary};

/// The next `count` events as short texts.
async fn summaries(events: &mut EventClient, count: usize) -> Vec<String> {
    let mut summaries = Vec::new();
    for _ in 0..count {
        summaries.push(summary(&events.next().await));
    }
    summaries
}

/// The stream cursor of the actor's timeline, and the bodies of its first page.
pub async fn read_timeline(actor: &Actor<'_>) -> (String, Vec<String>) {
    let query = "{ viewer { user { timeline(first: 100) { streamCursor nodes { body } } } } }";
    let timeline = &actor.query(query).await["viewer"]["user"]["timeline"];
    let bodies = texts(&timeline["nodes"], "body");
    (timeline["streamCursor"].as_str().unwrap().to_owned(), bodies)
}

#[tokio::test]
async fn timeline_events_follow_posts_edits_deletes_and_follows() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    john.follow(susan).await;
    john.follow(david).await;
    let mut events = john.subscribe_and_join(TIMELINE, json!({})).await;

    let first = susan.write("from susan").await;
    let event = events.next().await;
    assert_eq!(event["__typename"], "TimelinePostAdded");
    assert_eq!(event["edge"]["reason"], "FOLLOWING");
    assert_eq!(event["edge"]["node"]["id"], first);
    assert_eq!(event["edge"]["node"]["author"]["username"], "susan");
    mary.write("not in john's timeline").await;
    john.write("from john").await;
    let event = events.next().await;
    assert_eq!(
        (summary(&event), &event["edge"]["reason"]),
        ("+from john".to_owned(), &json!("OWN"))
    );

    // The edge of the event equals that of the timeline.
    let query = "{ viewer { user { timeline(first: 1) { edges { cursor reason repostedBy { id username } node { id body author { username } } } } } } }";
    let data = john.query(query).await;
    assert_eq!(data["viewer"]["user"]["timeline"]["edges"][0], event["edge"]);

    let edit = "mutation ($id: ID!) { editPost(input: {id: $id, body: \"better\"}) { changed } }";
    susan.run(edit, json!({ "id": first })).await;
    susan.run(edit, json!({ "id": first })).await;
    let event = events.next().await;
    assert_eq!((summary(&event), &event["post"]["id"]), ("=better".to_owned(), &json!(first)));
    assert!(event["post"]["editedAt"].is_string());
    let delete = format!("deletePost(id: \"{first}\") {{ changed }}");
    susan.mutate(&delete).await;
    susan.mutate(&delete).await;
    assert_eq!(summaries(&mut events, 1).await, [format!("-{first}")]);

    // A follow adds older posts too, so the client must reload. A repeated follow is no event.
    john.follow(mary).await;
    john.follow(mary).await;
    mary.write("in john's timeline").await;
    assert_eq!(summaries(&mut events, 2).await, ["!mary", "+in john's timeline"]);
    john.unfollow(susan).await;
    john.unfollow(susan).await;
    susan.write("not in john's timeline").await;
    david.follow(john).await;
    david.write("from david").await;
    assert_eq!(summaries(&mut events, 2).await, ["!susan", "+from david"]);
    david.unfollow(john).await;
    events.assert_idle().await;
}

#[tokio::test]
async fn resuming_yields_exactly_the_missed_events() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    john.follow(susan).await;
    susan.write("read already").await;
    let (start, bodies) = read_timeline(john).await;
    assert_eq!(bodies, ["read already"]);

    susan.write("one").await;
    let deleted = susan.write("deleted").await;
    mary.write("before john followed").await;
    john.follow(mary).await;
    mary.write("two").await;
    susan.mutate(&format!("deletePost(id: \"{deleted}\") {{ changed }}")).await;
    john.unfollow(mary).await;
    mary.write("after john unfollowed").await;
    // A post that was deleted meanwhile yields only its removal.
    let missed = ["+one", "!mary", "+two", &format!("-{deleted}"), "!mary"];
    let mut events = john.subscribe(TIMELINE, json!({ "after": start })).await;
    let mut cursors = vec![start];
    for expected in missed {
        let event = events.next().await;
        assert_eq!(summary(&event), expected);
        cursors.push(event["cursor"].as_str().unwrap().to_owned());
    }
    susan.write("live").await;
    assert_eq!(summaries(&mut events, 1).await, ["+live"]);
    events.assert_idle().await;
    drop(events);

    // Resuming after any of these events yields the remaining ones.
    susan.write("later").await;
    for (received, after) in cursors.iter().enumerate() {
        let mut events = john.subscribe(TIMELINE, json!({ "after": after })).await;
        let rest: Vec<&str> =
            missed[received..].iter().copied().chain(["+live", "+later"]).collect();
        assert_eq!(summaries(&mut events, rest.len()).await, rest, "after {received} events");
        events.assert_idle().await;
    }
    let other_kind = encode_cursor_bytes(CursorKind::Timeline, &7_i64.to_be_bytes());
    let incomplete = encode_cursor_bytes(CursorKind::Stream, &0_i64.to_be_bytes());
    // More transactions in progress than a position may have.
    let too_long: Vec<u8> = (1..=1_100).chain([0]).flat_map(i64::to_be_bytes).collect();
    let too_long = encode_cursor_bytes(CursorKind::Stream, &too_long);
    for wrong in ["", "?", "CAAA", &other_kind, &incomplete, &too_long] {
        let code = john.subscription_error(TIMELINE, json!({ "after": wrong })).await;
        assert_eq!(code, "INVALID_CURSOR", "{wrong}");
    }
}

#[tokio::test]
async fn resuming_after_pruned_events_or_an_unknown_position_has_lagged() {
    let app = TestApp::with(&["--event-retention", "1"]).await;
    let actors = app.actors().await;
    let (john, susan) = (&actors.john, &actors.susan);
    john.follow(susan).await;
    let (old, _) = read_timeline(john).await;
    susan.write("one").await;
    susan.write("two").await;
    app.await_older_transactions().await;
    let (recent, _) = read_timeline(john).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    app.prune_events_to(1).await;
    let mut events = john.subscribe(TIMELINE, json!({ "after": old })).await;
    let event = events.next().await;
    assert_eq!(summary(&event), "StreamLagged");
    assert_eq!((&event["missed"], &event["resumeAfter"]), (&json!(null), &json!(null)));
    assert_eq!(events.response().await, None, "the last event");

    // A cursor without any event after it stays valid.
    let mut events = john.subscribe(TIMELINE, json!({ "after": recent })).await;
    susan.write("three").await;
    assert_eq!(summaries(&mut events, 1).await, ["+three"]);

    // A position that this database has not reached is from another database.
    let future = [i64::MAX - 1, 0].map(i64::to_be_bytes).concat();
    let future = encode_cursor_bytes(CursorKind::Stream, &future);
    let mut events = john.subscribe(TIMELINE, json!({ "after": future })).await;
    assert_eq!(summaries(&mut events, 1).await, ["StreamLagged"]);
}

#[tokio::test]
async fn a_slow_reader_has_lagged_and_can_resume_without_loss() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan) = (&actors.john, &actors.susan);
    john.follow(susan).await;
    let mut slow = john.subscribe_and_join(TIMELINE, json!({})).await;
    let mut quick = susan.subscribe_and_join(TIMELINE, json!({})).await;
    let all: Vec<String> = (0..300).map(|n| format!("+{n}")).collect();
    for body in &all {
        susan.write(&body[1..]).await;
        assert_eq!(summaries(&mut quick, 1).await, [body.as_str()]);
    }
    let mut received = Vec::new();
    let lagged = loop {
        let event = slow.next().await;
        if event["__typename"] == "StreamLagged" {
            break event;
        }
        received.push(summary(&event));
    };
    assert_eq!(slow.response().await, None, "the last event");
    assert!(received.len() < 300, "the buffer of a subscriber is bounded");
    assert_eq!(lagged["missed"], 300 - received.len());
    let after = &lagged["resumeAfter"];
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": after })).await;
    received.extend(summaries(&mut resumed, 300 - received.len()).await);
    assert_eq!(received, all);
    resumed.assert_idle().await;
}

#[tokio::test]
async fn streams_end_when_their_session_ends_or_expires() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    for follower in [john, mary] {
        follower.follow(susan).await;
    }
    let mut johns_events = john.subscribe_and_join(TIMELINE, json!({})).await;
    let mut marys_events = mary.subscribe_and_join(TIMELINE, json!({})).await;
    john.mutate("logout { changed }").await;
    susan.write("secret").await;
    assert_eq!(johns_events.error().await, "UNAUTHENTICATED");
    assert_eq!(summaries(&mut marys_events, 1).await, ["+secret"]);

    // An expired session ends its streams too.
    let expire = "UPDATE session SET expires_at = $1 \
        WHERE user_id = (SELECT id FROM \"user\" WHERE username = 'mary')";
    let expire = app.database().statement(expire, [chrono::Utc::now().into()]);
    app.database().writer().execute_raw(expire).await.unwrap();
    susan.write("secret too").await;
    assert_eq!(marys_events.error().await, "UNAUTHENTICATED");

    let anonymous = app.anonymous();
    for document in [TIMELINE, FOLLOWS] {
        assert_eq!(anonymous.subscription_error(document, json!({})).await, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn deleting_an_account_resets_timelines_and_updates_counts() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    john.follow(susan).await;
    susan.follow(mary).await;
    susan.write("deleted with its author").await;
    let (start, _) = read_timeline(john).await;
    let mut johns_events = john.subscribe_and_join(TIMELINE, json!({})).await;
    let mut susans_events = susan.subscribe_and_join(TIMELINE, json!({})).await;
    let mut marys_events =
        app.anonymous().subscribe_and_join(COUNTS, json!({ "userId": mary.id })).await;
    assert_eq!(marys_events.next().await["followersCount"], 1);
    let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
    susan.mutate(&delete).await;
    assert_eq!(summaries(&mut johns_events, 1).await, ["!null"]);
    assert_eq!(susans_events.error().await, "UNAUTHENTICATED");
    assert_eq!(marys_events.next().await["followersCount"], 0);
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": start })).await;
    assert_eq!(summaries(&mut resumed, 1).await, ["!null"]);
}

#[tokio::test]
async fn relationship_and_count_events_reach_both_users_of_a_follow() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let mut all = john.subscribe_and_join(FOLLOWS, json!({})).await;
    let mut with_mary = john.subscribe_and_join(FOLLOWS, json!({ "userIds": [mary.id] })).await;
    let mut counts = mary.subscribe_and_join(COUNTS, json!({ "userId": john.id })).await;
    assert_eq!(counts.next().await["followersCount"], 0);
    let relationship = |event: &Value| {
        let relationship = &event["relationship"];
        let name = relationship["user"]["username"].as_str().unwrap().to_owned();
        (name, relationship["followState"] == "FOLLOWING", relationship["followedBy"] == true)
    };
    susan.follow(john).await;
    assert_eq!(relationship(&all.next().await), ("susan".to_owned(), false, true));
    assert_eq!(counts.next().await["followersCount"], 1);
    john.follow(susan).await;
    assert_eq!(relationship(&all.next().await), ("susan".to_owned(), true, true));
    assert_eq!(counts.next().await["followingCount"], 1);
    susan.unfollow(john).await;
    assert_eq!(relationship(&all.next().await), ("susan".to_owned(), true, false));
    assert_eq!(counts.next().await["followersCount"], 0);
    susan.follow(mary).await;
    john.write("no follow").await;
    john.follow(mary).await;
    for events in [&mut all, &mut with_mary] {
        assert_eq!(relationship(&events.next().await), ("mary".to_owned(), true, false));
        events.assert_idle().await;
    }
    let mut unknown = john.subscribe(COUNTS, json!({ "userId": "VQAAAAAAAAAB" })).await;
    assert_eq!(unknown.response().await, None, "there is no such user");
    let many = vec![mary.id.as_str(); 101];
    let code = john.subscription_error(FOLLOWS, json!({ "userIds": many })).await;
    assert_eq!(code, "ARGUMENT_OUT_OF_RANGE");
}

/// An idle subscription holds no database connection.
#[tokio::test(flavor = "multi_thread")]
async fn many_subscriptions_share_one_read_connection() {
    let app =
        TestApp::with(&["--database-max-read-connections", "1", "--max-streams-per-user", "100"])
            .await;
    let actors = app.actors().await;
    let (john, susan) = (&actors.john, &actors.susan);
    john.follow(susan).await;
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(john.subscribe_and_join(TIMELINE, json!({})).await);
        waiting.push(john.subscribe_and_join(COUNTS, json!({ "userId": john.id })).await);
        waiting.push(john.subscribe_and_join(FOLLOWS, json!({})).await);
    }
    // This account is deleted before its follow is read: no event is sent, and no connection kept.
    let short_lived = app.register("short_lived").await;
    short_lived.follow(john).await;
    let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
    short_lived.mutate(&delete).await;
    susan.write("a post").await;
    let received =
        waiting.iter_mut().step_by(3).map(|events| async { summary(&events.next().await) });
    assert_eq!(join_all(received).await, ["+a post"; 8]);
    assert_eq!(john.timeline().await, ["a post"]);
    let limited = TestApp::with(&["--max-streams-per-user", "1"]).await;
    let mary = limited.register("mary").await;
    let _open = mary.subscribe_and_join(TIMELINE, json!({})).await;
    assert_eq!(mary.subscription_error(TIMELINE, json!({})).await, "TOO_MANY_OPERATIONS");
}

/// A bulk command makes too many changes to deliver an event for each.
///
/// Clients get a single reset, after which they must reload their timelines.
#[tokio::test]
async fn a_bulk_command_causes_one_reset() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan) = (&actors.john, &actors.susan);
    john.follow(susan).await;
    let (start, _) = read_timeline(john).await;
    let mut events = john.subscribe_and_join(TIMELINE, json!({})).await;
    let options = SeedOptions {
        users: 20,
        follows_per_user: 3,
        posts_per_user: 2,
        replies_percent: 0,
        likes_per_post: 0,
        reposts_per_100_posts: 0,
        protected_percent: 10,
        blocks_per_100_users: 20,
        requests_per_100_users: 20,
        mutes_per_100_users: 20,
        rng_seed: 1,
    };
    seed::run(app.database(), &options, &ProgressBar::hidden()).await.unwrap();
    // A command in another process does not notify the hub, which finds the event by polling.
    assert_eq!(summaries(&mut events, 1).await, ["!null"]);
    susan.write("afterwards").await;
    assert_eq!(summaries(&mut events, 1).await, ["+afterwards"]);
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": start })).await;
    assert_eq!(summaries(&mut resumed, 2).await, ["!null", "+afterwards"]);
}
