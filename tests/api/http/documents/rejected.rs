//! Documents that the specification forbids are rejected before execution.

use axum::body::Body;
use serde_json::{Value, json};

use super::super::{JSON, post};
use crate::support::app::TestApp;

const INVALID: &str = "GRAPHQL_VALIDATION_FAILED";
const MALFORMED: &str = "GRAPHQL_PARSE_FAILED";

#[tokio::test]
async fn invalid_documents_are_rejected() {
    let app = TestApp::new().await;
    app.register("john").await;
    for document in [
        // Fields that cannot be merged
        "{ u: user(by: {username: \"john\"}) { username }
          ... on Query { u: user(by: {username: \"susan\"}) { id } } }",
        "{ node(id: \"1\") { ... on Post { x: id } ... on User { x: aboutMe } } }",
        "{ node(id: \"1\") { ... on User { x: displayName } ... on Post { x: body } } }",
        "{ nodes(ids: [\"1\"]) { id } nodes(ids: [\"1\", \"2\"]) { id } }",
        // Input objects
        "mutation { createPost(input: {body: \"a1\", body: \"b1\"}) { post { id } } }",
        "{ user(by: {}) { id } }",
        "{ user(by: {username: null}) { id } }",
        "{ user(by: {username: \"john\", id: \"1\"}) { id } }",
        "{ user(by: {username: {a: 1, a: 2}}) { id } }",
        "query ($name: String) { user(by: {username: $name}) { id } }",
        // Directives
        "{ __typename @foo }",
        "{ __typename @skip }",
        "{ __typename @skip(if: true) @skip(if: true) }",
        "query ($id: ID! @deprecated) { node(id: $id) { id } }",
        "query @include(if: true) { __typename }",
        // The types of variables
        "query ($v: Int!) { node(id: $v) { id } }",
        "query ($v: ID!) { nodes(ids: $v) { id } }",
        "query ($v: ID) { nodes(ids: [$v]) { id } }",
        "query ($v: ID) { node(id: $v) { id } }",
        "query ($v: ID = null) { node(id: $v) { id } }",
        "query ($v: Boolean) { __typename @skip(if: $v) }",
        "query ($v: String) { createPost: user(by: {username: $v}) { id } }",
        "mutation ($v: String) { editPost(input: {id: \"1\", body: $v}) { changed } }",
        "query ($v: Float) { users(first: $v) { totalCount } }",
        "query ($v: Float) { __typename }",
        "query ($v: User) { user(by: $v) { id } }",
        // Absent variables beside errors
        "query ($n: Int) { users(nope: $n) { totalCount } }",
        "query ($n: Nope) { users(first: $n) { totalCount } }",
        "query ($n: Int, $n: Int) { users(first: $n) { totalCount } }",
        "query A { __typename } query B { nope }",
        // `__typename`
        "{ __typename(a: 1) }",
        "{ __typename { a } }",
        "subscription { __typename }",
        // Literals that are not executed
        "{ user(by: {username: \"john\"}) { avatarUrl(size: 99999999999) @skip(if: true) } }",
        "{ ...f @skip(if: true) } fragment f on Query { user(by: \"john\") { id } }",
        "mutation { createPost(input: \"a\") @skip(if: true) { post { id } } }",
        // Definitions
        "type Query { a: Int } { __typename }",
        "{ __typename } { __typename }",
        "query A { __typename } query A { __typename }",
        "{ __typename } fragment f on Query { __typename }",
        "{ ...f } fragment f on Query { ...f }",
        "{ viewer }",
        "{ viewer { email { a } } }",
    ] {
        let response = app.post(None, &operation(document)).await;
        assert_rejected(document, &response, INVALID);
    }
    let posts = app.anonymous().query("{ posts(first: 1) { totalCount } }").await;
    assert_eq!(posts["posts"]["totalCount"], 0);
}

#[tokio::test]
async fn malformed_documents_are_rejected() {
    let app = TestApp::new().await;
    for document in [
        "query A() { __typename }",
        "queryA { __typename }",
        "fragment on on Query { __typename } { ...on }",
        "{ nodes(ids: [00]) { id } }",
        "{ nodes(ids: [\"\"\"\"]) { id } }",
        r#"{ node(id: "\ud83d") { id } }"#,
        r#"{ node(id: "\udc26\ud83d") { id } }"#,
        r#"{ node(id: "\u{110000}") { id } }"#,
        r#"{ node(id: "\u{}") { id } }"#,
        r#"{ node(id: "\x") { id } }"#,
        "{ node(id: \"a\nb\") { id } }",
        "{ node(id: 1a) { id } }",
        "{ node(id: 1.) { id } }",
        "{ node(id: $) { id } }",
        "{ viewer { } }",
        "{ }",
        "{ __typename",
        "{ __typename } }",
        "\"described\" { __typename }",
        "# only a comment",
        "",
    ] {
        let response = app.post(None, &operation(document)).await;
        assert_rejected(document, &response, MALFORMED);
    }
}

#[tokio::test]
async fn errors_are_few_and_in_the_words_of_graphql_tools() {
    let app = TestApp::new().await;
    for (document, message, line, column) in [
        (
            "{\n  viewer }",
            "Field \"viewer\" of type \"Viewer\" must have a selection of subfields. Did you mean \
             \"viewer { ... }\"?",
            2,
            3,
        ),
        ("{ nope }", "Cannot query field \"nope\" on type \"Query\".", 1, 3),
        (
            "{ users(nope: 1) { totalCount } }",
            "Unknown argument \"nope\" on field \"Query.users\".",
            1,
            9,
        ),
        ("{ ...f }", "Unknown fragment \"f\".", 1, 3),
        (
            "query ($v: String) { nodes(ids: [$v]) { id } }",
            "Variable \"$v\" of type \"String\" used in position expecting type \"ID!\".",
            1,
            34,
        ),
        ("{ é }", "Syntax error at line 1, column 3: Unexpected character \"é\".", 1, 3),
        (
            "{ a ",
            "Syntax error at line 1, column 5: expected }, found the end of the document.",
            1,
            5,
        ),
    ] {
        let response = app.post(None, &operation(document)).await;
        let error = &response["errors"][0];
        assert_eq!(error["message"], message);
        assert_eq!(error["locations"], json!([{ "line": line, "column": column }]), "{document}");
    }
    let body = Body::from(operation("{ nope }").to_string());
    let (_, _, text) = app.send(post(JSON).body(body).unwrap()).await;
    assert!(text.starts_with("{\"errors\":[{\"message\":\"Cannot query"), "{text}");
    let many = format!("{{ viewer {{ {} }} }}", "nope ".repeat(100));
    let response = app.post(None, &operation(&many)).await;
    assert_eq!(response["errors"].as_array().unwrap().len(), 5);
}

/// A rejection costs little, however many errors a small request has.
#[tokio::test]
async fn errors_of_values_are_few() {
    let app = TestApp::new().await;
    let operation = |n| format!("query A{n}($v: ID) {{ ...f }} ");
    let operations = (0..60).map(operation).collect::<Vec<_>>().concat();
    let values = "$v ".repeat(400);
    let positions =
        format!("{operations} fragment f on Query {{ nodes(ids: [{values}]) {{ id }} }} # \u{e9}");
    let list = "query A($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    for (query, variables) in [
        (positions.as_str(), Value::Null),
        (list, json!({ "ids": vec![json!([]); 9_000] })),
        (list, json!({ "ids": vec![json!({ "a": "x".repeat(400) }); 100] })),
    ] {
        let body = json!({ "query": query, "variables": variables });
        let response = app.post(None, &body).await;
        let errors = response["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 5, "{}", errors[0]);
        assert_eq!(errors[0]["extensions"]["code"], INVALID);
    }
}

fn operation(document: &str) -> Value {
    let name = document.contains("query A").then_some("A");
    json!({ "query": document, "operationName": name })
}

fn assert_rejected(document: &str, response: &Value, code: &str) {
    assert_eq!(response.get("data"), None, "{document}");
    let error = &response["errors"][0];
    assert_eq!(error["extensions"]["code"], code, "{document}: {error:#}");
    assert!(error["locations"].is_array() || document.len() < 20, "{document}: {error:#}");
}
