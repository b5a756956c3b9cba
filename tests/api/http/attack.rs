//! Denial-of-service documents: small requests whose response would be expensive.
//!
//! Each is rejected with a code within [`REJECTION_TIMEOUT`], and the service answers the next
//! request as before. `docs/security.md` lists the attacks and their limits.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{GRAPHQL_RESPONSE, JSON, post, send};
use crate::support::actors::Actor;
use crate::support::app::TestApp;

const TOO_COMPLEX: &str = "QUERY_TOO_COMPLEX";
const INVALID: &str = "GRAPHQL_VALIDATION_FAILED";

/// Far more time than a rejection takes, and far less than the execution would.
const REJECTION_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends `body`, which must be rejected with `code` within [`REJECTION_TIMEOUT`].
///
/// The service must then execute a query as before.
async fn assert_rejected(john: &Actor<'_>, attack: &str, body: String, code: &str) {
    let start = Instant::now();
    let response = send(john.app, post(GRAPHQL_RESPONSE), body).await;
    assert_eq!(response.error_code(), code, "{attack}: {:#}", response.body);
    assert!(response.status.is_client_error(), "{attack}: {}", response.status);
    assert!(start.elapsed() < REJECTION_TIMEOUT, "{attack} took {:?}", start.elapsed());
    let next = john.query("{ viewer { email } }").await;
    assert_eq!(next["viewer"]["email"], "john@example.com", "after {attack}");
}

/// The body of a request for a document.
fn query(text: &str) -> String {
    json!({ "query": text }).to_string()
}

/// `part(0)` to `part(times - 1)`, concatenated.
fn repeat(times: usize, part: impl Fn(usize) -> String) -> String {
    (0..times).map(part).collect()
}

/// Fragments `f0` to `f{levels}`, each of which spreads the next `spreads` times.
fn fragment_bomb(levels: usize, spreads: usize) -> String {
    let spread = |level| format!("...f{level} ").repeat(spreads);
    let fragments = |level| format!("fragment f{level} on User {{ {} }}", spread(level + 1));
    repeat(levels, fragments) + &format!("fragment f{levels} on User {{ id }}")
}

#[tokio::test]
async fn fragment_bombs_and_cycles_are_rejected() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    for (levels, spreads) in [(24, 2), (9, 10), (60, 2), (60, 40)] {
        let fragments = fragment_bomb(levels, spreads);
        let spread = format!("{{ viewer {{ user {{ ...f0 }} }} }} {fragments}");
        assert_rejected(&john, "fragment bomb", query(&spread), TOO_COMPLEX).await;
        let unused = format!("{{ viewer {{ email }} }} {fragments}");
        assert_rejected(&john, "unused fragment bomb", query(&unused), TOO_COMPLEX).await;
    }
    for cycle in [
        "{ viewer { ...f } } fragment f on Viewer { ...f }",
        "{ viewer { ...f } } fragment f on Viewer { user { ...g } } fragment g on User { ...f }",
        "{ __typename } fragment f on Viewer { email ...g } fragment g on Viewer { ...f ...f }",
    ] {
        assert_rejected(&john, "fragment cycle", query(cycle), INVALID).await;
    }
}

#[tokio::test]
async fn floods_of_aliases_fields_directives_and_definitions_are_rejected() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
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
        assert_rejected(&john, attack, body, TOO_COMPLEX).await;
    }
    let batch = vec![json!({ "query": "{ __typename }" }); 1_000];
    for (attack, body) in [
        ("batch", json!(batch).to_string()),
        ("5,000 operations", query(&repeat(5_000, operation))),
        ("5,000 fragments", query(&format!("{{ __typename }} {}", repeat(5_000, fragment)))),
    ] {
        assert_rejected(&john, attack, body, "BAD_REQUEST").await;
    }
}

/// Recursive code must not see such input, because each level takes stack.
#[tokio::test]
async fn deep_nesting_is_rejected() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
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
            let response = send(&app, post(GRAPHQL_RESPONSE), query(&document)).await;
            if (attack, depth) == ("inline fragments", 40) {
                assert_eq!(response.status, StatusCode::OK, "40 levels are valid");
                continue;
            }
            assert_eq!(response.status, StatusCode::BAD_REQUEST, "{attack}, {depth} deep");
            let code = response.error_code();
            let is_open_string = attack.contains("block string");
            let is_limited = depth < 100 || is_open_string || code == TOO_COMPLEX;
            assert!(is_limited, "{attack}, {depth} deep: {code}");
        }
        let lists = format!("{{\"a\": {}}}", nest("[", "]"));
        let objects = format!("{{\"a\": {}1{}}}", "{\"a\":".repeat(depth), "}".repeat(depth));
        for variables in [lists, objects] {
            let document = "query ($a: [ID!]!) { nodes(ids: $a) { id } }";
            let body = format!("{{\"query\": \"{document}\", \"variables\": {variables}}}");
            let response = send(&app, post(GRAPHQL_RESPONSE), body).await;
            assert_eq!(response.status, StatusCode::BAD_REQUEST, "JSON, {depth} deep");
            response.error_code();
        }
    }
    assert_eq!(john.query("{ viewer { email } }").await["viewer"]["email"], "john@example.com");
}

