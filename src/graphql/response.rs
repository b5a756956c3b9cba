//! Responses in JSON on their way to a client, whatever the transport.

use std::borrow::Cow;

use async_graphql::ServerError;

use crate::limits::MemoryPermit;

/// Largest number of errors in a response; further ones are omitted.
const MAX_ERRORS: usize = 20;
/// Largest number of characters in an error's message; longer ones are truncated.
const MAX_MESSAGE_CHARS: usize = 300;

/// The result of an execution: `data` in JSON, and errors.
pub struct ExecutionResponse {
    pub data: Vec<u8>,
    pub errors: Vec<ServerError>,
    /// Memory that is reserved until the response is sent.
    pub memory: Option<MemoryPermit>,
}

/// The bytes of a response, with the memory that is reserved until they are sent.
pub struct EncodedResponse {
    json: Vec<u8>,
    memory: Option<MemoryPermit>,
}

impl ExecutionResponse {
    /// Omits the errors that are not sent. Returns the size in bytes.
    pub fn truncate(&mut self) -> usize {
        if self.errors.is_empty() {
            return self.data.len();
        }
        truncate_errors(&mut self.errors);
        let errors = serde_json::to_vec(&self.errors).map_or(0, |errors| errors.len());
        self.data.len() + errors
    }

    pub fn encode(mut self) -> EncodedResponse {
        let mut json = Vec::with_capacity(self.data.len() + 16);
        json.extend_from_slice(b"{\"data\":");
        json.extend_from_slice(&self.data);
        if !self.errors.is_empty() {
            json.extend_from_slice(b",\"errors\":");
            write_errors(&mut self.errors, &mut json);
        }
        json.push(b'}');
        EncodedResponse { json, memory: self.memory }
    }
}

impl EncodedResponse {
    pub fn json(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.json)
    }

    /// The response between a prefix and a suffix.
    #[must_use]
    pub fn with_envelope(mut self, prefix: &str, suffix: &str) -> Self {
        self.json.splice(..0, prefix.bytes());
        self.json.extend(suffix.bytes());
        self
    }

    /// The responses of a batch, as one JSON array.
    pub fn encode_batch(responses: Vec<Self>) -> Self {
        let mut batch = Self::from(vec![b'[']);
        for (n, Self { json, memory }) in responses.into_iter().enumerate() {
            batch.json.extend(if n > 0 { &b","[..] } else { b"" });
            batch.json.extend(json);
            batch.memory = batch.memory.into_iter().chain(memory).reduce(MemoryPermit::merge);
        }
        batch.json.push(b']');
        batch
    }
}

impl AsRef<[u8]> for EncodedResponse {
    fn as_ref(&self) -> &[u8] {
        &self.json
    }
}

/// A response so small that no memory is reserved for it.
impl From<Vec<u8>> for EncodedResponse {
    fn from(json: Vec<u8>) -> Self {
        Self { json, memory: None }
    }
}

/// The response to a request that was not executed: errors without `data`.
pub fn encode_errors(mut errors: Vec<ServerError>) -> Vec<u8> {
    let mut json = b"{\"errors\":".to_vec();
    write_errors(&mut errors, &mut json);
    json.push(b'}');
    json
}

/// Writes errors, each with its message first.
fn write_errors(errors: &mut Vec<ServerError>, json: &mut Vec<u8>) {
    truncate_errors(errors);
    json.extend(serde_json::to_vec(&errors).unwrap_or_else(|_| b"[]".to_vec()));
}

/// Bounds the number of errors and the length of their messages.
pub fn truncate_errors(errors: &mut Vec<ServerError>) {
    errors.truncate(MAX_ERRORS);
    for error in errors {
        if let Some((end, _)) = error.message.char_indices().nth(MAX_MESSAGE_CHARS) {
            error.message.truncate(end);
            error.message.push('…');
        }
    }
}
