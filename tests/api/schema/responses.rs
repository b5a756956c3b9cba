//! Conformance of responses to `schema.graphql`.
//!
//! Every field of every type is requested with each of its arguments, and each value is checked
//! against its declared type. New fields are covered automatically. A new argument needs a value in
//! [`samples`].

use std::collections::BTreeSet;

use async_graphql::parser::types::{BaseType, FieldDefinition, Type, TypeKind};
use chrono::DateTime;
use entity::mail::Kind;
use serde_json::{Map, Value, json};

use super::document::{Document, Samples, Schema, base, is_required};
use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, TestApp};

/// Error types that these requests do not trigger: they need other options.
const UNCOVERED_TYPES: [&str; 3] =
    ["TooManyRequestsError", "FollowLimitError", "EmailNotVerifiedError"];

/// Argument values for requests of john, in a database where susan exists.
async fn samples(john: &Actor<'_>, susan: &Actor<'_>) -> Samples {
    let used = "createPost(input: {body: \"First.\", idempotencyKey: \"used\"}) { post { id } }";
    john.mutate(used).await;
    let johns_post = john.write("John's.").await;
    let susans_post = susan.write("Susan's, for @john.").await;
    for verb in ["like", "repost"] {
        john.mutate(&format!("{verb}(postId: \"{susans_post}\") {{ changed }}")).await;
    }
    let deleted_post = john.write("Deleted.").await;
    john.mutate(&format!("deletePost(id: \"{deleted_post}\") {{ changed }}")).await;
    // A reply of a protected user is not in `posts`, so the first post there has a reply.
    let replier = john.app.register("replier").await;
    john.follow(&replier).await;
    replier.protect(true).await;
    replier.reply(&susans_post, "A reply.").await;
    let query = "{ viewer { sessions { id } notifications(first: 1) { nodes { id } }
        user { timeline { pageInfo { endCursor } } } }
        user(by: {username: \"susan\"}) { viewerRelationship { id } } }";
    let data = john.query(query).await;
    let (session, relationship) =
        (&data["viewer"]["sessions"][0]["id"], &data["user"]["viewerRelationship"]["id"]);
    let notification = &data["viewer"]["notifications"]["nodes"][0]["id"];
    let verification = john.app.mail_token("john", Kind::VerifyEmail).await;
    let reset = john.app.mail_token("john", Kind::ResetPassword).await;
    let samples = json!({
        "acceptFollowRequest.user": { "username": "requester" },
        "rejectFollowRequest.user": { "username": "requester" },
        "userIds": [susan.id, john.id], "maxLength": 3, "searchPosts.query": "hello",
        "searchUsers.query": "s", "searchUsers.first": 5, "filter": { "viewerFollows": true },
        "posts.filter": { "replies": false, "reposts": true },
        "timeline.filter": { "replies": "TO_FOLLOWED" },
        "orderBy": { "field": "USERNAME", "direction": "ASC" },
        "suggestions.first": 5, "first": 2, "last": 2, "cap": 2, "size": 64, "usernamePrefix": "s", "UserBy": { "username": "susan" },
        "id": susan.id, "types": ["FOLLOW", "MENTION"], "upTo": notification,
        "ids": [susan.id, johns_post, deleted_post, session, relationship, notification],
        "postId": susans_post, "revokeSession.id": session, "deletePost.id": johns_post,
        "EditPostInput.id": johns_post, "body": "A post.", "inReplyToId": susans_post,
        "idempotencyKey": "new",
        "verifyEmail.token": verification, "resetPassword.token": reset,
        "username": "newcomer", "LoginInput.username": "john", "email": "newcomer@example.com",
        "displayName": "Newcomer", "aboutMe": "New here.", "password": PASSWORD,
        "markTimelineRead.cursor": data["viewer"]["user"]["timeline"]["pageInfo"]["endCursor"],
        "currentPassword": PASSWORD, "newPassword": "another horse battery", "deleted post": deleted_post,
    });
    serde_json::from_value(samples).unwrap()
}

/// Registers `others` and john, who all follow each other.
///
/// Each of them also bookmarks a post of every user. John blocks and mutes further users.
async fn fill<'a>(app: &'a TestApp, others: &[&str]) -> (Actor<'a>, Samples) {
    let mut all = Vec::new();
    for name in others.iter().chain(&["john"]) {
        all.push(app.register(name).await);
    }
    for (user, other) in all.iter().flat_map(|user| all.iter().map(move |other| (user, other))) {
        if user.id != other.id {
            user.follow(other).await;
        }
        let post = user.write("Hello.").await;
        other.mutate(&format!("bookmark(postId: \"{post}\") {{ changed }}")).await;
    }
    let john = all.pop().unwrap();
    app.register("blocked").await;
    john.mutate("block(user: {username: \"blocked\"}) { changed }").await;
    app.register("muted").await;
    let mute = "mute(user: {username: \"muted\"}, expiresInSeconds: 3600) { changed }";
    john.mutate(mute).await;
    all[0].follow(&app.register("suggested").await).await;
    let protected = app.register("protected").await;
    protected.protect(true).await;
    john.follow(&protected).await;
    john.protect(true).await;
    app.register("requester").await.follow(&john).await;
    john.protect(false).await;
    let samples = samples(&john, &all[0]).await;
    (john, samples)
}