#[tokio::test]
async fn nested_pages_and_page_sizes_out_of_range_are_rejected() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let list = |list: &str, inner: &str| format!("{list}(first: 100) {{ nodes {{ {inner} }} }}");
    let cycle = list("users", &list("followers", &list("following", "id")));
    assert_rejected(&john, "relation cycle", query(&format!("{{ {cycle} }}")), TOO_COMPLEX).await;
    let aliased = |n| format!("a{n}: {} ", list("posts", "body author { username }"));
    let wide = list("users", &repeat(10, aliased));
    assert_rejected(&john, "aliases times lists", query(&format!("{{ {wide} }}")), TOO_COMPLEX)
        .await;
    let repeated_ids = vec![john.id.as_str(); 100];
    let deep = list("followers", &list("followers", "id username"));
    let document = json!({ "query": format!("query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on User {{ {deep} }} }} }}"),
        "variables": { "ids": repeated_ids } });
    assert_rejected(&john, "one node a hundred times", document.to_string(), TOO_COMPLEX).await;
    let deeper = list("followers", &deep);
    let document = format!("{{ node(id: \"{}\") {{ ... on User {{ {deeper} }} }} }}", john.id);
    assert_rejected(&john, "cycle below an interface", query(&document), TOO_COMPLEX).await;
    for levels in [2, 6, 7] {
        let cycle = "possibleTypes { interfaces { ".repeat(levels);
        let closing = "} }".repeat(levels);
        let document = format!("{{ __type(name: \"UserError\") {{ {cycle} name {closing} }} }}");
        assert_rejected(&john, "introspection cycle", query(&document), TOO_COMPLEX).await;
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
        for field in ["users", "posts", "viewer { bookmarks", "viewer { user { timeline"] {
            let closing = "}".repeat(field.matches('{').count());
            let document =
                format!("{{ {field}({size}) {{ pageInfo {{ endCursor }} }} {closing} }}");
            let response = john.execute(&document, json!({})).await;
            let extensions = &response["errors"][0]["extensions"];
            let expected = json!({ "code": "PAGE_SIZE_OUT_OF_RANGE", "min": 1, "max": 100 });
            assert_eq!(*extensions, expected, "{document}");
        }
    }
}

#[tokio::test]
async fn a_body_of_64_kib_is_accepted_and_a_larger_one_gets_413() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let padded = |bytes: usize| {
        let body = json!({ "query": "{ __typename }", "variables": { "a": "" } }).to_string();
        let filler = "x".repeat(bytes - body.len());
        body.replace("\"\"", &format!("\"{filler}\""))
    };
    let fits = send(&app, post(GRAPHQL_RESPONSE), padded(65_536)).await;
    assert_eq!((fits.status, &fits.body["data"]["__typename"]), (StatusCode::OK, &json!("Query")));
    for bytes in [65_537, 5_000_000] {
        assert_rejected(&john, "large body", padded(bytes), "BAD_REQUEST").await;
        let response = send(&app, post(JSON), padded(bytes)).await;
        assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}

#[tokio::test]
async fn invalid_documents_get_few_and_short_errors() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let definitions = |count| repeat(count, |n| format!("$v{n}:Int "));
    let flood = format!("query ({}) {{ __typename }}", definitions(1_500));
    assert_rejected(&john, "1,500 variables", query(&flood), TOO_COMPLEX).await;
    let unknown = repeat(900, |n| format!("wrong{n} "));
    for (attack, document, code) in [
        ("unused variables", format!("query ({}) {{ __typename }}", definitions(90)), INVALID),
        ("unknown fields", format!("{{ viewer {{ {unknown} }} }}"), INVALID),
        ("long name", format!("{{ {} }}", "é".repeat(7_000)), "GRAPHQL_PARSE_FAILED"),
        ("long field", format!("{{ {} }}", "e".repeat(16_000)), INVALID),
        ("long line", format!("{{ a(b: \"{}\") !! }}", "x".repeat(16_000)), "GRAPHQL_PARSE_FAILED"),
    ] {
        assert_rejected(&john, attack, query(&document), code).await;
    }
    let overlapping = format!("{{ viewer {{ user {{ {} }} }} }}", "a: id a: username ".repeat(15));
    assert_rejected(&john, "overlapping fields", query(&overlapping), INVALID).await;
}

/// The introspection query of graphql-js with every option, as clients send it.
#[tokio::test]
async fn the_full_introspection_query_is_accepted() {
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
