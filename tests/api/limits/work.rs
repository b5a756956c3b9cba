//! The work of operations and of events is bounded and charged.

use std::time::Duration;

use axum::http::StatusCode;
use rookery::database::Snapshot;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use super::execute_from;
use crate::live::{TIMELINE, read_timeline, summary};
use crate::support::actors::Actor;
use crate::support::app::{TestApp, TestDatabase};

/// Twelve users who follow each other, and a post of each.
async fn crowd(app: &TestApp) -> Vec<Actor<'_>> {
    let names: Vec<String> = (0..12).map(|n| format!("user{n}")).collect();
    let mut users = Vec::new();
    for name in &names {
        users.push(app.register(name).await);
    }
    for user in &users {
        user.write("hello").await;
        for other in users.iter().filter(|other| other.id != user.id) {
            user.follow(other).await;
        }
    }
    users
}

/// The first event after a position.
async fn first_event_after(subscriber: &Actor<'_>, position: &Value) -> Value {
    assert!(position.is_string(), "{position}");
    // 200 points are replenished in each second, and a replay costs about 600.
    tokio::time::sleep(Duration::from_secs(5)).await;
    loop {
        let mut resumed = subscriber.subscribe(TIMELINE, json!({ "after": position })).await;
        let response = resumed.response().await.unwrap();
        match response["errors"][0]["extensions"]["retryAfterSeconds"].as_u64() {
            None => break response["data"]["timelineEvents"].clone(),
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        }
    }
}

/// The document costs little, and its statement looks up the posts of 144 users.
#[tokio::test]
async fn timelines_of_many_users_exceed_the_maximum_of_work_before_their_statement() {
    let app = TestApp::with(&["--max-work", "450"]).await;
    crowd(&app).await;
    let timelines = |arguments: &str| {
        format!("{{ users {{ nodes {{ timeline({arguments}) {{ nodes {{ id }} }} }} }} }}")
    };
    let cheap = app.anonymous().query(&timelines("first: 1")).await;
    assert_eq!(cheap["users"]["nodes"].as_array().unwrap().len(), 12);
    let page = app
        .anonymous()
        .query("{ user(by: {username: \"user1\"}) { timeline { pageInfo { endCursor } } } }")
        .await;
    let after = &page["user"]["timeline"]["pageInfo"]["endCursor"];
    let with_cursor = timelines(&format!("first: 1, after: {after}"));
    let (response, statements) =
        app.count_statements(app.anonymous().execute(&with_cursor, json!({}))).await;
    let error = &response["errors"][0];
    assert_eq!(error["extensions"]["code"], "QUERY_TOO_COMPLEX", "{response}");
    assert!(response.get("data").is_none_or(Value::is_null), "{response}");
    assert_eq!(statements, 1, "the timelines were read");
}

#[tokio::test]
async fn work_is_charged_to_the_rate_limit_before_it_is_done() {
    let app = TestApp::with(&["--rate-limit-per-network", "2800"]).await;
    crowd(&app).await;
    // The document costs about 730 points, and its statements look up 800 rows. About 1,200 points
    // are left for the second request.
    let page = |size| format!("page{size}: timeline(first: {size}) {{ pageInfo {{ endCursor }} }}");
    let pages = [1, 2, 3].map(page).join(" ");
    let timelines = format!("{{ users(first: 12) {{ nodes {{ {pages} }} }} }}");
    let (status, _, response) = execute_from(&app, "192.0.2.1", &timelines).await;
    assert_eq!(status, StatusCode::OK, "{response}");
    let second = execute_from(&app, "192.0.2.1", &timelines);
    let ((status, retry_after, response), statements) = app.count_statements(second).await;
    assert!(statements < 4, "users and three pages of timelines are {statements} statements");
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{response}");
    assert!(retry_after.is_some());
}

/// The change stays made, and the client learns that it does.
#[tokio::test]
async fn a_mutation_whose_payload_takes_too_much_work_has_an_unknown_outcome() {
    let app = TestApp::with(&["--max-work", "100"]).await;
    crowd(&app).await;
    let john = app.register("john").await;
    let post = "mutation { createPost(input: {body: \"made\"}) { post { author { followers {
        totalCount } } } } }";
    assert!(john.execute(post, json!({})).await.get("errors").is_none());
    let post = "mutation { createPost(input: {body: \"made\"}) { post { author {
        followers(first: 100) { nodes { id } } } } } }";
    assert_eq!(john.error(post).await, "OUTCOME_UNKNOWN");
    let made = john.query("{ viewer { user { posts { totalCount } } } }").await;
    assert_eq!(made["viewer"]["user"]["posts"]["totalCount"], 2);
}

/// A stream ends before an event that its subscriber cannot pay, and resumes there.
#[tokio::test]
async fn events_are_charged_to_their_subscriber() {
    let app = TestApp::with(&["--rate-limit-per-user", "12000"]).await;
    let actors = app.actors().await;
    let (john, susan) = (&actors.john, &actors.susan);
    john.follow(susan).await;
    let followers = "followers(first: 100) { nodes { id username displayName aboutMe createdAt
        postsCount followersCount } }";
    let costly = TIMELINE.replace("author {", &format!("author {{ {followers} "));
    let mut timeline = john.subscribe_and_join(&costly, json!({})).await;
    let mut received = Vec::new();
    let (mut written, mut lagged) = (0, None);
    while lagged.is_none() && written < 100 {
        written += 1;
        susan.write(&format!("post {written}")).await;
        let event = timeline.next().await;
        match summary(&event).as_str() {
            "StreamLagged" => lagged = Some(event["resumeAfter"].clone()),
            text => received.push(text.to_owned()),
        }
    }
    assert!(received.len() > 3, "{received:?}");
    let resume_after = lagged.expect("12,000 points pay less than 100 events");
    assert!(timeline.response().await.is_none());
    let event = first_event_after(john, &resume_after).await;
    assert_eq!(summary(&event), format!("+post {written}"));
}

