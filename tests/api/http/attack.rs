//! Attacks: requests that are small to send and were meant to be large to answer. Each is refused with
//! a code, in moments, and the next honest request is answered as if nothing had been.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{CLASSIC, MODERN, post, send};
use crate::app::TestApp;
use crate::cast::Actor;

const TOO_COMPLEX: &str = "QUERY_TOO_COMPLEX";
const INVALID: &str = "GRAPHQL_VALIDATION_FAILED";

/// Far more than any refusal takes, far less than the work that the attacks are after.
const MOMENTS: Duration = Duration::from_secs(2);

async fn refused(john: &Actor<'_>, attack: &str, body: String, code: &str) {
    let start = Instant::now();
    let answer = send(john.app, post(MODERN), body).await;
    assert_eq!(answer.refusal(), code, "{attack}: {:#}", answer.body);
    assert!(answer.status.is_client_error(), "{attack}: {}", answer.status);
    assert!(start.elapsed() < MOMENTS, "{attack} took {:?}", start.elapsed());
    let canary = john.query("{ viewer { email } }").await;
    assert_eq!(canary["viewer"]["email"], "john@example.com", "after {attack}");
}

fn query(text: &str) -> String {
    json!({ "query": text }).to_string()
}

fn repeat(times: usize, part: impl Fn(usize) -> String) -> String {
    (0..times).map(part).collect()
}

fn bomb(levels: usize, spreads: usize) -> String {
    let spread = |level| format!("...f{level} ").repeat(spreads);
    let fragments = |level| format!("fragment f{level} on User {{ {} }}", spread(level + 1));
    repeat(levels, fragments) + &format!("fragment f{levels} on User {{ id }}")
}

#[tokio::test]
async fn fragments_that_multiply() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    for (levels, spreads) in [(24, 2), (9, 10), (60, 2), (60, 40)] {
        let bomb = bomb(levels, spreads);
        let spread = format!("{{ viewer {{ user {{ ...f0 }} }} }} {bomb}");
        refused(&john, "fragment bomb", query(&spread), TOO_COMPLEX).await;
        let idle = format!("{{ viewer {{ email }} }} {bomb}");
        refused(&john, "unused fragment bomb", query(&idle), TOO_COMPLEX).await;
    }
    for cycle in [
        "{ viewer { ...f } } fragment f on Viewer { ...f }",
        "{ viewer { ...f } } fragment f on Viewer { user { ...g } } fragment g on User { ...f }",
        "{ __typename } fragment f on Viewer { email ...g } fragment g on Viewer { ...f ...f }",
    ] {
        refused(&john, "fragment cycle", query(cycle), INVALID).await;
    }
}

#[tokio::test]
async fn floods() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let braces = |inner: String| query(&format!("{{ {inner} }}"));
    let alias = |n| format!("a{n}: __typename ");
    let login =
        |n| format!("a{n}: login(input: {{username: \"john\", password: \"{n}\"}}) {{ token }} ");
    let operation = |n| format!("query q{n} {{ __typename }} ");
    let fragment = |n| format!("fragment f{n} on User {{ id }} ");
    let directives = "@include(if: true) ".repeat(800);
    let guesses = query(&format!("mutation {{ {} }}", repeat(100, login)));
    let fields = format!("{{ viewer {{ user {{ {} }} }} }}", "id ".repeat(4_000));
    let cases = [
        ("alias flood", braces(repeat(1_000, alias))),
        ("password guessing by aliases", guesses),
        ("root field flood", braces("__typename ".repeat(1_000))),
        ("directive flood", braces(format!("__typename {directives}"))),
        ("field flood", query(&fields)),
        ("500 operations", query(&repeat(500, operation))),
        ("500 fragments", query(&format!("{{ __typename }} {}", repeat(500, fragment)))),
        ("long document", query(&format!("{{ __typename }} #{}", "x".repeat(20_000)))),
    ];
    for (attack, body) in cases {
        refused(&john, attack, body, TOO_COMPLEX).await;
    }
    let batch = vec![json!({ "query": "{ __typename }" }); 1_000];
    for (attack, body) in [
        ("batch", json!(batch).to_string()),
        ("5,000 operations", query(&repeat(5_000, operation))),
        ("5,000 fragments", query(&format!("{{ __typename }} {}", repeat(5_000, fragment)))),
    ] {
        refused(&john, attack, body, "BAD_REQUEST").await;
    }
}

