//! Resuming a stream of notifications: exactly the missed events, or lag.

use std::time::Duration;

use futures_util::future::join_all;
use rookery::pagination::{CursorKind, encode_cursor_bytes};
use sea_orm::ConnectionTrait as _;
use serde_json::json;

use super::{NOTIFICATIONS, Script, react, read_page, summaries, summary};
use crate::support::app::{TestApp, two_instances};

#[tokio::test]
async fn resuming_yields_exactly_the_missed_events() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let (start, ids) = read_page(&susan).await;
    assert!(ids.is_empty());
    let mut script = Script::default();
    script.run(&john, &susan).await;
    let missed = script.replayed;
    let mut events = susan.subscribe(NOTIFICATIONS, json!({ "after": start })).await;
    let mut cursors = vec![start];
    for expected in &missed {
        let event = events.next().await;
        assert_eq!(summary(&event), *expected);
        cursors.push(event["cursor"].as_str().unwrap().to_owned());
    }
    let post = susan.write("live").await;
    react(&john, "like", &post).await;
    assert_eq!(summaries(&mut events, 1).await, ["+LIKE john: live"]);
    events.assert_idle().await;
    drop(events);

    // Resuming after any of these events yields the remaining ones.
    for (received, after) in cursors.iter().enumerate() {
        let mut events = susan.subscribe(NOTIFICATIONS, json!({ "after": after })).await;
        let mut rest = missed[received..].to_vec();
        rest.push("+LIKE john: live".to_owned());
        assert_eq!(summaries(&mut events, rest.len()).await, rest, "after {received} events");
        events.assert_idle().await;
    }
    let other_kind = encode_cursor_bytes(CursorKind::Notifications, &7_i64.to_be_bytes());
    for wrong in ["", "?", &other_kind] {
        let code = susan.subscription_error(NOTIFICATIONS, json!({ "after": wrong })).await;
        assert_eq!(code, "INVALID_CURSOR", "{wrong}");
    }
}

/// The page and its cursor come from one snapshot. Another user writes meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_and_the_stream_from_its_cursor_have_every_notification_once() {
    let (a, b) = two_instances().await;
    let (john, susan) = (a.register("john").await, b.register("susan").await);
    let mut posts = Vec::new();
    for n in 0..30 {
        posts.push(susan.write(&n.to_string()).await);
    }
    let write = async {
        for post in &posts {
            react(&john, "like", post).await;
        }
    };
    let read = async |delay: u64| {
        tokio::time::sleep(Duration::from_millis(delay)).await;
        let (after, mut ids) = read_page(&susan).await;
        let mut events = susan.subscribe(NOTIFICATIONS, json!({ "after": after })).await;
        while ids.len() < posts.len() {
            let event = events.next().await;
            let id = event["notification"]["id"].as_str().unwrap().to_owned();
            assert!(!ids.contains(&id), "{event} came twice");
            ids.push(id);
            if ids.len().is_multiple_of(3) {
                let after = &event["cursor"];
                events = susan.subscribe(NOTIFICATIONS, json!({ "after": after })).await;
            }
        }
        events.assert_idle().await;
        let (_, mut all) = read_page(&susan).await;
        ids.sort();
        all.sort();
        assert_eq!(ids, all);
    };
    tokio::join!(write, join_all((0..8).map(|n| read(n * 20))));
}

#[tokio::test]
async fn resuming_after_pruned_events_has_lagged() {
    let app = TestApp::with(&["--event-retention", "1"]).await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let (old, _) = read_page(&susan).await;
    let post = susan.write("hello").await;
    react(&john, "like", &post).await;
    app.await_older_transactions().await;
    let (recent, _) = read_page(&susan).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    app.prune_events_to(1).await;
    let mut events = susan.subscribe(NOTIFICATIONS, json!({ "after": old })).await;
    let event = events.next().await;
    assert_eq!(summary(&event), "StreamLagged");
    assert_eq!((&event["missed"], &event["resumeAfter"]), (&json!(null), &json!(null)));
    assert_eq!(events.response().await, None, "the last event");
    let mut events = susan.subscribe(NOTIFICATIONS, json!({ "after": recent })).await;
    john.follow(&susan).await;
    assert_eq!(summaries(&mut events, 1).await, ["+FOLLOW john"]);
}

#[tokio::test]
async fn more_missed_changes_than_a_replay_reads_have_lagged() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let (start, _) = read_page(&susan).await;
    john.follow(&susan).await;
    // Changes of further notifications, as if a block had withdrawn them.
    let insert = |from: i64, to: i64| {
        format!(
            "WITH RECURSIVE n (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM n WHERE n < {to})
             INSERT INTO event_part (actor, txn, kind, object)
             SELECT (SELECT id FROM \"user\" WHERE username = 'susan'),
             (SELECT max(txn) FROM event), 21, n FROM n"
        )
    };
    for (from, to, expected) in [(1, 999, "+FOLLOW john -999"), (1_000, 1_000, "StreamLagged")] {
        app.database().writer().execute_unprepared(&insert(from, to)).await.unwrap();
        let mut events = susan.subscribe(NOTIFICATIONS, json!({ "after": start })).await;
        assert_eq!(summaries(&mut events, 1).await, [expected]);
    }
}

#[tokio::test]
async fn a_slow_reader_has_lagged_and_can_resume_without_loss() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let post = susan.write("hello").await;
    let mut slow = susan.subscribe_and_join(NOTIFICATIONS, json!({})).await;
    let mut quick = susan.subscribe_and_join(NOTIFICATIONS, json!({})).await;
    let mut all = Vec::new();
    for n in 0..300 {
        let verb = if n % 2 == 0 { "like" } else { "unlike" };
        react(&john, verb, &post).await;
        all.push(summary(&quick.next().await));
    }
    let mut received = 0;
    let lagged = loop {
        let event = slow.next().await;
        if event["__typename"] == "StreamLagged" {
            break event;
        }
        received += 1;
    };
    assert_eq!(slow.response().await, None, "the last event");
    assert!(received < 300, "the buffer of a subscriber is bounded");
    assert_eq!(lagged["missed"], 300 - received);
    let after = &lagged["resumeAfter"];
    let mut resumed = susan.subscribe(NOTIFICATIONS, json!({ "after": after })).await;
    let rest = all[received..].iter().filter(|event| *event == "-1").count();
    assert_eq!(summaries(&mut resumed, rest).await, vec!["-1"; rest], "the likes are gone");
    resumed.assert_idle().await;
}

/// The outbox is one for all instances.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_resumes_on_another_instance() {
    let (a, b) = two_instances().await;
    let (john, susan) = (a.register("john").await, b.register("susan").await);
    let mut events = susan.at(&b).subscribe_and_join(NOTIFICATIONS, json!({})).await;
    john.follow(&susan).await;
    let event = events.next().await;
    assert_eq!(summary(&event), "+FOLLOW john");
    drop(events);
    let post = susan.write("hello").await;
    react(&john.at(&b), "like", &post).await;
    let after = &event["cursor"];
    let mut events = susan.at(&a).subscribe(NOTIFICATIONS, json!({ "after": after })).await;
    assert_eq!(summaries(&mut events, 1).await, ["+LIKE john: hello"]);
    react(&john.at(&b), "repost", &post).await;
    assert_eq!(summaries(&mut events, 1).await, ["+REPOST john: hello"]);
    events.assert_idle().await;
}
