//! An identity provider in the test process, which signs tokens of any kind.
//!
//! The RSA key in `tests/keys` is used by no other program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::app::TestApp;

/// The audience of the tokens that the application accepts.
pub const AUDIENCE: &str = "https://rookery.example.com";

/// A private key of a provider, for one algorithm.
pub struct SigningKey {
    pub id: String,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    Ps256(RsaKeyPair),
}

impl SigningKey {
    /// A new key for `EdDSA`.
    pub fn ed25519(id: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        Self { id: id.to_owned(), pair: Pair::Ed25519(pair) }
    }

    /// A new key for ES256.
    pub fn p256(id: &str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { id: id.to_owned(), pair: Pair::P256(pair) }
    }

    /// The key of the tests for RS256.
    pub fn rs256(id: &str) -> Self {
        Self { id: id.to_owned(), pair: Pair::Rs256(rsa()) }
    }

    /// The key of the tests for PS256.
    pub fn ps256(id: &str) -> Self {
        Self { id: id.to_owned(), pair: Pair::Ps256(rsa()) }
    }

    fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Ed25519(_) => "EdDSA",
            Pair::P256(_) => "ES256",
            Pair::Rs256(_) => "RS256",
            Pair::Ps256(_) => "PS256",
        }
    }

    /// The public key as a JSON Web Key.
    pub fn public(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut key = match &self.pair {
            Pair::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()) })
            }
            Pair::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) })
            }
            Pair::Rs256(pair) | Pair::Ps256(pair) => {
                let PublicKeyComponents { n, e } =
                    PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "n": encode(&n), "e": encode(&e) })
            }
        };
        let more = json!({ "kid": self.id, "use": "sig", "alg": self.algorithm() });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    /// A token with these claims, and with changes of its header.
    pub fn sign(&self, claims: &Value, header_changes: &Value) -> String {
        let mut header = json!({ "alg": self.algorithm(), "typ": "at+jwt", "kid": self.id });
        header.as_object_mut().unwrap().extend(header_changes.as_object().unwrap().clone());
        let message = unsigned(&header, claims);
        let (random, bytes) = (SystemRandom::new(), message.as_bytes());
        let rsa = |pair: &RsaKeyPair, encoding| {
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(encoding, &random, bytes, &mut signature).unwrap();
            signature
        };
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.sign(bytes).as_ref().to_vec(),
            Pair::P256(pair) => pair.sign(&random, bytes).unwrap().as_ref().to_vec(),
            Pair::Rs256(pair) => rsa(pair, &RSA_PKCS1_SHA256),
            Pair::Ps256(pair) => rsa(pair, &RSA_PSS_SHA256),
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn rsa() -> RsaKeyPair {
    let text = include_str!("../../keys/rsa.pkcs8.base64").replace('\n', "");
    RsaKeyPair::from_pkcs8(&STANDARD.decode(text).unwrap()).unwrap()
}

/// The header and the claims of a token, without a signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

/// The present time in seconds since 1970.
pub fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// A provider that serves its public keys on a port of its own.
pub struct IdentityProvider {
    pub issuer: String,
    state: Arc<Published>,
}

#[derive(Default)]
struct Published {
    issuer: String,
    keys: Mutex<Vec<SigningKey>>,
    is_down: AtomicBool,
    /// Number of requests for the keys.
    fetches: AtomicUsize,
}

impl IdentityProvider {
    /// Starts a provider with one key for `EdDSA`.
    pub async fn start() -> Self {
        Self::with_keys(vec![SigningKey::ed25519("first")]).await
    }

    /// Starts a provider with these keys.
    pub async fn with_keys(keys: Vec<SigningKey>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}/realm", listener.local_addr().unwrap());
        let state = Arc::new(Published {
            issuer: issuer.clone(),
            keys: keys.into(),
            ..Published::default()
        });
        let router = Router::new()
            .route("/realm/.well-known/openid-configuration", get(metadata))
            .route("/keys", get(public_keys))
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { issuer, state }
    }

    /// An application that accepts the tokens of the provider.
    pub async fn app(&self, options: &[&str]) -> TestApp {
        let own = ["--oidc-issuer", &self.issuer, "--oidc-audience", AUDIENCE];
        TestApp::with(&[&own, options].concat()).await
    }

    /// Another instance of the application on the same database.
    pub async fn second_app(&self, app: &TestApp) -> TestApp {
        let own = ["--oidc-issuer", &self.issuer, "--oidc-audience", AUDIENCE];
        TestApp::at(Arc::clone(app.database_fixture()), &own).await
    }

    /// The claims of a valid token for a user, with changes. A null removes a claim.
    pub fn claims(&self, subject: &str, changes: &Value) -> Value {
        let mut claims = json!({
            "iss": self.issuer, "aud": AUDIENCE, "sub": subject, "exp": now() + 300,
            "iat": now(), "jti": rand::random::<u32>().to_string(), "preferred_username": subject,
        });
        let claims_map = claims.as_object_mut().unwrap();
        claims_map.extend(changes.as_object().unwrap().clone());
        claims_map.retain(|_, value| !value.is_null());
        claims
    }

    /// A token that is signed with the newest key.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with_header(claims, &json!({}))
    }

    /// The same, with changes of its header.
    pub fn sign_with_header(&self, claims: &Value, header_changes: &Value) -> String {
        self.state.keys.lock().last().unwrap().sign(claims, header_changes)
    }

    /// A new valid token for a user.
    pub fn token(&self, subject: &str) -> String {
        self.sign(&self.claims(subject, &json!({})))
    }

    /// Publishes another key instead of all others. Returns the previous ones.
    pub fn rotate(&self, key: SigningKey) -> Vec<SigningKey> {
        std::mem::replace(&mut self.state.keys.lock(), vec![key])
    }

    pub fn set_down(&self, is_down: bool) {
        self.state.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Number of requests for the keys so far.
    pub fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }
}

async fn metadata(State(state): State<Arc<Published>>) -> Result<String, StatusCode> {
    if state.is_down.load(Ordering::SeqCst) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let keys = state.issuer.replace("/realm", "/keys");
    Ok(json!({ "issuer": state.issuer, "jwks_uri": keys }).to_string())
}

async fn public_keys(State(state): State<Arc<Published>>) -> String {
    state.fetches.fetch_add(1, Ordering::SeqCst);
    let keys: Vec<Value> = state.keys.lock().iter().map(SigningKey::public).collect();
    json!({ "keys": keys }).to_string()
}
