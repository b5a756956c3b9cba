//! Deletions of popular posts: many steps, each of which is exact.
//!
//! `account` has those of large accounts.

mod account;

use std::collections::BTreeSet;

use entity::event::Kind;
use futures_util::future::join_all;
use sea_orm::{ActiveEnum as _, ConnectionTrait as _};
use serde_json::json;

use crate::live::{TIMELINE, summary};
use crate::support::actors::Actor;
use crate::support::app::TestApp;
use crate::support::stream_client::EventClient;

const CLEAN: &str = "no problems found\n";

/// Executes statements about numbers `n` in one transaction.
///
/// The numbers are from 1 to the given one of each statement.
async fn fill(app: &TestApp, statements: &[(u32, &str)]) {
    let transaction = app.database().begin().await.unwrap();
    for (count, statement) in statements {
        let numbers = format!(
            "RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})"
        );
        transaction.execute_unprepared(&format!("WITH {numbers} {statement}")).await.unwrap();
    }
    app.database().index_missing(&*transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

/// The number that a statement selects.
async fn number(app: &TestApp, sql: &str) -> i64 {
    let statement = app.database().statement(sql, []);
    let row = app.database().writer().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// The number of events of a kind, and of their parts of another kind.
async fn events(app: &TestApp, kind: Kind, part: Kind) -> (i64, i64) {
    let (kind, part) = (kind.into_value(), part.into_value());
    let events = format!("SELECT count(*) FROM event WHERE kind = {kind}");
    let parts = format!(
        "SELECT count(*) FROM event_part JOIN event ON event.txn = event_part.txn \
         WHERE event.kind = {kind} AND event_part.kind = {part}"
    );
    (number(app, &events).await, number(app, &parts).await)
}

/// Inserts users, as an import does.
const USERS: (u32, &str) = (
    2_650,
    "INSERT INTO \"user\" (id, username, email, created_at)
     SELECT n, 'user' || n, n || '@example.com', '1970-01-01T00:00:00+00:00' FROM n",
);

/// Gives a post of john 2,500 likes, 450 reposts and 1,200 bookmarks.
async fn make_popular(app: &TestApp) {
    fill(
        app,
        &[
            USERS,
            (
                2_500,
                "INSERT INTO \"like\" (id, user_id, post_id)
                SELECT 300000 + n, n, post.id FROM n CROSS JOIN post WHERE body = 'popular'",
            ),
            (
                2_500,
                "INSERT INTO notification (id, user_id, kind, actor_id, post_id)
                SELECT 400000 + n, author_id, 3, n, post.id
                FROM n CROSS JOIN post WHERE body = 'popular'",
            ),
            (
                450,
                "INSERT INTO feed_item (actor_id, id, post_id, subject_id, kind)
                SELECT n, 500000 + n, post.id, author_id, 2
                FROM n CROSS JOIN post WHERE body = 'popular'",
            ),
            (
                1_200,
                "INSERT INTO bookmark (id, user_id, post_id)
                SELECT 600000 + n, n, post.id FROM n CROSS JOIN post WHERE body = 'popular'",
            ),
            (1, "UPDATE post SET likes_count = 2500, reposts_count = 450 WHERE body = 'popular'"),
        ],
    )
    .await;
    assert_eq!(app.doctor_report().await, CLEAN);
}

fn delete_post(post: &str) -> String {
    format!("deletePost(id: \"{post}\") {{ changed deletedPostId userErrors {{ code }} }}")
}

/// The number of likes of a post while it exists.
///
/// It must equal the number of likes that are listed.
async fn likes_count(viewer: &Actor<'_>, post: &str) -> Option<i64> {
    let document = format!(
        "{{ node(id: \"{post}\") {{ ... on Post {{ likesCount repostsCount
         likers(first: 1) {{ totalCount }} reposters(first: 1) {{ totalCount }} }} }} }}"
    );
    let post = viewer.query(&document).await["node"].take();
    if post.is_null() {
        return None;
    }
    assert_eq!(post["likesCount"], post["likers"]["totalCount"], "{post}");
    assert_eq!(post["repostsCount"], post["reposters"]["totalCount"], "{post}");
    post["likesCount"].as_i64()
}

/// Reads events until one has a summary that begins with `last`.
///
/// Events before it must have one of `others`.
async fn read_until(events: &mut EventClient, last: &str, others: &[&str]) {
    loop {
        let event = events.next().await;
        let found = summary(&event);
        if found.starts_with(last) {
            return;
        }
        assert!(others.contains(&found.as_str()), "{event:#}");
    }
}

