//! Idempotency keys of `createPost`: a repeated request creates no other post.

use futures_util::future::join_all;
use indicatif::ProgressBar;
use rookery::command::copy;
use rookery::domain::idempotency::delete_expired;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::support::actors::Actor;
use crate::support::app::{PASSWORD, TestApp, TestDatabase, two_instances};

const CREATE: &str = "mutation ($body: String!, $key: String) {
    createPost(input: {body: $body, idempotencyKey: $key}) {
        post { id } timelineEdge { node { id } } userErrors { __typename code path } } }";

/// One hour, in the unit of ids.
const HOUR: i64 = 3_600_000 << 21;

async fn create(viewer: &Actor<'_>, body: &str, key: &str) -> Value {
    viewer.run(CREATE, json!({ "body": body, "key": key })).await["createPost"].take()
}

/// Creates a post, which must succeed. Returns its id.
async fn created(viewer: &Actor<'_>, body: &str, key: &str) -> String {
    let payload = create(viewer, body, key).await;
    assert_eq!(payload["userErrors"], json!([]));
    assert_eq!(payload["timelineEdge"]["node"]["id"], payload["post"]["id"]);
    payload["post"]["id"].as_str().unwrap().to_owned()
}

/// Creates a post, which must fail. Returns the code of the user error.
async fn rejected(viewer: &Actor<'_>, body: &str, key: &str) -> String {
    let payload = create(viewer, body, key).await;
    assert_eq!((&payload["post"], &payload["timelineEdge"]), (&json!(null), &json!(null)));
    payload["userErrors"][0]["code"].as_str().unwrap_or_else(|| panic!("{payload}")).to_owned()
}

async fn posts_count(viewer: &Actor<'_>) -> Value {
    let data = viewer.query("{ viewer { user { postsCount posts { totalCount } } } }").await;
    let user = &data["viewer"]["user"];
    assert_eq!(user["postsCount"], user["posts"]["totalCount"]);
    user["postsCount"].clone()
}

async fn execute(app: &TestApp, sql: &str) {
    app.database().writer().execute_unprepared(sql).await.unwrap();
}

/// Makes all keys older.
async fn age(app: &TestApp, difference: i64) {
    execute(app, &format!("UPDATE idempotency_key SET id = id - {difference}")).await;
}

/// The number of stored keys.
async fn keys(app: &TestApp) -> i64 {
    let count = app.database().statement("SELECT count(*) FROM idempotency_key", []);
    let row = app.database().writer().query_one_raw(count).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn a_repeated_request_returns_the_first_post_and_changes_nothing() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let first = created(&john, "hello", "one").await;
    let events = app.event_count().await;
    for _ in 0..2 {
        assert_eq!(created(&john, "hello", "one").await, first);
    }
    assert_eq!((posts_count(&john).await, keys(&app).await), (json!(1), 1));
    assert_eq!(app.event_count().await, events, "no subscriber receives the post again");

    let second = created(&john, "hello", "two").await;
    assert_ne!(second, first, "the same text with another key is another post");
    let third = created(&john, "a\r\nb", "three").await;
    assert_eq!(created(&john, "a\nb", "three").await, third, "the stored texts are the same");
    for _ in 0..2 {
        john.write("hello").await;
    }
    assert_eq!((posts_count(&john).await, keys(&app).await), (json!(5), 3), "no key, no row");

    let susans = created(&susan, "hello", "one").await;
    assert_ne!(susans, first, "each viewer has their own keys");
    assert_eq!(posts_count(&susan).await, 1);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn another_input_with_the_same_key_is_a_mismatch() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let first = created(&john, "one", "key").await;
    let expected = json!({ "post": null, "timelineEdge": null, "userErrors": [{
        "__typename": "IdempotencyError", "code": "IDEMPOTENCY_MISMATCH",
        "path": ["input", "idempotencyKey"] }] });
    assert_eq!(create(&john, "two", "key").await, expected);
    assert_eq!(posts_count(&john).await, 1);
    assert_eq!(created(&john, "one", "key").await, first, "the mismatch changed nothing");
    created(&john, "two", "other").await;
}

#[tokio::test]
async fn invalid_keys_and_anonymous_requests_are_rejected() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let too_long = "\u{1F426}".repeat(101);
    for key in ["", " ", "a b", "a\nb", "a\u{0}", "\u{200B}", &too_long] {
        let payload = create(&john, "hello", key).await;
        let expected = json!([{ "__typename": "InvalidInputError", "code": "INVALID_INPUT",
            "path": ["input", "idempotencyKey"] }]);
        assert_eq!(
            (&payload["userErrors"], &payload["post"]),
            (&expected, &json!(null)),
            "{key:?}"
        );
    }
    let longest = "\u{1F426}".repeat(100);
    let post = created(&john, "hello", &longest).await;
    assert_eq!(created(&john, "hello", &longest).await, post);
    let document =
        "mutation { createPost(input: {body: \"x\", idempotencyKey: \"k\"}) { post { id } } }";
    assert_eq!(app.anonymous().error(document).await, "UNAUTHENTICATED");
    assert_eq!(posts_count(&john).await, 1);
}