/// The cost of the event is paid, and the rows of its fields are not.
#[tokio::test]
async fn an_event_whose_fields_cannot_be_paid_is_replaced_by_the_end_of_the_stream() {
    let app = TestApp::with(&["--rate-limit-per-user", "12000"]).await;
    let users = crowd(&app).await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    for follower in users.iter().chain([&john]) {
        follower.follow(&susan).await;
    }
    let page = "{ user(by: {username: \"user1\"}) { timeline { pageInfo { endCursor } } } }";
    let page = app.anonymous().query(page).await;
    let after = &page["user"]["timeline"]["pageInfo"]["endCursor"];
    let events = format!(
        "subscription {{ timelineEvents {{ __typename ... on StreamLagged {{ resumeAfter }}
         ... on TimelinePostAdded {{ edge {{ node {{ body author {{ followers(first: 12) {{ nodes {{
             timeline(first: 1, after: {after}) {{ nodes {{ id }} }} }} }} }} }} }} }} }} }}"
    );
    let mut timeline = john.subscribe_and_join(&events, json!({})).await;
    let mut received = 0;
    let lagged = loop {
        susan.write(&format!("post {received}")).await;
        let response = timeline.response().await.expect("the stream has no last event");
        assert!(response.get("errors").is_none(), "{response}");
        let event = response["data"]["timelineEvents"].clone();
        if event["__typename"] == "StreamLagged" {
            break event;
        }
        received += 1;
    };
    assert!((1..200).contains(&received), "{received}");
    assert!(timeline.response().await.is_none());
    let event = first_event_after(&john, &lagged["resumeAfter"]).await;
    assert_eq!(summary(&event), format!("+post {received}"));
}

/// A deletion or a protection has parts, which a replay reads with their event.
#[tokio::test]
async fn a_replay_pays_for_each_part_of_an_event() {
    let app = TestApp::with(&["--rate-limit-per-user", "6000"]).await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.follow(&susan).await;
    let (after, _) = read_timeline(&john).await;
    susan.write("hello").await;
    let replay = async || {
        let mut resumed = john.subscribe(TIMELINE, json!({ "after": after })).await;
        resumed.response().await.unwrap()
    };
    assert_eq!(summary(&replay().await["data"]["timelineEvents"]), "+hello");
    let parts = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000)
        INSERT INTO event_part (actor, txn, kind, object)
        SELECT n, (SELECT max(txn) FROM event), 16, 0 FROM n";
    app.database().writer().execute_unprepared(parts).await.unwrap();
    let mut response = replay().await;
    if response.get("errors").is_none() {
        // On a slow machine john had all points again, and the replay took more than these. The
        // points of 2 s pay the document, but no replay.
        tokio::time::sleep(Duration::from_secs(2)).await;
        response = replay().await;
    }
    assert_eq!(response["errors"][0]["extensions"]["code"], "RATE_LIMITED", "{response}");
}

/// Equal documents are counted once. A network has half of the memory.
#[tokio::test]
async fn documents_of_subscriptions_are_counted_while_they_are_held() {
    let app = TestApp::with(&["--response-memory-bytes", "1000000"]).await;
    let john = app.register("john").await;
    let document = |n| {
        format!("subscription {{ timelineEvents {{ __typename }} }} # {}{n}", "x".repeat(5_000))
    };
    let mut held = Vec::new();
    for n in [1, 1, 1, 1, 2] {
        held.push(john.subscribe_and_join(&document(n), json!({})).await);
    }
    let rejection = async || {
        let mut third = john.subscribe(&document(3), json!({})).await;
        let response = tokio::time::timeout(Duration::from_secs(1), third.response()).await;
        response.ok().flatten()
    };
    let response = rejection().await.expect("the network has no memory left");
    assert_eq!(response["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{response}");
    drop(held);
    // The server releases the memory when it notices that the clients have gone.
    while rejection().await.is_some() {}
}

/// SQLite has no timeout of statements. PostgreSQL has `statement_timeout`.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_of_sqlite_ends_with_its_request() {
    let one_reader = ["--database-max-read-connections", "1"];
    let app = TestApp::at(TestDatabase::sqlite_file(), &one_reader).await;
    let endless = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number) \
                   SELECT count(*) FROM number";
    for _ in 0..3 {
        let snapshot = Snapshot::new(app.database());
        let transaction = snapshot.transaction().await.unwrap();
        let running = transaction.query_one_raw(app.database().statement(endless, []));
        let timeout = tokio::time::timeout(Duration::from_millis(100), running).await;
        assert!(timeout.is_err(), "the statement ended: {timeout:?}");
        drop((transaction, snapshot));
        app.anonymous().query("{ users { totalCount } }").await;
    }
}