/// None of these may reach code that calls itself for each level.
#[tokio::test]
async fn depths() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    for depth in [40, 200, 4_000] {
        let nest = |open: &str, close: &str| {
            let depth = depth.min(16_000 / (open.len() + close.len()));
            format!("{}{}", open.repeat(depth), close.repeat(depth))
        };
        for (attack, document) in [
            ("selection sets", format!("{{ viewer {} }}", nest("{ user ", "}"))),
            ("inline fragments", format!("{{ viewer {{ {} }} }}", nest("...{ email ", "}"))),
            ("open inline fragments", "{ ...".repeat(depth)),
            ("lists", format!("{{ nodes(ids: {}) {{ id }} }}", nest("[", "]"))),
            ("objects", format!("{{ user(by: {}) {{ id }} }}", nest("{ id: ", "}"))),
            ("types", format!("query ($a: {}) {{ nodes(ids: $a) {{ id }} }}", nest("[", "]"))),
            ("open lists", format!("{{ nodes(ids: {}", "[".repeat(depth))),
            (
                "lists behind a block string that does not end",
                format!("{{ nodes(ids: [\"\"\"x\" {}]) {{ id }} }}", nest("[", "]")),
            ),
        ] {
            let answer = send(&app, post(MODERN), query(&document)).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{attack}, {depth} deep");
            let code = answer.refusal();
            assert!(depth < 100 || code == TOO_COMPLEX, "{attack}, {depth} deep: {code}");
        }
        let lists = format!("{{\"a\": {}}}", nest("[", "]"));
        let objects = format!("{{\"a\": {}1{}}}", "{\"a\":".repeat(depth), "}".repeat(depth));
        for variables in [lists, objects] {
            let ask = "query ($a: [ID!]!) { nodes(ids: $a) { id } }";
            let body = format!("{{\"query\": \"{ask}\", \"variables\": {variables}}}");
            let answer = send(&app, post(MODERN), body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "JSON, {depth} deep");
            answer.refusal();
        }
    }
    assert_eq!(john.query("{ viewer { email } }").await["viewer"]["email"], "john@example.com");
}

#[tokio::test]
async fn pages_of_pages() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let list = |list: &str, inner: &str| format!("{list}(first: 100) {{ nodes {{ {inner} }} }}");
    let circle = list("users", &list("followers", &list("following", "id")));
    refused(&john, "relation cycle", query(&format!("{{ {circle} }}")), TOO_COMPLEX).await;
    let aliased = |n| format!("a{n}: {} ", list("posts", "body author { username }"));
    let wide = list("users", &repeat(10, aliased));
    refused(&john, "aliases times lists", query(&format!("{{ {wide} }}")), TOO_COMPLEX).await;
    let popular = vec![john.id.as_str(); 100];
    let deep = list("followers", &list("followers", "id username"));
    let many = json!({ "query": format!("query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on User {{ {deep} }} }} }}"),
        "variables": { "ids": popular } });
    refused(&john, "one node a hundred times", many.to_string(), TOO_COMPLEX).await;
    let deeper = list("followers", &deep);
    let one = format!("{{ node(id: \"{}\") {{ ... on User {{ {deeper} }} }} }}", john.id);
    refused(&john, "circle below an interface", query(&one), TOO_COMPLEX).await;
    for rounds in [2, 6, 7] {
        let circle = "possibleTypes { interfaces { ".repeat(rounds);
        let ends = "} }".repeat(rounds);
        let ask = format!("{{ __type(name: \"UserError\") {{ {circle} name {ends} }} }}");
        refused(&john, "introspection circle", query(&ask), TOO_COMPLEX).await;
    }
    for size in [
        "first: 0",
        "first: -1",
        "first: 101",
        "first: 1000000",
        "last: 0",
        "last: 101",
        "last: -2147483648",
        "first: 1, last: 1",
    ] {
        for ask in ["users", "posts", "viewer { bookmarks", "viewer { user { timeline"] {
            let ends = "}".repeat(ask.matches('{').count());
            let document = format!("{{ {ask}({size}) {{ pageInfo {{ endCursor }} }} {ends} }}");
            let answer = john.ask(&document, json!({})).await;
            let extensions = &answer["errors"][0]["extensions"];
            let expected = json!({ "code": "PAGE_SIZE_OUT_OF_RANGE", "min": 1, "max": 100 });
            assert_eq!(*extensions, expected, "{document}");
        }
    }
}

