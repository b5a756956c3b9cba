//! Apollo Federation: entities by key, and the SDL from which a router composes.

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
use serde_json::{Value, json};

use crate::support::actors::texts;
use crate::support::app::TestApp;

const ENTITIES: &str = "query ($representations: [_Any!]!) { _entities(representations: $representations) {
    __typename ... on User { username followersCount } ... on Post { body author { username } } } }";

async fn entities(app: &TestApp, representations: Value) -> Value {
    let variables = json!({ "representations": representations });
    app.anonymous().run(ENTITIES, variables).await["_entities"].clone()
}

#[tokio::test]
async fn entities_are_resolved_by_key_and_wrong_keys_are_errors() {
    let app = TestApp::with(&["--federation"]).await;
    let actors = app.actors().await;
    actors.john.follow(&actors.susan).await;
    let post = actors.susan.write("from susan").await;
    let (user, post) = (
        json!({ "__typename": "User", "id": actors.susan.id }),
        json!({ "__typename": "Post", "id": post }),
    );
    let unknown = json!({ "__typename": "User", "id": "VQAAAAAAAAAB" });
    let found = entities(&app, json!([post, unknown, user, user])).await;
    let susan = json!({ "__typename": "User", "username": "susan", "followersCount": 1 });
    let susans_post = json!({ "__typename": "Post", "body": "from susan",
        "author": { "username": "susan" } });
    assert_eq!(found, json!([susans_post, null, susan, susan]));
    assert_eq!(entities(&app, json!([])).await, json!([]));

    let execute = async |representations: Value| {
        let body =
            json!({ "query": ENTITIES, "variables": { "representations": representations } });
        app.post(None, &body).await
    };
    let mut wrong_type = user.clone();
    wrong_type["__typename"] = "Post".into();
    for wrong in [json!("x"), json!({}), json!({ "__typename": "User" }), wrong_type] {
        let response = execute(json!([user, wrong, user])).await;
        assert_eq!(response["data"]["_entities"], json!([susan, null, susan]), "{wrong}");
        assert_eq!(response["errors"][0]["extensions"]["code"], "INVALID_ID");
        assert_eq!(response["errors"][0]["path"], json!(["_entities", 1]));
    }
    let many = vec![json!({ "__typename": "User", "id": "V" }); 1_001];
    let response = execute(many.into()).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "ARGUMENT_OUT_OF_RANGE");
}

#[tokio::test]
async fn statement_count_is_independent_of_the_number_of_entities() {
    let app = TestApp::with(&["--federation"]).await;
    let mut keys = Vec::new();
    for n in 0..30 {
        let user = app.register(&format!("user{n}")).await;
        let post = user.write("a post").await;
        keys.push(json!({ "__typename": "User", "id": user.id }));
        keys.push(json!({ "__typename": "Post", "id": post }));
    }
    let mut counts = Vec::new();
    for count in [2, 20, 60] {
        let (found, statements) = app.count_statements(entities(&app, keys[..count].into())).await;
        assert_eq!(found.as_array().unwrap().len(), count);
        assert!(found.as_array().unwrap().iter().all(Value::is_object));
        counts.push(statements);
    }
    assert_eq!(counts, [counts[0]; 3], "for 2, 20 and 60");
}

#[tokio::test]
async fn subgraph_sdl_has_the_keys_and_is_served_only_with_federation_enabled() {
    let app = TestApp::with(&["--federation"]).await;
    let data = app.anonymous().query("{ _service { sdl } __typename }").await;
    let sdl = data["_service"]["sdl"].as_str().unwrap();
    assert_eq!(sdl, rookery::schema::subgraph_sdl());
    assert!(parse_schema(sdl).is_ok());
    for expected in [
        "type User implements Node @key(fields: \"id\") {",
        "type Post implements Node @key",
        "type PageInfo @shareable {",
    ] {
        assert!(sdl.contains(expected), "{expected}");
    }
    assert!(!sdl.contains("_entities"), "a router adds _entities itself");

    let standalone = TestApp::new().await;
    let response = standalone.post(None, &json!({ "query": "{ _service { sdl } }" })).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
}

#[tokio::test]
async fn subgraph_sdl_has_only_fields_that_the_schema_has() {
    let app = TestApp::with(&["--federation", "--rate-limit-per-network", "100000"]).await;
    let roots = app
        .anonymous()
        .query("{ __schema { queryType { fields { name } } } _service { sdl } }")
        .await;
    let fields = texts(&roots["__schema"]["queryType"]["fields"], "name");
    let sdl = parse_schema(roots["_service"]["sdl"].as_str().unwrap()).unwrap();
    let subgraph_fields: Vec<String> = sdl
        .definitions
        .iter()
        .filter_map(|definition| match definition {
            TypeSystemDefinition::Type(ty) if ty.node.name.node == "Query" => Some(&ty.node.kind),
            _ => None,
        })
        .flat_map(|kind| match kind {
            TypeKind::Object(object) => object.fields.iter(),
            _ => [].iter(),
        })
        .map(|field| field.node.name.node.to_string())
        .collect();
    assert!(subgraph_fields.len() >= 5, "{subgraph_fields:?}");
    let is_node = |field: &String| ["node", "nodes"].contains(&field.as_str());
    assert!(
        !subgraph_fields.iter().any(is_node),
        "a supergraph can have the node field of one subgraph only"
    );
    assert!(fields.iter().any(is_node), "direct clients can use node");
    for field in subgraph_fields {
        assert!(fields.contains(&field), "{field} is in the subgraph SDL and not in the schema");
    }
    assert!(app.anonymous().query("{ rateLimit { cost } }").await["rateLimit"].is_object());
}
