//! Fuzzes GraphQL over HTTP.
//!
//! The lowest two bits of the first byte select the header `Accept`. The next bit selects whether
//! the other bytes are the body of a POST or the query string of a GET. The seed inputs are in
//! `tests/corpus/request`.
#![no_main]

use axum::body::Body;
use axum::http::{Request, header};
use libfuzzer_sys::{Corpus, fuzz_target};

const ACCEPT: [&str; 4] =
    ["application/json", "application/graphql-response+json", "text/event-stream", "*/*"];

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((selector, rest)) = input.split_first() else { return Corpus::Reject };
    let accept = ACCEPT[usize::from(selector & 3)];
    let request = if selector & 4 == 0 {
        let post = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        post.header(header::ACCEPT, accept).body(Body::from(rest.to_vec()))
    } else {
        let Ok(query) = str::from_utf8(rest) else { return Corpus::Reject };
        let get = Request::get(format!("/graphql?{query}")).header(header::ACCEPT, accept);
        get.header("graphql-require-preflight", "1").body(Body::empty())
    };
    // Bytes that are not valid in a URI do not make a request.
    let Ok(request) = request else { return Corpus::Reject };
    rookery_fuzz::send(request);
    Corpus::Keep
});
