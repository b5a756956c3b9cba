//! Every field of every type in `schema.graphql` is asked for, with each of its arguments, and each
//! answer is held against the type that was promised. A new field is covered as it comes; a new
//! argument needs a value in [`samples`].

use std::collections::BTreeSet;

use async_graphql::parser::types::{BaseType, FieldDefinition, Type, TypeKind};
use chrono::DateTime;
use serde_json::{Map, Value, json};

use super::document::{Document, Samples, Schema, base, is_required};
use crate::app::{PASSWORD, TestApp};
use crate::cast::{Actor, texts};

/// What cannot be had by asking: who is turned away for asking too much, when.
const UNSEEN: [&str; 2] = ["TooManyRequestsError", "FollowLimitError"];

async fn samples(john: &Actor<'_>, susan: &Actor<'_>) -> Samples {
    let (mine, hers, gone) =
        (john.write("Mine.").await, susan.write("Hers.").await, john.write("Gone.").await);
    john.mutate(&format!("deletePost(id: \"{gone}\") {{ changed }}")).await;
    let ask = "{ viewer { sessions { id } }
        user(by: {username: \"susan\"}) { viewerRelationship { id } } }";
    let data = john.query(ask).await;
    let (session, relationship) =
        (&data["viewer"]["sessions"][0]["id"], &data["user"]["viewerRelationship"]["id"]);
    let samples = json!({
        "first": 2, "last": 2, "cap": 2, "size": 64, "usernamePrefix": "s", "UserBy": { "username": "susan" },
        "id": susan.id, "ids": [susan.id, mine, gone, session, relationship],
        "postId": hers, "revokeSession.id": session, "deletePost.id": mine, "EditPostInput.id": mine, "body": "A post.",
        "username": "newcomer", "LoginInput.username": "john", "email": "newcomer@example.com",
        "displayName": "Newcomer", "aboutMe": "New here.", "password": PASSWORD,
        "currentPassword": PASSWORD, "newPassword": "another horse battery", "gone": gone,
    });
    serde_json::from_value(samples).unwrap()
}

/// People who follow each other, write, and put each other's posts aside; john among them.
async fn filled<'a>(app: &'a TestApp, others: &[&str]) -> (Actor<'a>, Samples) {
    let mut all = Vec::new();
    for name in others.iter().chain(&["john"]) {
        all.push(app.join(name).await);
    }
    for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
        if one.id != other.id {
            one.follow(other).await;
        }
        let post = one.write("Hello.").await;
        other.mutate(&format!("bookmark(postId: \"{post}\") {{ changed }}")).await;
    }
    let john = all.pop().unwrap();
    let samples = samples(&john, &all[0]).await;
    (john, samples)
}

/// Holds answers against the schema, and notes which fields it saw.
struct Judge<'a> {
    schema: &'a Schema,
    seen: BTreeSet<String>,
}

impl Judge<'_> {
    fn check(&mut self, value: &Value, ty: &Type, place: &str) {
        match (&ty.base, value) {
            (_, Value::Null) => assert!(ty.nullable, "{place} is null and must not be"),
            (BaseType::List(item), Value::Array(items)) => {
                for value in items {
                    self.check(value, item, place);
                }
            }
            (BaseType::List(_), _) => panic!("{place} is no list: {value}"),
            (BaseType::Named(name), Value::Object(fields)) => self.object(fields, name, place),
            (BaseType::Named(name), _) => assert!(self.is_leaf(value, name), "{place}: {value}"),
        }
    }

    fn object(&mut self, fields: &Map<String, Value>, name: &str, place: &str) {
        let schema = self.schema;
        let own = fields.get("__typename").and_then(Value::as_str).unwrap_or(name);
        assert!(schema.possible(name).contains(&own), "{place} is a {own}, not a {name}");
        for (key, value) in fields.iter().filter(|(key, _)| *key != "__typename") {
            let place = format!("{own}.{key}");
            let field = schema.fields(own).find(|field| field.name.node == *key).unwrap();
            self.check(value, &field.ty.node, &place);
            self.seen.insert(place);
        }
    }

    fn is_leaf(&self, value: &Value, name: &str) -> bool {
        let text = value.as_str();
        match (name, self.schema.kind(name)) {
            (_, TypeKind::Enum(values)) => {
                values.values.iter().any(|each| Some(each.node.value.node.as_str()) == text)
            }
            ("Int", _) => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            ("Boolean", _) => value.is_boolean(),
            ("ID", _) => text.is_some_and(|text| !text.is_empty()),
            ("String", _) => text.is_some(),
            ("URL", _) => text.is_some_and(|text| text.starts_with("https://")),
            ("DateTime", _) => text.is_some_and(|text| {
                text.ends_with('Z') && DateTime::parse_from_rfc3339(text).is_ok()
            }),
            _ => panic!("say in {} what a {name} looks like", file!()),
        }
    }
}

