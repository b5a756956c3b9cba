//! Nested queries take as many SQL statements for 1 parent as for 100.

use serde_json::{Value, json};

use crate::support::actors::Actor;
use crate::support::app::TestApp;

/// Registers john, and inserts 100 users with 5 posts each.
///
/// Each of the 100 users follows 20 others and john, who follows 50 of the 100.
async fn fill(app: &TestApp) -> Actor<'_> {
    let john = app.register("john").await;
    let db = app.database();
    let transaction = db.begin().await.unwrap();
    let johns_id = john.row_id(db).await;
    let run = async |sql: String| {
        use sea_orm::ConnectionTrait as _;
        transaction.execute_unprepared(&sql).await.unwrap();
    };
    run("WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100)
        INSERT INTO \"user\" (id, username, email, created_at, followers_count, following_count, posts_count)
        SELECT n, 'user' || n, n || '@example.com', '2026-01-01T00:00:00+00:00', 20, 21, 5 FROM n"
        .into())
    .await;
    run("WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 1999)
        INSERT INTO follow (id, follower_id, followed_id)
        SELECT 1000 + n, n % 100 + 1, (n % 100 + n / 100 + 1) % 100 + 1 FROM n"
        .into())
    .await;
    run(format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100)
        INSERT INTO follow (id, follower_id, followed_id) SELECT 5000 + n, n, {johns_id} FROM n"
    ))
    .await;
    run("WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 499)
        INSERT INTO post (id, author_id, body, created_at)
        SELECT 1000 + n, n % 100 + 1, 'x', '2026-01-01T00:00:00+00:00' FROM n"
        .into())
    .await;
    run(
        "INSERT INTO feed_item (actor_id, id, post_id, kind) SELECT author_id, id, id, 0 FROM post"
            .into(),
    )
    .await;
    run("INSERT INTO \"like\" (id, user_id, post_id) SELECT 7000 + id, author_id, id FROM post"
        .into())
    .await;
    run(format!(
        "INSERT INTO \"like\" (id, user_id, post_id) SELECT 9000 + id, {johns_id}, id FROM post
        WHERE id % 2 = 0"
    ))
    .await;
    run("UPDATE post SET likes_count = 1 + (id + 1) % 2".into()).await;
    run(format!(
        "INSERT INTO follow (id, follower_id, followed_id) SELECT 6000 + id, {johns_id}, id FROM \"user\"
        WHERE id <= 100 AND id % 2 = 0"
    ))
    .await;
    run(format!(
        "UPDATE \"user\" SET followers_count = 100, following_count = 50 WHERE id = {johns_id}"
    ))
    .await;
    run("UPDATE \"user\" SET followers_count = followers_count + 1 WHERE id <= 100 AND id % 2 = 0"
        .into())
    .await;
    transaction.commit().await.unwrap();
    john
}

impl Actor<'_> {
    /// The id of the user's row.
    async fn row_id(&self, db: &rookery::database::Database) -> i64 {
        let user = entity::user::UserRef::Username(self.username.clone());
        entity::user::Entity::find_by(&user).one(db.reader()).await.unwrap().unwrap().id
    }
}

/// Executes a document as `viewer`, with `first` in place of `FIRST`.
///
/// Returns its data and the number of SQL statements.
async fn statements(
    app: &TestApp,
    viewer: &Actor<'_>,
    document: &str,
    first: usize,
) -> (Value, u64) {
    let document = document.replace("FIRST", &first.to_string());
    app.count_statements(viewer.query(&document)).await
}

