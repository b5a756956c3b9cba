//! What goes wrong beneath a stream: at worst it says that it has lagged, and where to go on.

use std::sync::Arc;

use indicatif::ProgressBar;
use rookery::command::import::edges;
use sea_orm::ConnectionTrait as _;
use serde_json::json;

use super::{TIMELINE, page, word, words};
use crate::app::TestApp;

/// As if the database had been put back to an earlier state, and had gone on from there: its events have the same
/// numbers, and are others.
const PUT_BACK: &str = "UPDATE event SET at = (SELECT at FROM event ORDER BY txn LIMIT 1)";

async fn run(app: &TestApp, sql: &str) {
    app.database().writer().execute_unprepared(sql).await.unwrap();
}

#[tokio::test]
async fn a_database_that_was_put_back_is_noticed() {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let (john, susan) = (&cast.john, &cast.susan);
    john.follow(susan).await;
    susan.write("one").await;
    let (before, _) = page(john).await;
    let mut news = john.watch(TIMELINE, json!({})).await;
    run(&app, PUT_BACK).await;
    susan.write("two").await;
    let event = news.next().await;
    assert_eq!((word(&event), &event["resumeAfter"]), ("StreamLagged".to_owned(), &json!(null)));
    assert_eq!(news.answer().await, None, "the last event");
    let mut again = john.subscribe(TIMELINE, json!({ "after": before })).await;
    assert_eq!(words(&mut again, 1).await, ["StreamLagged"]);

    // With what is read now, it goes on.
    let (now, bodies) = page(john).await;
    assert_eq!(bodies, ["two", "one"]);
    let mut again = john.subscribe(TIMELINE, json!({ "after": now })).await;
    susan.write("three").await;
    assert_eq!(words(&mut again, 1).await, ["+three"]);
}

/// A long import is committed after events that are younger than it.
/// A newer version has written something that this one does not know: it may concern anybody, and nobody loses what
/// comes after it.
#[tokio::test]
async fn what_is_not_known_is_a_reset() {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let (john, susan) = (&cast.john, &cast.susan);
    john.follow(susan).await;
    let (before, _) = page(john).await;
    let mut news = john.watch(TIMELINE, json!({})).await;
    run(&app, "INSERT INTO event (kind, actor, object, at) SELECT 99, 1, 1, max(at) FROM event")
        .await;
    susan.write("one").await;
    assert_eq!(words(&mut news, 2).await, ["!null", "+one"]);
    let mut again = john.subscribe(TIMELINE, json!({ "after": before })).await;
    assert_eq!(words(&mut again, 2).await, ["!null", "+one"]);
}

#[tokio::test]
async fn what_is_young_stays_behind_what_is_old() {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let (john, susan) = (&cast.john, &cast.susan);
    john.follow(susan).await;
    for body in ["old", "young", "as old"] {
        susan.write(body).await;
    }
    let nth = |n| format!("(SELECT txn FROM event ORDER BY txn DESC LIMIT 1 OFFSET {n})");
    let old = "'2020-01-01 00:00:00+00:00'";
    run(&app, &format!("UPDATE event SET at = {old} WHERE txn <> {}", nth(1))).await;
    let (mut cursor, _) = page(john).await;
    app.app.live.prune().await.unwrap();
    susan.write("last").await;
    let mut news = john.subscribe(TIMELINE, json!({ "after": cursor })).await;
    let event = news.next().await;
    assert_eq!(word(&event), "+last");
    cursor = event["cursor"].as_str().unwrap().to_owned();
    let kept: u64 = {
        let count = app.database().statement("SELECT count(*) FROM event", []);
        let row = app.database().writer().query_one_raw(count).await.unwrap().unwrap();
        row.try_get_by_index::<i64>(0).unwrap().try_into().unwrap()
    };
    assert_eq!(kept, 4, "the mark, the young one, and what came after it");
    let mut news = john.subscribe(TIMELINE, json!({ "after": cursor })).await;
    news.nothing().await;
}

/// A command has changed whom the timeline shows.
#[tokio::test]
async fn whom_an_import_adds_is_heard_from_then_on() {
    let app = TestApp::new().await;
    let (u1, u2) = (app.join("u1").await, app.join("u2").await);
    let mut news = u1.watch(TIMELINE, json!({})).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "1 2\n").unwrap();
    edges::run(app.database(), file.path(), &ProgressBar::hidden()).await.unwrap();
    assert_eq!(words(&mut news, 1).await, ["!null"]);
    u2.write("to a new follower").await;
    assert_eq!(words(&mut news, 1).await, ["+to a new follower"]);
}

/// Who reads what they missed slowly hears no more of it once the session is over.
#[tokio::test]
async fn a_logout_ends_what_is_still_to_be_told() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    john.follow(&susan).await;
    let (start, _) = page(&john).await;
    for n in 0..100 {
        susan.write(&n.to_string()).await;
    }
    let mut news = john.subscribe(TIMELINE, json!({ "after": start })).await;
    assert_eq!(words(&mut news, 1).await, ["+0"]);
    john.mutate("logout { changed }").await;
    let mut more = 0;
    while let Some(answer) = news.answer().await {
        let is_over = answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED";
        if is_over {
            assert_eq!(news.answer().await, None);
            break;
        }
        more += 1;
    }
    assert!(more < 50, "{more} were told after the logout");
}

/// A notification that is lost delays an event.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_instance_that_hears_nothing_looks_by_itself() {
    let (a, b) = crate::instances::two().await;
    let john = a.join("john").await;
    let susan = a.join("susan").await;
    john.follow(&susan).await;
    let mut news = john.at(&b).watch(TIMELINE, json!({})).await;
    for n in 0..8 {
        let deaf = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE query LIKE 'LISTEN%' AND datname = current_database()";
        run(&a, deaf).await;
        susan.write(&n.to_string()).await;
    }
    let all: Vec<String> = (0..8).map(|n| format!("+{n}")).collect();
    assert_eq!(words(&mut news, 8).await, all);
}

/// A dump that was restored into another cluster has events whose numbers are still to come there.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_restored_dump_begins_anew() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let (before, _) = page(&john).await;
    run(&app, "UPDATE event SET txn = txn + 1000000000").await;
    let (one, other) = tokio::join!(
        TestApp::at(Arc::clone(app.place()), &[]),
        TestApp::at(Arc::clone(app.place()), &[])
    );
    for instance in [&one, &other] {
        let john = john.at(instance);
        let mut again = john.subscribe(TIMELINE, json!({ "after": before })).await;
        assert_eq!(words(&mut again, 1).await, ["StreamLagged"]);
        let (now, _) = page(&john).await;
        let mut again = john.subscribe(TIMELINE, json!({ "after": now })).await;
        john.write("after").await;
        assert_eq!(words(&mut again, 1).await, ["+after"]);
    }
}