/// What stands at the end of a way; of lists, the first.
fn follow<'a>(data: &'a Value, way: &[&FieldDefinition]) -> &'a Value {
    way.iter().fold(data, |value, field| {
        let value = &value[field.name.node.as_str()];
        let value = value.get(0).unwrap_or(value);
        assert!(!value.is_null(), "the sample data has nothing at {}", field.name.node);
        value
    })
}

async fn read(judge: &mut Judge<'_>, john: &Actor<'_>, mut samples: Samples) {
    let schema = judge.schema;
    for (name, way) in schema.ways("Query") {
        for field in schema.fields(name) {
            let given = field.arguments.iter().map(|argument| &argument.node);
            let optional = given.filter(|argument| !is_required(argument));
            let variants = optional.map(|argument| Some(argument.name.node.as_str()));
            for variant in std::iter::once(None).chain(variants) {
                let mut document = Document::new(schema, &samples);
                let mut ask: String =
                    way.iter().map(|step| document.call(step, None) + " { __typename ").collect();
                ask += &document.call(field, variant);
                ask += &document.selection(base(&field.ty.node), 1);
                let data = document.ask(john, "query", &(ask + &" }".repeat(way.len()))).await;
                judge.object(data.as_object().unwrap(), "Query", "Query");
                let value = &follow(&data, &way)[field.name.node.as_str()];
                if let (None, Some(cursor)) = (variant, value.pointer("/pageInfo/endCursor")) {
                    assert!(cursor.is_string(), "{name}.{}: no sample data", field.name.node);
                    samples.extend(["after", "before"].map(|key| (key.into(), cursor.clone())));
                }
            }
        }
    }
}

async fn change(judge: &mut Judge<'_>, field: &FieldDefinition, wrong: Option<&Value>) {
    let app = TestApp::with(&["--rate-user", "1000000"]).await;
    let (john, mut samples) = filled(&app, &["susan"]).await;
    for (key, value) in wrong.and_then(Value::as_object).into_iter().flatten() {
        let value = if value == "gone" { samples["gone"].clone() } else { value.clone() };
        samples.insert(key.clone(), value);
    }
    let mut document = Document::new(judge.schema, &samples);
    let optional = field.arguments.iter().map(|argument| argument.node.name.node.as_str());
    let call = document.call(field, optional.last());
    let selection = document.selection(base(&field.ty.node), 1);
    let data = document.ask(&john, "mutation", &(call + &selection)).await;
    judge.object(data.as_object().unwrap(), "Mutation", "Mutation");
    let payload = data[field.name.node.as_str()].as_object().unwrap();
    let failed = !texts(&payload["userErrors"], "code").is_empty();
    assert!(wrong.is_some() || !failed, "{payload:?}");
    let results =
        payload.iter().filter(|(key, _)| !["userErrors", "__typename"].contains(&&***key));
    for (key, value) in results.filter(|_| failed) {
        assert!(value.is_null() || value == false, "{}.{key} is {value}", field.name.node);
    }
}

