//! Faults of the database and its notifications, seen by a subscriber.
//!
//! The faults are restored databases, unknown events, lost notifications and pruned events. At
//! worst a stream ends with `StreamLagged`, so that the client reloads. A stream never skips an
//! event without notice.

use std::sync::Arc;

use indicatif::ProgressBar;
use rookery::command::import::edge_list::EdgeListOptions;
use rookery::command::import::pairs::{self, PairKind};
use sea_orm::ConnectionTrait as _;
use serde_json::json;

use super::{TIMELINE, read_timeline, summaries, summary};
use crate::support::app::{TestApp, two_instances};

/// Simulates a restore from a backup: all events get the time of the first.
///
/// After a restore, new events have the transaction ids of lost ones, and other times.
const SIMULATE_RESTORE: &str = "UPDATE event SET at = (SELECT at FROM event ORDER BY txn LIMIT 1)";

async fn run(app: &TestApp, sql: &str) {
    app.database().writer().execute_unprepared(sql).await.unwrap();
}

#[tokio::test]
async fn streams_and_cursors_from_before_a_restore_have_lagged() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan) = (&actors.john, &actors.susan);
    john.follow(susan).await;
    susan.write("one").await;
    let (before, _) = read_timeline(john).await;
    let mut events = john.subscribe_and_join(TIMELINE, json!({})).await;
    run(&app, SIMULATE_RESTORE).await;
    susan.write("two").await;
    let event = events.next().await;
    assert_eq!((summary(&event), &event["resumeAfter"]), ("StreamLagged".to_owned(), &json!(null)));
    assert_eq!(events.response().await, None, "the last event");
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": before })).await;
    assert_eq!(summaries(&mut resumed, 1).await, ["StreamLagged"]);

    // A cursor that is read after the restore is valid.
    let (current, bodies) = read_timeline(john).await;
    assert_eq!(bodies, ["two", "one"]);
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": current })).await;
    susan.write("three").await;
    assert_eq!(summaries(&mut resumed, 1).await, ["+three"]);
}

/// An event of an unknown kind may concern any subscriber, so it is a reset.
///
/// An instance of a newer version may write such an event.
#[tokio::test]
async fn an_event_of_an_unknown_kind_is_a_reset_and_later_events_follow() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan) = (&actors.john, &actors.susan);
    john.follow(susan).await;
    let (before, _) = read_timeline(john).await;
    let mut events = john.subscribe_and_join(TIMELINE, json!({})).await;
    run(&app, "INSERT INTO event (kind, actor, object, at) SELECT 199, 1, 1, max(at) FROM event")
        .await;
    susan.write("one").await;
    assert_eq!(summaries(&mut events, 2).await, ["!null", "+one"]);
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": before })).await;
    assert_eq!(summaries(&mut resumed, 2).await, ["!null", "+one"]);
}

/// A long transaction, such as an import, has an older time than events before it.
#[tokio::test]
async fn pruning_keeps_an_unexpired_event_and_all_events_after_it() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan) = (&actors.john, &actors.susan);
    john.follow(susan).await;
    for body in ["expired", "unexpired", "also expired"] {
        susan.write(body).await;
    }
    let nth_newest = |n| format!("(SELECT txn FROM event ORDER BY txn DESC LIMIT 1 OFFSET {n})");
    let expired = "'2020-01-01 00:00:00+00:00'";
    run(&app, &format!("UPDATE event SET at = {expired} WHERE txn <> {}", nth_newest(1))).await;
    app.await_older_transactions().await;
    let (mut cursor, _) = read_timeline(john).await;
    app.prune_events_to(3).await;
    susan.write("last").await;
    let mut events = john.subscribe(TIMELINE, json!({ "after": cursor })).await;
    let event = events.next().await;
    assert_eq!(summary(&event), "+last");
    cursor = event["cursor"].as_str().unwrap().to_owned();
    let kept = app.event_count().await;
    assert_eq!(kept, 4, "the event before the unexpired one, that one, and two later ones");
    let mut events = john.subscribe(TIMELINE, json!({ "after": cursor })).await;
    events.assert_idle().await;
}

#[tokio::test]
async fn a_stream_shows_posts_of_users_followed_by_an_import() {
    let app = TestApp::new().await;
    let import = async |text: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        let (database, options) = (app.database(), EdgeListOptions::default());
        pairs::run(database, PairKind::Follow, file.path(), &options, &ProgressBar::hidden())
            .await
            .unwrap();
    };
    import("2 1\n").await;
    let (u1, u2) = (app.imported("u1").await, app.imported("u2").await);
    let mut events = u1.subscribe_and_join(TIMELINE, json!({})).await;
    import("1 2\n").await;
    assert_eq!(summaries(&mut events, 1).await, ["!null"]);
    u2.write("to a new follower").await;
    assert_eq!(summaries(&mut events, 1).await, ["+to a new follower"]);
}

/// The client reads the replay slowly, so that most of it is sent after the logout.
#[tokio::test]
async fn a_logout_ends_a_replay() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.follow(&susan).await;
    let (start, _) = read_timeline(&john).await;
    for n in 0..100 {
        susan.write(&n.to_string()).await;
    }
    let mut events = john.subscribe(TIMELINE, json!({ "after": start })).await;
    assert_eq!(summaries(&mut events, 1).await, ["+0"]);
    john.mutate("logout { changed }").await;
    let mut more = 0;
    while let Some(response) = events.response().await {
        let has_ended = response["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED";
        if has_ended {
            assert_eq!(events.response().await, None);
            break;
        }
        more += 1;
    }
    assert!(more < 50, "{more} events came after the logout");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn events_arrive_by_polling_when_the_listener_connection_is_lost() {
    let (a, b) = two_instances().await;
    let john = a.register("john").await;
    let susan = a.register("susan").await;
    john.follow(&susan).await;
    let mut events = john.at(&b).subscribe_and_join(TIMELINE, json!({})).await;
    for n in 0..8 {
        let terminate_listeners = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE query LIKE 'LISTEN%' AND datname = current_database()";
        run(&a, terminate_listeners).await;
        susan.write(&n.to_string()).await;
    }
    let all: Vec<String> = (0..8).map(|n| format!("+{n}")).collect();
    assert_eq!(summaries(&mut events, 8).await, all);
}

/// A dump restored into another cluster has events with future transaction ids.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn cursors_have_lagged_after_a_restore_into_another_cluster_and_new_ones_work() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let (before, _) = read_timeline(&john).await;
    run(&app, "UPDATE event SET txn = txn + 1000000000").await;
    let (first, second) = tokio::join!(
        TestApp::at(Arc::clone(app.database_fixture()), &[]),
        TestApp::at(Arc::clone(app.database_fixture()), &[])
    );
    for instance in [&first, &second] {
        let john = john.at(instance);
        let mut resumed = john.subscribe(TIMELINE, json!({ "after": before })).await;
        assert_eq!(summaries(&mut resumed, 1).await, ["StreamLagged"]);
        instance.await_older_transactions().await;
        let (current, _) = read_timeline(&john).await;
        let mut resumed = john.subscribe(TIMELINE, json!({ "after": current })).await;
        john.write("after").await;
        assert_eq!(summaries(&mut resumed, 1).await, ["+after"]);
    }
}
