//! A line of a file of posts, in JSON.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::domain::validation;
use crate::error::UserError;

/// A post or a repost, and the number of its line.
pub struct PostLine {
    pub line: u64,
    /// The text by which later lines refer to this one.
    pub id: Option<String>,
    /// The username in lower case of the author, or of the user who reposts.
    pub author: String,
    pub content: Content,
    pub time: DateTime<Utc>,
}

/// What a line adds.
pub enum Content {
    Post {
        body: String,
        /// The id of the line with the post that it replies to.
        in_reply_to: Option<String>,
    },
    Repost {
        /// The id of the line with the post.
        post: String,
    },
}

impl PostLine {
    /// Parses a line; `None` for a blank line. An error is the problem of the line.
    pub fn parse(line: u64, text: &str, now: DateTime<Utc>) -> Result<Option<Self>, String> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        if !text.trim_start().starts_with('{') {
            return Err("is not a post in JSON: not an object".to_owned());
        }
        let json: JsonPost = serde_json::from_str(text)
            .map_err(|error| format!("is not a post in JSON: {error}"))?;
        let content = match (json.body, json.repost_of, json.in_reply_to) {
            (Some(body), None, in_reply_to) => {
                let invalid = |error: UserError| format!("has an invalid body: {}", error.message);
                let body = validation::body(body, &["body"]).map_err(invalid)?;
                Content::Post { body, in_reply_to }
            }
            (None, Some(post), None) => Content::Repost { post },
            (Some(_), Some(_), _) => return Err("has both a body and a repostOf".to_owned()),
            (None, Some(_), Some(_)) => {
                return Err("has both a repostOf and an inReplyTo".to_owned());
            }
            (None, None, _) => {
                return Err("is not a post in JSON: missing field `body`".to_owned());
            }
        };
        let time = parse_time(&json.created_at, now)?;
        let author = json.author.to_ascii_lowercase();
        Ok(Some(Self { line, id: json.id, author, content, time }))
    }

    /// Size of the body in bytes.
    pub fn bytes(&self) -> usize {
        match &self.content {
            Content::Post { body, .. } => body.len(),
            Content::Repost { .. } => 0,
        }
    }

    pub fn is_repost(&self) -> bool {
        matches!(self.content, Content::Repost { .. })
    }

    /// The id of the line to which this one refers.
    pub fn reference(&self) -> Option<&str> {
        match &self.content {
            Content::Post { in_reply_to, .. } => in_reply_to.as_deref(),
            Content::Repost { post } => Some(post),
        }
    }
}

/// A line of the file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct JsonPost {
    id: Option<String>,
    author: String,
    body: Option<String>,
    in_reply_to: Option<String>,
    repost_of: Option<String>,
    created_at: String,
}

fn parse_time(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let not_a_time = || format!("has a createdAt that is not RFC 3339: {text:?}");
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| not_a_time())?;
    // Ids have a resolution of a millisecond.
    let time = DateTime::from_timestamp_millis(time.timestamp_millis()).ok_or_else(not_a_time)?;
    if time < DateTime::UNIX_EPOCH {
        Err(format!("has a createdAt before 1970: {text}"))
    } else if time > now {
        Err(format!("has a createdAt in the future: {text}"))
    } else {
        Ok(time)
    }
}
