//! Suspensions: what they end, hide and restore.
//!
//! `visibility` follows all paths of the schema to the posts of a suspended user.

use chrono::{TimeDelta, Utc};
use entity::user::Role;
use rookery::domain::suspension;
use serde_json::{Value, json};

use crate::live::{COUNTS, FOLLOWS, TIMELINE, summary};
use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, TestApp};

/// The counts and lists of a user, and the lists that the user is in.
const PROFILE: &str = "{ user(by: {username: \"susan\"}) {
    username displayName aboutMe isSuspended viewerCanSee followersCount followingCount postsCount
    posts { totalCount nodes { body } } followers { totalCount nodes { username } }
    following { totalCount nodes { username } } timeline { nodes { body } } }
    john: user(by: {username: \"john\"}) { followersCount followingCount
    followers { totalCount nodes { username } } following { totalCount nodes { username } }
    posts(first: 1) { nodes { likesCount likers { totalCount nodes { username } }
      repliesCount replies { totalCount nodes { body } } } } timeline { nodes { body } } }
    posts { totalCount nodes { body } }
    searchPosts(query: \"spam\") { totalCount nodes { body } }
    searchUsers(query: \"susan\") { username }
    users { totalCount nodes { username } } }";

/// The session that a login opens, or the user error.
async fn login(app: &TestApp, username: &str, password: &str) -> Value {
    let login = "mutation ($input: LoginInput!) { login(input: $input) { token
        userErrors { __typename code message ... on SuspendedError { until } } } }";
    let input = json!({ "username": username, "password": password });
    app.anonymous().run(login, json!({ "input": input })).await["login"].take()
}

/// The same user with a new session.
async fn signed_in<'a>(user: &Actor<'a>) -> Actor<'a> {
    let token = login(user.app, &user.username, PASSWORD).await["token"].take();
    Actor { token: Some(token.as_str().unwrap().to_owned()), ..user.at(user.app) }
}

