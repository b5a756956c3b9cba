//! Reports of accounts and posts: who reads them, and how moderators resolve them.

use entity::user::Role;
use serde_json::{Value, json};

use crate::support::actors::Actor;
use crate::support::app::{PASSWORD, TestApp};

/// What the reporter reads of a report.
const REPORT: &str = "user { username } post { body } postBody reason comment state resolvedAt";

/// Reports a user or a post and selects the whole payload.
fn report(target: &str, arguments: &str) -> String {
    format!(
        "report(target: \"{target}\", {arguments}) {{
         changed report {{ id {REPORT} }} userErrors {{ code path }} }}"
    )
}

/// The reports that a moderator sees in a state.
async fn reports(moderator: &Actor<'_>, state: &str) -> Value {
    let document = format!(
        "{{ reports(state: {state}) {{ totalCount nodes {{ {REPORT} reporter {{ username }}
         resolvedBy {{ username }} userReportsCount }} }} }}"
    );
    moderator.query(&document).await["reports"].take()
}

#[tokio::test]
async fn a_report_keeps_the_text_and_is_resolved_by_a_moderator() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    mary.promote(Role::Moderator).await;
    let post = susan.write("an insult").await;
    let made = john.mutate(&report(&post, "reason: ABUSE, comment: \"Please look.\"")).await;
    let mut expected = json!({ "user": { "username": "susan" }, "post": { "body": "an insult" },
        "postBody": "an insult", "reason": "ABUSE", "comment": "Please look.", "state": "OPEN",
        "resolvedAt": null, "id": made["report"]["id"] });
    assert_eq!(made, json!({ "changed": true, "report": expected, "userErrors": [] }));
    // It is idempotent while the report is open, whatever the reason.
    let again = john.mutate(&report(&post, "reason: SPAM")).await;
    assert_eq!(again, json!({ "changed": false, "report": expected, "userErrors": [] }));
    assert_eq!(david.mutate(&report(&susan.id, "reason: SPAM")).await["changed"], true);
    let edit = format!("editPost(input: {{id: \"{post}\", body: \"a greeting\"}}) {{ changed }}");
    susan.mutate(&edit).await;
    let open = reports(mary, "OPEN").await;
    assert_eq!(open["totalCount"], 2);
    let of_john = &open["nodes"][1];
    assert_eq!(
        (&of_john["postBody"], &of_john["post"]["body"]),
        (&json!("an insult"), &json!("a greeting"))
    );
    assert_eq!(of_john["reporter"]["username"], "john");
    assert_eq!((&of_john["resolvedBy"], &of_john["userReportsCount"]), (&json!(null), &json!(2)));
    let id = made["report"]["id"].as_str().unwrap();
    let resolve = format!(
        "resolveReport(id: \"{id}\", note: \"Removed.\") {{
         changed report {{ state }} userErrors {{ code }} }}"
    );
    for changed in [true, false] {
        let resolved = json!({ "state": "RESOLVED" });
        let expected = json!({ "changed": changed, "report": resolved, "userErrors": [] });
        assert_eq!(mary.mutate(&resolve).await, expected);
    }
    assert_eq!(reports(mary, "OPEN").await["totalCount"], 1);
    let resolved = reports(mary, "RESOLVED").await;
    assert_eq!(resolved["nodes"][0]["resolvedBy"]["username"], "mary");
    let log = "{ moderationLog { nodes { action user { username } postId reason } } }";
    let entry = json!({ "action": "RESOLVE_REPORT", "user": { "username": "susan" },
        "postId": post, "reason": "Removed." });
    assert_eq!(mary.query(log).await["moderationLog"]["nodes"], json!([entry]));
    // The reporter sees the result, also when the post is gone.
    susan.mutate(&format!("deletePost(id: \"{post}\") {{ changed }}")).await;
    let own = format!("{{ viewer {{ reports {{ totalCount nodes {{ id {REPORT} }} }} }} }}");
    let own = john.query(&own).await["viewer"]["reports"].take();
    let resolved_at = own["nodes"][0]["resolvedAt"].clone();
    assert!(resolved_at.is_string());
    (expected["state"], expected["resolvedAt"], expected["post"]) =
        (json!("RESOLVED"), resolved_at, json!(null));
    assert_eq!(own, json!({ "totalCount": 1, "nodes": [expected] }));
    // A resolved report permits another one.
    assert_eq!(john.mutate(&report(&susan.id, "reason: OTHER")).await["changed"], true);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn a_report_names_a_visible_target_of_another_user() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let own = john.write("from john").await;
    let hidden = susan.write("for followers").await;
    susan.protect(true).await;
    let deleted = john.write("deleted").await;
    john.mutate(&format!("deletePost(id: \"{deleted}\") {{ changed }}")).await;
    let failed = |code: &str, path: &str| json!({ "changed": false, "report": null, "userErrors": [{ "code": code, "path": [path] }] });
    for (target, code) in [
        (&deleted, "NOT_FOUND"),
        (&hidden, "NOT_FOUND"),
        (&own, "SELF_TARGET"),
        (&john.id, "SELF_TARGET"),
    ] {
        let payload = john.mutate(&report(target, "reason: SPAM")).await;
        assert_eq!(payload, failed(code, "target"), "{code}");
    }
    let empty = john.mutate(&report(&susan.id, "reason: SPAM, comment: \" \"")).await;
    assert_eq!(empty, failed("INVALID_INPUT", "comment"));
    let document = format!("mutation {{ {} }}", report(&susan.id, "reason: SPAM"));
    assert_eq!(app.anonymous().error(&document).await, "UNAUTHENTICATED");
    let session = john.query("{ viewer { sessions { id } } }").await;
    let session = session["viewer"]["sessions"][0]["id"].as_str().unwrap();
    let document = format!("mutation {{ {} }}", report(session, "reason: SPAM"));
    assert_eq!(john.error(&document).await, "INVALID_ID");
    // The account of a protected user can be reported.
    assert_eq!(john.mutate(&report(&susan.id, "reason: SPAM")).await["changed"], true);
}

