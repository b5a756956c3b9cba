//! GraphQL over HTTP: the first byte says how the rest is sent, as a body or in the query string, and what is accepted.
#![no_main]

use axum::body::Body;
use axum::http::{Request, header};
use libfuzzer_sys::{Corpus, fuzz_target};

const ACCEPT: [&str; 4] =
    ["application/json", "application/graphql-response+json", "text/event-stream", "*/*"];

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((how, rest)) = input.split_first() else { return Corpus::Reject };
    let accept = ACCEPT[usize::from(how & 3)];
    let request = if how & 4 == 0 {
        let post = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        post.header(header::ACCEPT, accept).body(Body::from(rest.to_vec()))
    } else {
        let Ok(query) = str::from_utf8(rest) else { return Corpus::Reject };
        let get = Request::get(format!("/graphql?{query}")).header(header::ACCEPT, accept);
        get.header("graphql-require-preflight", "1").body(Body::empty())
    };
    // What is no address at all is not heard.
    let Ok(request) = request else { return Corpus::Reject };
    rookery_fuzz::ask(request);
    Corpus::Keep
});
