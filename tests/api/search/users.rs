//! Search for users by the words of their names, and the search indexes of both.

use indicatif::ProgressBar;
use rookery::command::doctor;
use sea_orm::ConnectionTrait as _;
use serde_json::json;

use super::bodies;
use crate::support::actors::texts;
use crate::support::app::{PASSWORD, TestApp};

#[tokio::test]
async fn users_are_ranked_by_username_and_followers() {
    let app = TestApp::new().await;
    let mut all = Vec::new();
    for name in ["fan1", "fan2", "anna", "ann", "ann_lee", "JoAnn", "bob"] {
        all.push(app.register(name).await);
    }
    let names = [("fan1", "Ann Fan"), ("JoAnn", "Jo Ann"), ("bob", "Bob Anné")];
    for (username, display_name) in names {
        let user = all.iter().find(|user| user.username == username).unwrap();
        let input = format!("{{displayName: \"{display_name}\"}}");
        user.mutate(&format!("updateProfile(input: {input}) {{ userErrors {{ code }} }}")).await;
    }
    for follower in &all[..2] {
        follower.follow(&all[4]).await;
        follower.follow(&all[6]).await;
    }
    all[0].follow(&all[5]).await;
    let find = async |query: &str| {
        let document = "query ($query: String!) { searchUsers(query: $query) { username } }";
        let data = app.anonymous().run(document, json!({ "query": query })).await;
        texts(&data["searchUsers"], "username")
    };
    for query in ["ann", "@ANN", " Änn "] {
        let found = find(query).await;
        let expected = ["ann", "ann_lee", "anna", "bob", "JoAnn", "fan1"];
        if query.is_ascii() {
            assert_eq!(found, expected, "{query}");
        } else {
            assert_eq!(found.len(), expected.len(), "{query}: {found:?}");
        }
    }
    assert_eq!(find("ann_l").await, ["ann_lee"]);
    assert_eq!(find("jo an").await, ["JoAnn"]);
    assert_eq!(find("fan ann").await, ["fan1"]);
    for query in ["nn", "%", "_", "", "\0", "\"", "ann\" OR \"b"] {
        assert_eq!(find(query).await, Vec::<String>::new(), "{query}");
    }

    let rename = "updateProfile(input: {username: \"robert\", displayName: null}) {
        userErrors { code } }";
    all[6].mutate(rename).await;
    assert_eq!(find("bob").await, Vec::<String>::new());
    assert_eq!(find("rob").await, ["robert"]);
    let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ deletedUserId }}");
    all[3].mutate(&delete).await;
    assert_eq!(find("ann").await, ["ann_lee", "anna", "JoAnn", "fan1"]);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn the_doctor_finds_and_fills_an_incomplete_index() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    john.write("lost and found").await;
    let key = if app.is_on_postgres() { "id" } else { "rowid" };
    let number = if app.is_on_postgres() { "'x':1" } else { "x" };
    let words = number.replace('\'', "''");
    for statement in [
        "DELETE FROM post_search".to_owned(),
        format!("INSERT INTO user_search ({key}, words) VALUES (77, '{words}')"),
    ] {
        app.database().writer().execute_unprepared(&statement).await.unwrap();
    }
    assert_eq!(bodies(&john, "lost").await, Vec::<String>::new());
    let report = app.doctor_report().await;
    assert!(report.contains("the search index is incomplete (1)\n"), "{report}");
    assert!(report.contains("the search index has deleted rows (1)\n  user 77\n"), "{report}");
    let hidden = ProgressBar::hidden();
    let repaired = doctor::run(app.database(), true, &hidden).await.unwrap();
    assert!(repaired.is_clean(), "{repaired}");
    assert_eq!(bodies(&john, "lost").await, ["lost and found"]);
}
