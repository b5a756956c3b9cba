//! The access log: a line for each HTTP request.
//!
//! It is written when the response is sent, in the Combined Log Format or as JSON. An entry has no
//! query string, credentials or body, because these may be secret. A thread of its own writes the
//! lines, so that a full pipe delays no request. Lines beyond 10,000 are dropped.

use std::fmt::Write as _;
use std::io::{Write as _, stderr, stdout};
use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

use super::MAX_BUFFERED_LINES;
use crate::config::{AccessLogFormat, AccessLogOutput};

/// Writes entries. Clones share the output.
#[derive(Clone, Debug)]
pub struct AccessLog {
    format: AccessLogFormat,
    writer: NonBlocking,
}

/// A request and its response.
#[derive(Clone, Debug)]
pub struct AccessEntry {
    /// When the request was received.
    pub received_at: DateTime<Utc>,
    /// The address of the client, if it is known.
    pub client: Option<IpAddr>,
    pub method: String,
    /// The path without the query string.
    pub path: String,
    /// The protocol and its version, such as `HTTP/1.1`.
    pub protocol: String,
    /// The scheme and the host of the header `Referer`.
    pub referer: Option<String>,
    /// The header `User-Agent`.
    pub user_agent: Option<String>,
    pub status: u16,
    /// The bytes of the response's body.
    pub bytes: u64,
    /// The time until the response was sent.
    pub elapsed: Duration,
    /// The id that the log has for the request.
    pub request_id: Option<String>,
}

impl AccessLog {
    /// Starts an access log.
    ///
    /// The lines that are left are written when the guard is dropped.
    pub fn start(format: AccessLogFormat, output: AccessLogOutput) -> (Self, WorkerGuard) {
        let writer = NonBlockingBuilder::default().buffered_lines_limit(MAX_BUFFERED_LINES);
        let writer = writer.thread_name("access-log");
        let (writer, guard) = match output {
            AccessLogOutput::Stdout => writer.finish(stdout()),
            AccessLogOutput::Stderr => writer.finish(stderr()),
        };
        (Self { format, writer }, guard)
    }

    /// Writes an entry as one line.
    pub fn write(&self, entry: &AccessEntry) {
        let line = match self.format {
            AccessLogFormat::Combined => entry.combined(),
            AccessLogFormat::Json => entry.json(),
        };
        // A line that finds the buffer full is dropped, which is no error of the request.
        let _ = self.writer.clone().write_all(line.as_bytes());
    }
}

impl AccessEntry {
    /// The entry in the Combined Log Format of Apache and nginx.
    fn combined(&self) -> String {
        let Self { method, path, protocol, status, bytes, .. } = self;
        let client = self.client.map_or_else(|| "-".to_owned(), |address| address.to_string());
        let received_at = self.received_at.format("%d/%b/%Y:%H:%M:%S %z");
        let request = escape(&format!("{method} {path} {protocol}"));
        let quoted = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), escape);
        let (referer, user_agent) = (quoted(&self.referer), quoted(&self.user_agent));
        format!(
            "{client} - - [{received_at}] \"{request}\" {status} {bytes} \"{referer}\" \
             \"{user_agent}\"\n"
        )
    }

    /// The entry as a JSON object.
    fn json(&self) -> String {
        let object = json!({
            "timestamp": self.received_at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "target": "access",
            "client": self.client,
            "method": self.method,
            "path": self.path,
            "protocol": self.protocol,
            "status": self.status,
            "bytes": self.bytes,
            "milliseconds": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            "referer": self.referer,
            "user_agent": self.user_agent,
            "request_id": self.request_id,
        });
        format!("{object}\n")
    }
}

/// Escapes quotes, backslashes and all but printable ASCII, as Apache does.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => escaped.extend(['\\', char::from(byte)]),
            b' '..=b'~' => escaped.push(char::from(byte)),
            _ => {
                let _ = write!(escaped, "\\x{byte:02x}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> AccessEntry {
        AccessEntry {
            received_at: DateTime::from_timestamp_millis(1_764_900_000_123).unwrap(),
            client: Some([192, 0, 2, 1].into()),
            method: "GET".to_owned(),
            path: "/graphql".to_owned(),
            protocol: "HTTP/1.1".to_owned(),
            referer: None,
            user_agent: Some("a \"b\" \\ \u{e9}\n".to_owned()),
            status: 200,
            bytes: 17,
            elapsed: Duration::from_micros(1_900),
            request_id: Some("8f27ccfcefff61cc".to_owned()),
        }
    }

    #[test]
    fn combined_lines_have_the_fields_of_apache_and_escape_the_texts_of_clients() {
        let expected = r#"192.0.2.1 - - [05/Dec/2025:02:00:00 +0000] "GET /graphql HTTP/1.1" 200 17 "-" "a \"b\" \\ \xc3\xa9\x0a""#;
        assert_eq!(entry().combined(), format!("{expected}\n"));
        let unknown = AccessEntry { client: None, user_agent: None, ..entry() };
        assert!(unknown.combined().starts_with("- - - ["));
        assert!(unknown.combined().ends_with(" \"-\" \"-\"\n"));
    }

    #[test]
    fn json_lines_are_one_object_each() {
        let line = entry().json();
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expected = json!({
            "timestamp": "2025-12-05T02:00:00.123Z", "target": "access", "client": "192.0.2.1",
            "method": "GET", "path": "/graphql", "protocol": "HTTP/1.1", "status": 200,
            "bytes": 17, "milliseconds": 1, "referer": null, "user_agent": "a \"b\" \\ \u{e9}\n",
            "request_id": "8f27ccfcefff61cc",
        });
        assert_eq!(object, expected);
    }
}
