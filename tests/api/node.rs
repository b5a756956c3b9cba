//! Global object identification: whatever has an id can be fetched again by it.

use serde_json::{Value, json};

use crate::app::TestApp;

#[tokio::test]
async fn every_id_leads_back() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    let post = susan.write("hello").await;
    let data = john
        .query(
            "{ user(by: {username: \"susan\"}) { viewerRelationship { id } }
            viewer { sessions { id } } }",
        )
        .await;
    let relationship = data["user"]["viewerRelationship"]["id"].as_str().unwrap();
    let session = data["viewer"]["sessions"][0]["id"].as_str().unwrap();
    let gone = susan.write("gone").await;
    susan.mutate(&format!("deletePost(id: \"{gone}\") {{ changed }}")).await;

    let ids = [&susan.id, &post, relationship, session, &gone, &susan.id];
    let nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id
        ... on User { username } ... on Post { body } ... on Relationship { user { username } }
        ... on Session { isCurrent } } }";
    let susan_node = json!({ "__typename": "User", "id": susan.id, "username": "susan" });
    let post_node = json!({ "__typename": "Post", "id": post, "body": "hello" });
    let expected = json!([
        susan_node,
        post_node,
        { "__typename": "Relationship", "id": relationship, "user": { "username": "susan" } },
        { "__typename": "Session", "id": session, "isCurrent": true },
        null,
        susan_node,
    ]);
    assert_eq!(john.run(nodes, json!({ "ids": ids })).await["nodes"], expected);
    for id in ids {
        let data = john.run("query ($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await;
        assert_eq!(data["node"].is_null(), id == gone);
    }
    for other in [&susan, &app.anonymous()] {
        let others = other.run(nodes, json!({ "ids": ids })).await;
        assert_eq!(others["nodes"], json!([susan_node, post_node, null, null, null, susan_node]));
    }
}

#[tokio::test]
async fn broken_ids_and_too_many() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    for id in ["", "1", "nonsense", "\u{1F426}", &john.id[1..], &format!("{}A", john.id)] {
        let document = format!("{{ node(id: {}) {{ id }} }}", json!(id));
        assert_eq!(john.error(&document).await, "INVALID_ID", "{id}");
        let document = format!("{{ user(by: {{id: {}}}) {{ id }} }}", json!(id));
        assert_eq!(john.error(&document).await, "INVALID_ID", "{id}");
    }
    let many = |n: usize| json!({ "ids": vec![john.id.clone(); n] });
    let nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    assert_eq!(john.run(nodes, many(100)).await["nodes"].as_array().unwrap().len(), 100);
    let error: Value = john.ask(nodes, many(101)).await["errors"][0].take();
    assert_eq!(error["extensions"]["code"], "ARGUMENT_OUT_OF_RANGE");
    assert_eq!(error["extensions"]["max"], 100);
}
