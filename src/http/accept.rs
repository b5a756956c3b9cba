//! Which media type an answer gets: one of the two of GraphQL over HTTP, or events.

use axum::http::{HeaderMap, HeaderValue, header};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/graphql-response+json`: the status code tells whether the document ran.
    GraphQlResponse,
    /// `application/json`: a well-formed request is always answered with 200.
    Json,
    /// `text/event-stream`: the protocol graphql-sse in its mode of distinct connections.
    EventStream,
}

impl MediaType {
    /// What the client likes best; of equals, what it names first. `None` when it takes neither.
    /// Without a preference it is `application/json`, as the specification asks of servers until 2025
    /// clients are gone.
    pub fn negotiate(headers: &HeaderMap) -> Option<Self> {
        let accept: Vec<String> = headers
            .get_all(header::ACCEPT)
            .iter()
            .flat_map(|value| value.to_str().unwrap_or_default().split(','))
            .map(|range| range.trim().to_ascii_lowercase())
            .filter(|range| !range.is_empty())
            .collect();
        if accept.is_empty() {
            return Some(Self::Json);
        }
        let ranges: Vec<(&str, f32)> = accept.iter().map(|range| with_quality(range)).collect();
        let is_refused =
            |name| ranges.iter().any(|(range, quality)| *range == name && *quality <= 0.0);
        let mut best: Option<(f32, Self)> = None;
        for (range, quality) in &ranges {
            let media = match *range {
                "application/graphql-response+json" => Self::GraphQlResponse,
                // Whoever takes anything gets what they did not refuse.
                "application/*" | "*/*" if is_refused("application/json") => Self::GraphQlResponse,
                "application/json" | "application/*" | "*/*" => Self::Json,
                "text/event-stream" | "text/*" => Self::EventStream,
                _ => continue,
            };
            if *quality > best.map_or(0.0, |(quality, _)| quality) {
                best = Some((*quality, media));
            }
        }
        best.map(|(_, media)| media)
    }

    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphQlResponse => "application/graphql-response+json; charset=utf-8",
            // What did not come to run is answered in JSON.
            Self::Json | Self::EventStream => "application/json; charset=utf-8",
        })
    }
}

/// A range of media, and how much it is liked.
fn with_quality(range: &str) -> (&str, f32) {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let quality = parts.find_map(|parameter| parameter.strip_prefix("q="));
    (media, quality.map_or(1.0, |quality| quality.parse().unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_gets_what_it_asks_for() {
        let cases = [
            (None, Some(MediaType::Json)),
            (Some("*/*"), Some(MediaType::Json)),
            (Some("application/json"), Some(MediaType::Json)),
            (Some("application/graphql-response+json"), Some(MediaType::GraphQlResponse)),
            (
                Some("application/graphql-response+json; charset=utf-8, application/json;q=0.9"),
                Some(MediaType::GraphQlResponse),
            ),
            (
                Some("application/graphql-response+json;q=0.5, application/json"),
                Some(MediaType::Json),
            ),
            (Some("text/html"), None),
            (Some("text/event-stream"), Some(MediaType::EventStream)),
            (Some("application/json, text/event-stream;q=0.9"), Some(MediaType::Json)),
            (Some("application/json;q=0"), None),
            (Some("application/json;q=0, */*"), Some(MediaType::GraphQlResponse)),
            (Some("application/json;Q=0.1, Text/*;q=0.2"), Some(MediaType::EventStream)),
            (Some(""), Some(MediaType::Json)),
            (Some(" , "), Some(MediaType::Json)),
        ];
        for (accept, expected) in cases {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(MediaType::negotiate(&headers), expected, "{accept:?}");
        }
    }
}
