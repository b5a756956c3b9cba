//! The playground's tabs, run from left to right as a newcomer does.

use std::path::Path;

use serde_json::{Value, json};

use crate::app::TestApp;

#[tokio::test]
async fn the_tabs_lead_from_registering_to_a_timeline() {
    let app = TestApp::new().await;
    app.join("john").await;
    let mut newcomer = app.anonymous();
    let mut answers: Vec<Value> = vec![];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("playground/src/tabs");
    let mut tabs: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    tabs.sort();
    for tab in tabs {
        let document = std::fs::read_to_string(&tab).unwrap();
        if document.contains("\nsubscription ") {
            let mut live = newcomer.watch(&document, json!({})).await;
            let post = newcomer.write("and another").await;
            assert_eq!(live.next().await["edge"]["node"]["id"], post);
            continue;
        }
        let data = newcomer.run(&document, json!({})).await;
        let (name, answer) = data.as_object().unwrap().iter().next().unwrap();
        if let Some(errors) = answer.get("userErrors") {
            assert_eq!(*errors, json!([]), "{name}");
        }
        if let Some(token) = answer["token"].as_str() {
            newcomer.token = Some(token.to_owned());
        }
        answers.push(answer.clone());
    }
    let [_, _, follow, post, viewer, user] = answers.as_slice() else { panic!("{answers:#?}") };
    assert_eq!(follow["user"]["followersCount"], 1);
    assert_eq!(viewer["user"]["timeline"]["nodes"][0]["body"], post["post"]["body"]);
    assert_eq!(user["followers"]["edges"][0]["node"]["username"], "ada");
}
