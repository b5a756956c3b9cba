//! Bookmarks: put aside, listed newest first, private.

use serde_json::json;

use crate::app::TestApp;
use crate::cast::texts;

#[tokio::test]
async fn a_bookmarks_life() {
    let app = TestApp::new().await;
    let (susan, john) = (app.join("susan").await, app.join("john").await);
    let (one, two) = (susan.write("one").await, susan.write("two").await);
    let act = |verb: &str, id: &str| {
        format!(
            "{verb}(postId: \"{id}\") {{ changed post {{ body viewerHasBookmarked }}
            userErrors {{ code }} }}"
        )
    };
    let expected = |changed: bool, bookmarked: bool| {
        json!({ "changed": changed, "post": { "body": "two", "viewerHasBookmarked": bookmarked },
                "userErrors": [] })
    };
    assert_eq!(john.mutate(&act("bookmark", &two)).await, expected(true, true));
    assert_eq!(john.mutate(&act("bookmark", &two)).await, expected(false, true));
    john.mutate(&act("bookmark", &one)).await;
    let list = "{ viewer { bookmarks { totalCount nodes { body viewerHasBookmarked }
        edges { bookmarkedAt } } } }";
    let bookmarks = john.query(list).await["viewer"]["bookmarks"].take();
    assert_eq!(bookmarks["totalCount"], 2);
    assert_eq!(texts(&bookmarks["nodes"], "body"), ["one", "two"], "newest bookmark first");
    assert_eq!(bookmarks["nodes"][0]["viewerHasBookmarked"], true);
    let hers = susan
        .query("{ viewer { bookmarks { totalCount } } posts { nodes { viewerHasBookmarked } } }");
    let hers = hers.await;
    assert_eq!(hers["viewer"]["bookmarks"]["totalCount"], 0);
    assert_eq!(hers["posts"]["nodes"][0]["viewerHasBookmarked"], false);

    assert_eq!(john.mutate(&act("unbookmark", &two)).await, expected(true, false));
    assert_eq!(john.mutate(&act("unbookmark", &two)).await, expected(false, false));
    susan.mutate(&format!("deletePost(id: \"{one}\") {{ changed }}")).await;
    let bookmarks = john.query(list).await["viewer"]["bookmarks"].take();
    assert_eq!(bookmarks, json!({ "totalCount": 0, "nodes": [], "edges": [] }));
}

#[tokio::test]
async fn what_cannot_be_bookmarked() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let id = john.write("gone").await;
    john.mutate(&format!("deletePost(id: \"{id}\") {{ changed }}")).await;
    for verb in ["bookmark", "unbookmark"] {
        let act =
            |id: &str| format!("{verb}(postId: \"{id}\") {{ changed userErrors {{ code }} }}");
        assert_eq!(john.user_error(&act(&id)).await, "NOT_FOUND");
        let document = format!("mutation {{ {} }}", act(&john.id));
        assert_eq!(john.error(&document).await, "INVALID_ID");
        let document = format!("mutation {{ {} }}", act(&id));
        assert_eq!(app.anonymous().error(&document).await, "UNAUTHENTICATED");
    }
}
