//! The example documents in the playground's tabs, executed from left to right.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::app::TestApp;

#[tokio::test]
async fn the_documents_of_all_tabs_succeed_in_order() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let mut client = app.anonymous();
    let mut payloads: Vec<Value> = vec![];
    let johns = john.write("The rooks are back.").await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/src/tabs");
    let mut tabs: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    tabs.sort();
    for tab in tabs {
        let document = std::fs::read_to_string(&tab).unwrap();
        if tab.ends_with("11-live.graphql") {
            let mut events = client.subscribe_and_join(&document, json!({})).await;
            let post = client.write("and another").await;
            let mut event = events.next().await;
            // The counts of an earlier post have changed.
            while event["__typename"] == "TimelinePostUpdated" {
                event = events.next().await;
            }
            assert_eq!(event["edge"]["node"]["id"], post);
            continue;
        }
        if tab.ends_with("12-inbox.graphql") {
            assert_eq!(john.mutate(&by_john("like", &payloads)).await["changed"], true);
        }
        if tab.ends_with("13-live-inbox.graphql") {
            let mut events = client.subscribe_and_join(&document, json!({})).await;
            assert_eq!(john.mutate(&by_john("repost", &payloads)).await["changed"], true);
            let event = events.next().await;
            assert_eq!(event["notification"]["type"], "REPOST");
            assert_eq!(event["unreadCount"], 2);
            continue;
        }
        if tab.ends_with("16-accept.graphql") {
            let request = "follow(user: {username: \"ada\"}) { relationship { followState } }";
            assert_eq!(john.mutate(request).await["relationship"]["followState"], "REQUESTED");
        }
        // What the comments of the tabs tell the user to write into Variables.
        let variables = if document.contains("($id: ID!)") {
            json!({ "id": johns })
        } else if document.contains("($cursor: String!)") {
            json!({ "cursor": payloads[4]["user"]["timeline"]["edges"][0]["cursor"] })
        } else {
            json!({})
        };
        let data = client.run(&document, variables).await;
        for (name, payload) in data.as_object().unwrap() {
            if let Some(errors) = payload.get("userErrors") {
                assert_eq!(*errors, json!([]), "{name}");
            }
        }
        let payload = data.as_object().unwrap().values().next().unwrap();
        if let Some(token) = payload["token"].as_str() {
            client.token = Some(token.to_owned());
        }
        payloads.push(payload.clone());
    }
    let [
        _,
        _,
        follow,
        post,
        viewer,
        like,
        reply,
        conversation,
        found,
        user,
        inbox,
        marked,
        protect,
        accept,
        mute,
        block,
    ] = payloads.as_slice()
    else {
        panic!("{payloads:#?}")
    };
    assert_eq!(follow["user"]["followersCount"], 1);
    assert_eq!(viewer["user"]["timeline"]["edges"][0]["node"]["body"], post["post"]["body"]);
    assert_eq!(like["post"]["viewerHasLiked"], true);
    assert_eq!(reply["post"]["mentions"][0]["user"]["username"], "john");
    assert_eq!(conversation["replies"]["nodes"][0]["body"], reply["post"]["body"]);
    assert_eq!(conversation["reposters"]["nodes"][0]["username"], "ada");
    assert_eq!(found["nodes"][0]["body"], post["post"]["body"]);
    assert_eq!(user["followers"]["edges"][0]["node"]["username"], "ada");
    assert_eq!(inbox["notifications"]["nodes"][0]["type"], "LIKE");
    assert_eq!(marked["viewer"]["unreadNotificationsCount"], 0);
    assert_eq!(protect["user"]["isProtected"], true);
    assert_eq!(accept["relationship"]["followedBy"], true);
    assert_eq!(mute["viewer"]["mutedUsers"]["edges"][0]["node"]["username"], "john");
    assert_eq!(block["relationship"]["followedBy"], false);
}

/// A mutation of ada's first post.
fn by_john(field: &str, payloads: &[Value]) -> String {
    format!("{field}(postId: {}) {{ changed }}", payloads[3]["post"]["id"])
}
