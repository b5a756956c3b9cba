//! The keys of the provider: algorithms, rotation, limits of requests, and outages.

use axum::http::{HeaderMap, StatusCode};
use futures_util::future::join_all;
use serde_json::json;

use super::{VIEWER, client, response};
use crate::support::identity_provider::{IdentityProvider, SigningKey};

#[tokio::test]
async fn keys_of_each_supported_algorithm_are_accepted() {
    for key in [
        SigningKey::rs256("a"),
        SigningKey::ps256("b"),
        SigningKey::p256("c"),
        SigningKey::ed25519("d"),
    ] {
        let id = key.id.clone();
        let provider = IdentityProvider::with_keys(vec![key]).await;
        let app = provider.app(&[]).await;
        let data = client(&app, provider.token("susan")).query(VIEWER).await;
        assert_eq!(data["viewer"]["user"]["username"], "susan", "the key {id}");
    }
}

#[tokio::test]
async fn a_new_key_is_found_and_an_old_one_is_forgotten() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    let first = provider.token("susan");
    client(&app, first.clone()).query(VIEWER).await;
    assert_eq!(provider.fetches(), 1, "at the start or for the first token");
    client(&app, provider.token("susan")).query(VIEWER).await;
    assert_eq!(provider.fetches(), 1);

    let old = provider.rotate(SigningKey::p256("second")).remove(0);
    client(&app, provider.token("susan")).query(VIEWER).await;
    assert_eq!(provider.fetches(), 2, "for the unknown key");
    let of_old_key = old.sign(&provider.claims("susan", &json!({})), &json!({}));
    assert_eq!(client(&app, of_old_key).error(VIEWER).await, "UNAUTHENTICATED");
    client(&app, first).query(VIEWER).await;
}

#[tokio::test]
async fn concurrent_tokens_of_a_new_key_cause_one_fetch() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    client(&app, provider.token("susan")).query(VIEWER).await;
    provider.rotate(SigningKey::ed25519("second"));
    let tokens: Vec<_> = (0..10).map(|n| provider.token(&format!("user{n}"))).collect();
    join_all(tokens.into_iter().map(|token| {
        let app = &app;
        async move { client(app, token).query(VIEWER).await }
    }))
    .await;
    assert_eq!(provider.fetches(), 2);
}

#[tokio::test]
async fn invented_keys_cause_few_requests_to_the_provider() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    client(&app, provider.token("susan")).query(VIEWER).await;
    let key = SigningKey::ed25519("invented");
    for n in 0..30 {
        let header = json!({ "kid": format!("invented {n}") });
        let token = key.sign(&provider.claims("susan", &json!({})), &header);
        assert_eq!(client(&app, token).error(VIEWER).await, "UNAUTHENTICATED");
    }
    // Four at once, and one more for each 15 seconds that the test takes.
    assert!(provider.fetches() < 16, "{} fetches", provider.fetches());
    client(&app, provider.token("john")).query(VIEWER).await;
}

#[tokio::test]
async fn without_keys_requests_fail_until_the_provider_answers() {
    let provider = IdentityProvider::start().await;
    provider.set_down(true);
    let app = provider.app(&[]).await;
    let token = provider.token("susan");
    let body = json!({ "query": VIEWER });
    let (status, _, failed) = app.post_with(Some(&token), &HeaderMap::new(), &body).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(failed["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    assert!(app.anonymous().query(VIEWER).await["viewer"].is_null(), "others are served");
    app.register("john").await.query(VIEWER).await;
    provider.set_down(false);
    client(&app, token).query(VIEWER).await;
    let metrics = app.app.metrics.scrape();
    assert!(!metrics.contains("rookery_external_key_fetches_failed_total 0\n"), "{metrics}");
}

#[tokio::test]
async fn known_keys_are_used_while_the_provider_does_not_answer() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    client(&app, provider.token("susan")).query(VIEWER).await;
    provider.set_down(true);
    client(&app, provider.token("john")).query(VIEWER).await;
    let unknown = SigningKey::ed25519("other").sign(&provider.claims("x", &json!({})), &json!({}));
    let response = response(&app, &unknown).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
}

#[tokio::test]
async fn the_metadata_of_another_issuer_are_not_used() {
    let provider = IdentityProvider::start().await;
    let wrong = format!("{}/", provider.issuer);
    let options = ["--oidc-issuer", &wrong];
    let app = provider.app(&options).await;
    let token = provider.sign(&provider.claims("susan", &json!({ "iss": wrong })));
    let response = response(&app, &token).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    assert_eq!(provider.fetches(), 0);
}
