//! Following: the tutorial's test in its GraphQL form, idempotence, and exact counts whatever happens
//! at the same time.

use futures_util::future::join_all;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::app::{PASSWORD, TestApp};
use crate::cast::{Actor, texts};

const COUNTS: &str =
    "query ($id: ID!) { user(by: {id: $id}) { followersCount followingCount postsCount
    followers(first: 100) { totalCount nodes { username } }
    following(first: 100) { totalCount nodes { username } } } }";

/// Counts and lists of a user, checked against each other.
async fn network(viewer: &Actor<'_>, of: &Actor<'_>) -> (Vec<String>, Vec<String>) {
    let data = viewer.run(COUNTS, json!({ "id": of.id })).await;
    let user = &data["user"];
    let lists = ["followers", "following"].map(|list| {
        let names = texts(&user[list]["nodes"], "username");
        assert_eq!(user[list]["totalCount"], names.len());
        assert_eq!(user[format!("{list}Count")], names.len());
        names
    });
    let [followers, following] = lists;
    (followers, following)
}

#[tokio::test]
async fn john_follows_susan_and_thinks_better_of_it() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    assert_eq!(network(&john, &john).await, (vec![], vec![]));
    assert_eq!(network(&john, &susan).await, (vec![], vec![]));

    let follow = "follow(user: {username: \"SUSAN\"}) {
        changed user { username followersCount isFollowingViewer viewerIsFollowing }
        follower { username followingCount isViewer }
        relationship { followState followedBy isMutual user { username } }
        followingEdge { isMutual node { username } } followerEdge { isMutual node { username } }
        userErrors { code } }";
    let first = john.mutate(follow).await;
    let mut expected = json!({
        "changed": true,
        "user": { "username": "susan", "followersCount": 1, "isFollowingViewer": false,
                  "viewerIsFollowing": true },
        "follower": { "username": "john", "followingCount": 1, "isViewer": true },
        "relationship": { "followState": "FOLLOWING", "followedBy": false, "isMutual": false,
                          "user": { "username": "susan" } },
        "followingEdge": { "isMutual": false, "node": { "username": "susan" } },
        "followerEdge": { "isMutual": false, "node": { "username": "john" } },
        "userErrors": [],
    });
    assert_eq!(first, expected);
    assert_eq!(network(&john, &john).await, (vec![], vec!["susan".into()]));
    assert_eq!(network(&john, &susan).await, (vec!["john".into()], vec![]));

    expected["changed"] = json!(false);
    assert_eq!(john.mutate(follow).await, expected, "again: nothing changes");

    assert!(susan.follow(&john).await);
    let data =
        john.query("{ user(by: {username: \"susan\"}) { viewerRelationship { isMutual } } }");
    assert_eq!(data.await["user"]["viewerRelationship"]["isMutual"], true);
    assert!(susan.unfollow(&john).await);

    let unfollow = "unfollow(user: {username: \"susan\"}) {
        changed user { followersCount viewerIsFollowing } follower { followingCount }
        relationship { followState followedAt } unfollowedUserId userErrors { code } }";
    let mut expected = json!({
        "changed": true,
        "user": { "followersCount": 0, "viewerIsFollowing": false },
        "follower": { "followingCount": 0 },
        "relationship": { "followState": "NOT_FOLLOWING", "followedAt": null },
        "unfollowedUserId": susan.id,
        "userErrors": [],
    });
    assert_eq!(john.mutate(unfollow).await, expected);
    expected["changed"] = json!(false);
    assert_eq!(john.mutate(unfollow).await, expected, "again: nothing changes");
    assert_eq!(network(&john, &susan).await, (vec![], vec![]));
}

#[tokio::test]
async fn whom_one_cannot_follow() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    let nobody = app.anonymous();
    for verb in ["follow", "unfollow", "removeFollower"] {
        let of = |by: &str| format!("{verb}(user: {{{by}}}) {{ changed userErrors {{ code }} }}");
        let unknown = of("username: \"nobody\"");
        assert_eq!(john.user_error(&unknown).await, "NOT_FOUND");
        assert_eq!(john.user_error(&of(&format!("id: \"{}\"", john.id))).await, "SELF_TARGET");
        let document = format!("mutation {{ {} }}", of("username: \"susan\""));
        assert_eq!(nobody.error(&document).await, "UNAUTHENTICATED");
        let post = susan.write("hello").await;
        for id in ["nonsense", &post] {
            let document = format!("mutation {{ {} }}", of(&format!("id: \"{id}\"")));
            assert_eq!(john.error(&document).await, "INVALID_ID");
        }
    }
    let payload = john
        .mutate(
            "follow(user: {username: \"nobody\"}) { changed user { id } follower { id }
            relationship { id } followingEdge { cursor } followerEdge { cursor }
            userErrors { __typename code message path } }",
        )
        .await;
    let expected = json!({
        "changed": false, "user": null, "follower": null, "relationship": null,
        "followingEdge": null, "followerEdge": null,
        "userErrors": [{ "__typename": "NotFoundError", "code": "NOT_FOUND",
                         "message": "There is no such user.", "path": ["user"] }],
    });
    assert_eq!(payload, expected);
    assert_eq!(network(&john, &john).await, (vec![], vec![]));
}