#[tokio::test]
async fn a_suspension_hides_what_a_user_has_and_its_end_restores_all_of_it() {
    let app = TestApp::new().await;
    let (john, susan, mary) =
        (app.register("john").await, app.register("susan").await, app.register("mary").await);
    let profile = "updateProfile(input: {displayName: \"Susan\", aboutMe: \"Spam.\"}) {
        userErrors { code } }";
    susan.mutate(profile).await;
    for (user, other) in [(&john, &susan), (&susan, &john), (&mary, &susan)] {
        user.follow(other).await;
    }
    let post = john.write("from john").await;
    let spam = susan.write("spam of susan").await;
    susan.reply(&post, "a reply of susan").await;
    susan.mutate(&format!("like(postId: \"{post}\") {{ changed }}")).await;
    mary.mutate(&format!("repost(postId: \"{spam}\") {{ changed }}")).await;
    let before = mary.query(PROFILE).await;
    assert!(susan.suspend(None).await && !susan.suspend(None).await);
    assert_eq!(app.doctor_report().await, "no problems found\n");
    let during = mary.query(PROFILE).await;
    let (was, is) = (&before["user"], &during["user"]);
    assert_eq!((&is["isSuspended"], &is["viewerCanSee"]), (&json!(true), &json!(false)));
    for hidden in ["displayName", "aboutMe"] {
        assert!(!was[hidden].is_null() && is[hidden].is_null(), "{hidden}");
    }
    for list in ["posts", "followers", "following"] {
        assert_eq!(is[list], json!({ "totalCount": 0, "nodes": [] }), "{list}");
    }
    // The counts of all profiles stay, and the lists of others still have the user.
    for count in ["followersCount", "followingCount", "postsCount"] {
        assert_eq!(is[count], was[count], "{count}");
    }
    let (was, is) = (&before["john"], &during["john"]);
    for kept in ["followersCount", "followingCount", "followers", "following"] {
        assert_eq!(is[kept], was[kept], "{kept}");
    }
    let (was, is) = (&was["posts"]["nodes"][0], &is["posts"]["nodes"][0]);
    for kept in ["likesCount", "likers", "repliesCount"] {
        assert_eq!(is[kept], was[kept], "{kept}");
    }
    assert_eq!(was["replies"]["totalCount"], 1);
    assert_eq!(is["replies"], json!({ "totalCount": 0, "nodes": [] }));
    assert_eq!(during["users"], before["users"]);
    assert_eq!(during["searchUsers"], json!([]));
    assert_eq!(during["searchPosts"], json!({ "totalCount": 0, "nodes": [] }));
    assert_eq!(texts(&during["posts"]["nodes"], "body"), ["from john"]);
    assert_eq!(during["posts"]["totalCount"], 1);
    assert_eq!(texts(&during["john"]["timeline"]["nodes"], "body"), ["from john"]);
    // Neither as an author nor by a repost.
    assert_eq!(john.timeline().await, ["from john"]);
    assert!(mary.timeline().await.is_empty());
    let like = format!("like(postId: \"{spam}\") {{ changed userErrors {{ code }} }}");
    assert_eq!(john.user_error(&like).await, "NOT_FOUND");
    assert!(susan.unsuspend().await && !susan.unsuspend().await);
    assert_eq!(mary.query(PROFILE).await, before);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn posts_of_a_protected_user_stay_for_followers_after_a_suspension() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.follow(&susan).await;
    susan.write("for followers").await;
    susan.protect(true).await;
    susan.suspend(None).await;
    assert!(john.timeline().await.is_empty());
    assert_eq!(app.doctor_report().await, "no problems found\n");
    susan.unsuspend().await;
    assert_eq!(john.timeline().await, ["for followers"]);
    let all = app.anonymous().query("{ posts { totalCount } }").await;
    assert_eq!(all["posts"]["totalCount"], 0);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn moderators_see_what_a_suspension_hides() {
    let app = TestApp::new().await;
    let (john, susan, mary) =
        (app.register("john").await, app.register("susan").await, app.register("mary").await);
    john.follow(&susan).await;
    susan.write("spam").await;
    susan.mutate("updateProfile(input: {displayName: \"Susan\"}) { user { id } }").await;
    let profile = "{ user(by: {username: \"susan\"}) { displayName role viewerCanSee
        posts { totalCount nodes { body author { username } } } followers { totalCount } } }";
    susan.suspend(None).await;
    let none = json!({ "totalCount": 0, "nodes": [] });
    let hidden = json!({ "displayName": null, "role": "USER", "viewerCanSee": false,
        "posts": none, "followers": { "totalCount": 0 } });
    assert_eq!(mary.query(profile).await["user"], hidden);
    for role in [Role::Moderator, Role::Admin] {
        mary.promote(role).await;
        let posts = json!({ "totalCount": 1, "nodes": [{ "body": "spam", "author": { "username": "susan" } }] });
        let shown = json!({ "displayName": "Susan", "role": "USER", "viewerCanSee": true,
            "posts": posts, "followers": { "totalCount": 1 } });
        assert_eq!(mary.query(profile).await["user"], shown, "{role:?}");
        let own = mary.query("{ viewer { user { role } } }").await;
        assert_eq!(own["viewer"]["user"]["role"], format!("{role:?}").to_uppercase());
    }
    // Timelines leave it out for all viewers.
    mary.follow(&susan).await;
    assert!(mary.timeline().await.is_empty());
    // The protection of an account holds for moderators, too.
    susan.unsuspend().await;
    signed_in(&susan).await.protect(true).await;
    mary.unfollow(&susan).await;
    let protected = mary.query(profile).await;
    assert_eq!(protected["user"]["posts"], none);
    susan.suspend(None).await;
    assert_eq!(mary.query(profile).await["user"]["posts"], none);
    mary.promote(Role::User).await;
    assert_eq!(mary.query(profile).await["user"], hidden);
}

#[tokio::test]
async fn a_suspended_user_has_no_session_and_gets_none() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    susan.suspend(None).await;
    assert_eq!(susan.error("{ viewer { email } }").await, "UNAUTHENTICATED");
    let create = "mutation { createPost(input: {body: \"x\"}) { post { id } } }";
    assert_eq!(susan.error(create).await, "UNAUTHENTICATED");
    let refused = login(&app, "susan", PASSWORD).await;
    let error = json!({ "__typename": "SuspendedError", "code": "ACCOUNT_SUSPENDED",
        "message": "This account is suspended: Spam.", "until": null });
    assert_eq!(refused, json!({ "token": null, "userErrors": [error] }));
    // A client without the password does not learn of the suspension.
    let wrong = login(&app, "susan", "wrong horse battery").await;
    assert_eq!(wrong["userErrors"][0]["code"], "INVALID_CREDENTIALS");
    let token = rookery::command::token::create(app.database(), "susan", 1).await;
    assert_eq!(token.unwrap_err().to_string(), "the user 'susan' is suspended");
    susan.unsuspend().await;
    assert_eq!(susan.error("{ viewer { email } }").await, "UNAUTHENTICATED", "the old token");
    signed_in(&susan).await.write("back again").await;
}

