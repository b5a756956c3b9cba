//! Moderation: who may do it, what it does, and the log of it.

use std::collections::BTreeSet;

use async_graphql::parser::types::FieldDefinition;
use entity::user::Role;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::live::{TIMELINE, summary};
use crate::schema::document::{Document, Samples, Schema, base, is_for_moderators, is_required};
use crate::support::actors::{Actor, texts};
use crate::support::app::TestApp;

/// The log, as a moderator sees it.
const LOG: &str = "{ moderationLog { totalCount nodes { action moderator { username }
    user { username } post { id } postId reason detail suspendedUntil } } }";

/// Suspends a user and selects the user errors.
fn suspend(username: &str) -> String {
    let arguments = format!("user: {{username: \"{username}\"}}, reason: \"Spam.\"");
    format!(
        "suspendUser({arguments}) {{ changed user {{ isSuspended }} userErrors {{ code path }} }}"
    )
}

/// The code of the first error of a response, if it has any.
fn code(response: &Value) -> Option<&str> {
    response["errors"][0]["extensions"]["code"].as_str()
}

async fn moderator<'a>(app: &'a TestApp, username: &str) -> Actor<'a> {
    let moderator = app.register(username).await;
    moderator.promote(Role::Moderator).await;
    moderator
}

/// A document that calls one field of a type. The reports are those of the viewer.
fn call(
    schema: &Schema,
    samples: &Samples,
    owner: &str,
    field: &FieldDefinition,
) -> (String, Value) {
    let mut document = Document::new(schema, samples);
    let mut selection = document.call(field, None);
    if schema.fields(base(&field.ty.node)).next().is_some() {
        selection += " { __typename }";
    }
    match owner {
        "Query" => document.finish("query", &selection),
        "Mutation" => document.finish("mutation", &selection),
        "Report" => {
            let reports = format!("viewer {{ reports {{ nodes {{ {selection} }} }} }}");
            document.finish("query", &reports)
        }
        _ => panic!("add how a query reaches the type {owner}"),
    }
}

/// A new field is covered if its description says that it is for moderators only.
#[tokio::test]
async fn every_field_for_moderators_refuses_all_others() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let post = susan.write("Spam.").await;
    let report = format!("report(target: \"{}\", reason: SPAM) {{ report {{ id }} }}", susan.id);
    let report = john.mutate(&report).await["report"]["id"].take();
    let samples = json!({ "UserBy": { "username": "susan" }, "postId": post, "id": report });
    let samples: Samples = serde_json::from_value(samples).unwrap();
    let schema = Schema::read();
    let fields = schema.0.keys().flat_map(|owner| {
        let fields = schema.fields(owner).filter(|field| is_for_moderators(field));
        fields.map(move |field| (owner.as_str(), field))
    });
    let calls: Vec<_> = fields
        .map(|(owner, field)| {
            let name = format!("{owner}.{}", field.name.node);
            (name, call(&schema, &samples, owner, field))
        })
        .collect();
    let found: BTreeSet<&str> = calls.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "Mutation.removePost",
        "Mutation.resolveReport",
        "Mutation.suspendUser",
        "Mutation.unsuspendUser",
        "Query.moderationLog",
        "Query.reports",
        "Report.reporter",
        "Report.resolvedBy",
        "Report.userReportsCount",
    ];
    assert_eq!(found, BTreeSet::from(expected));
    for (name, (document, variables)) in &calls {
        let anonymous = app.anonymous().execute(document, variables.clone()).await;
        // The reports of the viewer lead to fields of reports, and an anonymous client has none.
        let is_nested = name.starts_with("Report.");
        let expected = if is_nested { None } else { Some("UNAUTHENTICATED") };
        assert_eq!(code(&anonymous), expected, "{document}");
        let user = john.execute(document, variables.clone()).await;
        assert_eq!(code(&user), Some("FORBIDDEN"), "{document}");
    }
    // Nothing was changed.
    assert_eq!(susan.timeline().await, ["Spam."]);
    john.promote(Role::Moderator).await;
    for (_, (document, variables)) in &calls {
        let response = john.execute(document, variables.clone()).await;
        assert_eq!(code(&response), None, "{document}");
    }
}

/// Fields that return `FORBIDDEN` and are not for moderators only.
const FORBIDDEN_TO_OTHERS: [&str; 2] = ["editPost", "deletePost"];

