//! Reading notifications: the list and its filter, the marker, `node`, and pruning.

use chrono::TimeDelta;
use rookery::domain::notification::prune;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use super::{NONE, change, ids, list, number, react, text};
use crate::support::actors::{Actor, texts};
use crate::support::app::TestApp;

/// Marks notifications as read, up to one of them or all.
///
/// It must succeed. Returns `changed`, and the number of unread notifications.
async fn mark(viewer: &Actor<'_>, up_to: Option<&str>) -> (bool, Value) {
    let argument = up_to.map_or(String::new(), |id| format!("(upTo: \"{id}\")"));
    let field = format!(
        "markNotificationsRead{argument} {{ changed viewer {{ unreadNotificationsCount
         notifications {{ nodes {{ isRead }} }} }} userErrors {{ code }} }}"
    );
    let payload = viewer.mutate(&field).await;
    assert_eq!(payload["userErrors"], json!([]));
    let viewer = &payload["viewer"];
    let nodes = viewer["notifications"]["nodes"].as_array().unwrap();
    let unread = nodes.iter().filter(|node| node["isRead"] == false).count();
    assert_eq!(viewer["unreadNotificationsCount"], unread, "{payload}");
    (payload["changed"] == true, viewer["unreadNotificationsCount"].clone())
}

#[tokio::test]
async fn marking_moves_forward_only() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    assert_eq!(mark(&susan, None).await, (false, json!(0)), "there are none");
    for n in 0..4 {
        let post = susan.write(&format!("post {n}")).await;
        react(&john, "like", &post).await;
    }
    let newest_first = ids(&susan).await;
    let [newest, third, second, oldest] = [0, 1, 2, 3].map(|n| newest_first[n].as_str());
    let events = app.event_count().await;
    let marks = "SELECT count(*) FROM event WHERE kind = 22";
    assert_eq!(mark(&susan, Some(second)).await, (true, json!(2)));
    assert_eq!(mark(&susan, Some(second)).await, (false, json!(2)));
    assert_eq!(mark(&susan, Some(oldest)).await, (false, json!(2)), "read already");
    assert_eq!(mark(&susan, Some(third)).await, (true, json!(1)));
    assert_eq!(mark(&susan, None).await, (true, json!(0)));
    assert_eq!(mark(&susan, None).await, (false, json!(0)));
    assert_eq!(mark(&susan, Some(newest)).await, (false, json!(0)));
    assert_eq!(app.event_count().await, events + 3, "an event for each change");
    assert_eq!(number(&app, marks).await, 3);
    john.follow(&susan).await;
    assert_eq!(mark(&susan, Some(newest)).await, (false, json!(1)), "the new one is unread");
    assert_eq!(mark(&susan, None).await, (true, json!(0)));
}

#[tokio::test]
async fn marking_rejects_missing_and_foreign_notifications_and_anonymous_clients() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.follow(&susan).await;
    susan.follow(&john).await;
    let (foreign, withdrawn) = (ids(&john).await.remove(0), ids(&susan).await.remove(0));
    john.unfollow(&susan).await;
    let field = |id: &str| {
        format!(
            "markNotificationsRead(upTo: \"{id}\") {{ changed viewer {{ email }}
             userErrors {{ code path }} }}"
        )
    };
    for id in [&foreign, &withdrawn] {
        let expected = json!({ "changed": false, "viewer": null,
            "userErrors": [{ "code": "NOT_FOUND", "path": ["upTo"] }] });
        assert_eq!(susan.mutate(&field(id)).await, expected);
    }
    assert_eq!(list(&john).await, ["FOLLOW susan"]);
    assert_eq!(susan.error(&format!("mutation {{ {} }}", field(&john.id))).await, "INVALID_ID");
    let document = "mutation { markNotificationsRead { changed } }";
    assert_eq!(app.anonymous().error(document).await, "UNAUTHENTICATED");
}

#[tokio::test]
async fn unread_notifications_are_counted_up_to_the_cap() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    for n in 0..3 {
        let post = susan.write(&format!("post {n}")).await;
        react(&john, "like", &post).await;
    }
    let count = |cap: i32| format!("{{ viewer {{ unreadNotificationsCount(cap: {cap}) }} }}");
    for (cap, expected) in [(1, 1), (2, 2), (3, 3), (1_000, 3)] {
        let data = susan.query(&count(cap)).await;
        assert_eq!(data["viewer"]["unreadNotificationsCount"], expected, "{cap}");
    }
    for cap in [0, -1, 1_001] {
        assert_eq!(susan.error(&count(cap)).await, "ARGUMENT_OUT_OF_RANGE");
    }
}

