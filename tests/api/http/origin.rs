//! Pages of other sites.

use axum::http::{Method, Request, StatusCode, header};

use super::{CLASSIC, address, post, send};
use crate::app::TestApp;

const OURS: &str = "https://app.example.com";
const THEIRS: &str = "https://evil.example";

#[tokio::test]
async fn what_a_page_sends_unasked_is_refused() {
    let app = TestApp::with(&["--cors-origins", OURS]).await;
    let get = || Request::get(address(&[("query", "{ __typename }")]));
    let refused = [
        get(),
        get().header(header::ORIGIN, THEIRS),
        get().header(header::ORIGIN, "null").header(header::HOST, "null"),
        get().header(header::CONTENT_TYPE, "text/plain"),
        get().header("sec-fetch-site", "cross-site"),
        get().header("sec-fetch-site", "same-site").header(header::ORIGIN, THEIRS),
    ];
    for request in refused {
        let answer = send(&app, request, "").await;
        assert_eq!((answer.status, answer.refusal()), (StatusCode::FORBIDDEN, "CSRF_PREVENTED"));
    }
    let admitted = [
        get().header("graphql-require-preflight", "1"),
        get().header("apollo-require-preflight", "true"),
        get().header("x-apollo-operation-name", "Names"),
        get().header(header::CONTENT_TYPE, CLASSIC),
        get().header("sec-fetch-site", "same-origin"),
        get().header("sec-fetch-site", "none"),
        get().header("sec-fetch-site", "cross-site").header(header::ORIGIN, OURS),
        get().header(header::ORIGIN, "http://here:8000").header(header::HOST, "here:8000"),
    ];
    for request in admitted {
        assert_eq!(send(&app, request, "").await.body["data"]["__typename"], "Query");
    }
    for simple in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let request = Request::post("/graphql").header(header::CONTENT_TYPE, simple);
        let answer = send(&app, request, r#"{"query": "{ __typename }"}"#).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

#[tokio::test]
async fn only_sites_that_are_named_may_read() {
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
    let open = TestApp::with(&["--cors-origins", &format!("http://localhost:5173,{OURS}")]).await;
    let closed = TestApp::new().await;
    for (app, origin, may) in [(&open, OURS, true), (&open, THEIRS, false), (&closed, OURS, false)]
    {
        let asked = send(app, preflight(origin), "").await;
        let expected = if may { OURS } else { "" };
        assert_eq!(asked.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), expected);
        let query = r#"{"query": "{ __typename }"}"#;
        let answer = send(app, post(CLASSIC).header(header::ORIGIN, origin), query).await;
        assert_eq!(answer.body["data"]["__typename"], "Query");
        assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), expected);
        assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "");
        if may {
            let headers = asked.header(header::ACCESS_CONTROL_ALLOW_HEADERS);
            for name in
                ["authorization", "content-type", "apollographql-client-name", "traceparent"]
            {
                assert!(headers.contains(name), "{headers}");
            }
            let exposed = answer.header(header::ACCESS_CONTROL_EXPOSE_HEADERS);
            assert!(exposed.contains("rookery-lsn") && exposed.contains("etag"), "{exposed}");
            assert!(exposed.contains("x-request-id"), "{exposed}");
        }
        let vary: Vec<_> = answer.headers.get_all(header::VARY).iter().collect();
        assert!(vary.iter().any(|value| value.to_str().unwrap().contains("Authorization")));
    }
}