#[tokio::test]
async fn resolve_report_needs_a_report_and_a_moderator() {
    let app = TestApp::new().await;
    let (john, susan, mary) =
        (app.register("john").await, app.register("susan").await, app.register("mary").await);
    mary.promote(Role::Moderator).await;
    let made = john.mutate(&report(&susan.id, "reason: SPAM")).await;
    let id = made["report"]["id"].as_str().unwrap();
    let resolve =
        |id: &str| format!("resolveReport(id: \"{id}\") {{ changed userErrors {{ code }} }}");
    let document = format!("mutation {{ {} }}", resolve(id));
    assert_eq!(app.anonymous().error(&document).await, "UNAUTHENTICATED");
    // Not even the reporter may resolve it.
    assert_eq!(john.error(&document).await, "FORBIDDEN");
    let document = format!("mutation {{ {} }}", resolve(&john.id));
    assert_eq!(mary.error(&document).await, "INVALID_ID");
    // The report of an account that is deleted goes with it.
    let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
    assert_eq!(susan.mutate(&delete).await["changed"], true);
    assert_eq!(mary.user_error(&resolve(id)).await, "NOT_FOUND");
    assert_eq!(reports(&mary, "OPEN").await["totalCount"], 0);
}

#[tokio::test]
async fn reports_are_for_their_reporter_and_moderators() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    mary.promote(Role::Moderator).await;
    let made = john.mutate(&report(&susan.id, "reason: SPAM")).await;
    let node = "query ($id: ID!) { node(id: $id) { ... on Report { reason } } }";
    let id = json!({ "id": made["report"]["id"] });
    for viewer in [john, mary] {
        assert_eq!(viewer.run(node, id.clone()).await["node"]["reason"], "SPAM");
    }
    for viewer in [susan, david, &app.anonymous()] {
        assert_eq!(viewer.run(node, id.clone()).await["node"], Value::Null);
    }
    let own = "{ viewer { reports { totalCount nodes { id } } } }";
    let none = json!({ "totalCount": 0, "nodes": [] });
    for viewer in [susan, mary, david] {
        assert_eq!(viewer.query(own).await["viewer"]["reports"], none);
    }
    // A suspended user is still in the reports, with the texts for the moderator.
    susan.suspend(None).await;
    assert_eq!(reports(mary, "OPEN").await["nodes"][0]["user"]["username"], "susan");
}
