//! Answers in JSON, on their way to a client, whatever takes them there.

use std::borrow::Cow;

use async_graphql::ServerError;
use axum::body::Bytes;

use crate::budget::Share;

/// However much is wrong, an answer stays small.
const MAX_ERRORS: usize = 20;
const MAX_MESSAGE: usize = 300;

/// Data in JSON, and errors.
pub struct Answer {
    pub data: Vec<u8>,
    pub errors: Vec<ServerError>,
    /// Of what all answers may take together.
    pub share: Option<Share>,
}

/// What is sent, with its share, which it keeps until then.
pub struct Told {
    json: Vec<u8>,
    share: Option<Share>,
}

impl Answer {
    pub fn tell(mut self) -> Told {
        let mut json = Vec::with_capacity(self.data.len() + 16);
        json.extend_from_slice(b"{\"data\":");
        json.extend_from_slice(&self.data);
        if !self.errors.is_empty() {
            shorten(&mut self.errors);
            json.extend_from_slice(b",\"errors\":");
            json.extend(serde_json::to_vec(&self.errors).unwrap_or_else(|_| b"[]".to_vec()));
        }
        json.push(b'}');
        Told { json, share: self.share }
    }
}

impl Told {
    pub fn json(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.json)
    }

    /// With something before and after it.
    pub fn framed(mut self, before: &str, after: &str) -> Self {
        self.json.splice(..0, before.bytes());
        self.json.extend(after.bytes());
        self
    }

    /// Several in one, as an array.
    pub fn all(told: Vec<Self>) -> Self {
        let mut all = Self::from(vec![b'[']);
        for (n, Self { json, share }) in told.into_iter().enumerate() {
            all.json.extend(if n > 0 { &b","[..] } else { b"" });
            all.json.extend(json);
            all.share = all.share.into_iter().chain(share).reduce(Share::and);
        }
        all.json.push(b']');
        all
    }
}

impl AsRef<[u8]> for Told {
    fn as_ref(&self) -> &[u8] {
        &self.json
    }
}

/// Without a share: there is little of it.
impl From<Vec<u8>> for Told {
    fn from(json: Vec<u8>) -> Self {
        Self { json, share: None }
    }
}

impl From<Told> for Bytes {
    fn from(told: Told) -> Self {
        Self::from_owner(told)
    }
}

/// The answer to a request that did not run.
pub fn errors_as_json(mut errors: Vec<ServerError>) -> Vec<u8> {
    shorten(&mut errors);
    serde_json::json!({ "errors": errors }).to_string().into_bytes()
}

pub fn shorten(errors: &mut Vec<ServerError>) {
    errors.truncate(MAX_ERRORS);
    for error in errors {
        if let Some((end, _)) = error.message.char_indices().nth(MAX_MESSAGE) {
            error.message.truncate(end);
            error.message.push('…');
        }
    }
}
