//! Posts: create, edit and delete; counts; rejected input.

use sea_orm::ConnectionTrait as _;
use serde_json::json;

use crate::support::app::TestApp;

#[tokio::test]
async fn create_edit_and_delete_return_the_post_and_are_idempotent() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    let payload = susan
        .mutate("createPost(input: {body: \"hello\\n\u{1F426}\"}) {
            post { body editedAt viewerCanDelete viewerHasBookmarked author { username postsCount } }
            timelineEdge { reason node { body } } userErrors { code } }")
        .await;
    let expected = json!({
        "post": { "body": "hello\n\u{1F426}", "editedAt": null, "viewerCanDelete": true,
                  "viewerHasBookmarked": false,
                  "author": { "username": "susan", "postsCount": 1 } },
        "timelineEdge": { "reason": "OWN", "node": { "body": "hello\n\u{1F426}" } },
        "userErrors": [],
    });
    assert_eq!(payload, expected);

    let id = susan.write("first").await;
    let edit = |body: &str| {
        format!(
            "editPost(input: {{id: \"{id}\", body: \"{body}\"}}) {{
            changed post {{ id body editedAt }} userErrors {{ code }} }}"
        )
    };
    let payload = susan.mutate(&edit("second")).await;
    assert_eq!(payload["changed"], true);
    assert_eq!(payload["post"]["body"], "second");
    assert_eq!(payload["post"]["id"], id);
    assert!(payload["post"]["editedAt"].is_string());
    let repeated = susan.mutate(&edit("second")).await;
    assert_eq!(repeated["changed"], false, "the text is the same");
    assert_eq!(repeated["post"], payload["post"]);

    let delete =
        format!("deletePost(id: \"{id}\") {{ changed deletedPostId userErrors {{ code }} }}");
    let expected = |changed| json!({ "changed": changed, "deletedPostId": id, "userErrors": [] });
    assert_eq!(susan.mutate(&delete).await, expected(true));
    assert_eq!(susan.mutate(&delete).await, expected(false), "deleted already");
    assert_eq!(susan.user_error(&edit("third")).await, "NOT_FOUND");
    let data =
        susan.query("{ viewer { user { postsCount posts { totalCount nodes { id } } } } }").await;
    let user = &data["viewer"]["user"];
    assert_eq!(user["postsCount"], 1);
    assert_eq!(user["posts"]["totalCount"], 1);
    assert_eq!(user["posts"]["nodes"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn edit_and_delete_are_forbidden_for_other_users() {
    let app = TestApp::new().await;
    let (susan, john) = (app.register("susan").await, app.register("john").await);
    let id = susan.write("susan's").await;
    let anonymous = app.anonymous();
    let edit =
        format!("mutation {{ editPost(input: {{id: \"{id}\", body: \"x\"}}) {{ changed }} }}");
    let delete = format!("mutation {{ deletePost(id: \"{id}\") {{ changed }} }}");
    for document in [edit, delete] {
        assert_eq!(john.error(&document).await, "FORBIDDEN");
        assert_eq!(anonymous.error(&document).await, "UNAUTHENTICATED");
        let wrong = document.replace(&id, &john.id);
        assert_eq!(susan.error(&wrong).await, "INVALID_ID");
    }
    let create = "mutation { createPost(input: {body: \"x\"}) { post { id } } }";
    assert_eq!(anonymous.error(create).await, "UNAUTHENTICATED");
    let data = john.query("{ posts { nodes { body viewerCanDelete } } }").await;
    assert_eq!(data["posts"]["nodes"], json!([{ "body": "susan's", "viewerCanDelete": false }]));
}

#[tokio::test]
async fn post_bodies_are_validated_and_newlines_normalized() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    let id = susan.write("here").await;
    let create = "mutation ($body: String!) { createPost(input: {body: $body}) { post { id }
        timelineEdge { cursor } userErrors { __typename code path } } }";
    let edit = "mutation ($body: String!, $id: ID!) { editPost(input: {id: $id, body: $body}) {
        changed post { id } userErrors { code path } } }";
    let too_long = "\u{1F426}".repeat(5001);
    for body in ["", "  \n ", "a\u{0}b", "a\u{7}b", &too_long] {
        let data = susan.run(create, json!({ "body": body })).await;
        let expected = json!({ "post": null, "timelineEdge": null, "userErrors": [{
            "__typename": "InvalidInputError", "code": "INVALID_INPUT", "path": ["input", "body"] }] });
        assert_eq!(data["createPost"], expected, "{body:.10?}");
        let data = susan.run(edit, json!({ "body": body, "id": id })).await;
        assert_eq!(data["editPost"]["userErrors"][0]["code"], "INVALID_INPUT");
    }
    susan.write("a line\r\nand another").await;
    assert_eq!(susan.timeline().await[0], "a line\nand another");
    susan.write(&"\u{1F426}".repeat(5000)).await;
    let data = susan.query("{ viewer { user { postsCount timeline { nodes { body } } } } }").await;
    assert_eq!(data["viewer"]["user"]["postsCount"], 3);
    assert_eq!(data["viewer"]["user"]["timeline"]["nodes"][2]["body"], "here");
}

