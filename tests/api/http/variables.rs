//! Variables: what is required and missing does not run, a default is a default everywhere, and what
//! is absent is not null.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{CLASSIC, MODERN, post, send};
use crate::app::TestApp;

const ASK: &str = "query ($first: Int!, $by: UserBy!, $ids: [ID!]!, $seen: Boolean!) {
    users(first: $first) { totalCount } user(by: $by) { id } nodes(ids: $ids) { id }
    viewer @include(if: $seen) { email } }";

#[tokio::test]
async fn what_does_not_fit_its_type_does_not_run() {
    let app = TestApp::new().await;
    let fits = json!({ "first": 1, "by": { "username": "john" }, "ids": [], "seen": true });
    let body = json!({ "query": ASK, "variables": fits }).to_string();
    assert_eq!(send(&app, post(MODERN), body).await.status, StatusCode::OK);
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
        let mut variables = fits.clone();
        variables[name] = value;
        refused(&app, ASK, &variables).await;
    }
    for name in ["first", "by", "ids", "seen"] {
        let mut variables = fits.clone();
        variables.as_object_mut().unwrap().remove(name);
        refused(&app, ASK, &variables).await;
    }
}

async fn refused(app: &TestApp, query: &str, variables: &Value) {
    let body = json!({ "query": query, "variables": variables }).to_string();
    for (accept, status) in [(MODERN, StatusCode::BAD_REQUEST), (CLASSIC, StatusCode::OK)] {
        let answer = send(app, post(accept), body.clone()).await;
        assert_eq!(answer.refusal(), "GRAPHQL_VALIDATION_FAILED", "{variables}");
        assert_eq!(answer.status, status, "{variables}");
    }
}

/// The first mutation of a document must not run when the second one has no value to run with.
#[tokio::test]
async fn a_missing_value_stops_the_whole_document() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    let both = "mutation ($id: ID!) { follow(user: {username: \"susan\"}) { changed }
        deletePost(id: $id) { changed } }";
    let answer = john.ask(both, json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    assert!(john.follow(&susan).await, "nothing had happened so far");
}

/// Nor when it ran well before, with other values.
#[tokio::test]
async fn a_document_that_is_known_is_as_strict() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let both = "mutation ($body: String!, $input: EditPostInput!) {
        createPost(input: {body: $body}) { post { id } } editPost(input: $input) { changed } }";
    let post = john.write("zero").await;
    let input = json!({ "id": post, "body": "one" });
    for _ in 0..2 {
        john.run(both, json!({ "body": "two", "input": input })).await;
    }
    for wrong in [json!({ "id": post }), json!({ "id": post, "body": 3 }), json!(null)] {
        let answer = john.ask(both, json!({ "body": "three", "input": wrong })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(answer.get("data"), None);
    }
    assert_eq!(john.timeline().await, ["two", "two", "one"]);
}

/// What was valid for want of a variable is not valid with it, whoever sent it before, and the other way round.
#[tokio::test]
async fn a_known_document_with_other_variables_is_another_one() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    let both =
        "mutation ($id: ID, $name: String) { createPost(input: {body: \"x\"}) { post { id } }
        follow(user: {id: $id, username: $name}) { changed } }";
    for _ in 0..2 {
        john.run(both, json!({ "id": susan.id })).await;
        for wrong in [json!({ "id": susan.id, "name": "susan" }), json!({})] {
            let answer = john.ask(both, wrong).await;
            assert_eq!(answer["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
        }
    }
    assert_eq!(john.timeline().await, ["x", "x"]);
    let bogus = "query ($x: Int) { users(first: 1, bogus: $x) { totalCount } }";
    for _ in 0..2 {
        app.anonymous().ask(bogus, json!({})).await;
        let answer = app.anonymous().ask(bogus, json!({ "x": 1 })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn a_default_counts_in_directives_too() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let ask = "query ($seen: Boolean! = true, $size: Int! = 7) {
        viewer @include(if: $seen) { user { avatarUrl(size: $size) username @skip(if: $seen) } } }";
    let data = john.run(ask, json!({})).await;
    let user = &data["viewer"]["user"];
    assert!(user["avatarUrl"].as_str().unwrap().ends_with("s=7"));
    assert_eq!(user.get("username"), None);
    let answer = john.ask(ask, json!({ "seen": false })).await;
    assert_eq!(answer, json!({ "data": {} }), "everything was skipped, nothing failed");
}

#[tokio::test]
async fn what_is_absent_is_not_null() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let update = "query other { viewer { user { ...size } } }
        mutation update($name: String, $about: String, $size: Int) {
            updateProfile(input: {displayName: $name, aboutMe: $about}) { user { ...size } } }
        fragment size on User { displayName aboutMe avatarUrl(size: $size) }";
    let update = update.replace("other", "other($size: Int)");
    let with = async |variables: Value| {
        let body = json!({ "query": update, "operationName": "update", "variables": variables });
        let answer = app.post(john.token.as_deref(), &body).await;
        let user = &answer["data"]["updateProfile"]["user"];
        let size = user["avatarUrl"].as_str().map(|url| url.split_once("s=").unwrap().1);
        json!([user["displayName"], user["aboutMe"], size])
    };
    let given = with(json!({ "name": "John", "about": "Me", "size": 9 })).await;
    assert_eq!(given, json!(["John", "Me", "9"]));
    assert_eq!(with(json!({ "about": "You" })).await, json!(["John", "You", "128"]));
    assert_eq!(with(json!({ "name": null })).await, json!([null, "You", "128"]));
    assert_eq!(with(json!({})).await, json!([null, "You", "128"]));
}
