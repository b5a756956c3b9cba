//! Users: how they are named and found, what they change about themselves, what a viewer sees.

use serde_json::{Value, json};

use crate::app::TestApp;
use crate::cast::texts;

/// However a client writes it down: fragments of any kind, names of its own, fields twice.
#[tokio::test]
async fn a_list_is_the_same_however_it_is_asked_for() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    john.follow(&susan).await;
    susan.write("hello").await;
    let plain = "{ user(by: {username: \"susan\"}) { followers { nodes { __typename id username
        timeline { nodes { __typename id body author { username id followersCount } } } } } } }";
    let other = "{ user(by: {username: \"susan\"}) { followers { nodes { ...all } } } }
        fragment all on User { __typename ...named ... on Node { id } ... on User { username }
            timeline { nodes { ... on Post { __typename id } ...body author { username } } }
            timeline { nodes { author { ...named ... { followersCount } } } } }
        fragment named on User { id username } fragment body on Post { id body }";
    let (plain, other) = (john.query(plain).await, john.query(other).await);
    let nodes = |data: &serde_json::Value| data["user"]["followers"]["nodes"].clone();
    assert_eq!(nodes(&plain)[0]["timeline"]["nodes"][0]["author"]["followersCount"], 1);
    assert_eq!(nodes(&plain), nodes(&other));
}

#[tokio::test]
async fn one_user_by_id_or_name() {
    let app = TestApp::new().await;
    let susan = app.join("Susan").await;
    let anonymous = app.anonymous();
    for by in [format!("id: \"{}\"", susan.id), "username: \"SUSAN\"".into()] {
        let data = anonymous.query(&format!("{{ user(by: {{{by}}}) {{ username }} }}")).await;
        assert_eq!(data["user"]["username"], "Susan", "as typed");
    }
    let unknown = anonymous.query("{ user(by: {username: \"nobody\"}) { id } }").await;
    assert_eq!(unknown["user"], Value::Null);
    for by in ["", "id: \"x\", username: \"susan\"", "username: null"] {
        let document = format!("{{ user(by: {{{by}}}) {{ id }} }}");
        assert!(anonymous.ask(&document, json!({})).await["errors"].is_array(), "{by}");
    }
}

#[tokio::test]
async fn the_directory_runs_from_a_to_z() {
    let app = TestApp::new().await;
    for name in ["mary", "David", "john", "Susan", "john_2"] {
        app.join(name).await;
    }
    let anonymous = app.anonymous();
    let data = anonymous.query("{ users { nodes { username } totalCount } }").await;
    let all = ["David", "john", "john_2", "mary", "Susan"];
    assert_eq!(texts(&data["users"]["nodes"], "username"), all);
    let data = anonymous.query("{ users(usernamePrefix: \"JOHN\") { nodes { username } } }").await;
    assert_eq!(texts(&data["users"]["nodes"], "username"), ["john", "john_2"]);
}

#[tokio::test]
async fn a_profile_is_changed_field_by_field() {
    let app = TestApp::new().await;
    let (susan, _) = (app.join("susan").await, app.join("john").await);
    let update = "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) {
        user { id username displayName aboutMe } viewer { email } userErrors { code path } } }";
    let ok = |username: &str, name: Value, about: Value, email: &str| {
        json!({ "user": { "id": susan.id, "username": username, "displayName": name,
            "aboutMe": about }, "viewer": { "email": email }, "userErrors": [] })
    };
    let steps = [
        (json!({}), ok("susan", json!(null), json!(null), "susan@example.com")),
        (
            json!({ "displayName": "Susan B.", "aboutMe": "hi" }),
            ok("susan", json!("Susan B."), json!("hi"), "susan@example.com"),
        ),
        (
            json!({ "aboutMe": null, "email": "New@example.com" }),
            ok("susan", json!("Susan B."), json!(null), "new@example.com"),
        ),
        (
            json!({ "username": "SUSAN", "displayName": null }),
            ok("SUSAN", json!(null), json!(null), "new@example.com"),
        ),
    ];
    for (input, expected) in steps {
        let data = susan.run(update, json!({ "input": input })).await;
        assert_eq!(data["updateProfile"], expected, "{input}");
    }
    let refused = [
        (json!({ "username": "John" }), "USERNAME_TAKEN", "username"),
        (json!({ "email": "JOHN@example.com" }), "EMAIL_TAKEN", "email"),
        (json!({ "username": "no spaces" }), "INVALID_INPUT", "username"),
        (json!({ "username": null }), "INVALID_INPUT", "username"),
        (json!({ "email": null }), "INVALID_INPUT", "email"),
        (json!({ "email": "nonsense" }), "INVALID_INPUT", "email"),
        (json!({ "displayName": "x".repeat(51) }), "INVALID_INPUT", "displayName"),
        (json!({ "aboutMe": " " }), "INVALID_INPUT", "aboutMe"),
        (json!({ "displayName": "fine", "aboutMe": "x".repeat(501) }), "INVALID_INPUT", "aboutMe"),
    ];
    for (input, code, field) in refused {
        let data = susan.run(update, json!({ "input": input })).await;
        let expected = json!({ "user": null, "viewer": null,
            "userErrors": [{ "code": code, "path": ["input", field] }] });
        assert_eq!(data["updateProfile"], expected, "{input}");
    }
    let data = susan.query("{ viewer { user { displayName } } }").await;
    assert_eq!(data["viewer"]["user"]["displayName"], Value::Null, "all or nothing");
    let document = "mutation { updateProfile(input: {}) { user { id } } }";
    assert_eq!(app.anonymous().error(document).await, "UNAUTHENTICATED");
}

