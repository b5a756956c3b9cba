//! The timeline marker: it moves to newer entries only, and stays a valid cursor.

use indicatif::ProgressBar;
use rookery::command::copy;
use rookery::pagination::{CursorKind, encode_cursor};
use serde_json::{Value, json};

use crate::support::actors::{Actor, texts};
use crate::support::app::{TestApp, TestDatabase};

const MARK: &str = "mutation ($cursor: String!) { markTimelineRead(cursor: $cursor) {
    changed timelineMarker userErrors { code } } }";

/// Marks the timeline as read. Returns `changed` and the marker.
async fn mark(viewer: &Actor<'_>, cursor: &str) -> (bool, String) {
    let mut payload =
        viewer.run(MARK, json!({ "cursor": cursor })).await["markTimelineRead"].take();
    assert_eq!(payload["userErrors"], json!([]));
    let Value::String(marker) = payload["timelineMarker"].take() else { panic!("{payload}") };
    (payload["changed"] == true, marker)
}

async fn marker(viewer: &Actor<'_>) -> Value {
    viewer.query("{ viewer { timelineMarker } }").await["viewer"]["timelineMarker"].take()
}

/// The cursors of the viewer's timeline, newest first.
async fn cursors(viewer: &Actor<'_>) -> Vec<String> {
    let data = viewer.query("{ viewer { user { timeline { edges { cursor } } } } }").await;
    texts(&data["viewer"]["user"]["timeline"]["edges"], "cursor")
}

/// The number of entries that are newer than the marker, as a client counts them.
async fn unread(viewer: &Actor<'_>) -> i64 {
    let page = "query ($marker: String) { viewer { user {
        timeline(last: 1, before: $marker) { newerCount nodes { id } } } } }";
    let data = viewer.run(page, json!({ "marker": marker(viewer).await })).await;
    let timeline = &data["viewer"]["user"]["timeline"];
    let nodes = timeline["nodes"].as_array().unwrap().len();
    timeline["newerCount"].as_i64().unwrap() + i64::try_from(nodes).unwrap()
}

#[tokio::test]
async fn the_marker_moves_to_newer_entries_only() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.follow(&susan).await;
    for n in 0..4 {
        [&john, &susan][n % 2].write(&n.to_string()).await;
    }
    assert_eq!(marker(&john).await, json!(null));
    let all = cursors(&john).await;
    let [newest, second, .., oldest] = all.as_slice() else { panic!("{all:?}") };

    assert_eq!(mark(&john, oldest).await, (true, oldest.clone()));
    assert_eq!(marker(&john).await, *oldest);
    assert_eq!(unread(&john).await, 3);
    assert_eq!(mark(&john, oldest).await, (false, oldest.clone()), "idempotent");
    assert_eq!(mark(&john, second).await, (true, second.clone()), "forward");
    assert_eq!(unread(&john).await, 1);
    assert_eq!(mark(&john, oldest).await, (false, second.clone()), "not back");
    assert_eq!(marker(&john).await, *second);
    assert_eq!(unread(&john).await, 1);
    assert_eq!(mark(&john, newest).await, (true, newest.clone()));
    assert_eq!(unread(&john).await, 0);
    assert_eq!(marker(&susan).await, json!(null), "each viewer has their own");

    susan.write("later").await;
    assert_eq!(unread(&john).await, 1);
    let older = "query ($marker: String) { viewer { user {
        timeline(after: $marker) { nodes { body } } } } }";
    let data = john.run(older, json!({ "marker": newest })).await;
    assert_eq!(texts(&data["viewer"]["user"]["timeline"]["nodes"], "body"), ["2", "1", "0"]);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

/// The marker is a position, which an entry has with every filter.
#[tokio::test]
async fn cursors_of_timelines_with_any_filter_are_accepted() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let mut filters = vec![];
    for replies in ["ALL", "TO_FOLLOWED", "NONE"] {
        for include_reposts in [true, false] {
            filters.push(format!("{{replies: {replies}, includeReposts: {include_reposts}}}"));
        }
    }
    for filter in filters {
        john.write("a post").await;
        let page = format!(
            "{{ viewer {{ user {{ timeline(first: 1, filter: {filter}) {{
                edges {{ cursor }} }} }} }} }}"
        );
        let data = john.query(&page).await;
        let cursor = texts(&data["viewer"]["user"]["timeline"]["edges"], "cursor").remove(0);
        let newest = cursors(&john).await.remove(0);
        assert_eq!(mark(&john, &cursor).await, (true, newest), "{filter}");
        assert_eq!(unread(&john).await, 0);
    }
}

#[tokio::test]
async fn the_marker_outlives_its_entry() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    for body in ["one", "two", "three"] {
        john.write(body).await;
    }
    let posts =
        john.query("{ viewer { user { timeline { edges { cursor node { id } } } } } }").await;
    let edge = &posts["viewer"]["user"]["timeline"]["edges"][1];
    let cursor = edge["cursor"].as_str().unwrap();
    let delete = format!("deletePost(id: {}) {{ changed }}", edge["node"]["id"]);
    assert_eq!(john.mutate(&delete).await["changed"], true);
    // The client has read the page before the post was deleted.
    assert_eq!(mark(&john, cursor).await, (true, cursor.to_owned()));
    assert_eq!(marker(&john).await, cursor);
    assert_eq!(unread(&john).await, 1);
}

#[tokio::test]
async fn only_a_cursor_of_a_timeline_and_a_viewer_are_accepted() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    john.write("one").await;
    let page = "{ posts { pageInfo { endCursor } } viewer { user {
        posts { pageInfo { endCursor } } timeline { pageInfo { endCursor } streamCursor } } } }";
    let data = john.query(page).await;
    let user = &data["viewer"]["user"];
    let end = |list: &Value| list["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
    let future = encode_cursor(CursorKind::Timeline, &(i64::MAX - 1));
    let stream = user["timeline"]["streamCursor"].as_str().unwrap().to_owned();
    let document = |cursor: &str| {
        format!("mutation {{ markTimelineRead(cursor: \"{cursor}\") {{ changed }} }}")
    };
    for cursor in ["", "broken", &end(&data["posts"]), &end(&user["posts"]), &stream, &future] {
        assert_eq!(john.error(&document(cursor)).await, "INVALID_CURSOR", "{cursor}");
    }
    assert_eq!(marker(&john).await, json!(null));
    let cursor = end(&user["timeline"]);
    assert_eq!(app.anonymous().error(&document(&cursor)).await, "UNAUTHENTICATED");
    assert_eq!(app.anonymous().error(&document("broken")).await, "UNAUTHENTICATED");
    // No cursor names its timeline. That of another user's timeline is a position, too.
    let susan = app.register("susan").await;
    assert_eq!(mark(&susan, &cursor).await, (true, cursor.clone()));
    assert_eq!(unread(&susan).await, 0);
}

#[tokio::test]
async fn a_copy_keeps_the_marker() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    john.write("one").await;
    let cursor = cursors(&john).await.remove(0);
    mark(&john, &cursor).await;
    let target = TestDatabase::sqlite_file();
    let copied = target.open().await;
    copied.migrate().await.unwrap();
    let (_, report) = copy::run(app.database(), &copied, &ProgressBar::hidden()).await.unwrap();
    assert_eq!(report.to_string(), "no problems found\n");
    copied.close().await;
    let copy = TestApp::at(target, &[]).await;
    assert_eq!(marker(&john.at(&copy)).await, cursor);
}