#[test]
fn descriptions_say_which_fields_are_for_moderators() {
    let schema = Schema::read();
    for owner in ["Query", "Mutation", "Viewer", "User", "Post", "Report"] {
        for field in schema.fields(owner) {
            let text = field.description.as_ref().map_or("", |text| text.node.as_str());
            let name = field.name.node.as_str();
            let is_listed = FORBIDDEN_TO_OTHERS.contains(&name) || is_for_moderators(field);
            assert_eq!(text.contains("`FORBIDDEN`"), is_listed, "{owner}.{name}");
            // A reason is asked for by actions of moderators only.
            let is_action = field.arguments.iter().any(|argument| {
                let argument = &argument.node;
                argument.name.node == "reason"
                    && is_required(argument)
                    && base(&argument.ty.node) == "String"
            });
            assert!(!is_action || is_for_moderators(field), "{owner}.{name}");
        }
    }
}

#[tokio::test]
async fn moderators_suspend_users_and_the_log_has_each_change() {
    let app = TestApp::new().await;
    let (susan, mary) = (app.register("susan").await, moderator(&app, "mary").await);
    let done = json!({ "changed": true, "user": { "isSuspended": true }, "userErrors": [] });
    assert_eq!(mary.mutate(&suspend("susan")).await, done);
    assert_eq!(susan.error("{ viewer { email } }").await, "UNAUTHENTICATED");
    let again = json!({ "changed": false, "user": { "isSuspended": true }, "userErrors": [] });
    assert_eq!(mary.mutate(&suspend("susan")).await, again, "it is idempotent");
    let until = "suspendUser(user: {username: \"susan\"}, until: \"2099-01-01T00:00:00Z\",
        reason: \"More spam.\") { changed }";
    assert_eq!(mary.mutate(until).await["changed"], true);
    let unsuspend = "unsuspendUser(user: {username: \"susan\"}) {
        changed user { isSuspended } userErrors { code } }";
    let done = json!({ "changed": true, "user": { "isSuspended": false }, "userErrors": [] });
    assert_eq!(mary.mutate(unsuspend).await, done);
    let again = json!({ "changed": false, "user": { "isSuspended": false }, "userErrors": [] });
    assert_eq!(mary.mutate(unsuspend).await, again);
    let entry = |action: &str, reason: Value, until: Value| {
        json!({ "action": action, "moderator": { "username": "mary" },
            "user": { "username": "susan" }, "post": null, "postId": null, "reason": reason,
            "detail": null, "suspendedUntil": until })
    };
    let expected = json!({ "totalCount": 3, "nodes": [
        entry("UNSUSPEND_USER", json!(null), json!(null)),
        entry("SUSPEND_USER", json!("More spam."), json!("2099-01-01T00:00:00.000Z")),
        entry("SUSPEND_USER", json!("Spam."), json!(null)),
    ] });
    assert_eq!(mary.query(LOG).await["moderationLog"], expected);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn a_suspension_names_a_user_of_a_lower_role_a_time_and_a_reason() {
    let app = TestApp::new().await;
    let (mary, other, admin) = (
        moderator(&app, "mary").await,
        moderator(&app, "other").await,
        app.register("admin").await,
    );
    admin.promote(Role::Admin).await;
    app.register("susan").await;
    let failed = |code: &str, path: &str| json!({ "changed": false, "user": null, "userErrors": [{ "code": code, "path": [path] }] });
    assert_eq!(mary.mutate(&suspend("unknown")).await, failed("NOT_FOUND", "user"));
    assert_eq!(mary.mutate(&suspend("mary")).await, failed("SELF_TARGET", "user"));
    for (arguments, path) in [
        ("reason: \"\"", "reason"),
        ("reason: \"Spam.\", until: \"2020-01-01T00:00:00Z\"", "until"),
        ("reason: \"Spam.\", until: \"9999-01-01T00:00:00Z\"", "until"),
    ] {
        let field = format!(
            "suspendUser(user: {{username: \"susan\"}}, {arguments}) {{
             changed user {{ isSuspended }} userErrors {{ code path }} }}"
        );
        assert_eq!(mary.mutate(&field).await, failed("INVALID_INPUT", path), "{arguments}");
    }
    // Moderators act on users, administrators on moderators, and only the operator on them.
    for (actor, target) in [(&mary, "other"), (&mary, "admin"), (&other, "mary")] {
        let document = format!("mutation {{ {} }}", suspend(target));
        assert_eq!(actor.error(&document).await, "FORBIDDEN", "{target}");
    }
    assert_eq!(admin.mutate(&suspend("mary")).await["changed"], true);
    assert_eq!(admin.query(LOG).await["moderationLog"]["totalCount"], 1);
    // The role of a session is that of the user at each request.
    other.promote(Role::User).await;
    assert_eq!(other.error(&format!("mutation {{ {} }}", suspend("susan"))).await, "FORBIDDEN");
}

