//! Routes other than `/graphql`: the playground, its files, and health checks.

use std::io::Read as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use flate2::read::GzDecoder;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::support::app::TestApp;

async fn get(app: &TestApp, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let (head, body) = app.app.router.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut text = String::new();
    if head.headers.get(header::CONTENT_ENCODING).is_some_and(|value| value == "gzip") {
        GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8_lossy(&body).into_owned();
    }
    (head.status, head.headers, text)
}

/// The paths on this server in the `src` and `href` attributes of a page.
fn linked_files(page: &str) -> Vec<&str> {
    let starts = page.match_indices("src=\"").chain(page.match_indices("href=\""));
    let paths = starts.map(|(at, name)| page[at + name.len()..].split('"').next().unwrap());
    paths.filter(|path| !path.starts_with("data:") && !path.contains("://")).collect()
}

#[tokio::test]
async fn the_playground_and_all_linked_files_are_served_with_security_headers() {
    let app = TestApp::new().await;
    let (status, headers, page) = get(&app, "/").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
    assert!(page.contains("<title>Rookery playground</title>"));
    let files = linked_files(&page);
    assert!(!files.is_empty());
    for path in files {
        let path = format!("/{}", path.trim_start_matches(['.', '/']));
        let (status, headers, body) = get(&app, &path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(!body.is_empty());
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        let sniffing: Vec<_> = headers.get_all(header::X_CONTENT_TYPE_OPTIONS).iter().collect();
        assert_eq!(sniffing, ["nosniff"]);
    }
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[header::CONTENT_SECURITY_POLICY], playground::CONTENT_SECURITY_POLICY);
}

#[tokio::test]
async fn unknown_paths_get_404_and_other_methods_405() {
    let app = TestApp::new().await;
    for path in ["/nothing", "/../Cargo.toml", "/assets/", "/graphql/", "/index.html%00"] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let request = Request::builder().method(method).uri(path).body("{}".into()).unwrap();
            let (status, _, body) = app.send(request).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
            assert!(body.contains("The GraphQL endpoint is /graphql"), "{body}");
        }
    }
    let (status, headers, body) = app.send(Request::post("/").body("{}".into()).unwrap()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers[header::ALLOW], "GET, HEAD");
    assert!(body.contains("The GraphQL endpoint is /graphql"), "{body}");
}

#[tokio::test]
async fn a_browser_that_opens_the_endpoint_is_redirected_to_the_playground() {
    let app = TestApp::new().await;
    let open = async |uri: &str, accept: &str| {
        let request = Request::get(uri).header(header::ACCEPT, accept);
        let (status, headers, _) = app.send(request.body(Body::empty()).unwrap()).await;
        (status, headers.get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned()))
    };
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let redirect = (StatusCode::SEE_OTHER, Some("./".to_owned()));
    assert_eq!(open("/graphql", browser).await, redirect);
    assert_eq!(open("/graphql", "text/html").await, redirect);
    let query = "/graphql?query=%7B__typename%7D";
    assert_eq!(open(query, browser).await, (StatusCode::OK, None), "a query is executed");
    assert_eq!(open("/graphql", "*/*").await, (StatusCode::BAD_REQUEST, None));
}

#[tokio::test]
async fn readyz_fails_without_a_database_and_livez_does_not() {
    let app = TestApp::new().await;
    assert_eq!(get(&app, "/readyz").await.0, StatusCode::OK);
    app.database().clone().close().await;
    assert_eq!(get(&app, "/readyz").await.0, StatusCode::OK, "the result is cached for 1 second");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let (status, _, body) = get(&app, "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body, "the database does not respond\n");
    assert_eq!(get(&app, "/livez").await.0, StatusCode::OK, "a restart would not help");
}
