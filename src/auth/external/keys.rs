//! The public keys of a provider (JSON Web Key Set, RFC 7517).

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Maximum number of keys of a provider that are kept.
const MAX_KEYS: usize = 100;

/// The keys with which a provider signs its tokens.
#[derive(Debug)]
pub struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// The only algorithm of the key. `None` allows all of its family.
    algorithm: Option<Algorithm>,
    decoding: DecodingKey,
}

impl KeySet {
    /// Reads a key set.
    ///
    /// Keys of unknown types, keys for encryption and symmetric keys are left out.
    ///
    /// # Errors
    /// When the text is not a key set.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let Set { keys } = serde_json::from_slice(json)?;
        Ok(Self(keys.into_iter().take(MAX_KEYS).filter_map(Key::parse).collect()))
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The key with this id for an algorithm.
    ///
    /// Without an id, it is the only key for the algorithm, if there is one.
    pub fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut keys = self.0.iter().filter(|key| {
            let is_named = id.is_none() || key.id.as_deref() == id;
            let family = algorithm.family();
            is_named
                && key.decoding.family() == family
                && key.algorithm.is_none_or(|only| only == algorithm)
        });
        let first = keys.next()?;
        let is_ambiguous = id.is_none() && keys.next().is_some();
        (!is_ambiguous).then_some(&first.decoding)
    }
}

impl Key {
    fn parse(json: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(json).ok()?;
        let is_for_signatures = jwk
            .common
            .public_key_use
            .as_ref()
            .is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let is_symmetric = matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_));
        if !is_for_signatures || is_symmetric {
            return None;
        }
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        // An algorithm that is not supported leaves the key without one that it could have.
        let algorithm = match jwk.common.key_algorithm {
            None => None,
            Some(algorithm) => Some(Algorithm::try_from(algorithm).ok()?),
        };
        Some(Self { id: jwk.common.key_id, algorithm, decoding })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(keys: &Value) -> KeySet {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    fn ed25519(more: &Value) -> Value {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let mut key = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    #[test]
    fn keys_that_cannot_sign_tokens_are_left_out() {
        let keys = set(&json!([
            { "kty": "oct", "k": "c2VjcmV0" },
            { "kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "a" },
            { "kty": "unknown", "kid": "a" },
            { "kty": "RSA", "kid": "a" },
            "not a key",
            ed25519(&json!({ "use": "enc", "kid": "a" })),
            ed25519(&json!({ "alg": "ECDH-ES", "kid": "a" })),
        ]));
        assert_eq!(keys.len(), 0);
        assert!(KeySet::parse(b"{}").is_err());
        assert!(KeySet::parse(b"<html>").is_err());
    }

    #[test]
    fn a_key_is_found_by_its_id_and_its_algorithm() {
        let keys = set(&json!([
            ed25519(&json!({ "kid": "a", "use": "sig", "alg": "EdDSA" })),
            ed25519(&json!({ "kid": "b" })),
        ]));
        assert_eq!(keys.len(), 2);
        assert!(keys.find(Some("a"), Algorithm::EdDSA).is_some());
        assert!(keys.find(Some("b"), Algorithm::EdDSA).is_some());
        assert!(keys.find(Some("a"), Algorithm::RS256).is_none());
        assert!(keys.find(Some("a"), Algorithm::HS256).is_none());
        assert!(keys.find(Some("c"), Algorithm::EdDSA).is_none());
        assert!(keys.find(None, Algorithm::EdDSA).is_none(), "two keys could be meant");
        assert!(set(&json!([ed25519(&json!({}))])).find(None, Algorithm::EdDSA).is_some());
    }
}
