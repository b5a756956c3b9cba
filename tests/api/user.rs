//! Users: lookup, directory, profile updates, and relationship to the viewer.

use serde_json::{Value, json};

use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, TestApp};

#[tokio::test]
async fn fragments_and_repeated_fields_do_not_change_a_list() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.follow(&susan).await;
    susan.write("hello").await;
    let plain = "{ user(by: {username: \"susan\"}) { followers { nodes { __typename id username
        timeline { nodes { __typename id body author { username id followersCount } } } } } } }";
    let with_fragments = "{ user(by: {username: \"susan\"}) { followers { nodes { ...all } } } }
        fragment all on User { __typename ...named ... on Node { id } ... on User { username }
            timeline { nodes { ... on Post { __typename id } ...body author { username } } }
            timeline { nodes { author { ...named ... { followersCount } } } } }
        fragment named on User { id username } fragment body on Post { id body }";
    let (plain, with_fragments) = (john.query(plain).await, john.query(with_fragments).await);
    let nodes = |data: &Value| data["user"]["followers"]["nodes"].clone();
    assert_eq!(nodes(&plain)[0]["timeline"]["nodes"][0]["author"]["followersCount"], 1);
    assert_eq!(nodes(&plain), nodes(&with_fragments));
}

#[tokio::test]
async fn user_is_found_by_id_or_username_in_any_case() {
    let app = TestApp::new().await;
    let susan = app.register("Susan").await;
    let anonymous = app.anonymous();
    for by in [format!("id: \"{}\"", susan.id), "username: \"SUSAN\"".into()] {
        let data = anonymous.query(&format!("{{ user(by: {{{by}}}) {{ username }} }}")).await;
        assert_eq!(data["user"]["username"], "Susan", "in the case of the registration");
    }
    let unknown = anonymous.query("{ user(by: {username: \"unknown\"}) { id } }").await;
    assert_eq!(unknown["user"], Value::Null);
    for by in ["", "id: \"x\", username: \"susan\"", "username: null"] {
        let document = format!("{{ user(by: {{{by}}}) {{ id }} }}");
        assert!(anonymous.execute(&document, json!({})).await["errors"].is_array(), "{by}");
    }
}

#[tokio::test]
async fn users_are_sorted_by_name_ignoring_case_and_filtered_by_prefix() {
    let app = TestApp::new().await;
    for name in ["mary", "David", "john", "Susan", "john_2"] {
        app.register(name).await;
    }
    let anonymous = app.anonymous();
    let data = anonymous.query("{ users { nodes { username } totalCount } }").await;
    let all = ["David", "john", "john_2", "mary", "Susan"];
    assert_eq!(texts(&data["users"]["nodes"], "username"), all);
    let data = anonymous.query("{ users(usernamePrefix: \"JOHN\") { nodes { username } } }").await;
    assert_eq!(texts(&data["users"]["nodes"], "username"), ["john", "john_2"]);
}

#[tokio::test]
async fn update_profile_changes_only_the_given_fields() {
    let app = TestApp::new().await;
    let (susan, _) = (app.register("susan").await, app.register("john").await);
    let update = "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) {
        user { id username displayName aboutMe } viewer { email } userErrors { code path } } }";
    let updated = |username: &str, name: Value, about: Value, email: &str| {
        json!({ "user": { "id": susan.id, "username": username, "displayName": name,
            "aboutMe": about }, "viewer": { "email": email }, "userErrors": [] })
    };
    let steps = [
        (json!({}), updated("susan", json!(null), json!(null), "susan@example.com")),
        (
            json!({ "displayName": "Susan B.", "aboutMe": "hi" }),
            updated("susan", json!("Susan B."), json!("hi"), "susan@example.com"),
        ),
        (
            json!({ "aboutMe": null, "email": "New@example.com", "currentPassword": PASSWORD }),
            updated("susan", json!("Susan B."), json!(null), "new@example.com"),
        ),
        (
            json!({ "username": "SUSAN", "displayName": null }),
            updated("SUSAN", json!(null), json!(null), "new@example.com"),
        ),
    ];
    for (input, expected) in steps {
        let data = susan.run(update, json!({ "input": input })).await;
        assert_eq!(data["updateProfile"], expected, "{input}");
    }
    let rejected = [
        (json!({ "username": "John" }), "USERNAME_TAKEN", "username"),
        (
            json!({ "email": "JOHN@example.com", "currentPassword": PASSWORD }),
            "EMAIL_TAKEN",
            "email",
        ),
        (json!({ "username": "no spaces" }), "INVALID_INPUT", "username"),
        (json!({ "username": null }), "INVALID_INPUT", "username"),
        (json!({ "email": null }), "INVALID_INPUT", "email"),
        (json!({ "email": "nonsense" }), "INVALID_INPUT", "email"),
        (json!({ "displayName": "x".repeat(51) }), "INVALID_INPUT", "displayName"),
        (json!({ "aboutMe": " " }), "INVALID_INPUT", "aboutMe"),
        (json!({ "displayName": "fine", "aboutMe": "x".repeat(501) }), "INVALID_INPUT", "aboutMe"),
    ];
    for (input, code, field) in rejected {
        let data = susan.run(update, json!({ "input": input })).await;
        let expected = json!({ "user": null, "viewer": null,
            "userErrors": [{ "code": code, "path": ["input", field] }] });
        assert_eq!(data["updateProfile"], expected, "{input}");
    }
    let data = susan.query("{ viewer { user { displayName } } }").await;
    assert_eq!(
        data["viewer"]["user"]["displayName"],
        Value::Null,
        "a rejected update changes no field"
    );
    let document = "mutation { updateProfile(input: {}) { user { id } } }";
    assert_eq!(app.anonymous().error(document).await, "UNAUTHENTICATED");
}