/// Makes deletions of rows of a table fail, or ends that.
async fn fail_deletions(app: &TestApp, table: &str, fail: bool) {
    let db = app.database().writer();
    let statements = match (app.is_on_postgres(), fail) {
        (true, true) => vec![
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql \
             AS 'BEGIN RAISE EXCEPTION ''refused''; END'"
                .to_owned(),
            format!(
                "CREATE TRIGGER refuse BEFORE DELETE ON \"{table}\" \
                 FOR EACH ROW EXECUTE FUNCTION refuse()"
            ),
        ],
        (true, false) => vec![format!("DROP TRIGGER refuse ON \"{table}\"")],
        (false, true) => vec![format!(
            "CREATE TRIGGER refuse BEFORE DELETE ON \"{table}\" \
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )],
        (false, false) => vec!["DROP TRIGGER refuse".to_owned()],
    };
    for statement in statements {
        db.execute_unprepared(&statement).await.unwrap();
    }
}

#[tokio::test]
async fn a_popular_post_is_deleted_in_steps_with_their_events() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, mary, david) = (&actors.john, &actors.mary, &actors.david);
    let (post, kept) = (john.write("popular").await, john.write("kept").await);
    make_popular(&app).await;
    let reposter = app.imported("user1").await;
    mary.follow(&reposter).await;
    david.follow(john).await;
    david.mutate(&format!("like(postId: \"{kept}\") {{ changed }}")).await;
    let cursor = "{ viewer { user { timeline { streamCursor } } } }";
    let mut streams = Vec::new();
    for follower in [mary, david] {
        let start = follower.query(cursor).await;
        let after = start["viewer"]["user"]["timeline"]["streamCursor"].clone();
        streams.push((after, follower.subscribe_and_join(TIMELINE, json!({})).await));
    }
    let expected = json!({ "changed": true, "deletedPostId": post, "userErrors": [] });
    assert_eq!(john.mutate(&delete_post(&post)).await, expected);
    assert_eq!(john.mutate(&delete_post(&post)).await["changed"], false, "deleted already");
    assert_eq!(app.doctor_report().await, CLEAN);
    let tables = ["bookmark", "notification WHERE id < 1000000", "feed_item WHERE kind = 2"];
    for table in tables {
        assert_eq!(number(&app, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    assert_eq!(likes_count(david, &kept).await, Some(1), "likes of other posts stay");

    let (steps, in_steps) = events(&app, Kind::PostCounted, Kind::Unreposted).await;
    assert!(steps >= 3, "{steps}: one is the like of the other post");
    let (last, in_last) = events(&app, Kind::PostRemoved, Kind::Unreposted).await;
    assert_eq!((last, in_steps + in_last), (1, 450), "each repost has a part");
    let largest = "SELECT coalesce(max(parts), 0) FROM \
        (SELECT count(*) AS parts FROM event_part GROUP BY txn) AS event";
    assert!(number(&app, largest).await <= 201);

    // The follower of the author, and the one of a user who had reposted the post.
    let removed = format!("-{post}");
    let reposter = format!("~{post} by {}", reposter.id);
    let summaries = [reposter.as_str(), removed.as_str()];
    for ((after, mut live), (follower, last)) in
        streams.into_iter().zip([mary, david].into_iter().zip(summaries))
    {
        let mut resumed = follower.subscribe(TIMELINE, json!({ "after": after })).await;
        for events in [&mut live, &mut resumed] {
            read_until(events, last, &["=popular", "=kept"]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_exact_during_the_deletion_of_a_post_and_other_users_write() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, david) = (&actors.john, &actors.david);
    let post = john.write("popular").await;
    make_popular(&app).await;
    let names: Vec<String> = (2_501..=2_510).map(|n| format!("user{n}")).collect();
    let others = join_all(names.iter().map(|name| app.imported(name))).await;
    let read = async {
        let mut seen = BTreeSet::new();
        while let Some(count) = likes_count(david, &post).await {
            seen.insert(count);
        }
        seen
    };
    // The post may be gone: then the writes fail with a user error.
    let post_id = &post;
    let write = join_all(others.iter().map(|user| async move {
        for verb in ["like", "repost", "bookmark", "unlike", "like", "unrepost", "repost"] {
            user.mutate(&format!("{verb}(postId: \"{post_id}\") {{ changed }}")).await;
        }
        user.write("another post").await;
    }));
    let delete = delete_post(&post);
    let deletions = join_all((0..2).map(|_| john.mutate(&delete)));
    let (seen, _, deletions) = tokio::join!(read, write, deletions);
    assert!(seen.iter().all(|count| *count <= 2_510), "{seen:?}");
    assert!(deletions.iter().any(|payload| payload["changed"] == true), "{deletions:?}");
    assert_eq!(app.doctor_report().await, CLEAN);
    assert_eq!(number(&app, "SELECT count(*) FROM feed_item WHERE kind = 2").await, 0);
}

#[tokio::test]
async fn a_deletion_of_a_post_that_ends_early_is_exact_and_can_be_repeated() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let post = john.write("popular").await;
    make_popular(&app).await;
    fail_deletions(&app, "post", true).await;
    let document = format!("mutation {{ {} }}", delete_post(&post));
    assert_eq!(john.error(&document).await, "INTERNAL");
    let left = likes_count(&john, &post).await.expect("the post exists");
    assert!(left < 2_500, "{left} likes are left");
    fail_deletions(&app, "post", false).await;
    assert_eq!(app.doctor_report().await, CLEAN);
    assert_eq!(john.mutate(&delete_post(&post)).await["changed"], true);
    assert_eq!(likes_count(&john, &post).await, None);
    assert_eq!(app.doctor_report().await, CLEAN);
}