#[tokio::test]
async fn a_body_has_an_end() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let padded = |bytes: usize| {
        let body = json!({ "query": "{ __typename }", "variables": { "a": "" } }).to_string();
        let filler = "x".repeat(bytes - body.len());
        body.replace("\"\"", &format!("\"{filler}\""))
    };
    let fits = send(&app, post(MODERN), padded(65_536)).await;
    assert_eq!((fits.status, &fits.body["data"]["__typename"]), (StatusCode::OK, &json!("Query")));
    for bytes in [65_537, 5_000_000] {
        refused(&john, "large body", padded(bytes), "BAD_REQUEST").await;
        let answer = send(&app, post(CLASSIC), padded(bytes)).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}

#[tokio::test]
async fn errors_stay_few_and_short() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let variables_of = |count| repeat(count, |n| format!("$v{n}:Int "));
    let flood = format!("query ({}) {{ __typename }}", variables_of(1_500));
    refused(&john, "1,500 variables", query(&flood), TOO_COMPLEX).await;
    let unknown = repeat(900, |n| format!("wrong{n} "));
    for (attack, document, code) in [
        ("unused variables", format!("query ({}) {{ __typename }}", variables_of(90)), INVALID),
        ("unknown fields", format!("{{ viewer {{ {unknown} }} }}"), INVALID),
        ("long name", format!("{{ {} }}", "é".repeat(7_000)), "GRAPHQL_PARSE_FAILED"),
        ("long field", format!("{{ {} }}", "e".repeat(16_000)), INVALID),
        ("long line", format!("{{ a(b: \"{}\") !! }}", "x".repeat(16_000)), "GRAPHQL_PARSE_FAILED"),
    ] {
        refused(&john, attack, query(&document), code).await;
    }
    let overlapping = format!("{{ viewer {{ user {{ {} }} }} }}", "a: id a: username ".repeat(15));
    refused(&john, "overlapping fields", query(&overlapping), INVALID).await;
}

/// The query of graphql-js with every option on: what tools send first.
#[tokio::test]
async fn the_full_introspection_query_passes() {
    let app = TestApp::new().await;
    let nested = "ofType { kind name ".repeat(9) + &"}".repeat(9);
    let introspection = format!(
        "query IntrospectionQuery {{ __schema {{ description
            queryType {{ name kind }} mutationType {{ name kind }} subscriptionType {{ name kind }}
            types {{ ...FullType }} directives {{ name description isRepeatable locations
                args(includeDeprecated: true) {{ ...InputValue }} }} }} }}
        fragment FullType on __Type {{ kind name description specifiedByURL isOneOf
            fields(includeDeprecated: true) {{ name description
                args(includeDeprecated: true) {{ ...InputValue }}
                type {{ ...TypeRef }} isDeprecated deprecationReason }}
            inputFields(includeDeprecated: true) {{ ...InputValue }}
            interfaces {{ ...TypeRef }}
            enumValues(includeDeprecated: true) {{ name description isDeprecated deprecationReason }}
            possibleTypes {{ ...TypeRef }} }}
        fragment InputValue on __InputValue {{ name description type {{ ...TypeRef }} defaultValue
            isDeprecated deprecationReason }}
        fragment TypeRef on __Type {{ kind name {nested} }}"
    );
    let data = app.anonymous().query(&introspection).await;
    let types: Vec<&Value> = data["__schema"]["types"].as_array().unwrap().iter().collect();
    assert!(types.iter().any(|each| each["name"] == "User" && each["kind"] == "OBJECT"));
    assert!(types.iter().any(|each| each["name"] == "UserBy" && each["isOneOf"] == true));
}
