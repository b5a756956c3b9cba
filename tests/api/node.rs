//! Global object identification: `node` and `nodes` return every object by its id.

use serde_json::{Value, json};

use crate::support::app::TestApp;

#[tokio::test]
async fn nodes_returns_each_object_by_its_id_and_null_for_private_or_deleted_ones() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let post = susan.write("hello").await;
    let data = john
        .query(
            "{ user(by: {username: \"susan\"}) { viewerRelationship { id } }
            viewer { sessions { id } } }",
        )
        .await;
    let relationship = data["user"]["viewerRelationship"]["id"].as_str().unwrap();
    let session = data["viewer"]["sessions"][0]["id"].as_str().unwrap();
    let deleted = susan.write("deleted").await;
    susan.mutate(&format!("deletePost(id: \"{deleted}\") {{ changed }}")).await;

    let ids = [&susan.id, &post, relationship, session, &deleted, &susan.id];
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
        assert_eq!(data["node"].is_null(), id == deleted);
    }
    for other in [&susan, &app.anonymous()] {
        let data = other.run(nodes, json!({ "ids": ids })).await;
        assert_eq!(data["nodes"], json!([susan_node, post_node, null, null, null, susan_node]));
    }
}

#[tokio::test]
async fn malformed_ids_and_more_than_a_hundred_ids_are_rejected() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    for id in ["", "1", "nonsense", "\u{1F426}", &john.id[1..], &format!("{}A", john.id)] {
        let document = format!("{{ node(id: {}) {{ id }} }}", json!(id));
        assert_eq!(john.error(&document).await, "INVALID_ID", "{id}");
        let document = format!("{{ user(by: {{id: {}}}) {{ id }} }}", json!(id));
        assert_eq!(john.error(&document).await, "INVALID_ID", "{id}");
    }
    let many = |n: usize| json!({ "ids": vec![john.id.clone(); n] });
    let nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    assert_eq!(john.run(nodes, many(100)).await["nodes"].as_array().unwrap().len(), 100);
    let error: Value = john.execute(nodes, many(101)).await["errors"][0].take();
    assert_eq!(error["extensions"]["code"], "ARGUMENT_OUT_OF_RANGE");
    assert_eq!(error["extensions"]["max"], 100);
}
