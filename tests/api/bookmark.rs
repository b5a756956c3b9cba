//! Bookmarks: idempotent writes, a list in the order of bookmarking, and privacy.

use serde_json::json;

use crate::support::actors::texts;
use crate::support::app::TestApp;

#[tokio::test]
async fn bookmark_and_unbookmark_are_idempotent_and_private() {
    let app = TestApp::new().await;
    let (susan, john) = (app.register("susan").await, app.register("john").await);
    let (one, two) = (susan.write("one").await, susan.write("two").await);
    let field = |name: &str, id: &str| {
        format!(
            "{name}(postId: \"{id}\") {{ changed post {{ body viewerHasBookmarked }}
            userErrors {{ code }} }}"
        )
    };
    let expected = |changed: bool, bookmarked: bool| {
        json!({ "changed": changed, "post": { "body": "two", "viewerHasBookmarked": bookmarked },
                "userErrors": [] })
    };
    assert_eq!(john.mutate(&field("bookmark", &two)).await, expected(true, true));
    assert_eq!(john.mutate(&field("bookmark", &two)).await, expected(false, true));
    john.mutate(&field("bookmark", &one)).await;
    let list = "{ viewer { bookmarks { totalCount nodes { body viewerHasBookmarked }
        edges { bookmarkedAt } } } }";
    let bookmarks = john.query(list).await["viewer"]["bookmarks"].take();
    assert_eq!(bookmarks["totalCount"], 2);
    assert_eq!(texts(&bookmarks["nodes"], "body"), ["one", "two"], "newest bookmark first");
    assert_eq!(bookmarks["nodes"][0]["viewerHasBookmarked"], true);
    let susans = susan
        .query("{ viewer { bookmarks { totalCount } } posts { nodes { viewerHasBookmarked } } }");
    let susans = susans.await;
    assert_eq!(susans["viewer"]["bookmarks"]["totalCount"], 0);
    assert_eq!(susans["posts"]["nodes"][0]["viewerHasBookmarked"], false);

    assert_eq!(john.mutate(&field("unbookmark", &two)).await, expected(true, false));
    assert_eq!(john.mutate(&field("unbookmark", &two)).await, expected(false, false));
    susan.mutate(&format!("deletePost(id: \"{one}\") {{ changed }}")).await;
    let bookmarks = john.query(list).await["viewer"]["bookmarks"].take();
    assert_eq!(bookmarks, json!({ "totalCount": 0, "nodes": [], "edges": [] }));
}

#[tokio::test]
async fn bookmarking_rejects_deleted_posts_wrong_ids_and_anonymous_clients() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let id = john.write("deleted").await;
    john.mutate(&format!("deletePost(id: \"{id}\") {{ changed }}")).await;
    for name in ["bookmark", "unbookmark"] {
        let field =
            |id: &str| format!("{name}(postId: \"{id}\") {{ changed userErrors {{ code }} }}");
        assert_eq!(john.user_error(&field(&id)).await, "NOT_FOUND");
        let document = format!("mutation {{ {} }}", field(&john.id));
        assert_eq!(john.error(&document).await, "INVALID_ID");
        let document = format!("mutation {{ {} }}", field(&id));
        assert_eq!(app.anonymous().error(&document).await, "UNAUTHENTICATED");
    }
}