/// Checks values against the schema, and records which fields had a value.
struct Conformance<'a> {
    schema: &'a Schema,
    seen: BTreeSet<String>,
}

impl Conformance<'_> {
    /// Checks a value of the type `ty`. `path` names it in messages.
    fn check(&mut self, value: &Value, ty: &Type, path: &str) {
        match (&ty.base, value) {
            (_, Value::Null) => assert!(ty.nullable, "{path} is null and must not be"),
            (BaseType::List(item), Value::Array(items)) => {
                for value in items {
                    self.check(value, item, path);
                }
            }
            (BaseType::List(_), _) => panic!("{path} is not a list: {value}"),
            (BaseType::Named(name), Value::Object(fields)) => self.check_object(fields, name, path),
            (BaseType::Named(name), _) => assert!(self.is_leaf(value, name), "{path}: {value}"),
        }
    }

    /// Checks an object whose declared type is `name`.
    ///
    /// The declared type may be an interface or a union.
    fn check_object(&mut self, fields: &Map<String, Value>, name: &str, path: &str) {
        let schema = self.schema;
        let ty = fields.get("__typename").and_then(Value::as_str).unwrap_or(name);
        assert!(schema.possible_types(name).contains(&ty), "{path} is a {ty}, not a {name}");
        for (key, value) in fields.iter().filter(|(key, _)| *key != "__typename") {
            let path = format!("{ty}.{key}");
            let field = schema.fields(ty).find(|field| field.name.node == *key).unwrap();
            self.check(value, &field.ty.node, &path);
            self.seen.insert(path);
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
            _ => panic!("add the scalar {name} to {}", file!()),
        }
    }
}

/// The value at the end of a path of fields. Of a list, the first element.
fn value_at<'a>(data: &'a Value, path: &[&FieldDefinition]) -> &'a Value {
    path.iter().fold(data, |value, field| {
        let value = &value[field.name.node.as_str()];
        let value = value.get(0).unwrap_or(value);
        assert!(!value.is_null(), "the sample data has nothing at {}", field.name.node);
        value
    })
}

