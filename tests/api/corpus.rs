//! What the fuzz targets (`fuzz/`) begin with, and what they have found: each file of tests/corpus is sent once. Whatever
//! comes in, there is an answer, and no answer is our mistake.

use std::fs;
use std::path::PathBuf;

use axum::body::Body;
use axum::http::{Request, header};
use indicatif::ProgressBar;
use rookery::command::doctor;
use rookery::command::import::edges;
use rookery::database::Moment;
use rookery::id::Id;
use rookery::page::{List, decode_cursor, decode_place};
use serde_json::Value;

use crate::app::TestApp;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(format!("tests/corpus/{target}")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let all: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    assert!(all.len() >= 3, "where is the corpus?");
    all
}

#[tokio::test]
async fn requests() {
    let app = TestApp::with(&["--max-batch", "4"]).await;
    let media =
        ["application/json", "application/graphql-response+json", "text/event-stream", "*/*"];
    for (path, input) in corpus("request") {
        let (how, rest) = input.split_first().unwrap();
        let accept = media[usize::from(how & 3)];
        if accept == "text/event-stream" {
            // It need not end.
            continue;
        }
        let request = if how & 4 == 0 {
            let post = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
            post.header(header::ACCEPT, accept).body(Body::from(rest.to_vec()))
        } else {
            let query = String::from_utf8_lossy(rest);
            let get = Request::get(format!("/graphql?{query}")).header(header::ACCEPT, accept);
            get.header("graphql-require-preflight", "1").body(Body::empty())
        };
        let Ok(request) = request else { continue };
        let (status, _, body) = app.send(request).await;
        assert!(!status.is_server_error(), "{}: {status} {body}", path.display());
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert!(!body.contains("\"INTERNAL\""), "{}: {answer}", path.display());
    }
}

#[tokio::test]
async fn imports() {
    let app = TestApp::new().await;
    let progress = ProgressBar::hidden();
    let mut imported = 0;
    for (path, _) in corpus("edges") {
        imported += usize::from(edges::run(app.database(), &path, &progress).await.is_ok());
        let report = doctor::run(app.database(), false, &progress).await.unwrap();
        assert!(report.is_clean(), "{}: {report}", path.display());
    }
    assert!(imported >= 2, "some of it is good");
}

#[test]
fn places() {
    for (path, text) in corpus("places") {
        let text = String::from_utf8_lossy(&text);
        let id = Id::decode(&text).is_ok();
        let cursor = decode_cursor::<i64>(List::Users, &text).is_ok();
        let place = decode_place(List::Stream, &text).ok();
        let moment = place.is_some_and(|place| Moment::from_bytes(&place).is_some());
        let named = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(id, named.starts_with("user"), "{named}");
        assert!(!(cursor && moment), "{named} is of two lists");
    }
}
