//! Rows that statements read beyond those of their pages are charged.

use sea_orm::ConnectionTrait as _;

use crate::support::actors::Actor;
use crate::support::app::TestApp;

/// The points that a client has used.
async fn used(client: &Actor<'_>) -> i64 {
    client.query("{ rateLimit { used } }").await["rateLimit"]["used"].as_i64().unwrap()
}

/// Executes statements of SQL.
async fn execute(app: &TestApp, statements: &[&str]) {
    for sql in statements {
        app.database().writer().execute_unprepared(sql).await.unwrap();
    }
}

/// The numbers from 1 to `count`, as the table `n` of a statement.
fn numbers(count: usize) -> String {
    format!("WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})")
}

/// The recursion reads a post once for each number of steps in which it is reached.
#[tokio::test]
async fn ancestors_of_the_posts_of_a_long_chain_are_charged_for_each_step() {
    // 333 points are replenished in a second.
    let app = TestApp::with(&["--rate-limit-per-network", "20000"]).await;
    app.register("john").await;
    let chain = format!(
        "{} INSERT INTO post (id, author_id, body, created_at, in_reply_to_id)
         SELECT 1000 + n, (SELECT id FROM \"user\"), 'x', '2026-01-01T00:00:00+00:00',
           CASE WHEN n > 1 THEN 999 + n END FROM n",
        numbers(100)
    );
    execute(&app, &[&chain]).await;
    let client = app.anonymous();
    let data = client.query("{ posts(first: 100) { nodes { ancestors { id } } } }").await;
    let nodes = data["posts"]["nodes"].as_array().unwrap();
    assert_eq!((nodes.len(), nodes[0]["ancestors"].as_array().unwrap().len()), (100, 40));
    // The document costs about 4,900 points, and the response takes about 2,000. There are 3,280
    // steps.
    let used = used(&client).await;
    assert!(used > 12_000, "{used}");
}

/// Number of posts of [`hide`].
const HIDDEN: usize = 3_000;

/// Inserts posts of a protected user, without followers.
///
/// Their ids begin after 1,000.
async fn hide(app: &TestApp) {
    let at = "'2026-01-01T00:00:00+00:00'";
    let user = format!(
        "INSERT INTO \"user\" (id, username, email, created_at, is_protected)
         VALUES (1, 'hidden', 'hidden@example.com', {at}, true)"
    );
    let posts = format!(
        "{} INSERT INTO post (id, author_id, body, created_at) SELECT 1000 + n, 1, 'x', {at} FROM n",
        numbers(HIDDEN)
    );
    execute(app, &[&user, &posts]).await;
}

/// The id of a user's row, as an expression of SQL.
fn row_id(user: &Actor<'_>) -> String {
    format!("(SELECT id FROM \"user\" WHERE username = '{}')", user.username)
}

#[tokio::test]
async fn hidden_notifications_are_charged_where_unread_ones_are_counted() {
    // 333 points are replenished in a second.
    let app = TestApp::with(&["--rate-limit-per-user", "20000"]).await;
    let mary = app.register("mary").await;
    hide(&app).await;
    let mentions = format!(
        "INSERT INTO notification (id, user_id, kind, actor_id, post_id)
         SELECT 10000 + id, {}, 6, 1, id FROM post WHERE author_id = 1",
        row_id(&mary)
    );
    execute(&app, &[&mentions]).await;
    let unread = "{ viewer { unreadNotificationsCount(cap: 1) } }";
    assert_eq!(mary.query(unread).await["viewer"]["unreadNotificationsCount"], 0);
    let used = used(&mary).await;
    assert!(used > 8_000, "{used}");
}