/// Requests each field that a query reaches, with each of its optional arguments.
async fn check_queries(conformance: &mut Conformance<'_>, john: &Actor<'_>, mut samples: Samples) {
    let schema = conformance.schema;
    for (name, path) in schema.paths("Query") {
        for field in schema.fields(name) {
            let arguments = field.arguments.iter().map(|argument| &argument.node);
            let optional = arguments.filter(|argument| !is_required(argument));
            let variants = optional.map(|argument| Some(argument.name.node.as_str()));
            for variant in std::iter::once(None).chain(variants) {
                let mut document = Document::new(schema, &samples);
                let mut selection: String =
                    path.iter().map(|step| document.call(step, None) + " { __typename ").collect();
                selection += &document.call(field, variant);
                selection += &document.selection(base(&field.ty.node), 1);
                selection += &" }".repeat(path.len());
                let data = document.run(john, "query", &selection).await;
                conformance.check_object(data.as_object().unwrap(), "Query", "Query");
                let value = &value_at(&data, &path)[field.name.node.as_str()];
                if let (None, Some(cursor)) = (variant, value.pointer("/pageInfo/endCursor")) {
                    assert!(cursor.is_string(), "{name}.{}: no sample data", field.name.node);
                    samples.extend(["after", "before"].map(|key| (key.into(), cursor.clone())));
                }
            }
        }
    }
}

/// Executes one mutation, with samples that are replaced by those of `invalid`.
async fn check_mutation(
    conformance: &mut Conformance<'_>,
    field: &FieldDefinition,
    invalid: Option<&Value>,
) {
    let app = TestApp::with(&["--rate-limit-per-user", "1000000"]).await;
    let (john, mut samples) = fill(&app, &["susan"]).await;
    for (key, value) in invalid.and_then(Value::as_object).into_iter().flatten() {
        let is_deleted = value == "deleted post";
        let value = if is_deleted { samples["deleted post"].clone() } else { value.clone() };
        samples.insert(key.clone(), value);
    }
    let mut document = Document::new(conformance.schema, &samples);
    let optional = field.arguments.iter().map(|argument| argument.node.name.node.as_str());
    let call = document.call(field, optional.last());
    // Results for many users are one level deeper.
    let depth = if field.name.node == "followMany" { 2 } else { 1 };
    let selection = document.selection(base(&field.ty.node), depth);
    let data = document.run(&john, "mutation", &(call + &selection)).await;
    conformance.check_object(data.as_object().unwrap(), "Mutation", "Mutation");
    let payload = data[field.name.node.as_str()].as_object().unwrap();
    let has_failed = !texts(&payload["userErrors"], "code").is_empty();
    assert!(invalid.is_some() || !has_failed, "{payload:?}");
    let results =
        payload.iter().filter(|(key, _)| !["userErrors", "__typename"].contains(&&***key));
    for (key, value) in results.filter(|_| has_failed) {
        assert!(value.is_null() || value == false, "{}.{key} is {value}", field.name.node);
    }
}

