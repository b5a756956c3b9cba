//! The order of locks on PostgreSQL.
//!
//! It is first the viewer, then other users, then posts, and then all other rows. A write waits for
//! a row that the test has locked. It must not hold a later row meanwhile. Otherwise it could
//! deadlock with a deletion of the account.

use std::time::{Duration, Instant};

use rookery::database::{Database, WriteTransaction};
use sea_orm::ConnectionTrait as _;

use crate::support::actors::Actor;
use crate::support::app::TestApp;

/// Waits until a transaction of the database waits for a lock.
async fn await_waiting_transaction(database: &Database) {
    let sql = "SELECT 1 FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let start = Instant::now();
    while database.reader().query_one_raw(database.statement(sql, [])).await.unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(20), "nothing waits for a lock");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A transaction that holds the locks of a statement.
async fn locked(database: &Database, sql: &str) -> WriteTransaction {
    let transaction = database.begin().await.unwrap();
    transaction.execute_unprepared(sql).await.unwrap();
    transaction
}

/// Runs a mutation while `holder` has locked a row for which it waits.
///
/// The mutation must not have locked the `free` rows before. Then it must succeed.
async fn assert_waits_without(
    viewer: &Actor<'_>,
    field: &str,
    holder: WriteTransaction,
    free: &[&str],
) {
    let database = viewer.app.database();
    let check = async {
        await_waiting_transaction(database).await;
        for rows in free {
            let sql = format!("SELECT id FROM {rows} FOR UPDATE NOWAIT");
            let locked = holder.execute_unprepared(&sql).await;
            locked.unwrap_or_else(|error| panic!("{field} has locked {rows}: {error}"));
        }
        holder.rollback().await.unwrap();
    };
    let (payload, ()) = tokio::join!(viewer.mutate(field), check);
    assert_eq!(payload["userErrors"].as_array().map(Vec::len), Some(0), "{field}: {payload}");
}

#[ignore = "needs PostgreSQL"]
#[tokio::test(flavor = "multi_thread")]
async fn a_write_locks_the_viewer_before_the_post_and_rows_that_refer_to_the_viewer() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let (post, own) = (susan.write("hello").await, john.write("hello @susan").await);
    for verb in ["like", "unlike", "repost", "unrepost", "bookmark", "unbookmark"] {
        let field = format!("{verb}(postId: \"{post}\") {{ userErrors {{ code }} }}");
        assert_locks_the_viewer_first(&john, &field).await;
    }
    let fields = ["idempotencyKey: \"one\"", "inReplyToId: \"POST\", idempotencyKey: \"two\""];
    for field in fields.map(|field| field.replace("POST", &post)) {
        let create =
            format!("createPost(input: {{body: \"@susan\", {field}}}) {{ userErrors {{ code }} }}");
        assert_locks_the_viewer_first(&john, &create).await;
    }
    let edit =
        format!("editPost(input: {{id: \"{own}\", body: \"x\"}}) {{ userErrors {{ code }} }}");
    assert_locks_the_viewer_first(&john, &edit).await;
    let delete = format!("deletePost(id: \"{own}\") {{ userErrors {{ code }} }}");
    assert_locks_the_viewer_first(&john, &delete).await;
}

async fn assert_locks_the_viewer_first(viewer: &Actor<'_>, field: &str) {
    let row = format!("\"user\" WHERE username = '{}'", viewer.username);
    let database = viewer.app.database();
    let holder = locked(database, &format!("SELECT id FROM {row} FOR NO KEY UPDATE")).await;
    assert_waits_without(viewer, field, holder, &[&row, "post"]).await;
}

#[ignore = "needs PostgreSQL"]
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_protection_locks_posts_in_the_order_of_their_ids() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    for number in 0..20 {
        john.write(&format!("post {number}")).await;
    }
    let first = "post WHERE id = (SELECT min(id) FROM post)";
    let others = "post WHERE id > (SELECT min(id) FROM post)";
    // A new version of the row is behind the others in the table.
    let moved = format!("UPDATE {}", first.replacen("WHERE", "SET edited_at = now() WHERE", 1));
    app.database().writer().execute_unprepared(&moved).await.unwrap();
    let holder = locked(app.database(), &format!("SELECT id FROM {first} FOR UPDATE")).await;
    let protect = "updateProfile(input: {isProtected: true}) { userErrors { code } }";
    assert_waits_without(&john, protect, holder, &[others]).await;
}

#[ignore = "needs PostgreSQL"]
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_locks_the_users_whom_the_post_mentioned_before_the_post() {
    let app = TestApp::new().await;
    let (john, _susan) = (app.register("john").await, app.register("susan").await);
    let post = john.write("hello @susan").await;
    let mentioned = "SELECT id FROM \"user\" WHERE username = 'susan' FOR UPDATE";
    let holder = locked(app.database(), mentioned).await;
    let edit =
        format!("editPost(input: {{id: \"{post}\", body: \"x\"}}) {{ userErrors {{ code }} }}");
    assert_waits_without(&john, &edit, holder, &["post", "mention", "notification"]).await;
}
