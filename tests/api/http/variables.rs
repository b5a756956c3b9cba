//! Variables: coercion, defaults, and how an absent value differs from null.
//!
//! A document with a value that does not fit is not executed at all, also when it is cached.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{GRAPHQL_RESPONSE, JSON, post, send};
use crate::support::app::TestApp;

const DOCUMENT: &str = "query ($first: Int!, $by: UserBy!, $ids: [ID!]!, $seen: Boolean!) {
    users(first: $first) { totalCount } user(by: $by) { id } nodes(ids: $ids) { id }
    viewer @include(if: $seen) { email } }";

#[tokio::test]
async fn values_that_do_not_fit_their_types_are_rejected() {
    let app = TestApp::new().await;
    let valid = json!({ "first": 1, "by": { "username": "john" }, "ids": [], "seen": true });
    let body = json!({ "query": DOCUMENT, "variables": valid }).to_string();
    assert_eq!(send(&app, post(GRAPHQL_RESPONSE), body).await.status, StatusCode::OK);
    for (name, value) in [
        ("first", json!(null)),
        ("first", json!("1")),
        ("first", json!(1.5)),
        ("first", json!(99_999_999_999_i64)),
        ("by", json!(null)),
        ("by", json!("john")),
        ("by", json!({})),
        ("by", json!({ "id": "1", "username": "john" })),
        ("by", json!({ "username": null })),
        ("by", json!({ "username": 1 })),
        ("by", json!({ "email": "john@example.com" })),
        ("ids", json!([null])),
        ("ids", json!([{}])),
        ("seen", json!(null)),
        ("seen", json!("true")),
    ] {
        let mut variables = valid.clone();
        variables[name] = value;
        assert_rejected(&app, DOCUMENT, &variables).await;
    }
    for name in ["first", "by", "ids", "seen"] {
        let mut variables = valid.clone();
        variables.as_object_mut().unwrap().remove(name);
        assert_rejected(&app, DOCUMENT, &variables).await;
    }
}

async fn assert_rejected(app: &TestApp, query: &str, variables: &Value) {
    let body = json!({ "query": query, "variables": variables }).to_string();
    for (accept, status) in [(GRAPHQL_RESPONSE, StatusCode::BAD_REQUEST), (JSON, StatusCode::OK)] {
        let response = send(app, post(accept), body.clone()).await;
        assert_eq!(response.error_code(), "GRAPHQL_VALIDATION_FAILED", "{variables}");
        assert_eq!(response.status, status, "{variables}");
    }
}

#[tokio::test]
async fn a_missing_variable_of_the_second_mutation_prevents_the_first() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let both = "mutation ($id: ID!) { follow(user: {username: \"susan\"}) { changed }
        deletePost(id: $id) { changed } }";
    let response = john.execute(both, json!({})).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    assert!(john.follow(&susan).await, "the rejected document changed nothing");
}

#[tokio::test]
async fn a_cached_document_rejects_values_that_do_not_fit() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let both = "mutation ($body: String!, $input: EditPostInput!) {
        createPost(input: {body: $body}) { post { id } } editPost(input: $input) { changed } }";
    let post = john.write("zero").await;
    let input = json!({ "id": post, "body": "one" });
    for _ in 0..2 {
        john.run(both, json!({ "body": "two", "input": input })).await;
    }
    for wrong in [json!({ "id": post }), json!({ "id": post, "body": 3 }), json!(null)] {
        let response = john.execute(both, json!({ "body": "three", "input": wrong })).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(response.get("data"), None);
    }
    assert_eq!(john.timeline().await, ["two", "two", "one"]);
}

/// Whether a document is valid does not depend on the values of its variables.
#[tokio::test]
async fn a_document_is_valid_or_not_whatever_its_variables_are() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let both =
        "mutation ($id: ID, $name: String) { createPost(input: {body: \"x\"}) { post { id } }
        follow(user: {id: $id, username: $name}) { changed } }";
    let unknown_argument = "query ($x: Int) { users(first: 1, unknown: $x) { totalCount } }";
    for (document, variables) in [
        (both, json!({ "id": susan.id })),
        (both, json!({ "id": susan.id, "name": "susan" })),
        (both, json!({})),
        (unknown_argument, json!({})),
        (unknown_argument, json!({ "x": 1 })),
    ] {
        let response = john.execute(document, variables).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(response.get("data"), None);
    }
    assert_eq!(john.timeline().await, [""; 0]);
}

#[tokio::test]
async fn variable_defaults_apply_to_arguments_and_directives() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let document = "query ($seen: Boolean! = true, $size: Int! = 7) {
        viewer @include(if: $seen) { user { avatarUrl(size: $size) username @skip(if: $seen) } } }";
    let data = john.run(document, json!({})).await;
    let user = &data["viewer"]["user"];
    assert!(user["avatarUrl"].as_str().unwrap().ends_with("s=7"));
    assert_eq!(user.get("username"), None);
    let response = john.execute(document, json!({ "seen": false })).await;
    assert_eq!(response, json!({ "data": {} }), "all fields are skipped");
}

#[tokio::test]
async fn an_absent_variable_leaves_a_field_unchanged_and_null_clears_it() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let update = "query other { viewer { user { ...size } } }
        mutation update($name: String, $about: String, $size: Int) {
            updateProfile(input: {displayName: $name, aboutMe: $about}) { user { ...size } } }
        fragment size on User { displayName aboutMe avatarUrl(size: $size) }";
    let update = update.replace("other", "other($size: Int)");
    let update_with = async |variables: Value| {
        let body = json!({ "query": update, "operationName": "update", "variables": variables });
        let response = app.post(john.token.as_deref(), &body).await;
        let user = &response["data"]["updateProfile"]["user"];
        let size = user["avatarUrl"].as_str().map(|url| url.split_once("s=").unwrap().1);
        json!([user["displayName"], user["aboutMe"], size])
    };
    let given = update_with(json!({ "name": "John", "about": "Me", "size": 9 })).await;
    assert_eq!(given, json!(["John", "Me", "9"]));
    assert_eq!(update_with(json!({ "about": "You" })).await, json!(["John", "You", "128"]));
    assert_eq!(update_with(json!({ "name": null })).await, json!([null, "You", "128"]));
    assert_eq!(update_with(json!({})).await, json!([null, "You", "128"]));
}
