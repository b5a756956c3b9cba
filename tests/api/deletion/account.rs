//! Deletions of accounts with many rows of each kind.

use entity::event::Kind;
use futures_util::future::join_all;
use sea_orm::ActiveEnum as _;
use serde_json::{Value, json};

use super::{CLEAN, USERS, events, fail_deletions, fill, number, read_until};
use crate::live::{COUNTS, TIMELINE};
use crate::support::app::{PASSWORD, TestApp};

fn delete_account() -> String {
    format!(
        "deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed userErrors {{ code }} }}"
    )
}

/// Gives susan an account with more rows of each kind than a step deletes.
///
/// She has 1,200 posts, of which 400 are replies, and one has 1,500 likes and another 450 reposts.
async fn make_large(app: &TestApp) {
    let id = "(SELECT id FROM \"user\" WHERE username = 'susan')";
    let statements = [
        (1_200, "INSERT INTO post (id, author_id, body, created_at)
            SELECT 100000 + n, n, 'x', '1970-01-01T00:00:00+00:00' FROM n"),
        (1_200, "INSERT INTO post (id, author_id, body, created_at, in_reply_to_id)
            SELECT 200000 + n, SUSAN, 'x', '1970-01-01T00:00:00+00:00',
              CASE WHEN n % 3 = 0 THEN 100000 + n END FROM n"),
        (1, "INSERT INTO feed_item (actor_id, id, post_id, subject_id, kind)
            SELECT author_id, id, id, CASE WHEN in_reply_to_id > 0 THEN id - 200000 END,
              CASE WHEN in_reply_to_id > 0 THEN 1 ELSE 0 END FROM post"),
        (1_100, "INSERT INTO \"like\" (id, user_id, post_id)
            SELECT 300000 + n, SUSAN, 100000 + n FROM n"),
        (1_500, "INSERT INTO \"like\" (id, user_id, post_id) SELECT 310000 + n, n, 200001 FROM n"),
        (1_050, "INSERT INTO feed_item (actor_id, id, post_id, subject_id, kind)
            SELECT SUSAN, 500000 + n, 100000 + n, n, 2 FROM n"),
        (450, "INSERT INTO feed_item (actor_id, id, post_id, subject_id, kind)
            SELECT n, 510000 + n, 200002, SUSAN, 2 FROM n"),
        (2_500, "INSERT INTO follow (id, follower_id, followed_id) SELECT 700000 + n, n, SUSAN FROM n"),
        (1_500, "INSERT INTO follow (id, follower_id, followed_id) SELECT 710000 + n, SUSAN, n FROM n"),
        (1_100, "INSERT INTO mute (id, muter_id, muted_id, hides_notifications)
            SELECT 720000 + n, n, SUSAN, false FROM n"),
        (1_100, "INSERT INTO mute (id, muter_id, muted_id, hides_notifications)
            SELECT 730000 + n, SUSAN, n, false FROM n"),
        (50, "INSERT INTO block (id, blocker_id, blocked_id) SELECT 740000 + n, SUSAN, 2500 + n FROM n"),
        (50, "INSERT INTO block (id, blocker_id, blocked_id) SELECT 750000 + n, 2550 + n, SUSAN FROM n"),
        (50, "INSERT INTO follow_request (id, requester_id, target_id)
            SELECT 760000 + n, 2600 + n, SUSAN FROM n"),
        (1_100, "INSERT INTO bookmark (id, user_id, post_id) SELECT 770000 + n, SUSAN, 100000 + n FROM n"),
        (1_100, "INSERT INTO bookmark (id, user_id, post_id) SELECT 780000 + n, n, 200003 FROM n"),
        (2_500, "INSERT INTO notification (id, user_id, kind, actor_id)
            SELECT 800000 + n, SUSAN, 0, n FROM n"),
        (1_100, "INSERT INTO notification (id, user_id, kind, actor_id, post_id)
            SELECT 810000 + n, n, 3, SUSAN, 100000 + n FROM n"),
        (20, "INSERT INTO dismissal (id, user_id, dismissed_id) SELECT 820000 + n, n, SUSAN FROM n"),
        (1_100, "INSERT INTO mention (id, post_id, user_id, start, length)
            SELECT 830000 + n, 100000 + n, SUSAN, 0, 6 FROM n"),
        (1, "UPDATE \"user\" SET following_count = 1, followers_count = CASE WHEN id <= 1500 THEN 1 ELSE 0 END,
            posts_count = CASE WHEN id <= 1200 THEN 1 ELSE 0 END,
            mutes_count = CASE WHEN id <= 1100 THEN 1 ELSE 0 END WHERE id <= 2500"),
        (1, "UPDATE \"user\" SET followers_count = 2500, following_count = 1500, posts_count = 1200,
            replies_count = 400, mutes_count = 1100 WHERE username = 'susan'"),
        (1, "UPDATE post SET likes_count = CASE WHEN id <= 101100 THEN 1 ELSE 0 END,
            reposts_count = CASE WHEN id <= 101050 THEN 1 ELSE 0 END,
            replies_count = CASE WHEN (id - 100000) % 3 = 0 THEN 1 ELSE 0 END WHERE id < 200000"),
        (1, "UPDATE post SET likes_count = 1500 WHERE id = 200001"),
        (1, "UPDATE post SET reposts_count = 450 WHERE id = 200002"),
    ];
    let statements: Vec<(u32, String)> =
        statements.iter().map(|(count, sql)| (*count, sql.replace("SUSAN", id))).collect();
    let statements: Vec<(u32, &str)> =
        statements.iter().map(|(count, sql)| (*count, sql.as_str())).collect();
    fill(app, &[USERS]).await;
    fill(app, &statements).await;
    assert_eq!(app.doctor_report().await, CLEAN);
}

/// Fails if rows of susan are left, or the counts of others are wrong without her.
async fn assert_gone(app: &TestApp) {
    assert_eq!(app.doctor_report().await, CLEAN);
    for (table, left) in [
        ("\"user\" WHERE username = 'susan'", 0),
        ("\"user\" WHERE following_count <> 0 OR followers_count <> 0 OR mutes_count <> 0", 0),
        ("post", 1_200),
        ("post WHERE likes_count <> 0 OR reposts_count <> 0 OR replies_count <> 0", 0),
        ("feed_item", 1_200),
        ("notification", 0),
        ("mention", 0),
        ("block", 0),
    ] {
        assert_eq!(number(app, &format!("SELECT count(*) FROM {table}")).await, left, "{table}");
    }
}

#[tokio::test]
async fn a_large_account_is_deleted_in_steps_with_their_events() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    make_large(&app).await;
    let (follower, reader) = (app.imported("user2000").await, app.anonymous());
    let cursor = "{ viewer { user { timeline { streamCursor } } } }";
    let after = follower.query(cursor).await["viewer"]["user"]["timeline"]["streamCursor"].take();
    let mut live = follower.subscribe_and_join(TIMELINE, json!({})).await;
    let mut counts = reader.subscribe_and_join(COUNTS, json!({ "userId": follower.id })).await;
    assert_eq!(counts.next().await["followingCount"], 1);

    let wrong = "deleteAccount(input: {password: \"wrong wrong\"}) { userErrors { code } }";
    assert_eq!(susan.user_error(wrong).await, "INVALID_CREDENTIALS");
    let (_, before) = events(&app, Kind::UserRemoved, Kind::Unreposted).await;
    assert_eq!((before, number(&app, "SELECT count(*) FROM post").await), (0, 2_400), "no change");
    assert_eq!(susan.mutate(&delete_account()).await, json!({ "changed": true, "userErrors": [] }));
    assert_eq!(susan.error("{ viewer { email } }").await, "UNAUTHENTICATED");
    assert_gone(&app).await;
    assert_eq!(events(&app, Kind::UserRemoved, Kind::Unreposted).await.0, 1);
    let unfollowed = Kind::Unfollowed.into_value();
    let follows = format!(
        "SELECT (SELECT count(*) FROM event WHERE kind = {unfollowed}) \
         + (SELECT count(*) FROM event_part WHERE kind = {unfollowed})"
    );
    assert!(number(&app, &follows).await >= 3_000, "the last step has at most 1,000 follows");

    // Each step that changes the timeline resets it. After the last one it is read as it is then.
    read_until(&mut live, "!", &["=x"]).await;
    let mut resumed = follower.subscribe(TIMELINE, json!({ "after": after })).await;
    read_until(&mut resumed, "!", &["=x"]).await;
    assert_eq!(follower.timeline().await, Vec::<String>::new());
    assert_eq!(counts.next().await["followingCount"], 0);
}

#[tokio::test]
async fn a_deletion_of_an_account_that_ends_early_is_exact_and_can_be_repeated() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    make_large(&app).await;
    fail_deletions(&app, "user", true).await;
    let document = format!("mutation {{ {} }}", delete_account());
    assert_eq!(susan.error(&document).await, "INTERNAL");
    fail_deletions(&app, "user", false).await;
    assert_eq!(app.doctor_report().await, CLEAN);
    let left = susan.query("{ viewer { user { postsCount followersCount } } }").await;
    assert_eq!(left["viewer"]["user"], json!({ "postsCount": 0, "followersCount": 0 }));
    susan.write("still here").await;
    assert_eq!(susan.mutate(&delete_account()).await["changed"], true);
    assert_gone(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_and_by_the_user_during_the_deletion_are_counted_exactly() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    make_large(&app).await;
    let names: Vec<String> = (1..=8).map(|n| format!("user{n}")).collect();
    let others = join_all(names.iter().map(|name| app.imported(name))).await;
    let list = "{ user(by: {username: \"user1\"}) { posts { nodes { id } } }
        viewer { user { posts(first: 20) { nodes { id } } } } }";
    let list = susan.query(list).await;
    let id = |post: &Value| post["id"].as_str().unwrap().to_owned();
    let of_other = id(&list["user"]["posts"]["nodes"][0]);
    let own = list["viewer"]["user"]["posts"]["nodes"].as_array().unwrap();
    let own: Vec<String> = own.iter().map(id).collect();
    // All of these may fail because the account or the post is gone.
    let own = &own;
    let by_others = join_all(others.iter().map(|user| async move {
        for post in own {
            for field in [
                format!("like(postId: \"{post}\") {{ changed }}"),
                format!("repost(postId: \"{post}\") {{ changed }}"),
                format!("createPost(input: {{body: \"r\", inReplyToId: \"{post}\"}}) {{ post {{ id }} }}"),
                "unfollow(user: {username: \"susan\"}) { changed }".to_owned(),
                "follow(user: {username: \"susan\"}) { changed }".to_owned(),
            ] {
                user.execute(&format!("mutation {{ {field} }}"), json!({})).await;
            }
        }
    }));
    let by_user = async {
        for n in 0..20 {
            for field in [
                format!(
                    "createPost(input: {{body: \"{n}\", inReplyToId: \"{of_other}\"}}) {{ post {{ id }} }}"
                ),
                format!("like(postId: \"{of_other}\") {{ changed }}"),
                format!("unrepost(postId: \"{of_other}\") {{ changed }}"),
                format!("repost(postId: \"{of_other}\") {{ changed }}"),
                "follow(user: {username: \"user9\"}) { changed }".to_owned(),
            ] {
                susan.execute(&format!("mutation {{ {field} }}"), json!({})).await;
            }
        }
    };
    let document = format!("mutation {{ {} }}", delete_account());
    let deletions = join_all((0..2).map(|_| susan.execute(&document, json!({}))));
    let (_, (), deletions) = tokio::join!(by_others, by_user, deletions);
    let is_deleted = |response: &&Value| response["data"]["deleteAccount"]["changed"] == true;
    assert!(deletions.iter().any(|response| is_deleted(&response)), "{deletions:?}");
    for failed in deletions.iter().filter(|response| !is_deleted(response)) {
        assert_eq!(failed["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    }
    assert_eq!(app.doctor_report().await, CLEAN);
    assert_eq!(number(&app, "SELECT count(*) FROM \"user\" WHERE username = 'susan'").await, 0);
}
