//! Follows: idempotent writes, exact counts under concurrency, and limits.
//!
//! The first test contains the follow test of the Flask Mega-Tutorial, in GraphQL.

use futures_util::future::join_all;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, TestApp};

const COUNTS: &str =
    "query ($id: ID!) { user(by: {id: $id}) { followersCount followingCount postsCount
    followers(first: 100) { totalCount nodes { username } }
    following(first: 100) { totalCount nodes { username } } } }";

/// The followers and the followed users of `user`.
///
/// The length of each list must equal both of its counts.
async fn network(viewer: &Actor<'_>, user: &Actor<'_>) -> (Vec<String>, Vec<String>) {
    let data = viewer.run(COUNTS, json!({ "id": user.id })).await;
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
async fn follow_then_unfollow_restores_counts() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
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
    assert_eq!(john.mutate(follow).await, expected, "a repeated write changes nothing");

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
    assert_eq!(john.mutate(unfollow).await, expected, "a repeated write changes nothing");
    assert_eq!(network(&john, &susan).await, (vec![], vec![]));
}

#[tokio::test]
async fn following_rejects_unknown_users_self_wrong_ids_and_anonymous_clients() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let anonymous = app.anonymous();
    for name in ["follow", "unfollow", "removeFollower"] {
        let field =
            |by: &str| format!("{name}(user: {{{by}}}) {{ changed userErrors {{ code }} }}");
        let unknown = field("username: \"unknown\"");
        assert_eq!(john.user_error(&unknown).await, "NOT_FOUND");
        assert_eq!(john.user_error(&field(&format!("id: \"{}\"", john.id))).await, "SELF_TARGET");
        let document = format!("mutation {{ {} }}", field("username: \"susan\""));
        assert_eq!(anonymous.error(&document).await, "UNAUTHENTICATED");
        let post = susan.write("hello").await;
        for id in ["nonsense", &post] {
            let document = format!("mutation {{ {} }}", field(&format!("id: \"{id}\"")));
            assert_eq!(john.error(&document).await, "INVALID_ID");
        }
    }
    let payload = john
        .mutate(
            "follow(user: {username: \"unknown\"}) { changed user { id } follower { id }
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
async fn remove_follower_is_idempotent_and_updates_counts() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
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
async fn a_hundred_concurrent_follows_change_once() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let changed = join_all((0..100).map(|_| john.follow(&susan))).await;
    assert_eq!(changed.into_iter().filter(|changed| *changed).count(), 1);
    assert_eq!(network(&john, &susan).await, (vec!["john".into()], vec![]));
    let changed = join_all((0..100).map(|_| john.unfollow(&susan))).await;
    assert_eq!(changed.into_iter().filter(|changed| *changed).count(), 1);
    assert_eq!(network(&john, &susan).await, (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_equal_lists_in_every_response_during_concurrent_writes() {
    let app = TestApp::new().await;
    let names: Vec<String> = (0..6).map(|n| format!("user{n}")).collect();
    let users = join_all(names.iter().map(|name| app.register(name))).await;
    let writes = (0..180).map(|n: usize| {
        let (viewer, other) = (&users[n % 6], &users[(n / 6 + n) % 6]);
        async move {
            if viewer.id == other.id {
                return;
            }
            match n % 4 {
                0 => drop(viewer.unfollow(other).await),
                _ => drop(viewer.follow(other).await),
            }
        }
    });
    // Counts and lists must agree in each response meanwhile.
    let read = async {
        for n in 0..60 {
            network(&users[0], &users[n % 6]).await;
        }
    };
    let delete_account = async {
        let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
        app.register("leaver").await.follow(&users[1]).await;
        let leaver = app.register("leaver2").await;
        for user in &users {
            leaver.follow(user).await;
            user.follow(&leaver).await;
        }
        assert_eq!(leaver.mutate(&delete).await["changed"], true);
    };
    tokio::join!(join_all(writes), read, delete_account);
    for user in &users {
        network(&users[0], user).await;
    }
}

#[tokio::test]
async fn each_mutation_of_a_request_returns_the_state_after_it() {
    let app = TestApp::new().await;
    let (john, _susan) = (app.register("john").await, app.register("susan").await);
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
async fn follow_rejects_more_than_the_total_and_the_daily_limit() {
    let app = TestApp::with(&["--max-following", "3", "--max-follows-per-day", "4"]).await;
    let actors = app.actors().await;
    let (john, susan) = (&actors.john, &actors.susan);
    let kate = app.register("kate").await;
    for other in [susan, &actors.mary, &actors.david] {
        assert!(john.follow(other).await);
    }
    let follow_kate = "follow(user: {username: \"kate\"}) { changed user { id } userErrors { code message path \
        ... on FollowLimitError { limit } } }";
    let expected = |limit: i32, what: &str| {
        json!({ "changed": false, "user": null, "userErrors": [{ "code": "FOLLOW_LIMIT_REACHED",
            "message": format!("You may follow no more than {limit} users {what}."),
            "path": ["user"], "limit": limit }] })
    };
    assert_eq!(john.mutate(follow_kate).await, expected(3, "altogether"));
    // A repeated follow is not limited.
    assert!(!john.follow(susan).await);
    assert!(john.unfollow(susan).await);
    assert!(john.follow(susan).await, "the fourth of the day");
    // A follow that was undone counts for the day, and a rejected one changes nothing.
    assert!(john.unfollow(susan).await);
    assert_eq!(john.mutate(follow_kate).await, expected(4, "a day"));
    assert_eq!(network(john, john).await.1.len(), 2);
    assert_eq!(network(&kate, &kate).await.0.len(), 0);
    // The daily limit starts again on the next day.
    let yesterday = r#"UPDATE "user" SET follows_day = follows_day - 1 WHERE username = 'john'"#;
    app.database().writer().execute_unprepared(yesterday).await.unwrap();
    assert!(john.follow(&kate).await);
    assert!(susan.follow(&kate).await, "the limits are per user");
}
