//! Documents are executed as the GraphQL specification says, whatever their form.
//!
//! The verdicts are those of graphql-js. `.ci/differential` compares thousands of documents.

mod literals;
mod rejected;

use axum::body::Body;
use axum::http::header;
use serde_json::{Value, json};

use super::{GRAPHQL_RESPONSE, post, send};
use crate::support::app::{PASSWORD, TestApp};

/// The response to a body that need not be JSON as serde writes it.
async fn respond(app: &TestApp, body: &str) -> Value {
    send(app, post(GRAPHQL_RESPONSE), body.to_owned()).await.body
}

#[tokio::test]
async fn a_response_key_of_a_mutation_is_executed_once() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let post = "createPost(input: {body: $body}) { post { id } userErrors { code } }";
    let alias = format!("x: {post}");
    let fragments =
        format!("fragment A on Mutation {{ {post} }} fragment B on Mutation {{ {post} }}");
    for (selection, posts) in [
        (post.to_owned(), 1),
        (format!("{post} {post}"), 1),
        ("...A ...B".to_owned(), 1),
        ("...A ...A ...B".to_owned(), 1),
        (format!("...A ...B {post} ... {{ {post} }} ... on Mutation {{ {post} }}"), 1),
        (format!("{alias} {alias}"), 1),
        (format!("{alias} {post}"), 2),
        (format!("... @skip(if: true) {{ {post} }} {post}"), 1),
        (format!("... @skip(if: true) {{ {post} }}"), 0),
    ] {
        let before = john.query("{ viewer { user { postsCount } } }").await;
        let used = if selection.contains("...") { fragments.as_str() } else { "" };
        // A fragment that is never used makes a document invalid.
        let used = if selection.contains("...B") { used } else { "" };
        let document = format!("mutation ($body: String!) {{ {selection} }} {used}");
        let data = john.run(&document, json!({ "body": "one" })).await;
        let after = john.query("{ viewer { user { postsCount } } }").await;
        let count = |data: &Value| data["viewer"]["user"]["postsCount"].as_i64().unwrap();
        assert_eq!(count(&after) - count(&before), posts, "{document}: {data}");
    }
    let login = format!("login(input: {{username: \"john\", password: \"{PASSWORD}\"}})");
    let before = john.query("{ viewer { sessions { id } } }").await;
    let both = format!("mutation {{ {login} {{ token }} ... {{ {login} {{ expiresAt }} }} }}");
    let data = app.anonymous().query(&both).await;
    assert!(data["login"]["token"].is_string() && data["login"]["expiresAt"].is_string());
    let after = john.query("{ viewer { sessions { id } } }").await;
    let sessions = |data: &Value| data["viewer"]["sessions"].as_array().unwrap().len();
    assert_eq!(sessions(&after), sessions(&before) + 1);
    let register = format!(
        "register(input: {{username: \"mary\", email: \"mary@example.com\", password: \"{PASSWORD}\"}})"
    );
    let both =
        format!("mutation {{ {register} {{ token }} {register} {{ userErrors {{ code }} }} }}");
    let data = app.anonymous().query(&both).await;
    assert_eq!(data["register"]["userErrors"], json!([]), "the second would be USERNAME_TAKEN");
    let follow = format!("follow(user: {{id: {:?}}})", susan.id);
    let both =
        format!("mutation {{ {follow} {{ changed }} {follow} {{ userErrors {{ code }} }} }}");
    assert_eq!(john.query(&both).await["follow"]["changed"], true);
}

#[tokio::test]
async fn no_field_is_executed_after_one_that_makes_data_null() {
    let app = TestApp::new().await;
    app.register("john").await;
    let register = format!(
        "register(input: {{username: \"mary\", email: \"mary@example.com\", password: \"{PASSWORD}\"}})
        {{ userErrors {{ code }} }}"
    );
    let document =
        format!("mutation {{ createPost(input: {{body: \"x\"}}) {{ post {{ id }} }} {register} }}");
    let response = app.anonymous().execute(&document, json!({})).await;
    assert_eq!(response["data"], Value::Null);
    assert_eq!(response["errors"].as_array().unwrap().len(), 1, "{response:#}");
    assert_eq!(response["errors"][0]["path"], json!(["createPost"]));
    let users = app.anonymous().query("{ users(first: 9) { totalCount } }").await;
    assert_eq!(users["users"]["totalCount"], 1, "mary is not registered");
    let failed = "mutation { a: logout { changed } b: logout { changed } }";
    let response = app.anonymous().execute(failed, json!({})).await;
    assert_eq!(response["errors"].as_array().unwrap().len(), 1, "{response:#}");
}

