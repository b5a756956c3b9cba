//! Hashes of secrets, as stored. Their `Debug` output does not contain the value.

use std::fmt;

use sea_orm::DeriveValueType;

/// The PHC string of a password: algorithm, parameters, salt and hash.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct PasswordHash(pub String);

/// The SHA-256 of a bearer token or of the code of an invite.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct TokenHash(pub Vec<u8>);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}
