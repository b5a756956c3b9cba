//! Snapshot tests: each `tests/queries/NAME.graphql` is executed as john.
//!
//! The response must equal `NAME.json` beside it. `UPDATE_EXPECT=1 cargo test --test api queries`
//! writes the responses to these files.

use std::path::Path;

use expect_test::expect_file;

use crate::support::app::TestApp;

#[tokio::test]
async fn each_query_file_returns_its_recorded_response() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    for (follower, followed) in
        [(john, susan), (john, david), (susan, mary), (mary, david), (susan, john)]
    {
        follower.follow(followed).await;
    }
    for (author, body) in
        [(john, "post from john"), (susan, "post from susan"), (mary, "post from mary")]
    {
        author.write(body).await;
    }
    let id = david.write("post from david").await;
    john.mutate(&format!("bookmark(postId: \"{id}\") {{ changed }}")).await;

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/queries");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "graphql"))
        .collect();
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let document = std::fs::read_to_string(&file).unwrap();
        let response = john.execute(&document, serde_json::json!({})).await;
        let text = format!("{response:#}\n");
        expect_file![file.with_extension("json")].assert_eq(&text);
    }
}
