//! Documents that are named in place of being sent.

use axum::http::StatusCode;
use rookery::app::App;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{Answer, CLASSIC, MODERN, get, post, send};
use crate::app::{Place, TestApp, config};

const NAMES: &str = "query Names { users { nodes { username } } }";
/// `printf '%s' "$NAMES" | sha256sum`
const HASH: &str = "57f001d1a9f44143c60071fef4af5439c5f81ca10b4f7c990f1b2a7700d79496";

async fn ask(app: &TestApp, body: Value) -> Answer {
    send(app, post(MODERN), body.to_string()).await
}

fn by_hash(hash: &str, query: Option<&str>) -> Value {
    json!({ "query": query, "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } } })
}

fn file(manifest: &Value) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(&file, manifest.to_string()).unwrap();
    file
}

#[tokio::test]
async fn a_document_is_sent_once_and_named_from_then_on() {
    let app = TestApp::new().await;
    app.join("john").await;
    let johns = json!({ "data": { "users": { "nodes": [{ "username": "john" }] } } });
    let unknown = ask(&app, by_hash(HASH, None)).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    assert_eq!(unknown.refusal(), "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(unknown.body["errors"][0]["message"], "PersistedQueryNotFound");
    let classic = send(&app, post(CLASSIC), by_hash(HASH, None).to_string()).await;
    assert_eq!((classic.status, classic.refusal()), (StatusCode::OK, "PERSISTED_QUERY_NOT_FOUND"));

    let other = ask(&app, by_hash(HASH, Some("{ __typename }"))).await;
    assert_eq!((other.status, other.refusal()), (StatusCode::BAD_REQUEST, "BAD_REQUEST"));
    assert_eq!(ask(&app, by_hash(HASH, None)).await.refusal(), "PERSISTED_QUERY_NOT_FOUND");

    assert_eq!(ask(&app, by_hash(HASH, Some(NAMES))).await.body, johns);
    assert_eq!(ask(&app, by_hash(HASH, None)).await.body, johns);
    let extensions = by_hash(HASH, None)["extensions"].to_string();
    assert_eq!(get(&app, &[("extensions", &extensions)]).await.body, johns);
    let id = format!("sha256:{HASH}");
    assert_eq!(get(&app, &[("documentId", &id)]).await.body, johns);
    assert_eq!(ask(&app, json!({ "documentId": id })).await.body, johns);

    let upper = HASH.to_uppercase();
    assert_eq!(ask(&app, by_hash(&upper, None)).await.body, johns);
    // That the hash is known does not make it right.
    let other = ask(&app, by_hash(HASH, Some("{ __typename }"))).await;
    assert_eq!((other.status, other.refusal()), (StatusCode::BAD_REQUEST, "BAD_REQUEST"));

    for broken in [
        json!({ "extensions": { "persistedQuery": { "version": 1 } } }),
        json!({ "extensions": { "persistedQuery": 1 } }),
        json!({ "documentId": 1 }),
        json!({ "extensions": {} }),
    ] {
        let answer = ask(&app, broken.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{broken}");
        assert_eq!(answer.refusal(), "BAD_REQUEST");
    }
}

/// A password in a document is not kept with it.
#[tokio::test]
async fn a_mutation_with_texts_in_it_is_sent_each_time() {
    let app = TestApp::new().await;
    let secret =
        "mutation { login(input: {username: \"john\", password: \"correct horse\"}) { token } }";
    let hash = "f424fc835219bea9a218822a032678150a46b9eac5549af594d7156e83856ba5";
    assert!(ask(&app, by_hash(hash, Some(secret))).await.body["data"]["login"].is_object());
    assert_eq!(ask(&app, by_hash(hash, None)).await.refusal(), "PERSISTED_QUERY_NOT_FOUND");
}

/// Nobody finds out by running into it.
#[tokio::test]
async fn trusted_documents_are_valid() {
    let place = Place::new().await;
    for (text, right) in [
        (NAMES, true),
        ("mutation { logout { changed } }", true),
        ("query ($after: String!) { users(after: $after) { nodes { id } } }", true),
        ("subscription S($a: String) { timelineEvents(after: $a) { __typename } }", true),
        ("{ users { nodes { email } } }", false),
        ("mutation { logout { gone } }", false),
        ("query ($after: String) { users(behind: $after) { nodes { id } } }", false),
        ("{ users", false),
    ] {
        let file = file(&json!({ "names": text }));
        let options = ["--trusted-documents", file.path().to_str().unwrap()];
        let built = App::build(&config(&place.url(), &options)).await;
        let refusal = built.err().map(|error| format!("{error:#}"));
        assert_eq!(refusal.is_none(), right, "{text}: {refusal:?}");
        assert!(refusal.is_none_or(|refusal| refusal.contains("document names")), "{text}");
    }
}

#[tokio::test]
async fn trusted_documents_are_known_from_the_start() {
    let nobody = json!({ "data": { "users": { "nodes": [] } } });
    let anything = json!({ "query": "{ __typename }" });
    let apollo = json!({ "format": "apollo-persisted-query-manifest", "version": 1,
        "operations": [{ "id": "names", "name": "Names", "type": "query", "body": NAMES }] });
    for manifest in [json!({ "names": NAMES }), json!({ "sha256:names": NAMES }), apollo] {
        let file = file(&manifest);
        let path = file.path().to_str().unwrap();
        let open = TestApp::with(&["--trusted-documents", path]).await;
        let closed = TestApp::with(&["--trusted-documents", path, "--only-trusted"]).await;
        for app in [&open, &closed] {
            assert_eq!(ask(app, json!({ "documentId": "names" })).await.body, nobody);
            assert_eq!(ask(app, by_hash("names", None)).await.body, nobody);
            assert_eq!(ask(app, json!({ "query": NAMES })).await.body, nobody, "the same text");
            let unknown = ask(app, json!({ "documentId": "other" })).await;
            assert_eq!(unknown.refusal(), "PERSISTED_QUERY_NOT_FOUND");
        }
        assert_eq!(ask(&open, anything.clone()).await.body["data"]["__typename"], "Query");
        let refused = ask(&closed, anything.clone()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert_eq!(refused.refusal(), "DOCUMENT_NOT_TRUSTED");
        // Nor does its hash make it trusted.
        let typename = "{ __typename }";
        let hash = "7f56e67dd21ab3f30d1ff8b7bed08893f0a0db86449836189b361dd1e56ddb4b";
        let refused = ask(&closed, by_hash(hash, Some(typename))).await;
        assert_eq!(refused.refusal(), "DOCUMENT_NOT_TRUSTED");
    }
}