/// Everything that can be watched, while something happens to it.
async fn watch(judge: &mut Judge<'_>) {
    let schema = judge.schema;
    let app = TestApp::with(&["--event-retention", "1"]).await;
    let (john, mut samples) = filled(&app, &["susan"]).await;
    let mary = app.join("mary").await;
    let page = "{ viewer { user { timeline { streamCursor } } } }";
    let start = &john.query(page).await["viewer"]["user"]["timeline"]["streamCursor"];
    samples.extend([("after".to_owned(), start.clone()), ("userIds".to_owned(), json!([mary.id]))]);
    samples.insert("userId".to_owned(), json!(john.id));
    let happen = async |old: &str| {
        john.follow(&mary).await;
        let post = mary.write("Hello.").await;
        let edit = format!("editPost(input: {{id: \"{post}\", body: \"Hi.\"}}) {{ changed }}");
        mary.mutate(&edit).await;
        mary.write("Bye.").await;
        john.unfollow(&mary).await;
        john.follow(&mary).await;
        mary.mutate(&format!("deletePost(id: \"{old}\") {{ changed }}")).await;
    };
    for field in schema.fields("Subscription") {
        let optional = field.arguments.iter().map(|argument| argument.node.name.node.as_str());
        let mut document = Document::new(schema, &samples);
        let call = document.call(field, optional.last());
        let selection = document.selection(base(&field.ty.node), 2);
        let (document, variables) = document.finish("subscription", &(call + &selection));
        let old = mary.write("Soon gone.").await;
        let mut events = john.watch(&document, variables).await;
        happen(&old).await;
        // What passes by quickly is not all seen.
        let certain = match field.name.node.as_str() {
            "timelineEvents" => 7,
            "relationshipEvents" => 2,
            _ => 1,
        };
        for _ in 0..certain {
            let answer = events.answer().await.unwrap();
            assert!(answer.get("errors").is_none(), "{answer}");
            judge.object(answer["data"].as_object().unwrap(), "Subscription", "Subscription");
        }
    }
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    app.app.live.prune().await.unwrap();
    let field = schema.fields("Subscription").find(|field| field.name.node == "timelineEvents");
    let mut document = Document::new(schema, &samples);
    let call = document.call(field.unwrap(), Some("after"));
    let selection = document.selection("TimelineEvent", 2);
    let (document, variables) = document.finish("subscription", &(call + &selection));
    let mut events = john.subscribe(&document, variables).await;
    let answer = events.answer().await.unwrap();
    assert_eq!(answer["data"]["timelineEvents"]["__typename"], "StreamLagged");
    judge.object(answer["data"].as_object().unwrap(), "Subscription", "Subscription");
}

#[tokio::test]
async fn every_answer_keeps_to_the_schema() {
    let schema = Schema::read();
    let mut judge = Judge { schema: &schema, seen: BTreeSet::new() };
    let app = TestApp::with(&["--rate-user", "1000000"]).await;
    let (john, samples) = filled(&app, &["susan", "mary", "david"]).await;
    read(&mut judge, &john, samples).await;
    let nobody = json!({ "UserBy": { "username": "nobody" }, "username": "", "email": "",
        "password": "", "newPassword": "", "LoginInput.username": "", "displayName": "",
        "aboutMe": "", "body": "", "postId": "gone", "deletePost.id": "gone" });
    let myself = json!({ "UserBy": { "username": "john" }, "username": "susan",
        "EditPostInput.id": "gone", "currentPassword": "wrong" });
    for field in schema.fields("Mutation") {
        for wrong in [None, Some(&nobody), Some(&myself)] {
            change(&mut judge, field, wrong).await;
        }
    }
    watch(&mut judge).await;
    let objects = schema.0.keys().filter(|name| matches!(schema.kind(name), TypeKind::Object(_)));
    let promised = objects.filter(|name| !UNSEEN.contains(&name.as_str())).flat_map(|name| {
        schema.fields(name).map(move |field| format!("{name}.{}", field.name.node))
    });
    let unseen: Vec<String> = promised.filter(|field| !judge.seen.contains(field)).collect();
    assert!(unseen.is_empty(), "never seen in an answer: {unseen:?}");
}
