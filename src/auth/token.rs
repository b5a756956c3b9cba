//! Tokens: random secrets of which the database has only a hash.
//!
//! A token has 256 random bits. The database has only its SHA-256: tokens cannot be read from a
//! copy of the database, and a slow hash is not needed for a random secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::secret::TokenHash;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

/// Prefix of every token, by which people and secret scanners recognise it.
const TOKEN_PREFIX: &str = "rookery_";

/// Length of a token after its prefix, in characters: 32 bytes in base64.
const ENCODED_LENGTH: usize = 43;

/// A new token.
pub fn new_token() -> SecretString {
    format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())).into()
}

/// Whether a text has the form of a token; other texts need no look-up.
pub fn is_well_formed(text: &str) -> bool {
    text.strip_prefix(TOKEN_PREFIX).is_some_and(|rest| {
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        rest.len() == ENCODED_LENGTH && rest.bytes().all(is_base64url)
    })
}

/// The hash of a token, as stored.
pub fn hash_token(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token.as_bytes()).to_vec())
}