#[tokio::test]
async fn types_filter_the_list_and_have_cursors_of_their_own() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let post = susan.write("hello").await;
    john.follow(susan).await;
    mary.reply(&post, "answer").await;
    react(john, "like", &post).await;
    mary.follow(susan).await;
    let document = |arguments: &str| {
        format!(
            "{{ viewer {{ notifications({arguments}) {{ nodes {{ type createdAt
             actor {{ username }} post {{ body }} }} edges {{ cursor node {{ type }} }}
             pageInfo {{ endCursor hasNextPage hasPreviousPage }} }} }} }}"
        )
    };
    let read = async |arguments: &str| {
        let data = susan.query(&document(arguments)).await;
        let page = data["viewer"]["notifications"].clone();
        let nodes: Vec<String> = page["nodes"].as_array().unwrap().iter().map(text).collect();
        assert_eq!(page["edges"].as_array().unwrap().len(), nodes.len());
        (nodes, page["pageInfo"].clone())
    };
    let all = ["FOLLOW mary", "LIKE john: hello", "REPLY mary: answer", "FOLLOW john"];
    assert_eq!(read("first: 10").await.0, all);
    assert_eq!(read("types: [LIKE]").await.0, [all[1]]);
    assert_eq!(read("types: [MENTION, REPOST]").await.0, NONE);
    assert_eq!(read("types: [REPLY, FOLLOW]").await.0, [all[0], all[2], all[3]]);
    let (nodes, info) = read("types: [REPLY, FOLLOW], first: 2").await;
    assert_eq!((nodes, &info["hasNextPage"]), (vec![all[0].into(), all[2].into()], &json!(true)));
    let cursor = &info["endCursor"];
    let (rest, info) = read(&format!("types: [FOLLOW, REPLY, REPLY], after: {cursor}")).await;
    assert_eq!((rest, &info["hasPreviousPage"]), (vec![all[3].into()], &json!(true)));
    for types in ["", "types: [FOLLOW], ", "types: [FOLLOW, REPLY, LIKE], "] {
        let error = susan.error(&document(&format!("{types}after: {cursor}"))).await;
        assert_eq!(error, "INVALID_CURSOR", "{types}");
    }
    for types in ["[]", "[LIKE, LIKE, LIKE, LIKE, LIKE, LIKE, LIKE, LIKE]"] {
        let response = susan.execute(&document(&format!("types: {types}")), json!({})).await;
        let extensions = &response["errors"][0]["extensions"];
        assert_eq!(extensions["code"], "ARGUMENT_OUT_OF_RANGE", "{response}");
        assert_eq!((&extensions["min"], &extensions["max"]), (&json!(1), &json!(7)));
    }
}

#[tokio::test]
async fn notifications_of_hidden_posts_are_left_out_and_come_back() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    susan.write("for @john").await;
    susan.follow(&john).await;
    let id = ids(&john).await.remove(1);
    let node = format!("{{ node(id: \"{id}\") {{ id ... on Notification {{ type }} }} }}");
    let visible = json!({ "node": { "id": id, "type": "MENTION" } });
    assert_eq!(john.query(&node).await, visible);
    susan.protect(true).await;
    assert_eq!(list(&john).await, ["FOLLOW susan"]);
    assert_eq!(john.query(&node).await, json!({ "node": null }));
    let page = "{ viewer { notifications(first: 1) { pageInfo { hasNextPage } } } }";
    let info = json!({ "hasNextPage": false });
    assert_eq!(john.query(page).await["viewer"]["notifications"]["pageInfo"], info);
    susan.protect(false).await;
    assert_eq!(list(&john).await, ["FOLLOW susan", "MENTION susan: for @john"]);
    assert_eq!(john.query(&node).await, visible);
}

#[tokio::test]
async fn only_the_recipient_can_fetch_a_notification() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.follow(&susan).await;
    let id = ids(&susan).await.remove(0);
    let document = format!(
        "{{ node(id: \"{id}\") {{ __typename id }}
         nodes(ids: [\"{id}\"]) {{ ... on Notification {{ type actor {{ username }} }} }} }}"
    );
    let own = json!({ "node": { "__typename": "Notification", "id": id },
        "nodes": [{ "type": "FOLLOW", "actor": { "username": "john" } }] });
    assert_eq!(susan.query(&document).await, own);
    for viewer in [&john, &app.anonymous()] {
        assert_eq!(viewer.query(&document).await, json!({ "node": null, "nodes": [null] }));
    }
    john.unfollow(&susan).await;
    assert_eq!(susan.query(&document).await, json!({ "node": null, "nodes": [null] }));
}

/// Inserts `count` users who each like a post of john, with the notifications.
async fn fill(app: &TestApp, count: usize) {
    let john = "(SELECT id FROM \"user\" WHERE username = 'john')";
    let numbers = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})"
    );
    let at = "'2026-01-01T00:00:00+00:00'";
    for sql in [
        format!(
            "{numbers} INSERT INTO \"user\" (id, username, email, created_at)
             SELECT n, 'user' || n, n || '@example.com', {at} FROM n"
        ),
        format!(
            "{numbers} INSERT INTO post (id, author_id, body, created_at)
             SELECT 10000 + n, {john}, 'x', {at} FROM n"
        ),
        format!(
            "{numbers} INSERT INTO notification (id, user_id, kind, actor_id, post_id)
             SELECT 20000 + n, {john}, 3, n, 10000 + n FROM n"
        ),
    ] {
        app.database().writer().execute_unprepared(&sql).await.unwrap();
    }
}

