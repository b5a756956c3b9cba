//! Literals and values of variables have the values that the specification defines.

use serde_json::{Value, json};

use super::respond;
use crate::support::app::TestApp;

#[tokio::test]
async fn string_literals_are_stored_as_the_specification_defines() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    for (literal, value) in [
        (r#""\ud83d\udc26""#, "\u{1F426}"),
        (r#""\uD83D\uDC26x""#, "\u{1F426}x"),
        (r#""\u{1F426}""#, "\u{1F426}"),
        (r#""\u{00001F426}""#, "\u{1F426}"),
        (r#""\u0041\u{42}""#, "AB"),
        (r#""a\"b\\c\/d\te\nf""#, "a\"b\\c/d\te\nf"),
        ("\"a\tb, c # d\"", "a\tb, c # d"),
        (r#""""a \""" b""""#, "a \"\"\" b"),
        (r#""""a \n \u0041 \\ b""""#, r"a \n \u0041 \\ b"),
        ("\"\"\"a\n    b\n      c\n    \"\"\"", "a\nb\n  c"),
        ("\"\"\"\n\n    a\n  \n    b\n\n\"\"\"", "a\n\nb"),
        ("\"\"\"\r\n  a\r\n   b\r  c\n\"\"\"", "a\n b\nc"),
        ("\"\"\"  first\n\tsecond\n\t\tthird\"\"\"", "  first\nsecond\n\tthird"),
        ("\"\"\"a\"b\"\"c \"\"\"", "a\"b\"\"c "),
    ] {
        let document =
            format!("mutation {{ createPost(input: {{body: {literal}}}) {{ post {{ body }} }} }}");
        let data = john.query(&document).await;
        assert_eq!(data["createPost"]["post"]["body"], value, "{literal}");
    }
}

#[tokio::test]
async fn numbers_are_integers_by_their_value() {
    let app = TestApp::new().await;
    app.register("john").await;
    for number in ["20", "20.0", "2e1", "2E+1", "200e-1"] {
        let body = format!(
            "{{\"query\": \"query ($n: Int!) {{ users(first: $n) {{ totalCount }} }}\",
              \"variables\": {{\"n\": {number}}}}}"
        );
        assert_eq!(respond(&app, &body).await.get("errors"), None, "{number}");
    }
    for (number, size) in [("1e2", 100), ("64.0", 64), ("2048", 2048)] {
        let body = format!(
            "{{\"query\": \"query ($n: Int!) {{ user(by: {{username: \\\"john\\\"}}) {{
              avatarUrl(size: $n) }} }}\", \"variables\": {{\"n\": {number}}}}}"
        );
        let body = body.replace('\n', " ");
        let url = respond(&app, &body).await["data"]["user"]["avatarUrl"].clone();
        assert!(url.as_str().unwrap().ends_with(&format!("s={size}")), "{number}: {url}");
    }
    for number in ["-0", "-0.0", "0e5"] {
        let body = format!(
            "{{\"query\": \"query ($n: Int!) {{ users(first: $n) {{ totalCount }} }}\",
              \"variables\": {{\"n\": {number}}}}}"
        );
        let code = respond(&app, &body).await["errors"][0]["extensions"]["code"].clone();
        assert_eq!(code, "PAGE_SIZE_OUT_OF_RANGE", "{number} is 0");
    }
    assert_eq!(
        app.anonymous().error("{ users(first: -0) { totalCount } }").await,
        "PAGE_SIZE_OUT_OF_RANGE"
    );
    for number in ["20.5", "2147483648", "-2147483649", "1e10", "\"20\"", "true", "[20]", "{}"] {
        let body = format!(
            "{{\"query\": \"query ($n: Int!) {{ users(first: $n) {{ totalCount }} }}\",
              \"variables\": {{\"n\": {number}}}}}"
        );
        let response = respond(&app, &body).await;
        assert_eq!(response.get("data"), None, "{number}");
        assert_eq!(response["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn ids_may_be_integers_and_lists_single_values() {
    let app = TestApp::new().await;
    for ids in
        ["[\"a\"]", "\"a\"", "1", "-0", "1.0", "1e2", "[1, \"a\", 2.0]", "12345678901234567890"]
    {
        let body = format!(
            "{{\"query\": \"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ id }} }}\",
              \"variables\": {{\"ids\": {ids}}}}}"
        );
        let response = respond(&app, &body).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], "INVALID_ID", "{ids}: {response}");
    }
    for ids in ["1.5", "[null]", "null", "true", "[[1]]", "{}"] {
        let body = format!(
            "{{\"query\": \"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ id }} }}\",
              \"variables\": {{\"ids\": {ids}}}}}"
        );
        let response = respond(&app, &body).await;
        assert_eq!(response.get("data"), None, "{ids}");
    }
    for ids in ["1", "-0", "\"a\"", "[1, \"a\"]"] {
        let document = format!("{{ nodes(ids: {ids}) {{ id }} }}");
        assert_eq!(app.anonymous().error(&document).await, "INVALID_ID", "{document}");
    }
}

#[tokio::test]
async fn messages_about_values_name_the_variable_and_the_path() {
    let app = TestApp::new().await;
    let document = "mutation ($input: EditPostInput!) { editPost(input: $input) { changed } }";
    for (input, message) in [
        (json!(null), "Variable \"$input\" of non-null type \"EditPostInput!\" must not be null."),
        (
            json!({ "id": "1", "body": 3 }),
            "Variable \"$input\" got invalid value 3 at \"input.body\"; String cannot represent a \
             non string value: 3",
        ),
        (
            json!({ "id": "1" }),
            "Variable \"$input\" got invalid value {\"id\":\"1\"}; Field \"body\" of required type \
             \"String!\" was not provided.",
        ),
        (
            json!({ "id": "1", "body": "x", "nope": 1 }),
            "Variable \"$input\" got invalid value {\"body\":\"x\",\"id\":\"1\",\"nope\":1}; Field \
             \"nope\" is not defined by type \"EditPostInput\".",
        ),
    ] {
        let response = app.anonymous().execute(document, json!({ "input": input })).await;
        assert_eq!(response["errors"][0]["message"], message);
        assert_eq!(response["errors"][0]["locations"], json!([{ "line": 1, "column": 11 }]));
    }
    let response = app.anonymous().execute(document, json!({})).await;
    let message = "Variable \"$input\" of required type \"EditPostInput!\" was not provided.";
    assert_eq!(response["errors"][0]["message"], Value::from(message));
}
