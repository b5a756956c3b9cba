//! Mentions: names in texts, with their users and positions.

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::support::actors::Actor;
use crate::support::app::{PASSWORD, TestApp};

/// The mentions of a post, as `username start length`.
async fn mentions(viewer: &Actor<'_>, post: &str) -> Vec<String> {
    let document = format!(
        "{{ node(id: \"{post}\") {{ ... on Post {{ mentions {{ user {{ username }} start length }}
         }} }} }}"
    );
    let data = viewer.query(&document).await;
    let text = |mention: &Value| {
        let username = mention["user"]["username"].as_str().unwrap();
        format!("{username} {} {}", mention["start"], mention["length"])
    };
    data["node"]["mentions"].as_array().unwrap().iter().map(text).collect()
}

async fn edit(author: &Actor<'_>, post: &str, body: &str) {
    let field = format!(
        "editPost(input: {{id: \"{post}\", body: \"{body}\"}}) {{ changed userErrors {{ code }} }}"
    );
    assert_eq!(author.mutate(&field).await, json!({ "changed": true, "userErrors": [] }));
}

#[tokio::test]
async fn mentions_follow_the_text_and_the_user() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("Susan_5").await);
    let text = "\u{1F426} @SUSAN_5, @unknown and (@john): @susan_5! me@john.com @@john";
    let post = john.write(text).await;
    let expected = ["Susan_5 2 8", "john 26 5", "Susan_5 34 8"];
    for viewer in [&susan, &app.anonymous()] {
        assert_eq!(mentions(viewer, &post).await, expected);
    }
    edit(&john, &post, "nothing").await;
    assert_eq!(mentions(&john, &post).await, Vec::<String>::new());
    edit(&john, &post, "for @susan_5").await;
    assert_eq!(mentions(&john, &post).await, ["Susan_5 4 8"]);

    let taker = app.register("taker").await;
    for (user, name) in [(&susan, "sue"), (&taker, "susan_5")] {
        let rename =
            format!("updateProfile(input: {{username: \"{name}\"}}) {{ user {{ username }} }}");
        assert_eq!(user.mutate(&rename).await["user"]["username"], name);
    }
    assert_eq!(mentions(&john, &post).await, ["sue 4 8"], "the user, and not the name");
    let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
    susan.mutate(&delete).await;
    assert_eq!(mentions(&john, &post).await, Vec::<String>::new());
    let other = john.write("@susan_5").await;
    assert_eq!(mentions(&john, &other).await, ["susan_5 0 8"]);
    john.mutate(&format!("deletePost(id: \"{other}\") {{ changed }}")).await;
    let rows = app.database().statement("SELECT count(*) FROM mention", []);
    let rows = app.database().writer().query_one_raw(rows).await.unwrap().unwrap();
    assert_eq!(rows.try_get_by_index::<i64>(0).unwrap(), 0);
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn a_block_in_either_direction_makes_names_plain_text() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    let before = john.write("@susan").await;
    john.mutate("block(user: {username: \"susan\"}) { changed }").await;
    for (author, text) in [(john, "@susan @mary"), (susan, "@john @mary")] {
        let post = author.write(text).await;
        let start = text.find("@mary").unwrap();
        assert_eq!(mentions(mary, &post).await, [format!("mary {start} 5")]);
        edit(author, &post, &format!("{text}!")).await;
        assert_eq!(mentions(mary, &post).await, [format!("mary {start} 5")]);
    }
    assert_eq!(mentions(mary, &before).await, ["susan 0 6"], "an earlier mention stays");
    john.mutate("unblock(user: {username: \"susan\"}) { changed }").await;
    let after = susan.write("@john").await;
    assert_eq!(mentions(mary, &after).await, ["john 0 5"]);
}

#[tokio::test]
async fn the_first_twenty_names_are_looked_up() {
    let app = TestApp::new().await;
    let (john, _) = (app.register("john").await, app.register("susan").await);
    let post = john.write(&"@john ".repeat(25)).await;
    assert_eq!(mentions(&john, &post).await.len(), 20);
    let post = john.write(&format!("{} @john", "@unknown ".repeat(19))).await;
    assert_eq!(mentions(&john, &post).await.len(), 1);
    let post = john.write(&format!("{} @john", "@unknown ".repeat(20))).await;
    assert_eq!(mentions(&john, &post).await.len(), 0);
}

#[tokio::test]
async fn statement_count_of_mentions_is_independent_of_the_number_of_posts() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    for n in 0..100 {
        john.write(&format!("{n}: @susan and @john")).await;
    }
    for posts in [1, 10, 100] {
        let document = format!(
            "{{ user(by: {{username: \"john\"}}) {{ posts(first: {posts}) {{ nodes {{
             mentions {{ start user {{ username }} }} }} }} }} }}"
        );
        let (data, statements) = app.count_statements(susan.query(&document)).await;
        let nodes = data["user"]["posts"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), posts);
        assert!(nodes.iter().all(|post| post["mentions"].as_array().unwrap().len() == 2));
        // Session, john, posts, mentions, users.
        assert_eq!(statements, 5, "{posts} posts");
    }
}
