//! Scenario files: each `tests/queries/NAME.graphql` runs against the cast, signed in as john, and must
//! answer as `NAME.json` beside it says. `UPDATE_EXPECT=1 cargo test queries` writes the answers anew.

use std::path::Path;

use expect_test::expect_file;

use crate::app::TestApp;

#[tokio::test]
async fn each_file_answers_as_it_did() {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let (john, susan, mary, david) = (&cast.john, &cast.susan, &cast.mary, &cast.david);
    for (one, other) in [(john, susan), (john, david), (susan, mary), (mary, david), (susan, john)]
    {
        one.follow(other).await;
    }
    for (who, body) in
        [(john, "post from john"), (susan, "post from susan"), (mary, "post from mary")]
    {
        who.write(body).await;
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
        let answer = john.ask(&document, serde_json::json!({})).await;
        let text = format!("{answer:#}\n");
        expect_file![file.with_extension("json")].assert_eq(&text);
    }
}