/// Edits count, deleted posts count, and what changes nothing does not count.
#[tokio::test]
async fn posts_and_their_bytes_are_limited_per_day() {
    let limits = ["--max-posts-per-day", "4", "--max-post-bytes-per-day", "100"];
    let app = TestApp::with(&limits).await;
    let (susan, mary) = (app.register("susan").await, app.register("mary").await);
    let create = |body: &str| {
        format!(
            "createPost(input: {{body: \"{body}\"}}) {{ post {{ id }} userErrors {{ code ... on
            TooManyRequestsError {{ retryAfterSeconds }} }} }}"
        )
    };
    let edit = |id: &str, body: &str| {
        format!(
            "editPost(input: {{id: \"{id}\", body: \"{body}\"}}) {{ changed userErrors {{ code }} }}"
        )
    };
    let first = susan.write("one").await;
    let second = susan.write("two").await;
    for _ in 0..5 {
        assert_eq!(susan.mutate(&edit(&first, "one")).await["changed"], false);
        assert_eq!(mary.error(&format!("mutation {{ {} }}", edit(&first, "x"))).await, "FORBIDDEN");
    }
    assert_eq!(susan.mutate(&edit(&first, "three")).await["changed"], true);
    susan.mutate(&format!("deletePost(id: \"{second}\") {{ changed }}")).await;
    susan.write("four").await;
    let rejected = susan.mutate(&create("five")).await;
    assert_eq!(rejected["post"], json!(null));
    assert_eq!(rejected["userErrors"][0]["code"], "TOO_MANY_REQUESTS");
    let seconds = rejected["userErrors"][0]["retryAfterSeconds"].as_i64().unwrap();
    assert!((1..=86_400).contains(&seconds), "{seconds}");
    assert_eq!(susan.user_error(&edit(&first, "five")).await, "TOO_MANY_REQUESTS");
    assert_eq!(susan.mutate(&edit(&first, "three")).await["userErrors"], json!([]), "no change");
    assert_eq!(susan.user_error(&edit(&second, "five")).await, "NOT_FOUND");
    let data = susan.query("{ viewer { user { postsCount posts { totalCount } } } }").await;
    assert_eq!(data["viewer"]["user"], json!({ "postsCount": 2, "posts": { "totalCount": 2 } }));

    assert_eq!(mary.mutate(&create(&"m".repeat(60))).await["userErrors"], json!([]));
    assert_eq!(mary.user_error(&create(&"m".repeat(41))).await, "TOO_MANY_REQUESTS");
    assert_eq!(mary.mutate(&create(&"m".repeat(40))).await["userErrors"], json!([]));
    // The count of another day does not matter.
    let yesterday = "UPDATE \"user\" SET posts_day = posts_day - 1";
    app.database().writer().execute_unprepared(yesterday).await.unwrap();
    assert_eq!(susan.mutate(&create("six")).await["userErrors"], json!([]));
    assert_eq!(mary.mutate(&create("six")).await["userErrors"], json!([]));
}