#[tokio::test]
async fn a_follower_can_be_removed() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    john.follow(&susan).await;
    susan.follow(&john).await;
    let remove = "removeFollower(user: {username: \"john\"}) { changed user { followingCount }
        viewer { user { followersCount } } relationship { followState followedBy }
        userErrors { code } }";
    let mut expected = json!({
        "changed": true, "user": { "followingCount": 0 },
        "viewer": { "user": { "followersCount": 0 } },
        "relationship": { "followState": "FOLLOWING", "followedBy": false }, "userErrors": [],
    });
    assert_eq!(susan.mutate(remove).await, expected);
    expected["changed"] = json!(false);
    assert_eq!(susan.mutate(remove).await, expected);
    assert_eq!(network(&john, &john).await, (vec!["susan".into()], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_follows_at_once_are_one() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    let changed = join_all((0..100).map(|_| john.follow(&susan))).await;
    assert_eq!(changed.into_iter().filter(|changed| *changed).count(), 1);
    assert_eq!(network(&john, &susan).await, (vec!["john".into()], vec![]));
    let changed = join_all((0..100).map(|_| john.unfollow(&susan))).await;
    assert_eq!(changed.into_iter().filter(|changed| *changed).count(), 1);
    assert_eq!(network(&john, &susan).await, (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_stay_exact_when_everybody_acts_at_once() {
    let app = TestApp::new().await;
    let names: Vec<String> = (0..6).map(|n| format!("user{n}")).collect();
    let users = join_all(names.iter().map(|name| app.join(name))).await;
    let acts = (0..180).map(|n: usize| {
        let (one, other) = (&users[n % 6], &users[(n / 6 + n) % 6]);
        async move {
            if one.id == other.id {
                return;
            }
            match n % 4 {
                0 => drop(one.unfollow(other).await),
                _ => drop(one.follow(other).await),
            }
        }
    });
    // Meanwhile somebody reads: in each answer, counts and lists agree.
    let read = async {
        for n in 0..60 {
            network(&users[0], &users[n % 6]).await;
        }
    };
    let leave = async {
        let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
        app.join("leaver").await.follow(&users[1]).await;
        let leaver = app.join("leaver2").await;
        for user in &users {
            leaver.follow(user).await;
            user.follow(&leaver).await;
        }
        assert_eq!(leaver.mutate(&delete).await["changed"], true);
    };
    tokio::join!(join_all(acts), read, leave);
    for user in &users {
        network(&users[0], user).await;
    }
}

#[tokio::test]
async fn two_mutations_in_one_request_each_tell_their_own_moment() {
    let app = TestApp::new().await;
    let (john, _susan) = (app.join("john").await, app.join("susan").await);
    let data: Value = john
        .query(
            "mutation { a: follow(user: {username: \"susan\"}) { user { followersCount
                followers { totalCount nodes { username } } } relationship { followState } }
            b: unfollow(user: {username: \"susan\"}) { user { followersCount
                followers { totalCount nodes { username } } } relationship { followState } } }",
        )
        .await;
    assert_eq!(
        data["a"]["user"]["followers"],
        json!({ "totalCount": 1, "nodes": [{ "username": "john" }] })
    );
    assert_eq!(data["a"]["relationship"]["followState"], "FOLLOWING");
    assert_eq!(data["b"]["user"]["followers"], json!({ "totalCount": 0, "nodes": [] }));
    assert_eq!(data["b"]["relationship"]["followState"], "NOT_FOLLOWING");
}

#[tokio::test]
async fn nobody_follows_more_than_they_may() {
    let app = TestApp::with(&["--max-following", "3", "--max-follows-a-day", "4"]).await;
    let cast = app.cast().await;
    let (john, susan) = (&cast.john, &cast.susan);
    let kate = app.join("kate").await;
    for other in [susan, &cast.mary, &cast.david] {
        assert!(john.follow(other).await);
    }
    let ask = "follow(user: {username: \"kate\"}) { changed user { id } userErrors { code message path \
        ... on FollowLimitError { limit } } }";
    let refused = |limit: i32, what: &str| {
        json!({ "changed": false, "user": null, "userErrors": [{ "code": "FOLLOW_LIMIT_REACHED",
            "message": format!("You may follow no more than {limit} users {what}."),
            "path": ["user"], "limit": limit }] })
    };
    assert_eq!(john.mutate(ask).await, refused(3, "altogether"));
    // Whom one follows already, one may follow again.
    assert!(!john.follow(susan).await);
    assert!(john.unfollow(susan).await);
    assert!(john.follow(susan).await, "the fourth of the day");
    // What was unfollowed again counts for the day, and nothing was half done.
    assert!(john.unfollow(susan).await);
    assert_eq!(john.mutate(ask).await, refused(4, "a day"));
    assert_eq!(network(john, john).await.1.len(), 2);
    assert_eq!(network(&kate, &kate).await.0.len(), 0);
    // On another day it goes on.
    let yesterday = r#"UPDATE "user" SET follows_day = follows_day - 1 WHERE username = 'john'"#;
    app.database().writer().execute_unprepared(yesterday).await.unwrap();
    assert!(john.follow(&kate).await);
    assert!(susan.follow(&kate).await, "nobody else is concerned");
}
