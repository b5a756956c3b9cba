//! Tokens that are not accepted, each for one reason.
//!
//! The response does not say for which.

use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{VIEWER, client, number, response};
use crate::support::identity_provider::{AUDIENCE, IdentityProvider, SigningKey, now, unsigned};

#[tokio::test]
async fn tokens_that_are_not_valid_are_rejected_alike() {
    let key = SigningKey::ed25519("first");
    let foreign = SigningKey::ed25519("first");
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "first" });
    let provider = IdentityProvider::with_keys(vec![key]).await;
    let app = provider.app(&[]).await;
    let with = |changes: &Value| provider.sign(&provider.claims("susan", changes));
    let plain = provider.claims("susan", &json!({}));
    let none = |alg: &str| unsigned(&json!({ "alg": alg, "typ": "JWT" }), &plain) + ".";
    let valid = provider.sign(&plain);
    let (message, signature) = valid.rsplit_once('.').unwrap();
    let (head, _) = message.split_once('.').unwrap();
    let other_claims = provider.claims("john", &json!({}));
    let other_payload = URL_SAFE_NO_PAD.encode(other_claims.to_string());
    let symmetric = unsigned(&json!({ "alg": "HS256", "kid": "first" }), &plain);
    // The signature covers these changes, and not those of `changed_header`.
    let changed = |changes: &Value| provider.sign_with_header(&plain, changes);
    let changed_header = |changes: &Value| {
        let mut header = header.clone();
        header.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        format!("{}.{signature}", unsigned(&header, &plain))
    };
    for (reason, token) in [
        ("expired", with(&json!({ "exp": now() - 120 }))),
        ("without an expiry", with(&json!({ "exp": null }))),
        ("with an expiry that is a text", with(&json!({ "exp": (now() + 300).to_string() }))),
        ("not valid yet", with(&json!({ "nbf": now() + 300 }))),
        ("for another audience", with(&json!({ "aud": "https://other.example.com" }))),
        ("for other audiences", with(&json!({ "aud": ["a", "b"] }))),
        ("without an audience", with(&json!({ "aud": null }))),
        ("for a part of the audience", with(&json!({ "aud": &AUDIENCE[..10] }))),
        ("of another issuer", with(&json!({ "iss": "https://other.example.com" }))),
        ("of two issuers", with(&json!({ "iss": [provider.issuer, "b"] }))),
        ("without an issuer", with(&json!({ "iss": null }))),
        ("without a subject", with(&json!({ "sub": null }))),
        ("with an empty subject", with(&json!({ "sub": "" }))),
        ("with a subject that the database cannot store", with(&json!({ "sub": "a\u{0}" }))),
        ("signed with a foreign key of the same id", foreign.sign(&plain, &json!({}))),
        ("signed with an unknown key", foreign.sign(&plain, &json!({ "kid": "other" }))),
        ("unsigned", none("none")),
        ("unsigned, in another case", none("None")),
        ("unsigned, with the header of a signed one", unsigned(&header, &plain) + "."),
        ("with the algorithm none and a signature", changed_header(&json!({ "alg": "none" }))),
        ("with a symmetric algorithm", format!("{symmetric}.{signature}")),
        ("with another algorithm than the key's", changed_header(&json!({ "alg": "RS256" }))),
        ("with an unknown algorithm", changed_header(&json!({ "alg": "XX256" }))),
        ("with other claims than the signed ones", format!("{head}.{other_payload}.{signature}")),
        ("with a critical extension", changed(&json!({ "crit": ["x"], "x": 1 }))),
        ("of a logout", changed(&json!({ "typ": "logout+jwt" }))),
        ("with a key of its own", foreign.sign(&plain, &json!({ "jwk": foreign.public() }))),
        ("that is cut", valid[..valid.len() - 4].to_owned()),
        ("with a part more", format!("{valid}.a")),
        ("that is too long", with(&json!({ "more": "x".repeat(9_000) }))),
    ] {
        let (status, _, body) =
            app.post_with(Some(&token), &HeaderMap::new(), &json!({ "query": VIEWER })).await;
        let error = &body["errors"][0];
        assert_eq!(status, StatusCode::UNAUTHORIZED, "a token {reason}");
        assert_eq!(error["extensions"], json!({ "code": "UNAUTHENTICATED" }), "{reason}");
        let message = "The token is not valid or has expired. Log in again.";
        assert_eq!(error["message"], message, "a token {reason}");
    }
    assert_eq!(number(&app, "SELECT count(*) FROM \"user\"").await, 0);
    assert_eq!(number(&app, "SELECT count(*) FROM external_token").await, 0);
    assert!(response(&app, &valid).await.get("errors").is_none(), "the control");
    let metrics = app.app.metrics.scrape();
    assert!(metrics.contains("rookery_external_tokens_accepted_total 1\n"), "{metrics}");
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&[]).await;
    for (subject, changes) in [
        ("expired", json!({ "exp": now() - 20 })),
        ("early", json!({ "nbf": now() + 20 })),
        ("fraction", json!({ "exp": 4_102_444_800.5 })),
        ("audiences", json!({ "aud": ["https://other.example.com", AUDIENCE] })),
    ] {
        let claims = provider.claims(subject, &changes);
        let viewer = client(&app, provider.sign(&claims)).query(VIEWER).await;
        assert_eq!(viewer["viewer"]["user"]["username"], subject);
    }
}

/// A wrong token costs its network points, so that guesses are bounded.
#[tokio::test]
async fn rejected_tokens_are_charged_to_the_network() {
    let provider = IdentityProvider::start().await;
    let app = provider.app(&["--rate-limit-per-network", "1000"]).await;
    let wrong = provider.sign(&provider.claims("susan", &json!({ "aud": "other" })));
    let mut codes = vec![];
    for _ in 0..20 {
        let response = response(&app, &wrong).await;
        codes.push(response["errors"][0]["extensions"]["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes[0], "UNAUTHENTICATED");
    assert_eq!(codes[19], "RATE_LIMITED");
    client(&app, provider.token("susan")).query(VIEWER).await;
}