#[tokio::test]
async fn a_failed_request_leaves_no_key_and_a_repeated_one_is_not_counted() {
    let app = TestApp::with(&["--max-posts-per-day", "1"]).await;
    let john = app.register("john").await;
    assert_eq!(rejected(&john, "", "key").await, "INVALID_INPUT");
    let first = created(&john, "one", "key").await;
    for _ in 0..3 {
        assert_eq!(created(&john, "one", "key").await, first, "the limit does not apply");
    }
    for _ in 0..2 {
        assert_eq!(rejected(&john, "two", "later").await, "TOO_MANY_REQUESTS");
    }
    assert_eq!(keys(&app).await, 1);
    execute(&app, "UPDATE \"user\" SET posts_day = posts_day - 1").await;
    // Another input than before: the failed request has left nothing.
    let third = created(&john, "three", "later").await;
    assert_eq!(created(&john, "three", "later").await, third);
    assert_eq!(posts_count(&john).await, 2);
}

#[tokio::test]
async fn the_key_of_a_deleted_post_creates_no_other_post() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let post = created(&john, "one", "key").await;
    john.mutate(&format!("deletePost(id: \"{post}\") {{ changed }}")).await;
    let expected = json!({ "post": null, "timelineEdge": null, "userErrors": [] });
    assert_eq!(create(&john, "one", "key").await, expected);
    assert_eq!(rejected(&john, "two", "key").await, "IDEMPOTENCY_MISMATCH");
    assert_eq!(posts_count(&john).await, 0);
    assert_eq!(app.doctor_report().await, "no problems found\n");
    let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
    assert_eq!(john.mutate(&delete).await["changed"], true);
    assert_eq!(keys(&app).await, 0);
}

#[tokio::test]
async fn a_key_can_be_used_again_after_24_hours() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let first = created(&john, "one", "key").await;
    age(&app, 23 * HOUR).await;
    assert_eq!(created(&john, "one", "key").await, first);
    assert_eq!(rejected(&john, "two", "key").await, "IDEMPOTENCY_MISMATCH");
    // One millisecond more than an hour.
    age(&app, HOUR + (1 << 21)).await;
    let second = created(&john, "two", "key").await;
    assert_ne!(second, first);
    assert_eq!(created(&john, "two", "key").await, second, "the key belongs to the new input");
    assert_eq!(rejected(&john, "one", "key").await, "IDEMPOTENCY_MISMATCH");
    assert_eq!((posts_count(&john).await, keys(&app).await), (json!(2), 1));

    // A request that fails does not replace the expired key either.
    age(&app, 25 * HOUR).await;
    assert_eq!(rejected(&john, " ", "key").await, "INVALID_INPUT");
    assert_eq!(keys(&app).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_with_one_key_create_one_post() {
    let (one, two) = two_instances().await;
    let john = one.register("john").await;
    let clients = [john.at(&one), john.at(&two)];
    // The second time, the requests find an expired key.
    for expected in 1..=2 {
        let requests = (0..20).map(|n| created(&clients[n % 2], "hello", "key"));
        let mut ids = join_all(requests).await;
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
        assert_eq!((posts_count(&john).await, keys(&one).await), (json!(expected), 1));
        age(&one, 25 * HOUR).await;
    }
    assert_eq!(one.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn expired_keys_are_deleted_in_batches() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let post = created(&john, "one", "live").await;
    let hash = if app.is_on_postgres() { r"CAST('\x00' AS bytea)" } else { "x'00'" };
    let insert = format!(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 1500)
         INSERT INTO idempotency_key (id, user_id, \"key\", input_hash, post_id)
         SELECT n, \"user\".id, 'key' || n, {hash}, 1 FROM number CROSS JOIN \"user\""
    );
    execute(&app, &insert).await;
    assert_eq!(keys(&app).await, 1_501);
    assert!(delete_expired(app.database()).await.unwrap(), "there are more");
    assert_eq!(keys(&app).await, 501);
    assert!(!delete_expired(app.database()).await.unwrap());
    assert_eq!(keys(&app).await, 1);
    assert!(!delete_expired(app.database()).await.unwrap());
    assert_eq!(created(&john, "one", "live").await, post);
}

#[tokio::test]
async fn a_copy_keeps_the_keys() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let post = created(&john, "one", "key").await;
    let target = TestDatabase::sqlite_file();
    let copied = target.open().await;
    copied.migrate().await.unwrap();
    let (_, report) = copy::run(app.database(), &copied, &ProgressBar::hidden()).await.unwrap();
    assert_eq!(report.to_string(), "no problems found\n");
    copied.close().await;
    let copy = TestApp::at(target, &[]).await;
    assert_eq!(created(&john.at(&copy), "one", "key").await, post);
    assert_eq!(posts_count(&john.at(&copy)).await, 1);
}
