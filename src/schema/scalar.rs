//! Custom scalars: `DateTime` and `URL`.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{SecondsFormat, Utc};

use crate::ids::snowflake;

pub struct DateTime(pub chrono::DateTime<Utc>);

impl DateTime {
    /// The time of creation that a Snowflake id contains.
    pub fn from_id(id: i64) -> Self {
        Self(snowflake::timestamp_of(id))
    }
}

/// An RFC 3339 timestamp in UTC with milliseconds, like `2026-11-23T18:30:00.000Z`.
#[Scalar(specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Ok(Self(text.parse()?)),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

pub struct Url(pub String);

/// An absolute URL as defined by the WHATWG URL Standard.
#[Scalar(name = "URL", specified_by_url = "https://url.spec.whatwg.org/")]
impl ScalarType for Url {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}
