//! Requests from pages of other sites: CSRF prevention and CORS.

use axum::http::{Method, Request, StatusCode, header};

use super::{JSON, get_uri, post, send};
use crate::support::app::TestApp;

/// An origin that `--cors-origins` allows.
const ALLOWED: &str = "https://app.example.com";
const OTHER: &str = "https://evil.example";

#[tokio::test]
async fn get_requests_from_pages_of_other_origins_get_403() {
    let app = TestApp::with(&["--cors-origins", ALLOWED]).await;
    let get = || Request::get(get_uri(&[("query", "{ __typename }")]));
    let rejected = [
        get().header(header::ORIGIN, OTHER),
        get().header(header::ORIGIN, "null").header(header::HOST, "null"),
        get().header(header::ORIGIN, OTHER).header(header::CONTENT_TYPE, "text/plain"),
        get().header(header::ORIGIN, "http://here:8000").header(header::HOST, "here:8001"),
        get().header("sec-fetch-site", "cross-site"),
        get().header("sec-fetch-site", "same-site").header(header::ORIGIN, OTHER),
    ];
    for request in rejected {
        let response = send(&app, request, "").await;
        assert_eq!(
            (response.status, response.error_code()),
            (StatusCode::FORBIDDEN, "CSRF_PREVENTED")
        );
    }
    let allowed = [
        get(),
        get().header(header::ACCEPT, "*/*").header(header::USER_AGENT, "curl/8.5.0"),
        get().header(header::ORIGIN, "https://Here").header(header::HOST, "here:443"),
        get().header("graphql-require-preflight", "1"),
        get().header("apollo-require-preflight", "true"),
        get().header("x-apollo-operation-name", "Names"),
        get().header(header::CONTENT_TYPE, JSON),
        get().header("sec-fetch-site", "same-origin"),
        get().header("sec-fetch-site", "none"),
        get().header("sec-fetch-site", "cross-site").header(header::ORIGIN, ALLOWED),
        get().header(header::ORIGIN, "http://here:8000").header(header::HOST, "here:8000"),
    ];
    for request in allowed {
        assert_eq!(send(&app, request, "").await.body["data"]["__typename"], "Query");
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let request = Request::post("/graphql").header(header::CONTENT_TYPE, content_type);
        let response = send(&app, request, r#"{"query": "{ __typename }"}"#).await;
        assert_eq!(response.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

#[tokio::test]
async fn cors_headers_are_sent_only_to_the_configured_origins() {
    let preflight = |origin: &str| {
        Request::builder()
            .method(Method::OPTIONS)
            .uri("/graphql")
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(
                header::ACCESS_CONTROL_REQUEST_HEADERS,
                "authorization,content-type,apollographql-client-name,traceparent",
            )
    };
    let open =
        TestApp::with(&["--cors-origins", &format!("http://localhost:5173,{ALLOWED}")]).await;
    let closed = TestApp::new().await;
    for (app, origin, is_allowed) in
        [(&open, ALLOWED, true), (&open, OTHER, false), (&closed, ALLOWED, false)]
    {
        let preflight_response = send(app, preflight(origin), "").await;
        let expected = if is_allowed { ALLOWED } else { "" };
        assert_eq!(preflight_response.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), expected);
        if is_allowed {
            assert_eq!(preflight_response.status, StatusCode::OK);
        } else {
            assert_eq!(preflight_response.status, StatusCode::FORBIDDEN);
            assert_eq!(preflight_response.error_code(), "CSRF_PREVENTED");
        }
        let query = r#"{"query": "{ __typename }"}"#;
        let response = send(app, post(JSON).header(header::ORIGIN, origin), query).await;
        assert_eq!(response.body["data"]["__typename"], "Query");
        assert_eq!(response.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), expected);
        assert_eq!(response.header(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "");
        if is_allowed {
            let headers = preflight_response.header(header::ACCESS_CONTROL_ALLOW_HEADERS);
            for name in
                ["authorization", "content-type", "apollographql-client-name", "traceparent"]
            {
                assert!(headers.contains(name), "{headers}");
            }
            let exposed = response.header(header::ACCESS_CONTROL_EXPOSE_HEADERS);
            assert!(exposed.contains("rookery-lsn") && exposed.contains("etag"), "{exposed}");
            assert!(exposed.contains("x-request-id"), "{exposed}");
        }
        let vary: Vec<_> = response.headers.get_all(header::VARY).iter().collect();
        assert!(vary.iter().any(|value| value.to_str().unwrap().contains("Authorization")));
    }
}
