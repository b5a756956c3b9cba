//! The schema as a subgraph: what a router asks for.

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::cast::texts;

const ENTITIES: &str = "query ($representations: [_Any!]!) { _entities(representations: $representations) {
    __typename ... on User { username followersCount } ... on Post { body author { username } } } }";

async fn entities(app: &TestApp, representations: Value) -> Value {
    let variables = json!({ "representations": representations });
    app.anonymous().run(ENTITIES, variables).await["_entities"].clone()
}

#[tokio::test]
async fn entities_come_by_their_keys() {
    let app = TestApp::with(&["--federation"]).await;
    let cast = app.cast().await;
    cast.john.follow(&cast.susan).await;
    let post = cast.susan.write("from susan").await;
    let (user, post) = (
        json!({ "__typename": "User", "id": cast.susan.id }),
        json!({ "__typename": "Post", "id": post }),
    );
    let gone = json!({ "__typename": "User", "id": "VQAAAAAAAAAB" });
    let found = entities(&app, json!([post, gone, user, user])).await;
    let susan = json!({ "__typename": "User", "username": "susan", "followersCount": 1 });
    let posted = json!({ "__typename": "Post", "body": "from susan",
        "author": { "username": "susan" } });
    assert_eq!(found, json!([posted, null, susan, susan]));
    assert_eq!(entities(&app, json!([])).await, json!([]));

    let answer = async |representations: Value| {
        let body =
            json!({ "query": ENTITIES, "variables": { "representations": representations } });
        app.post(None, &body).await
    };
    let mut crossed = user.clone();
    crossed["__typename"] = "Post".into();
    for wrong in [json!("x"), json!({}), json!({ "__typename": "User" }), crossed] {
        let answer = answer(json!([user, wrong, user])).await;
        assert_eq!(answer["data"]["_entities"], json!([susan, null, susan]), "{wrong}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], "INVALID_ID");
        assert_eq!(answer["errors"][0]["path"], json!(["_entities", 1]));
    }
    let many = vec![json!({ "__typename": "User", "id": "V" }); 1_001];
    let answer = answer(many.into()).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "ARGUMENT_OUT_OF_RANGE");
}

#[tokio::test]
async fn however_many_entities_take_as_many_statements() {
    let app = TestApp::with(&["--federation"]).await;
    let mut keys = Vec::new();
    for n in 0..30 {
        let user = app.join(&format!("user{n}")).await;
        let post = user.write("a post").await;
        keys.push(json!({ "__typename": "User", "id": user.id }));
        keys.push(json!({ "__typename": "Post", "id": post }));
    }
    let mut taken = Vec::new();
    for many in [2, 20, 60] {
        let (found, statements) = app.statements(entities(&app, keys[..many].into())).await;
        assert_eq!(found.as_array().unwrap().len(), many);
        assert!(found.as_array().unwrap().iter().all(Value::is_object));
        taken.push(statements);
    }
    assert_eq!(taken, [taken[0]; 3], "for 2, 20 and 60");
}

#[tokio::test]
async fn a_router_is_told_the_keys() {
    let app = TestApp::with(&["--federation"]).await;
    let data = app.anonymous().query("{ _service { sdl } __typename }").await;
    let sdl = data["_service"]["sdl"].as_str().unwrap();
    assert_eq!(sdl, rookery::schema::subgraph());
    assert!(parse_schema(sdl).is_ok());
    for known in [
        "type User implements Node @key(fields: \"id\") {",
        "type Post implements Node @key",
        "type PageInfo @shareable {",
    ] {
        assert!(sdl.contains(known), "{known}");
    }
    assert!(!sdl.contains("_entities"), "routers know that");

    let alone = TestApp::new().await;
    let answer = alone.post(None, &json!({ "query": "{ _service { sdl } }" })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
}

/// What the router composes from is what the service answers.
#[tokio::test]
async fn what_is_told_is_there() {
    let app = TestApp::with(&["--federation", "--rate-network", "100000"]).await;
    let roots = app
        .anonymous()
        .query("{ __schema { queryType { fields { name } } } _service { sdl } }")
        .await;
    let fields = texts(&roots["__schema"]["queryType"]["fields"], "name");
    let sdl = parse_schema(roots["_service"]["sdl"].as_str().unwrap()).unwrap();
    let told: Vec<String> = sdl
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
    assert!(told.len() >= 5, "{told:?}");
    let is_node = |field: &String| ["node", "nodes"].contains(&field.as_str());
    assert!(
        !told.iter().any(is_node),
        "every Relay graph has one, and one alone fits in a supergraph"
    );
    assert!(fields.iter().any(is_node), "whoever asks here has it");
    for field in told {
        assert!(fields.contains(&field), "{field} is told of, and not there");
    }
    assert!(app.anonymous().query("{ rateLimit { cost } }").await["rateLimit"].is_object());
}