#[tokio::test]
async fn equal_fields_are_merged_run_once_and_paid_once() {
    let app = TestApp::with(&["--rate-limit-per-user", "1000000"]).await;
    let john = app.register("john").await;
    let cost = async |selection: &str| {
        let data = john.query(&format!("{{ {selection} rateLimit {{ cost }} }}")).await;
        data["rateLimit"]["cost"].as_i64().unwrap()
    };
    let page = "posts(first: 10) { nodes { id body } }";
    assert_eq!(cost(&page.repeat(15)).await, cost(page).await);
    assert!(cost(&format!("{page} b: {page}")).await > cost(page).await);
    let parts = "viewer { user { id } } ... { viewer { email user { username } } }";
    assert_eq!(
        john.query(&format!("{{ {parts} }}")).await["viewer"],
        json!({ "user": { "id": john.id, "username": "john" }, "email": "john@example.com" })
    );
}

#[tokio::test]
async fn an_object_whose_fields_are_all_skipped_is_empty_and_not_null() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    john.write("one").await;
    for (document, expected) in [
        ("{ viewer { email @skip(if: true) } }", "{\"viewer\":{}}"),
        ("{ viewer @skip(if: true) { email } }", "{}"),
        (
            "{ viewer { email @skip(if: true) email } }",
            "{\"viewer\":{\"email\":\"john@example.com\"}}",
        ),
        (
            "{ posts(first: 1) { nodes { id @include(if: false) } } }",
            "{\"posts\":{\"nodes\":[{}]}}",
        ),
        ("{ nodes(ids: []) { ... on User { id } } }", "{\"nodes\":[]}"),
        (
            "{ users(first: 1) { nodes { ... on Node { id @skip(if: true) } } } }",
            "{\"users\":{\"nodes\":[{}]}}",
        ),
        (
            "{ users(first: 1) { a: totalCount @skip(if: true) totalCount a: totalCount } }",
            "{\"users\":{\"totalCount\":1,\"a\":1}}",
        ),
    ] {
        let token = format!("Bearer {}", john.token.as_deref().unwrap());
        let request = post(GRAPHQL_RESPONSE).header(header::AUTHORIZATION, token);
        let body = Body::from(json!({ "query": document }).to_string());
        let (_, _, response) = app.send(request.body(body).unwrap()).await;
        assert_eq!(response, format!("{{\"data\":{expected}}}"), "{document}");
    }
    let document = format!("{{ node(id: {:?}) {{ ... on Post {{ id }} }} }}", john.id);
    assert_eq!(john.query(&document).await, json!({ "node": {} }));
}

/// More combinations than an operation keeps normal forms.
#[tokio::test]
async fn a_cached_document_is_executed_with_the_values_of_its_conditions() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let document = "query ($a: Boolean!, $b: Boolean!, $c: Boolean!, $d: Boolean = true) { viewer {
        email @include(if: $a) ... @skip(if: $b) { user { id } } ...f @include(if: $c) } }
        fragment f on Viewer { user { username @include(if: $d) } }";
    for round in 0..2 {
        for number in 0..16 {
            let is = |bit: u8| number >> bit & 1 == 1;
            let (a, b, c, d) = (is(0), is(1), is(2), is(3));
            let mut variables = json!({ "a": a, "b": b, "c": c, "d": d });
            if d && round == 1 {
                variables.as_object_mut().unwrap().remove("d");
            }
            let mut viewer = json!({});
            if a {
                viewer["email"] = "john@example.com".into();
            }
            if !b {
                viewer["user"]["id"] = john.id.clone().into();
            }
            if c && d {
                viewer["user"]["username"] = "john".into();
            } else if c && b {
                viewer["user"] = json!({});
            }
            let data = john.run(document, variables.clone()).await;
            assert_eq!(data, json!({ "viewer": viewer }), "{variables}");
        }
    }
}

#[tokio::test]
async fn fields_that_are_not_selected_cost_nothing() {
    let app = TestApp::with(&["--rate-limit-per-user", "1000000"]).await;
    let john = app.register("john").await;
    let cost = async |selection: &str| {
        let data = john.query(&format!("{{ {selection} rateLimit {{ cost }} }}")).await;
        data["rateLimit"]["cost"].as_i64().unwrap()
    };
    let nodes = |selection: &str| format!("nodes(ids: [{:?}]) {{ {selection} }}", john.id);
    let nothing = cost("").await;
    assert_eq!(cost("viewer { email @skip(if: true) }").await - nothing, 1);
    assert_eq!(cost(&nodes("id")).await, cost(&nodes("... on User { username }")).await);
    assert_eq!(cost(&nodes("id id ... on Node { id }")).await, cost(&nodes("id")).await);
}

