//! The messages of graphql-transport-ws, and the ways in which a socket ends.

use async_graphql::ServerError;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::http::answer::Told;
use crate::http::parameters::Parameters;

/// Bytes that a closing frame has room for.
const MAX_REASON: usize = 123;

/// What comes in.
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
        payload: Parameters,
    },
    Complete {
        id: String,
    },
}

/// What an operation has to say.
pub enum Outgoing {
    Next(Told),
    /// The last: it did not come to run.
    Failed(Vec<ServerError>),
    Complete,
    /// The last of all: the token is good no longer.
    Forbidden,
}

/// Why the socket is closed, as the protocol numbers it.
pub struct Close(pub u16, pub String);

impl Close {
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        let end = reason.floor_char_boundary(MAX_REASON);
        Self(code, reason[..end].to_owned())
    }

    pub fn forbidden() -> Self {
        Self::new(4403, "Forbidden")
    }
}

/// The client is gone, or goes, or must go.
pub enum End {
    Gone,
    Closed,
    Close(Close),
}

/// What cannot be read.
impl From<axum::Error> for End {
    fn from(error: axum::Error) -> Self {
        match error.into_inner().downcast_ref() {
            Some(tungstenite::Error::Capacity(_)) => Close::new(1009, "Message too big").into(),
            Some(tungstenite::Error::Utf8(_)) => Close::new(1007, "Texts must be UTF-8").into(),
            _ => Self::Gone,
        }
    }
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close)
    }
}