/// Ids of a page of john's notifications, and the cursor at its end.
async fn page(john: &Actor<'_>, arguments: &str) -> (Vec<String>, Option<String>) {
    let cursor = if arguments.contains("first") { "endCursor" } else { "startCursor" };
    let document = format!(
        "{{ viewer {{ notifications({arguments}) {{ nodes {{ id }} pageInfo {{ {cursor}
         hasNextPage hasPreviousPage }} }} }} }}"
    );
    let data = john.query(&document).await;
    let page = &data["viewer"]["notifications"];
    let info = &page["pageInfo"];
    let has_more = if cursor == "endCursor" { "hasNextPage" } else { "hasPreviousPage" };
    let cursor = info[cursor].as_str().filter(|_| info[has_more] == true);
    (texts(&page["nodes"], "id"), cursor.map(str::to_owned))
}

#[tokio::test]
async fn pages_of_some_types_join_to_the_list_in_both_directions() {
    const NAMES: [&str; 7] =
        ["FOLLOW", "FOLLOW_REQUEST", "REQUEST_ACCEPTED", "LIKE", "REPLY", "REPOST", "MENTION"];
    let app = TestApp::new().await;
    let john = app.register("john").await;
    fill(&app, 60).await;
    let kinds = "UPDATE notification SET kind = CASE WHEN id % 5 > 1 THEN 3 ELSE id % 7 END";
    app.database().writer().execute_unprepared(kinds).await.unwrap();
    let all = "{ viewer { notifications(first: 100) { nodes { id type } } } }";
    let all = john.query(all).await["viewer"]["notifications"]["nodes"].take();
    let all = all.as_array().unwrap();
    for types in [&NAMES[..], &["LIKE"], &["FOLLOW", "MENTION"], &["REPLY", "LIKE", "REPOST"]] {
        let is_listed = |node: &&Value| types.contains(&node["type"].as_str().unwrap());
        let listed: Vec<Value> = all.iter().filter(is_listed).cloned().collect();
        let listed = texts(&Value::from(listed), "id");
        let types = types.join(", ");
        for (size, newest_first) in [("first", true), ("last", false)] {
            let (mut found, mut cursor) = (Vec::new(), None::<String>);
            loop {
                let argument = if newest_first { "after" } else { "before" };
                let from = cursor.map_or(String::new(), |at| format!(", {argument}: \"{at}\""));
                let arguments = format!("{size}: 4, types: [{types}]{from}");
                let (ids, next) = page(&john, &arguments).await;
                if newest_first {
                    found.extend(ids);
                } else {
                    drop(found.splice(..0, ids));
                }
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(found, listed, "{size} of {types}");
        }
    }
}

#[tokio::test]
async fn statement_count_is_independent_of_the_number_of_notifications() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    fill(&app, 100).await;
    for first in [1, 10, 100] {
        let document = format!(
            "{{ viewer {{ unreadNotificationsCount notifications(first: {first}) {{
             edges {{ cursor node {{ id }} }} pageInfo {{ hasNextPage }}
             nodes {{ type isRead actor {{ username }} post {{ body author {{ username }} }} }} }}
             }} }}"
        );
        let (data, statements) = app.count_statements(john.query(&document)).await;
        let nodes = data["viewer"]["notifications"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), first);
        // Session with its user, number of unread ones, notifications, actors, posts.
        assert_eq!(statements, 5, "{first} notifications");
    }
}

#[tokio::test]
async fn old_notifications_are_pruned_in_batches() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    fill(&app, 1_001).await;
    susan.follow(&john).await;
    let left = "SELECT count(*) FROM notification";
    assert!(!prune(app.database(), TimeDelta::days(36_500)).await.unwrap(), "none is so old");
    assert_eq!(number(&app, left).await, 1_002);
    assert!(prune(app.database(), TimeDelta::days(90)).await.unwrap());
    assert_eq!(number(&app, left).await, 2);
    assert!(!prune(app.database(), TimeDelta::days(90)).await.unwrap());
    assert_eq!(list(&john).await, ["FOLLOW susan"]);
    assert!(!prune(app.database(), TimeDelta::days(90)).await.unwrap());
    assert!(change(&susan, "unfollow(user: {username: \"john\"})").await);
    assert_eq!(number(&app, left).await, 0);
}
