//! The messages of graphql-transport-ws, and the ways in which a WebSocket ends.

use async_graphql::ServerError;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::graphql::{EncodedResponse, GraphQLParams};

/// Longest reason in a close frame, in bytes (RFC 6455, section 5.5).
const MAX_REASON_BYTES: usize = 123;

/// A message from the client.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Incoming {
    ConnectionInit {
        payload: Option<Map<String, Value>>,
    },
    Ping {
        payload: Option<Map<String, Value>>,
    },
    Pong {
        #[serde(rename = "payload")]
        _payload: Option<Map<String, Value>>,
    },
    Subscribe {
        id: String,
        payload: GraphQLParams,
    },
    Complete {
        id: String,
    },
}

/// The value of `authorization` in the payload of `connection_init`.
///
/// It may be in `headers` instead. Names are compared without regard to case. `None` if it is
/// missing, null or blank.
///
/// # Errors
/// A close frame when the value is not a string, when there are two different values, or when
/// another parameter seems to hold a token: without the error, the client would be anonymous and
/// not know why.
pub fn credentials(payload: &Map<String, Value>) -> Result<Option<String>, Close> {
    let mut found: Option<&String> = None;
    let headers = payload.iter().filter(|(name, _)| name.eq_ignore_ascii_case("headers"));
    let headers = headers.map(|(_, value)| match value {
        Value::Null => Ok(None),
        Value::Object(headers) => Ok(Some(headers)),
        _ => Err(misplaced_token()),
    });
    let headers = headers.collect::<Result<Vec<_>, _>>()?;
    for (name, value) in headers.into_iter().flatten().flatten().chain(payload) {
        let name = name.to_ascii_lowercase();
        match value {
            Value::Null => {}
            Value::String(value) if name == "authorization" => {
                let is_blank = value.trim().is_empty();
                if !is_blank && found.is_some_and(|found| found != value) {
                    return Err(misplaced_token());
                }
                found = if is_blank { found } else { Some(value) };
            }
            _ if name == "authorization" => return Err(misplaced_token()),
            _ if name == "auth" || CREDENTIAL_WORDS.iter().any(|word| name.contains(word)) => {
                return Err(misplaced_token());
            }
            _ => {}
        }
    }
    Ok(found.cloned())
}

/// Parts of the names of parameters that hold a token in other protocols.
const CREDENTIAL_WORDS: [&str; 6] = ["token", "jwt", "bearer", "secret", "apikey", "api-key"];

fn misplaced_token() -> Close {
    Close::new(4403, "Forbidden: send the token as {\"authorization\": \"Bearer <token>\"}")
}

/// An item of an operation's output.
pub enum Outgoing {
    /// The operation turned out to be a subscription, which has no end of its own.
    Subscribed,
    Next(EncodedResponse),
    /// The operation was not executed. It is the last item.
    Failed(Vec<ServerError>),
    Complete,
    /// The token is no longer valid, so the WebSocket is closed.
    Forbidden,
}

/// A close code of the protocol, and its reason.
pub struct Close(pub u16, pub String);

impl Close {
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        let end = reason.floor_char_boundary(MAX_REASON_BYTES);
        Self(code, reason[..end].to_owned())
    }

    pub fn forbidden() -> Self {
        Self::new(4403, "Forbidden")
    }
}

/// Why a WebSocket ends.
pub enum End {
    /// The connection is lost.
    Gone,
    /// The client has sent a close frame.
    Closed,
    /// The server sends this close frame.
    Close(Close),
}

/// A message that cannot be read.
impl From<axum::Error> for End {
    fn from(error: axum::Error) -> Self {
        match error.into_inner().downcast_ref() {
            Some(tungstenite::Error::Capacity(_)) => Close::new(1009, "Message too big").into(),
            Some(tungstenite::Error::Utf8(_)) => Close::new(1007, "Messages must be UTF-8").into(),
            _ => Self::Gone,
        }
    }
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close)
    }
}