#[tokio::test]
async fn documents_that_the_specification_allows_are_executed() {
    let app = TestApp::new().await;
    app.register("john").await;
    let user = "user(by: {username: \"john\"}) { username }";
    for (query, variables) in [
        ("query ($x: Boolean!) { __typename @include(if: $x) }".to_owned(), json!({ "x": false })),
        (
            "query A($id: ID!) { node(id: $id) { id } } query B { __typename }".to_owned(),
            json!(null),
        ),
        ("query ( $x : Boolean ! ) { __typename @skip(if : $x) }".to_owned(), json!({ "x": true })),
        ("{ ... on # a comment\n Query { __typename } }".to_owned(), json!(null)),
        ("\u{feff}{ a,:,__typename,,... ,on Query{b\u{feff}:__typename} }".to_owned(), json!(null)),
        (format!("\"described\" query B {{ {user} }}"), json!(null)),
        (
            format!("query B(\"described\" $x: Boolean!) {{ ...f @skip(if: $x) }} \
                     \"\"\"described\"\"\" fragment f on Query {{ {user} }}"),
            json!({ "x": false }),
        ),
        ("query ($n: Int = 3, $m: Int) { users(first: $n, after: null) { totalCount } posts(first: $m) { totalCount } }".to_owned(), json!({ "other": [1] })),
    ] {
        let name = query.contains("query B").then_some("B");
        let body = json!({ "query": query, "variables": variables, "operationName": name });
        let response = app.post(None, &body).await;
        assert_eq!(response.get("errors"), None, "{query}: {response}");
    }
}

#[tokio::test]
async fn null_for_an_argument_with_a_default_is_an_error_of_the_field() {
    let app = TestApp::new().await;
    app.register("john").await;
    let document = "query ($size: Int) { user(by: {username: \"john\"}) { username
        avatarUrl(size: $size) } users(first: 1) { totalCount } }";
    let response = app.anonymous().execute(document, json!({ "size": null })).await;
    assert_eq!(response["errors"][0]["path"], json!(["user", "avatarUrl"]), "{response:#}");
    assert_eq!(response["data"], json!({ "user": null, "users": { "totalCount": 1 } }));
    let data = app.anonymous().run(document, json!({})).await;
    assert!(data["user"]["avatarUrl"].as_str().unwrap().ends_with("s=128"), "the default");
}

#[tokio::test]
async fn a_subscription_may_have_its_field_in_a_fragment() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let counts = format!("followCounts(userId: {:?}) {{ followersCount }}", john.id);
    for document in [
        format!("subscription {{ ... {{ {counts} }} }}"),
        format!("subscription {{ ...f }} fragment f on Subscription {{ {counts} }}"),
        format!("subscription {{ {counts} ... on Subscription {{ {counts} }} }}"),
    ] {
        let mut client = john.subscribe(&document, json!({})).await;
        assert_eq!(client.next().await["followersCount"], 0, "{document}");
    }
}

#[tokio::test]
async fn introspection_of_tools_is_answered_and_floods_are_refused() {
    let app = TestApp::new().await;
    let ty = |n: usize| format!("t{n}: __type(name: \"__Type\") {{ fields {{ name }} }} ");
    let types = |count: usize| format!("{{ {} }}", (0..count).map(ty).collect::<String>());
    let data = app.anonymous().query(&types(5)).await;
    let fields = data["t4"]["fields"].as_array().unwrap();
    assert!(fields.iter().any(|field| field["name"] == "isOneOf"), "{fields:?}");
    let one_of = app.anonymous().query("{ __type(name: \"UserBy\") { isOneOf } }").await;
    assert_eq!(one_of["__type"]["isOneOf"], true);
    assert_eq!(app.anonymous().error(&types(9)).await, "QUERY_TOO_COMPLEX");
    let schema = |n: usize| format!("s{n}: __schema {{ types {{ name }} }} ");
    let schemas = format!("{{ {} }}", (0..5).map(schema).collect::<String>());
    assert_eq!(app.anonymous().error(&schemas).await, "QUERY_TOO_COMPLEX");
}
