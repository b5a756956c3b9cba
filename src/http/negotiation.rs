//! Content negotiation: the media type of a response, from the header `Accept`.
//!
//! The media types are the two of the GraphQL over HTTP specification and that of server-sent
//! events. Written by hand because no maintained crate ranks these media types with the rules of
//! that specification.

use axum::http::{HeaderMap, HeaderValue, header};

/// A media type that the server can respond with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/graphql-response+json`: the status of a rejected document is 400.
    GraphQlResponse,
    /// `application/json`: the status of a rejected document is 200.
    Json,
    /// `text/event-stream`: the protocol graphql-sse in "distinct connections mode".
    EventStream,
}

impl MediaType {
    /// The accepted media type of the highest quality; `None` if none is accepted.
    ///
    /// Among equals it is the first. Without the header `Accept` it is `application/json`, for
    /// clients that predate the specification.
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
        let is_excluded =
            |name| ranges.iter().any(|(range, quality)| *range == name && *quality <= 0.0);
        let mut best: Option<(f32, Self)> = None;
        for (range, quality) in &ranges {
            let media = match *range {
                "application/graphql-response+json" => Self::GraphQlResponse,
                // A quality of 0 excludes a media type from the ranges that include it.
                "application/*" | "*/*" if is_excluded("application/json") => Self::GraphQlResponse,
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

    /// The content type of a response that is not a stream.
    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphQlResponse => "application/graphql-response+json; charset=utf-8",
            // An error before the event stream begins is sent as JSON.
            Self::Json | Self::EventStream => "application/json; charset=utf-8",
        })
    }
}

/// Whether the client accepts HTML by name, as a browser does when it opens a page.
pub fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter();
    let mut ranges = accept.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    ranges.any(|range| {
        let (media, quality) = with_quality(range.trim());
        media.eq_ignore_ascii_case("text/html") && quality > 0.0
    })
}

/// A media range and its quality, 1 by default.
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
    fn media_type_of_the_highest_quality_is_selected() {
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
