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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/src/tabs");
    let mut tabs: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    tabs.sort();
    for tab in tabs {
        let document = std::fs::read_to_string(&tab).unwrap();
        if document.contains("\nsubscription ") {
            let mut events = client.subscribe_and_join(&document, json!({})).await;
            let post = client.write("and another").await;
            assert_eq!(events.next().await["edge"]["node"]["id"], post);
            continue;
        }
        if tab.ends_with("09-accept.graphql") {
            let request = "follow(user: {username: \"ada\"}) { relationship { followState } }";
            assert_eq!(john.mutate(request).await["relationship"]["followState"], "REQUESTED");
        }
        let data = client.run(&document, json!({})).await;
        let (name, payload) = data.as_object().unwrap().iter().next().unwrap();
        if let Some(errors) = payload.get("userErrors") {
            assert_eq!(*errors, json!([]), "{name}");
        }
        if let Some(token) = payload["token"].as_str() {
            client.token = Some(token.to_owned());
        }
        payloads.push(payload.clone());
    }
    let [_, _, follow, post, viewer, user, protect, accept, mute, block] = payloads.as_slice()
    else {
        panic!("{payloads:#?}")
    };
    assert_eq!(follow["user"]["followersCount"], 1);
    assert_eq!(viewer["user"]["timeline"]["nodes"][0]["body"], post["post"]["body"]);
    assert_eq!(user["followers"]["edges"][0]["node"]["username"], "ada");
    assert_eq!(protect["user"]["isProtected"], true);
    assert_eq!(accept["relationship"]["followedBy"], true);
    assert_eq!(mute["viewer"]["mutedUsers"]["edges"][0]["node"]["username"], "john");
    assert_eq!(block["relationship"]["followedBy"], false);
}