/// Name, document with placeholder `FIRST`, and expected number of statements.
///
/// The first statement of each reads the viewer's session.
const QUERIES: [(&str, &str, u64); 9] = [
    (
        "three levels deep",
        "{ user(by: {username: \"john\"}) { followers(first: FIRST) { nodes { username
            following(first: 10) { nodes { username posts(first: 5) { nodes { body } } } } } } } }",
        // Session, john, followers, following, posts.
        5,
    ),
    (
        "a timeline with authors, counts, relationships and bookmarks",
        "{ viewer { user { timeline(first: FIRST) { nodes { body viewerHasBookmarked author { username
            followersCount followingCount viewerIsFollowing isFollowingViewer
            viewerRelationship { followState isMutual followedAt } } } } } } }",
        // Session with its user, timeline with authors, relationships, bookmarks.
        4,
    ),
    (
        "many timelines",
        "{ user(by: {username: \"john\"}) { followers(first: FIRST) { edges { isMutual followedAt
            node { timeline(first: 3) { edges { reason node { body author { username } } } } } } } } }",
        // Session, john, followers, mutual follows, timelines.
        5,
    ),
    (
        "a profile",
        "{ user(by: {username: \"john\"}) { followersCount followingCount
            followers(first: FIRST) { totalCount nodes { username followersCount } pageInfo { hasNextPage } }
            following(first: FIRST) { totalCount nodes { username followersCount } } } }",
        // Session, john, followers, following.
        4,
    ),
    (
        "the public list",
        "{ posts(first: FIRST) { nodes { body author { username posts(first: 2) { totalCount
            nodes { body } } } } totalCount } }",
        // Session, posts, count, authors, posts.
        5,
    ),
    (
        "likes of posts",
        "{ posts(first: FIRST) { nodes { likesCount viewerHasLiked
            likers(first: 3) { totalCount nodes { username } } } } }",
        // Session, posts, the viewer's likes, likers.
        4,
    ),
    (
        "the viewer's likes",
        "{ viewer { likes(first: FIRST) { totalCount edges { likedAt node { likesCount viewerHasLiked
            likers(last: 2) { nodes { username } } } } } } }",
        // Session, likes, count, posts, the viewer's likes, likers.
        6,
    ),
    (
        "relationships of listed users",
        "{ user(by: {username: \"john\"}) { followers(first: FIRST) { nodes { isProtected viewerCanSee
            viewerCanFollow viewerRelationship { followState requestedBy muting blocking canFollow }
            knownFollowers(first: 3) { totalCount nodes { username viewerCanSee } }
            mutual: followers(first: 2, filter: {mutual: true}) { totalCount nodes { username } }
            others: following(first: 2, filter: {viewerFollows: false, usernamePrefix: \"user1\"}) {
              totalCount nodes { username } }
            byName: followers(first: 2, orderBy: {field: USERNAME, direction: ASC}) {
              totalCount nodes { username } } } } } }",
        // Session, john, followers, relationships. Known followers, and the others: the sizes of
        // the sides, for the page and the count. Mutual followers: a page and a count. By name.
        15,
    ),
    (
        "the viewer's relationships",
        "{ viewer { suggestions(first: 20) { knownFollowersCount user { username } }
            followRequests(first: FIRST) { totalCount nodes { username viewerCanSee } }
            sentFollowRequests(first: FIRST) { totalCount nodes { username } }
            blockedUsers(first: FIRST) { totalCount nodes { username } }
            mutedUsers(first: FIRST) { totalCount edges { expiresAt node { username } } } }
          followPath(from: {username: \"user1\"}, to: {username: \"user2\"}) { username } }",
        // Session; suggestions, sizes and counts of known followers; two statements for each list;
        // the ends of the path, one level, and the users of the path.
        15,
    ),
];

#[tokio::test]
async fn statement_count_is_independent_of_the_number_of_parents() {
    let app = TestApp::new().await;
    let john = fill(&app).await;
    for (name, document, expected) in QUERIES {
        for parents in [1, 10, 100] {
            let (_, count) = statements(&app, &john, document, parents).await;
            assert_eq!(count, expected, "{name}, {parents} parents");
        }
    }
}

#[tokio::test]
async fn timeline_takes_two_statements_and_profile_and_network_three() {
    let app = TestApp::new().await;
    let john = fill(&app).await;
    let timeline = "{ viewer { user { timeline(first: FIRST) { nodes { id body author { id username
        followersCount followingCount } } } } } }";
    let profile =
        "{ user(by: {username: \"john\"}) { username followersCount followingCount postsCount
        followers(first: FIRST) { nodes { username followersCount } }
        following(first: FIRST) { nodes { username followersCount } } } }";
    let network = "{ user(by: {username: \"john\"}) { followers(first: FIRST) { nodes { username
        following(first: 10) { nodes { username } } } } } }";
    let anonymous = app.anonymous();
    for (viewer, document, expected) in
        [(&john, timeline, 2), (&anonymous, profile, 3), (&anonymous, network, 3)]
    {
        let (data, count) = statements(&app, viewer, document, 20).await;
        assert_eq!(count, expected, "{data:#}");
    }
}

/// A list reads summary rows of its users. Other fields need the full rows.
#[tokio::test]
async fn fields_beyond_the_summary_of_listed_users_take_one_more_statement() {
    let app = TestApp::new().await;
    let john = fill(&app).await;
    let document = "{ user(by: {username: \"john\"}) { followers(first: FIRST) { nodes { username
        aboutMe createdAt avatarUrl lastSeenAt posts(first: 1) { nodes { author { aboutMe } } } } } } }";
    for first in [1, 10, 100] {
        let (data, count) = statements(&app, &john, document, first).await;
        let nodes = data["user"]["followers"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), first);
        assert_eq!(nodes[0]["createdAt"], "2026-01-01T00:00:00.000Z");
        assert_eq!(count, 5, "session, john, followers, their rows, their posts");
    }
}

#[tokio::test]
async fn a_hundred_nodes_take_one_statement_per_type() {
    let app = TestApp::new().await;
    let john = fill(&app).await;
    let data =
        john.query("{ users(first: 50) { nodes { id } } posts(first: 50) { nodes { id } } }").await;
    let ids: Vec<&Value> = ["users", "posts"]
        .iter()
        .flat_map(|list| data[list]["nodes"].as_array().unwrap())
        .map(|node| &node["id"])
        .collect();
    let nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename } }";
    let (data, statements) = app.count_statements(john.run(nodes, json!({ "ids": ids }))).await;
    assert_eq!(data["nodes"].as_array().unwrap().len(), 100);
    assert_eq!(statements, 3, "session, users, posts");
}