/// Subscribes to each field of `Subscription` while events of all kinds occur.
async fn check_subscriptions(conformance: &mut Conformance<'_>) {
    let schema = conformance.schema;
    // The selections of all fields exceed the default cost of an event.
    let options = ["--event-retention", "1", "--max-event-complexity", "10000"];
    let app = TestApp::with(&options).await;
    let (john, mut samples) = fill(&app, &["susan"]).await;
    let mary = app.register("mary").await;
    let page = "{ viewer { user { timeline { streamCursor } } } }";
    let start = &john.query(page).await["viewer"]["user"]["timeline"]["streamCursor"];
    samples.extend([("after".to_owned(), start.clone()), ("userIds".to_owned(), json!([mary.id]))]);
    samples.insert("userId".to_owned(), json!(john.id));
    let cause_events = async |old_post: &str| {
        john.follow(&mary).await;
        let post = mary.write("Hello.").await;
        let edit = format!("editPost(input: {{id: \"{post}\", body: \"Hi.\"}}) {{ changed }}");
        mary.mutate(&edit).await;
        mary.write("Bye.").await;
        john.unfollow(&mary).await;
        john.follow(&mary).await;
        mary.mutate(&format!("deletePost(id: \"{old_post}\") {{ changed }}")).await;
        // Withdraws the notification of the last round, so that the new one exists at delivery.
        mary.unfollow(&john).await;
        mary.follow(&john).await;
        john.mutate("markNotificationsRead { changed }").await;
        for verb in ["repost", "unrepost"] {
            mary.mutate(&format!("{verb}(postId: {}) {{ changed }}", samples["postId"])).await;
        }
    };
    for field in schema.fields("Subscription") {
        let optional = field.arguments.iter().map(|argument| argument.node.name.node.as_str());
        let mut document = Document::new(schema, &samples);
        let call = document.call(field, optional.last());
        let selection = document.selection(base(&field.ty.node), 2);
        let (document, variables) = document.finish("subscription", &(call + &selection));
        let old_post = mary.write("An old post.").await;
        let mut events = john.subscribe_and_join(&document, variables).await;
        cause_events(&old_post).await;
        // The number of events that come for certain. Those in quick succession may be merged, and
        // those of a timeline end with the repost.
        let mut remaining = match field.name.node.as_str() {
            "timelineEvents" => u32::MAX,
            // With those of the round before, which are replayed.
            "notificationEvents" => 4,
            "relationshipEvents" => 2,
            _ => 1,
        };
        while remaining > 0 {
            let response = events.response().await.unwrap();
            let is_last = response.to_string().contains("TimelineRepostRemoved");
            remaining = if is_last { 0 } else { remaining - 1 };
            assert!(response.get("errors").is_none(), "{response}");
            conformance.check_object(
                response["data"].as_object().unwrap(),
                "Subscription",
                "Subscription",
            );
        }
    }
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    app.prune_events_to(1).await;
    let field = schema.fields("Subscription").find(|field| field.name.node == "timelineEvents");
    let mut document = Document::new(schema, &samples);
    let call = document.call(field.unwrap(), Some("after"));
    let selection = document.selection("TimelineEvent", 2);
    let (document, variables) = document.finish("subscription", &(call + &selection));
    let mut events = john.subscribe(&document, variables).await;
    let response = events.response().await.unwrap();
    assert_eq!(response["data"]["timelineEvents"]["__typename"], "StreamLagged");
    conformance.check_object(response["data"].as_object().unwrap(), "Subscription", "Subscription");
}

#[tokio::test]
async fn every_field_and_argument_gets_a_response_that_conforms_to_the_schema() {
    let schema = Schema::read();
    let mut conformance = Conformance { schema: &schema, seen: BTreeSet::new() };
    // Ancestors of listed ancestors are expensive.
    let options = ["--rate-limit-per-user", "1000000000", "--max-complexity", "100000000"];
    let app = TestApp::with(&options).await;
    let (john, samples) = fill(&app, &["susan", "mary", "david"]).await;
    check_queries(&mut conformance, &john, samples).await;
    let unknown = json!({ "UserBy": { "username": "unknown" },
        "acceptFollowRequest.user": { "username": "unknown" },
        "rejectFollowRequest.user": { "username": "unknown" }, "username": "", "email": "",
        "password": "", "newPassword": "", "LoginInput.username": "", "displayName": "",
        "aboutMe": "", "body": "", "postId": "deleted post", "inReplyToId": "deleted post",
        "deletePost.id": "deleted post", "verifyEmail.token": "", "resetPassword.token": "" });
    let own_or_taken = json!({ "UserBy": { "username": "john" }, "username": "susan",
        "EditPostInput.id": "deleted post", "currentPassword": "wrong",
        "idempotencyKey": "used" });
    let blocked = json!({ "UserBy": { "username": "blocked" } });
    for field in schema.fields("Mutation") {
        for invalid in [None, Some(&unknown), Some(&own_or_taken), Some(&blocked)] {
            check_mutation(&mut conformance, field, invalid).await;
        }
    }
    check_subscriptions(&mut conformance).await;
    let objects = schema.0.keys().filter(|name| matches!(schema.kind(name), TypeKind::Object(_)));
    let covered =
        objects.filter(|name| !UNCOVERED_TYPES.contains(&name.as_str())).flat_map(|name| {
            schema.fields(name).map(move |field| format!("{name}.{}", field.name.node))
        });
    let unseen: Vec<String> = covered.filter(|field| !conformance.seen.contains(field)).collect();
    assert!(unseen.is_empty(), "not in any response: {unseen:?}");
}
