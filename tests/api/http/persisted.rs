//! Persisted documents: automatic by their SHA-256, and trusted from a file.

use axum::http::StatusCode;
use rookery::app::App;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{GRAPHQL_RESPONSE, HttpResponse, JSON, get, post, send};
use crate::support::app::{TestApp, TestDatabase, config};

const NAMES: &str = "query Names { users { nodes { username } } }";
/// `printf '%s' "$NAMES" | sha256sum`
const HASH: &str = "57f001d1a9f44143c60071fef4af5439c5f81ca10b4f7c990f1b2a7700d79496";

async fn execute(app: &TestApp, body: Value) -> HttpResponse {
    send(app, post(GRAPHQL_RESPONSE), body.to_string()).await
}

/// The body of an automatic persisted query request.
fn by_hash(hash: &str, query: Option<&str>) -> Value {
    json!({ "query": query, "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } } })
}

fn manifest_file(manifest: &Value) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(&file, manifest.to_string()).unwrap();
    file
}

#[tokio::test]
async fn a_document_sent_once_with_its_hash_is_found_by_hash_or_id() {
    let app = TestApp::new().await;
    app.register("john").await;
    let expected = json!({ "data": { "users": { "nodes": [{ "username": "john" }] } } });
    let unknown = execute(&app, by_hash(HASH, None)).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    assert_eq!(unknown.error_code(), "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(unknown.body["errors"][0]["message"], "PersistedQueryNotFound");
    let json = send(&app, post(JSON), by_hash(HASH, None).to_string()).await;
    assert_eq!((json.status, json.error_code()), (StatusCode::OK, "PERSISTED_QUERY_NOT_FOUND"));

    let other = execute(&app, by_hash(HASH, Some("{ __typename }"))).await;
    assert_eq!((other.status, other.error_code()), (StatusCode::BAD_REQUEST, "BAD_REQUEST"));
    assert_eq!(execute(&app, by_hash(HASH, None)).await.error_code(), "PERSISTED_QUERY_NOT_FOUND");

    assert_eq!(execute(&app, by_hash(HASH, Some(NAMES))).await.body, expected);
    assert_eq!(execute(&app, by_hash(HASH, None)).await.body, expected);
    let extensions = by_hash(HASH, None)["extensions"].to_string();
    assert_eq!(get(&app, &[("extensions", &extensions)]).await.body, expected);
    let id = format!("sha256:{HASH}");
    assert_eq!(get(&app, &[("documentId", &id)]).await.body, expected);
    assert_eq!(execute(&app, json!({ "documentId": id })).await.body, expected);

    let upper = HASH.to_uppercase();
    assert_eq!(execute(&app, by_hash(&upper, None)).await.body, expected);
    // The hash is checked even if a document with it is stored.
    let other = execute(&app, by_hash(HASH, Some("{ __typename }"))).await;
    assert_eq!((other.status, other.error_code()), (StatusCode::BAD_REQUEST, "BAD_REQUEST"));

    for malformed in [
        json!({ "extensions": { "persistedQuery": { "version": 1 } } }),
        json!({ "extensions": { "persistedQuery": 1 } }),
        json!({ "documentId": 1 }),
        json!({ "extensions": {} }),
    ] {
        let response = execute(&app, malformed.clone()).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{malformed}");
        assert_eq!(response.error_code(), "BAD_REQUEST");
    }
}

/// The string may be a password, which must not stay in memory.
#[tokio::test]
async fn a_mutation_with_an_inline_string_is_not_persisted() {
    let app = TestApp::new().await;
    let login =
        "mutation { login(input: {username: \"john\", password: \"correct horse\"}) { token } }";
    let hash = "f424fc835219bea9a218822a032678150a46b9eac5549af594d7156e83856ba5";
    assert!(execute(&app, by_hash(hash, Some(login))).await.body["data"]["login"].is_object());
    assert_eq!(execute(&app, by_hash(hash, None)).await.error_code(), "PERSISTED_QUERY_NOT_FOUND");
}

#[tokio::test]
async fn the_application_does_not_start_with_an_invalid_trusted_document() {
    let fixture = TestDatabase::new().await;
    for (text, is_valid) in [
        (NAMES, true),
        ("mutation { logout { changed } }", true),
        ("query ($after: String!) { users(after: $after) { nodes { id } } }", true),
        ("subscription S($a: String) { timelineEvents(after: $a) { __typename } }", true),
        ("{ users { nodes { email } } }", false),
        ("mutation { logout { unknown } }", false),
        ("query ($after: String) { users(behind: $after) { nodes { id } } }", false),
        ("{ users", false),
    ] {
        let file = manifest_file(&json!({ "names": text }));
        let options = ["--trusted-documents", file.path().to_str().unwrap()];
        let result = App::build(&config(&fixture.url(), &options)).await;
        let error = result.err().map(|error| format!("{error:#}"));
        assert_eq!(error.is_none(), is_valid, "{text}: {error:?}");
        assert!(error.is_none_or(|error| error.contains("document names")), "{text}");
    }
}

#[tokio::test]
async fn trusted_documents_are_found_by_id_and_other_documents_rejected_if_required() {
    let expected = json!({ "data": { "users": { "nodes": [] } } });
    let untrusted = json!({ "query": "{ __typename }" });
    let apollo = json!({ "format": "apollo-persisted-query-manifest", "version": 1,
        "operations": [{ "id": "names", "name": "Names", "type": "query", "body": NAMES }] });
    for manifest in [json!({ "names": NAMES }), json!({ "sha256:names": NAMES }), apollo] {
        let file = manifest_file(&manifest);
        let path = file.path().to_str().unwrap();
        let open = TestApp::with(&["--trusted-documents", path]).await;
        let closed =
            TestApp::with(&["--trusted-documents", path, "--require-trusted-documents"]).await;
        for app in [&open, &closed] {
            assert_eq!(execute(app, json!({ "documentId": "names" })).await.body, expected);
            assert_eq!(execute(app, by_hash("names", None)).await.body, expected);
            assert_eq!(
                execute(app, json!({ "query": NAMES })).await.body,
                expected,
                "the same text"
            );
            let unknown = execute(app, json!({ "documentId": "other" })).await;
            assert_eq!(unknown.error_code(), "PERSISTED_QUERY_NOT_FOUND");
        }
        assert_eq!(execute(&open, untrusted.clone()).await.body["data"]["__typename"], "Query");
        let rejected = execute(&closed, untrusted.clone()).await;
        assert_eq!(rejected.status, StatusCode::BAD_REQUEST);
        assert_eq!(rejected.error_code(), "DOCUMENT_NOT_TRUSTED");
        // A document is not trusted because it is sent with its hash.
        let typename = "{ __typename }";
        let hash = "7f56e67dd21ab3f30d1ff8b7bed08893f0a0db86449836189b361dd1e56ddb4b";
        let rejected = execute(&closed, by_hash(hash, Some(typename))).await;
        assert_eq!(rejected.error_code(), "DOCUMENT_NOT_TRUSTED");
    }
}
