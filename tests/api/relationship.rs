//! Relationships by user ids, and paths of follows between users.

use entity::user::{self, UserRef};
use rookery::database::Snapshot;
use rookery::domain::follow_path::{self, Search};
use rookery::error::Error;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::support::actors::{Actor, texts};
use crate::support::app::TestApp;

#[tokio::test]
async fn relationships_keep_the_length_and_order_of_their_ids() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    john.follow(mary).await;
    let gone = app.register("gone").await;
    gone.mutate("deleteAccount(input: {password: \"correct horse battery\"}) { changed }").await;
    let document = "query ($ids: [ID!]!) { relationships(userIds: $ids) { user { username }
        followState } }";
    let ids = json!([mary.id, john.id, gone.id, susan.id, mary.id]);
    let of =
        |name: &str, state: &str| json!({ "user": { "username": name }, "followState": state });
    let expected = json!([
        of("mary", "FOLLOWING"),
        null,
        null,
        of("susan", "NOT_FOLLOWING"),
        of("mary", "FOLLOWING")
    ]);
    assert_eq!(john.run(document, json!({ "ids": ids })).await["relationships"], expected);
    let anonymous = app.anonymous().run(document, json!({ "ids": ids })).await;
    assert_eq!(anonymous["relationships"], json!([null, null, null, null, null]));
    let many: Vec<&str> = std::iter::repeat_n(&*mary.id, 101).collect();
    for (ids, code) in [(json!(many), "ARGUMENT_OUT_OF_RANGE"), (json!(["x"]), "INVALID_ID")] {
        let response = john.execute(document, json!({ "ids": ids })).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], code);
    }
    let many = &many[..100];
    let all = john.run(document, json!({ "ids": many })).await;
    assert_eq!(all["relationships"].as_array().unwrap().len(), 100);
}

/// The path between two users, as usernames.
async fn path(viewer: &Actor<'_>, from: &str, to: &str, max: i32) -> Value {
    let document = format!(
        "{{ followPath(from: {{username: \"{from}\"}}, to: {{username: \"{to}\"}},
         maxLength: {max}) {{ username }} }}"
    );
    let path = viewer.query(&document).await["followPath"].take();
    if path.is_null() { path } else { json!(texts(&path, "username")) }
}

#[tokio::test]
async fn a_follow_path_is_a_shortest_chain_of_visible_follows() {
    let app = TestApp::new().await;
    let mut users = Vec::new();
    for n in 0..8 {
        users.push(app.register(&format!("u{n}")).await);
    }
    for n in 0..7 {
        users[n].follow(&users[n + 1]).await;
    }
    let anonymous = app.anonymous();
    assert_eq!(
        path(&anonymous, "u0", "u6", 6).await,
        json!(["u0", "u1", "u2", "u3", "u4", "u5", "u6"])
    );
    assert_eq!(path(&anonymous, "u0", "u6", 5).await, Value::Null, "longer than the maximum");
    assert_eq!(path(&anonymous, "u0", "u7", 6).await, Value::Null);
    assert_eq!(path(&anonymous, "u6", "u0", 6).await, Value::Null, "follows have a direction");
    assert_eq!(path(&anonymous, "u3", "U3", 1).await, json!(["u3"]));
    assert_eq!(path(&anonymous, "u0", "unknown", 6).await, Value::Null);
    users[1].follow(&users[5]).await;
    assert_eq!(path(&anonymous, "u0", "u6", 6).await, json!(["u0", "u1", "u5", "u6"]));
    for max in [0, 7] {
        let document = format!(
            "{{ followPath(from: {{username: \"u0\"}}, to: {{username: \"u1\"}},
             maxLength: {max}) {{ id }} }}"
        );
        assert_eq!(anonymous.error(&document).await, "ARGUMENT_OUT_OF_RANGE");
    }
    // A follow between two protected users is in lists that only their followers may see.
    for n in [1, 5] {
        users[n].protect(true).await;
    }
    let long = json!(["u0", "u1", "u2", "u3", "u4", "u5", "u6"]);
    for viewer in [&anonymous, &users[2]] {
        assert_eq!(path(viewer, "u0", "u6", 6).await, long);
    }
    for viewer in [&users[0], &users[1], &users[4], &users[5]] {
        assert_eq!(path(viewer, "u0", "u6", 6).await, json!(["u0", "u1", "u5", "u6"]));
    }
}

/// The search starts at the end that has fewer follows.
#[tokio::test]
async fn a_path_to_a_popular_user_reads_few_follows_and_others_have_a_maximum() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    john.follow(susan).await;
    susan.follow(mary).await;
    for n in 0..20 {
        app.register(&format!("fan_{n}")).await.follow(mary).await;
    }
    let ids = [john, mary].map(|user| UserRef::Username(user.username.clone()));
    let mut ends = Vec::new();
    for id in &ids {
        let user = user::Entity::find_by(id).one(app.database().reader()).await.unwrap().unwrap();
        ends.push(user);
    }
    let search = |max_follows| Search {
        from: (ends[0].id, ends[0].following_count),
        to: (ends[1].id, ends[1].followers_count),
        max_length: 6,
        max_follows,
    };
    let find = async |search| follow_path::find(&Snapshot::new(app.database()), 0, search).await;
    assert_eq!(find(search(2)).await.unwrap().map(|path| path.len()), Some(3));
    assert_eq!(find(search(1)).await, Err(Error::PathTooExpensive { max: 1 }));
    let back = Search { from: search(2).to, to: search(2).from, ..search(2) };
    assert_eq!(find(back).await, Ok(None), "mary follows no user");
}

#[tokio::test]
async fn an_order_by_username_has_a_maximum_length() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let list = |order: &str| {
        format!(
            "{{ viewer {{ user {{ followers(orderBy: {{field: {order}, direction: ASC}}) {{
            nodes {{ username }} }} }} }} }}"
        )
    };
    let transaction = app.database().begin().await.unwrap();
    transaction.execute_unprepared("UPDATE \"user\" SET followers_count = 50001").await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(john.error(&list("USERNAME")).await, "LIST_TOO_LARGE");
    // The other order reads no more than its page.
    john.query(&list("FOLLOWED_AT")).await;
    let transaction = app.database().begin().await.unwrap();
    transaction.execute_unprepared("UPDATE \"user\" SET followers_count = 50000").await.unwrap();
    transaction.commit().await.unwrap();
    john.query(&list("USERNAME")).await;
}
