//! Answers that need not be sent twice, and several in one.

use axum::http::{StatusCode, header};
use rookery::database::Snapshot;
use serde_json::{Value, json};

use super::{CLASSIC, MODERN, post, reading, send};
use crate::app::TestApp;

#[tokio::test]
async fn an_answer_for_everybody_is_sent_once() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let query = [("query", "{ users { totalCount } }")];
    let first = send(&app, reading(&query), "").await;
    let tag = first.header(header::ETAG).to_owned();
    assert!(tag.len() > 30 && tag.starts_with("W/\""), "{tag}");
    assert_eq!(first.header(header::CACHE_CONTROL), "public, no-cache");
    assert!(first.header(header::VARY).contains("Accept"));
    for had in [tag.clone(), tag.replace("W/", ""), format!("\"other\", {tag}"), "*".to_owned()] {
        let again = send(&app, reading(&query).header(header::IF_NONE_MATCH, had), "").await;
        assert_eq!((again.status, &again.body), (StatusCode::NOT_MODIFIED, &json!("")));
        assert_eq!(again.header(header::ETAG), tag);
        assert_eq!(again.header(header::CACHE_CONTROL), "public, no-cache");
    }
    // On the very next read after a change, it does not hold.
    app.join("susan").await;
    let changed = send(&app, reading(&query).header(header::IF_NONE_MATCH, &tag), "").await;
    assert_eq!(changed.body["data"]["users"]["totalCount"], 2);
    assert_ne!(changed.header(header::ETAG), tag);

    // Not what is somebody's own, what failed, or what was posted.
    let bearer = format!("Bearer {}", john.token.as_ref().unwrap());
    let own = send(&app, reading(&query).header(header::AUTHORIZATION, bearer), "").await;
    let failed = send(&app, reading(&[("query", "{ user(by: {id: \"x\"}) { id } }")]), "").await;
    let refused = send(&app, reading(&[("query", "{ nothing }")]), "").await;
    let posted = send(&app, post(CLASSIC), r#"{"query": "{ users { totalCount } }"}"#).await;
    for answer in [own, failed, refused, posted] {
        assert_eq!(answer.header(header::ETAG), "");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    }
}

#[tokio::test]
async fn several_operations_come_in_one_request_where_that_is_allowed() {
    let app = TestApp::with(&["--max-batch", "3"]).await;
    let john = app.join("john").await;
    let susan = app.join("susan").await;
    let bearer = format!("Bearer {}", john.token.as_ref().unwrap());
    let follow = format!("mutation {{ follow(user: {{id: \"{}\"}}) {{ changed }} }}", susan.id);
    let count = "{ user(by: {username: \"susan\"}) { followersCount } }";
    let ask = async |all: &[&str]| {
        let all: Vec<Value> = all.iter().map(|query| json!({ "query": query })).collect();
        let request = post(MODERN).header(header::AUTHORIZATION, &bearer);
        send(&app, request, Value::from(all).to_string()).await
    };
    let answer = ask(&[count, &follow, count]).await;
    assert_eq!(answer.status, StatusCode::OK);
    let expected = json!([
        { "data": { "user": { "followersCount": 0 } } },
        { "data": { "follow": { "changed": true } } },
        { "data": { "user": { "followersCount": 1 } } },
    ]);
    assert_eq!(answer.body, expected);

    // What is wrong with one is its own affair.
    let answer =
        ask(&["{ nothing }", "subscription { timelineEvents { __typename } }", count]).await;
    let code = |n: usize| answer.body[n]["errors"][0]["extensions"]["code"].as_str();
    assert_eq!((code(0), code(1)), (Some("GRAPHQL_VALIDATION_FAILED"), Some("BAD_REQUEST")));
    assert_eq!(answer.body[2]["data"]["user"]["followersCount"], 1);

    for wrong in [&[count; 4][..], &[]] {
        let answer = ask(wrong).await;
        assert_eq!((answer.status, answer.refusal()), (StatusCode::BAD_REQUEST, "BAD_REQUEST"));
    }
    let event_stream = post("text/event-stream");
    let answer = send(&app, event_stream, format!("[{{\"query\": {}}}]", json!(count))).await;
    assert_eq!(answer.refusal(), "BAD_REQUEST");
}

/// What one of them ends is over for those behind it.
#[tokio::test]
async fn a_session_that_ends_in_a_batch_is_over() {
    let app = TestApp::with(&["--max-batch", "2"]).await;
    let john = app.join("john").await;
    let both = json!([
        { "query": "mutation { logout { changed } }" },
        { "query": "mutation { createPost(input: {body: \"too late\"}) { post { id } } }" },
    ]);
    let bearer = format!("Bearer {}", john.token.as_ref().unwrap());
    let request = post(MODERN).header(header::AUTHORIZATION, &bearer);
    let answer = send(&app, request, both.to_string()).await;
    assert_eq!(answer.body[0]["data"]["logout"]["changed"], true);
    assert_eq!(answer.body[1]["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    let count = app.anonymous().query("{ posts { totalCount } }").await;
    assert_eq!(count["posts"]["totalCount"], 0);
    let again = send(&app, post(MODERN).header(header::AUTHORIZATION, bearer), both.to_string());
    assert_eq!(again.await.status, StatusCode::UNAUTHORIZED);
}

/// One has written, and the time ends in another that only reads.
#[tokio::test]
async fn what_a_batch_has_written_is_not_said_to_be_given_up() {
    let options = ["--max-batch", "2", "--request-timeout", "1", "--database-readers", "1"];
    let app = TestApp::with(&options).await;
    // The only connection for reading is taken.
    let taken = Snapshot::new(app.database());
    let open = taken.get().await.unwrap();
    let register = "mutation { register(input: {username: \"john\", email: \"john@example.com\", \
        password: \"correct horse battery\"}) { token } }";
    let both = json!([{ "query": register }, { "query": "{ users { totalCount } }" }]);
    let answer = send(&app, post(MODERN), both.to_string()).await;
    assert_eq!(answer.refusal(), "OUTCOME_UNKNOWN");
    drop((open, taken));
    let count = send(&app, post(MODERN), r#"{"query": "{ users { totalCount } }"}"#).await;
    assert_eq!(count.body["data"]["users"]["totalCount"], 1);
}