#[tokio::test]
async fn a_removed_post_leaves_everything_as_if_its_author_had_deleted_it() {
    let app = TestApp::new().await;
    let (john, susan, mary) =
        (app.register("john").await, app.register("susan").await, moderator(&app, "mary").await);
    john.follow(&susan).await;
    let parent = john.write("from john").await;
    let post = susan.reply(&parent, "spam").await;
    for verb in ["like", "repost", "bookmark"] {
        john.mutate(&format!("{verb}(postId: \"{post}\") {{ changed }}")).await;
    }
    // A moderator may not see the post.
    susan.protect(true).await;
    let mut events = john.subscribe_and_join(TIMELINE, json!({})).await;
    let remove = |post: &str| {
        format!(
            "removePost(postId: \"{post}\", reason: \"Spam.\") {{
             changed removedPostId userErrors {{ code }} }}"
        )
    };
    let done = json!({ "changed": true, "removedPostId": post, "userErrors": [] });
    assert_eq!(mary.mutate(&remove(&post)).await, done);
    let removed = format!("-{post}");
    let mut received = vec![];
    while received.last() != Some(&removed) {
        received.push(summary(&events.next().await));
    }
    let again = json!({ "changed": false, "removedPostId": post, "userErrors": [] });
    assert_eq!(mary.mutate(&remove(&post)).await, again);
    let counts = john
        .query(
            "{ user(by: {username: \"susan\"}) { postsCount } posts { nodes { repliesCount } } }",
        )
        .await;
    let expected =
        json!({ "user": { "postsCount": 0 }, "posts": { "nodes": [{ "repliesCount": 0 }] } });
    assert_eq!(counts, expected);
    let log = mary.query(LOG).await["moderationLog"].take();
    let expected = json!({ "totalCount": 1, "nodes": [{ "action": "REMOVE_POST",
        "moderator": { "username": "mary" }, "user": { "username": "susan" }, "post": null,
        "postId": post, "reason": "Spam.", "detail": null, "suspendedUntil": null }] });
    assert_eq!(log, expected);
    let of_admin = app.register("admin").await;
    let post = of_admin.write("from an administrator").await;
    of_admin.promote(Role::Admin).await;
    assert_eq!(mary.error(&format!("mutation {{ {} }}", remove(&post))).await, "FORBIDDEN");
    assert_eq!(of_admin.timeline().await, ["from an administrator"]);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn the_log_can_neither_be_changed_nor_deleted_and_is_for_moderators() {
    let app = TestApp::new().await;
    let (susan, mary) = (app.register("susan").await, moderator(&app, "mary").await);
    mary.mutate(&suspend("susan")).await;
    mary.mutate("unsuspendUser(user: {username: \"susan\"}) { changed }").await;
    for sql in ["UPDATE moderation_log SET reason = NULL", "DELETE FROM moderation_log"] {
        let error = app.database().writer().execute_unprepared(sql).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    let ids = mary.query("{ moderationLog { nodes { id } } }").await;
    let ids = texts(&ids["moderationLog"]["nodes"], "id");
    let nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    let shown = mary.run(nodes, json!({ "ids": ids })).await;
    assert_eq!(texts(&shown["nodes"], "id"), ids);
    let john = app.register("john").await;
    for other in [&john, &app.anonymous()] {
        let hidden = other.run(nodes, json!({ "ids": ids })).await;
        assert_eq!(hidden["nodes"], json!([null, null]));
    }
    // Entries outlive the account.
    let token = rookery::command::token::create(app.database(), "susan", 1).await.unwrap();
    let susan = Actor { token: Some(token), ..susan };
    let password = crate::support::app::PASSWORD;
    let delete = format!("deleteAccount(input: {{password: \"{password}\"}}) {{ changed }}");
    assert_eq!(susan.mutate(&delete).await["changed"], true);
    let log = mary.query("{ moderationLog { nodes { user { id } userId reason } } }").await;
    let entry = |reason: Value| json!({ "user": null, "userId": susan.id, "reason": reason });
    let expected = json!({ "nodes": [entry(json!(null)), entry(json!("Spam."))] });
    assert_eq!(log["moderationLog"], expected);
}
