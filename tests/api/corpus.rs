//! The seed inputs of the fuzz targets, and the inputs with which those found bugs.
//!
//! Each file of `tests/corpus` is an input of the fuzz target in `fuzz/` that its folder is named
//! after. The service must respond to each request, and never with an internal error. Each import
//! must leave the database consistent. Ids and cursors must decode as their file names say.

use std::fs;
use std::path::PathBuf;

use axum::body::Body;
use axum::http::{Request, header};
use indicatif::ProgressBar;
use rookery::command::doctor;
use rookery::command::import::edge_list::EdgeListOptions;
use rookery::command::import::pairs::{self, PairKind};
use rookery::database::StreamPosition;
use rookery::ids::GlobalId;
use rookery::pagination::{CursorKind, decode_cursor, decode_cursor_bytes};
use serde_json::Value;

use crate::support::app::TestApp;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(format!("tests/corpus/{target}")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let all: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    assert!(all.len() >= 3, "the corpus of {target} has only {} files", all.len());
    all
}

#[tokio::test]
async fn requests_of_the_corpus_cause_no_server_error() {
    let app = TestApp::with(&["--max-batch", "4"]).await;
    let media_types =
        ["application/json", "application/graphql-response+json", "text/event-stream", "*/*"];
    for (path, input) in corpus("request") {
        // The first byte selects the media type (bits 0 and 1) and the method (bit 2).
        let (flags, rest) = input.split_first().unwrap();
        let accept = media_types[usize::from(flags & 3)];
        if accept == "text/event-stream" {
            // An event stream may have no end.
            continue;
        }
        let request = if flags & 4 == 0 {
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
        let response: Value = serde_json::from_str(&body).unwrap();
        assert!(!body.contains("\"INTERNAL\""), "{}: {response}", path.display());
    }
}

#[tokio::test]
async fn imports_of_the_corpus_leave_the_database_consistent() {
    let app = TestApp::new().await;
    let progress = ProgressBar::hidden();
    let mut imported = 0;
    for (path, _) in corpus("follows") {
        for skip_invalid in [false, true] {
            let options = EdgeListOptions { skip_invalid, ..EdgeListOptions::default() };
            let import =
                pairs::run(app.database(), PairKind::Follow, &path, &options, &progress).await;
            imported += usize::from(import.is_ok() && !skip_invalid);
        }
        let report = doctor::run(app.database(), false, &progress).await.unwrap();
        assert!(report.is_clean(), "{}: {report}", path.display());
    }
    assert!(imported >= 2, "only {imported} files are valid");
}

#[test]
fn ids_and_cursors_of_the_corpus_decode_as_their_file_names_say() {
    for (path, text) in corpus("ids_and_cursors") {
        let text = String::from_utf8_lossy(&text);
        let id = GlobalId::decode(&text).is_ok();
        let cursor = decode_cursor::<i64>(CursorKind::Users, &text).is_ok();
        let bytes = decode_cursor_bytes(CursorKind::Stream, &text).ok();
        let position = bytes.is_some_and(|bytes| StreamPosition::from_bytes(&bytes).is_some());
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(id, name.starts_with("user"), "{name}");
        assert!(!(cursor && position), "{name} is a cursor of two lists");
    }
}
