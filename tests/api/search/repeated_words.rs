//! Words that a post has more often than an index can have them.

use serde_json::json;

use super::search;
use crate::support::app::TestApp;

/// Words that the index leaves out keep the distance of the words around them.
#[tokio::test]
async fn a_word_that_is_repeated_too_often_makes_no_phrases() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let body = format!("{}zebra the lion", "the ".repeat(255));
    john.write(&body).await;
    for by in [json!(null), json!({ "username": "john" })] {
        for (query, count) in [("zebra lion", 1), ("\"the zebra\"", 1), ("\"zebra lion\"", 0)] {
            let page = search(&john, json!({ "query": query, "by": by, "first": 10 })).await;
            assert_eq!(page["nodes"].as_array().unwrap().len(), count, "{query} by {by}");
        }
    }
}