#[tokio::test]
async fn a_suspension_with_an_end_ends_by_itself() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.follow(&susan).await;
    susan.write("hidden for a while").await;
    let later = Utc::now() + TimeDelta::days(1);
    susan.suspend(Some(later)).await;
    assert!(!suspension::end_expired(app.database()).await.unwrap());
    assert!(john.timeline().await.is_empty(), "it is not over");
    let until = login(&app, "susan", PASSWORD).await["userErrors"][0]["until"].take();
    let until = chrono::DateTime::parse_from_rfc3339(until.as_str().unwrap()).unwrap();
    assert_eq!(until.timestamp_millis(), later.timestamp_millis());
    // The service also ends it, every two seconds.
    susan.suspend(Some(Utc::now() - TimeDelta::seconds(1))).await;
    suspension::end_expired(app.database()).await.unwrap();
    assert_eq!(john.timeline().await, ["hidden for a while"]);
    // So does a login.
    susan.suspend(Some(Utc::now() - TimeDelta::seconds(1))).await;
    signed_in(&susan).await.write("back again").await;
    assert_eq!(john.timeline().await, ["back again", "hidden for a while"]);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn a_suspension_ends_the_streams_of_its_user_and_resets_those_of_others() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    // John follows the author, David a user who has reposted the post.
    john.follow(susan).await;
    david.follow(mary).await;
    let post = susan.write("hidden").await;
    mary.mutate(&format!("repost(postId: \"{post}\") {{ changed }}")).await;
    let notifications = "subscription { notificationEvents { __typename } }";
    let counts = json!({ "userId": john.id });
    let mut own = vec![
        susan.subscribe_and_join(TIMELINE, json!({})).await,
        susan.subscribe_and_join(FOLLOWS, json!({})).await,
        susan.subscribe_and_join(notifications, json!({})).await,
        susan.subscribe_and_join(COUNTS, counts).await,
    ];
    own[3].next().await;
    let mut of_john = john.subscribe_and_join(TIMELINE, json!({})).await;
    let mut of_david = david.subscribe_and_join(TIMELINE, json!({})).await;
    let cursor = "{ viewer { user { timeline { streamCursor } } } }";
    let after = john.query(cursor).await["viewer"]["user"]["timeline"]["streamCursor"].take();
    susan.write("hidden before the replay").await;
    assert_eq!(summary(&of_john.next().await), "+hidden before the replay");
    assert_eq!(summary(&own[0].next().await), "+hidden before the replay");
    susan.suspend(None).await;
    for stream in &mut own {
        assert_eq!(stream.error().await, "UNAUTHENTICATED");
    }
    for stream in [&mut of_john, &mut of_david] {
        assert_eq!(summary(&stream.next().await), "!null");
        stream.assert_idle().await;
    }
    assert!(john.timeline().await.is_empty() && david.timeline().await.is_empty());
    // A replay agrees with the pages.
    let mut resumed = john.subscribe(TIMELINE, json!({ "after": after })).await;
    assert_eq!(summary(&resumed.next().await), "!null", "the post is left out");
    resumed.assert_idle().await;
    susan.unsuspend().await;
    for stream in [&mut of_john, &mut of_david, &mut resumed] {
        assert_eq!(summary(&stream.next().await), "!null");
        stream.assert_idle().await;
    }
    assert_eq!(john.timeline().await, ["hidden before the replay", "hidden"]);
    assert_eq!(david.timeline().await, ["hidden"]);
}

/// Each post is written before the suspension, and then hidden, or is refused.
#[tokio::test]
async fn posts_that_race_with_a_suspension_are_hidden_or_refused() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.follow(&susan).await;
    let create = "mutation { createPost(input: {body: \"race\"}) { post { id } } }";
    let posts = (0..8).map(|_| susan.execute(create, json!({})));
    let (responses, suspended) =
        tokio::join!(futures_util::future::join_all(posts), susan.suspend(None));
    assert!(suspended);
    let written =
        responses.iter().filter(|response| response["data"]["createPost"].is_object()).count();
    for response in responses.iter().filter(|response| response.get("errors").is_some()) {
        assert_eq!(response["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{response}");
    }
    let count = "{ user(by: {username: \"susan\"}) { postsCount } posts { totalCount } }";
    let data = john.query(count).await;
    assert_eq!(
        (&data["user"]["postsCount"], &data["posts"]["totalCount"]),
        (&json!(written), &json!(0))
    );
    assert!(john.timeline().await.is_empty());
    assert_eq!(app.doctor_report().await, "no problems found\n");
}
