//! Reposts of deleted posts and accounts, and by deleted accounts.

use entity::event::Kind;
use futures_util::future::join_all;
use serde_json::json;

use super::{change, field, parts, reposters};
use crate::support::actors::Actor;
use crate::support::app::{PASSWORD, TestApp};

async fn delete_post(author: &Actor<'_>, post: &str) {
    let payload = author.mutate(&format!("deletePost(id: \"{post}\") {{ changed }}")).await;
    assert_eq!(payload["changed"], true);
}

async fn delete_account(user: &Actor<'_>) {
    let field = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
    assert_eq!(user.mutate(&field).await["changed"], true);
}

#[tokio::test]
async fn deleting_a_post_deletes_its_reposts_and_no_others() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    let (one, two) = (mary.write("one").await, mary.write("two").await);
    for user in [john, susan, mary] {
        for post in [&one, &two] {
            assert!(change("repost", user, post).await);
        }
    }
    david.follow(john).await;
    assert_eq!(david.timeline().await, ["two", "one"]);
    delete_post(mary, &one).await;
    assert_eq!(david.timeline().await, ["two"]);
    assert_eq!(reposters(david, &two).await, ["mary", "susan", "john"]);
    for user in [john, susan] {
        assert_eq!(user.user_error(&field("unrepost", &one)).await, "NOT_FOUND");
    }
    let ended = parts(&app, Kind::PostRemoved, Kind::Unreposted).await;
    assert_eq!(ended, ["john", "susan", "mary"], "the event has a part for each repost");
    assert_eq!(app.doctor_report().await, "no problems found\n");
    // A post without reposts has an event without parts.
    let three = mary.write("three").await;
    delete_post(mary, &three).await;
    assert!(parts(&app, Kind::PostRemoved, Kind::Unreposted).await.is_empty());
}

#[tokio::test]
async fn deleting_an_account_deletes_reposts_by_and_of_the_user_and_corrects_counts() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    let (johns, marys) = (john.write("john's").await, mary.write("mary's").await);
    let (one, two) = (susan.write("one").await, susan.write("two").await);
    let reposts: [(&Actor<'_>, &[&String]); 3] =
        [(john, &[&one, &two, &marys]), (susan, &[&johns, &marys, &one]), (mary, &[&johns, &two])];
    for (user, posts) in reposts {
        for post in posts {
            assert!(change("repost", user, post).await);
        }
    }
    david.follow(john).await;
    david.follow(susan).await;
    let expected = ["mary's", "mary's", "two", "one", "john's"];
    assert_eq!(david.timeline().await, expected, "reposts by Susan and by John, and posts");

    delete_account(susan).await;
    assert_eq!(reposters(david, &johns).await, ["mary"]);
    assert_eq!(reposters(david, &marys).await, ["john"]);
    assert_eq!(david.timeline().await, ["mary's", "john's"]);
    let ended = parts(&app, Kind::UserRemoved, Kind::Unreposted).await;
    assert_eq!(ended, ["john", "john", "mary"], "Susan's own repost is not listed by her name");
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

/// No foreign key refers to a post, and a repost locks its user weakly.
#[tokio::test(flavor = "multi_thread")]
async fn reposts_during_deletions_are_counted_exactly_and_leave_no_items() {
    let app = TestApp::new().await;
    let reader = app.register("reader").await;
    let names: Vec<String> = (0..10).map(|n| format!("user{n}")).collect();
    let users = join_all(names.iter().map(|name| app.register(name))).await;
    for n in 0..4 {
        let author = app.register(&format!("author{n}")).await;
        let (kept, deleted) = (reader.write("kept").await, author.write("deleted").await);
        let documents =
            [&kept, &deleted].map(|post| format!("mutation {{ {} }}", field("repost", post)));
        // Users repost the author's post, and the author reposts the post that is kept.
        let reposts = users.iter().map(|user| user.execute(&documents[1], json!({})));
        let reposts = join_all(reposts.chain([author.execute(&documents[0], json!({}))]));
        let deletion = async {
            if n % 2 == 0 {
                delete_post(&author, &deleted).await;
            }
            delete_account(&author).await;
        };
        tokio::join!(reposts, deletion);
        assert_eq!(reposters(&reader, &kept).await, Vec::<String>::new());
        assert_eq!(app.doctor_report().await, "no problems found\n");
    }
}