#[tokio::test]
async fn relationship_fields_describe_the_viewer_and_the_user() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    susan.follow(&john).await;
    let document = "query ($id: ID!) { user(by: {id: $id}) { isViewer viewerIsFollowing
        isFollowingViewer viewerCanFollow viewerRelationship { followState followedBy isMutual } } }";
    let relationship = async |viewer: &Actor<'_>, id: &str| {
        viewer.run(document, json!({ "id": id })).await["user"].take()
    };
    let none = |is_viewer: bool| {
        json!({ "isViewer": is_viewer, "viewerIsFollowing": false, "isFollowingViewer": false,
            "viewerCanFollow": false, "viewerRelationship": null })
    };
    assert_eq!(relationship(&app.anonymous(), &susan.id).await, none(false));
    assert_eq!(relationship(&john, &john.id).await, none(true));
    let expected = json!({ "isViewer": false, "viewerIsFollowing": false, "isFollowingViewer": true,
        "viewerCanFollow": true, "viewerRelationship": { "followState": "NOT_FOLLOWING",
        "followedBy": true, "isMutual": false } });
    assert_eq!(relationship(&john, &susan.id).await, expected);
    assert_eq!(app.anonymous().query("{ viewer { email } }").await["viewer"], Value::Null);
}

/// A name with U+0000 or U+212A (KELVIN SIGN) finds no user.
///
/// PostgreSQL's texts cannot contain U+0000. The lower case of U+212A is k.
#[tokio::test]
async fn lookups_with_nul_or_kelvin_sign_find_no_user() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    app.register("kate").await;
    let follow = "follow(user: {username: \"\u{212a}ate\"}) { userErrors { code } }";
    assert_eq!(john.user_error(follow).await, "NOT_FOUND");
    let data = john.query("{ users(usernamePrefix: \"\u{212a}\") { totalCount } }").await;
    assert_eq!(data["users"]["totalCount"], 0);
    let data = john
        .query(
            "{ unknown: user(by: {username: \"jo\\u0000hn\"}) { id }
            john: user(by: {username: \"john\"}) { username }
            users(usernamePrefix: \"\\u0000\") { totalCount nodes { id } } }",
        )
        .await;
    let none = json!({ "totalCount": 0, "nodes": [] });
    assert_eq!(data, json!({ "unknown": null, "john": { "username": "john" }, "users": none }));
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

/// A display name cannot contain bidi controls, and a post can.
///
/// In a name, such a control would reorder the text beside it. In a post, it affects only the post.
#[tokio::test]
async fn display_name_rejects_bidi_controls() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    for control in ["\u{202e}", "\u{2066}"] {
        let rename = format!(
            "updateProfile(input: {{displayName: \"j{control}ohn\"}}) {{ userErrors {{ code }} }}"
        );
        assert_eq!(john.user_error(&rename).await, "INVALID_INPUT");
        john.write(&format!("a{control}b")).await;
    }
    // Text in a right-to-left script needs no such control.
    let hebrew = "updateProfile(input: {displayName: \"יוחנן\"}) { user { displayName } }";
    assert_eq!(john.mutate(hebrew).await["user"]["displayName"], "יוחנן");
}
