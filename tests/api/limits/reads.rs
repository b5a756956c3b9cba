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