#[tokio::test]
async fn what_lies_between_the_viewer_and_a_user() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    susan.follow(&john).await;
    let document = "query ($id: ID!) { user(by: {id: $id}) { isViewer viewerIsFollowing
        isFollowingViewer viewerCanFollow viewerRelationship { followState followedBy isMutual } } }";
    let between = async |viewer: &crate::cast::Actor<'_>, id: &str| {
        viewer.run(document, json!({ "id": id })).await["user"].take()
    };
    let nothing = |is_viewer: bool| {
        json!({ "isViewer": is_viewer, "viewerIsFollowing": false, "isFollowingViewer": false,
            "viewerCanFollow": false, "viewerRelationship": null })
    };
    assert_eq!(between(&app.anonymous(), &susan.id).await, nothing(false));
    assert_eq!(between(&john, &john.id).await, nothing(true));
    let expected = json!({ "isViewer": false, "viewerIsFollowing": false, "isFollowingViewer": true,
        "viewerCanFollow": true, "viewerRelationship": { "followState": "NOT_FOLLOWING",
        "followedBy": true, "isMutual": false } });
    assert_eq!(between(&john, &susan.id).await, expected);
    assert_eq!(app.anonymous().query("{ viewer { email } }").await["viewer"], Value::Null);
}

/// PostgreSQL's texts have no U+0000; and U+212A is no K, though its lower case is one.
#[tokio::test]
async fn a_name_with_a_strange_character_is_nobodys() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    app.join("kate").await;
    let follow = "follow(user: {username: \"\u{212a}ate\"}) { userErrors { code } }";
    assert_eq!(john.user_error(follow).await, "NOT_FOUND");
    let data = john.query("{ users(usernamePrefix: \"\u{212a}\") { totalCount } }").await;
    assert_eq!(data["users"]["totalCount"], 0);
    let data = john
        .query(
            "{ nobody: user(by: {username: \"jo\\u0000hn\"}) { id }
            john: user(by: {username: \"john\"}) { username }
            users(usernamePrefix: \"\\u0000\") { totalCount nodes { id } } }",
        )
        .await;
    let none = json!({ "totalCount": 0, "nodes": [] });
    assert_eq!(data, json!({ "nobody": null, "john": { "username": "john" }, "users": none }));
    let follow = "follow(user: {username: \"john\\u0000\"}) { userErrors { code } }";
    assert_eq!(john.user_error(follow).await, "NOT_FOUND");
    for name in ["john\\u0000", "john@example.com\\u0000"] {
        let login = format!(
            "login(input: {{username: \"{name}\", password: \"correct horse battery\"}}) {{
                userErrors {{ code }} }}"
        );
        assert_eq!(john.user_error(&login).await, "INVALID_CREDENTIALS");
    }
}

/// It would turn around what stands beside a name; in a text of one's own, it is one's own affair.
#[tokio::test]
async fn names_do_not_turn_the_direction_of_writing() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    for turn in ["\u{202e}", "\u{2066}"] {
        let rename = format!(
            "updateProfile(input: {{displayName: \"j{turn}ohn\"}}) {{ userErrors {{ code }} }}"
        );
        assert_eq!(john.user_error(&rename).await, "INVALID_INPUT");
        john.write(&format!("a{turn}b")).await;
    }
    // Languages that are written from right to left need none of these.
    let hebrew = "updateProfile(input: {displayName: \"יוחנן\"}) { user { displayName } }";
    assert_eq!(john.mutate(hebrew).await["user"]["displayName"], "יוחנן");
}
