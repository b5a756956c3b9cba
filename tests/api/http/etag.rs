//! Conditional GET requests with ETags, and batches of operations in one request.

use axum::http::{StatusCode, header};
use rookery::database::Snapshot;
use serde_json::{Value, json};

use super::{GRAPHQL_RESPONSE, JSON, get_request, post, send};
use crate::support::app::TestApp;

#[tokio::test]
async fn only_public_get_responses_have_an_etag_and_answer_if_none_match() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let query = [("query", "{ users { totalCount } }")];
    let first = send(&app, get_request(&query), "").await;
    let tag = first.header(header::ETAG).to_owned();
    assert!(tag.len() > 30 && tag.starts_with("W/\""), "{tag}");
    assert_eq!(first.header(header::CACHE_CONTROL), "public, no-cache");
    assert!(first.header(header::VARY).contains("Accept"));
    for condition in
        [tag.clone(), tag.replace("W/", ""), format!("\"other\", {tag}"), "*".to_owned()]
    {
        let repeated =
            send(&app, get_request(&query).header(header::IF_NONE_MATCH, condition), "").await;
        assert_eq!((repeated.status, &repeated.body), (StatusCode::NOT_MODIFIED, &json!("")));
        assert_eq!(repeated.header(header::ETAG), tag);
        assert_eq!(repeated.header(header::CACHE_CONTROL), "public, no-cache");
    }
    // The tag does not match on the first read after a change.
    app.register("susan").await;
    let changed = send(&app, get_request(&query).header(header::IF_NONE_MATCH, &tag), "").await;
    assert_eq!(changed.body["data"]["users"]["totalCount"], 2);
    assert_ne!(changed.header(header::ETAG), tag);

    // Responses to a signed-in client, with errors, or to a POST have no tag.
    let bearer = format!("Bearer {}", john.token.as_ref().unwrap());
    let signed_in = send(&app, get_request(&query).header(header::AUTHORIZATION, bearer), "").await;
    let failed =
        send(&app, get_request(&[("query", "{ user(by: {id: \"x\"}) { id } }")]), "").await;
    let invalid = send(&app, get_request(&[("query", "{ nothing }")]), "").await;
    let posted = send(&app, post(JSON), r#"{"query": "{ users { totalCount } }"}"#).await;
    for response in [signed_in, failed, invalid, posted] {
        assert_eq!(response.header(header::ETAG), "");
        assert_eq!(response.header(header::CACHE_CONTROL), "no-store");
    }
}

#[tokio::test]
async fn a_batch_executes_its_operations_in_order_up_to_max_batch() {
    let app = TestApp::with(&["--max-batch", "3"]).await;
    let john = app.register("john").await;
    let susan = app.register("susan").await;
    let bearer = format!("Bearer {}", john.token.as_ref().unwrap());
    let follow = format!("mutation {{ follow(user: {{id: \"{}\"}}) {{ changed }} }}", susan.id);
    let count = "{ user(by: {username: \"susan\"}) { followersCount } }";
    let send_batch = async |documents: &[&str]| {
        let batch: Vec<Value> = documents.iter().map(|query| json!({ "query": query })).collect();
        let request = post(GRAPHQL_RESPONSE).header(header::AUTHORIZATION, &bearer);
        send(&app, request, Value::from(batch).to_string()).await
    };
    let response = send_batch(&[count, &follow, count]).await;
    assert_eq!(response.status, StatusCode::OK);
    let expected = json!([
        { "data": { "user": { "followersCount": 0 } } },
        { "data": { "follow": { "changed": true } } },
        { "data": { "user": { "followersCount": 1 } } },
    ]);
    assert_eq!(response.body, expected);

    // An error of one operation does not affect the others.
    let response =
        send_batch(&["{ nothing }", "subscription { timelineEvents { __typename } }", count]).await;
    let code = |n: usize| response.body[n]["errors"][0]["extensions"]["code"].as_str();
    assert_eq!((code(0), code(1)), (Some("GRAPHQL_VALIDATION_FAILED"), Some("BAD_REQUEST")));
    assert_eq!(response.body[2]["data"]["user"]["followersCount"], 1);

    for wrong in [&[count; 4][..], &[]] {
        let response = send_batch(wrong).await;
        assert_eq!(
            (response.status, response.error_code()),
            (StatusCode::BAD_REQUEST, "BAD_REQUEST")
        );
    }
    let event_stream = post("text/event-stream");
    let response = send(&app, event_stream, format!("[{{\"query\": {}}}]", json!(count))).await;
    assert_eq!(response.error_code(), "BAD_REQUEST");
}

#[tokio::test]
async fn operations_after_a_logout_in_a_batch_are_unauthenticated() {
    let app = TestApp::with(&["--max-batch", "2"]).await;
    let john = app.register("john").await;
    let batch = json!([
        { "query": "mutation { logout { changed } }" },
        { "query": "mutation { createPost(input: {body: \"too late\"}) { post { id } } }" },
    ]);
    let bearer = format!("Bearer {}", john.token.as_ref().unwrap());
    let request = post(GRAPHQL_RESPONSE).header(header::AUTHORIZATION, &bearer);
    let response = send(&app, request, batch.to_string()).await;
    assert_eq!(response.body[0]["data"]["logout"]["changed"], true);
    assert_eq!(response.body[1]["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    let count = app.anonymous().query("{ posts { totalCount } }").await;
    assert_eq!(count["posts"]["totalCount"], 0);
    let request = post(GRAPHQL_RESPONSE).header(header::AUTHORIZATION, bearer);
    let repeated = send(&app, request, batch.to_string());
    assert_eq!(repeated.await.status, StatusCode::UNAUTHORIZED);
}

/// The request times out in the second operation, after the first has written.
///
/// The second operation only reads.
#[tokio::test]
async fn a_batch_that_times_out_after_a_write_has_an_unknown_outcome() {
    let options =
        ["--max-batch", "2", "--request-timeout", "1", "--database-max-read-connections", "1"];
    let app = TestApp::with(&options).await;
    // This snapshot holds the only read connection.
    let snapshot = Snapshot::new(app.database());
    let transaction = snapshot.transaction().await.unwrap();
    let register = "mutation { register(input: {username: \"john\", email: \"john@example.com\", \
        password: \"correct horse battery\"}) { token } }";
    let batch = json!([{ "query": register }, { "query": "{ users { totalCount } }" }]);
    let response = send(&app, post(GRAPHQL_RESPONSE), batch.to_string()).await;
    assert_eq!(response.error_code(), "OUTCOME_UNKNOWN");
    drop((transaction, snapshot));
    let count =
        send(&app, post(GRAPHQL_RESPONSE), r#"{"query": "{ users { totalCount } }"}"#).await;
    assert_eq!(count.body["data"]["users"]["totalCount"], 1);
}
