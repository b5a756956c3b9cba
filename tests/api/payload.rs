//! Payloads of mutations while other clients write.

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::support::actors::Actor;
use crate::support::app::{PASSWORD, TestApp};

/// Follows and unfollows `target` until `work` is done.
async fn while_followers_change<T>(
    followers: &[Actor<'_>],
    target: &Actor<'_>,
    work: impl Future<Output = T>,
) -> T {
    let is_done = std::sync::atomic::AtomicBool::new(false);
    let writers = followers.iter().map(async |follower| {
        while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
            follower.follow(target).await;
            follower.unfollow(target).await;
        }
    });
    let work = async {
        let value = work.await;
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        value
    };
    join(join_all(writers), work).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_of_a_payload_equal_its_lists_during_other_writes() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan) = (&actors.john, &actors.susan);
    let followers = join_all((0..4).map(async |n| app.register(&format!("user{n}")).await)).await;
    let user = "{ followersCount followers(first: 100) { totalCount nodes { id } } }";
    let by = "user: {username: \"susan\"}";
    let fields = [
        format!("follow({by}) {{ user {user} followerEdge {{ node {{ username }} }} }}"),
        format!("unfollow({by}) {{ user {user} }}"),
        "removeFollower(user: {username: \"john\"}) { viewer { user USER } }".replace("USER", user),
        "login(input: {username: \"susan\", password: \"PASSWORD\"}) { viewer { user USER } }"
            .replace("USER", user)
            .replace("PASSWORD", PASSWORD),
    ];
    let mutations = async {
        for n in 0..200 {
            let actor = if n % 4 < 2 { john } else { susan };
            let payload = actor.mutate(&fields[n % 4]).await;
            let user = payload.get("user").unwrap_or(&payload["viewer"]["user"]);
            let listed = user["followers"]["nodes"].as_array().unwrap().len();
            assert_eq!(user["followersCount"], listed, "{payload}");
            assert_eq!(user["followers"]["totalCount"], listed, "{payload}");
        }
    };
    while_followers_change(&followers, susan, mutations).await;
}

/// The code of the first error, or null.
fn code(response: &Value) -> &Value {
    &response["errors"][0]["extensions"]["code"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_of_an_account_that_is_deleted_meanwhile_has_no_internal_error() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    let delete =
        format!("mutation {{ deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }} }}");
    for n in 0..40 {
        let john = app.register(&format!("john{n}")).await;
        let by = format!("user: {{username: \"john{n}\"}}");
        let (first, second) = match n % 3 {
            0 => {
                let create = "mutation { createPost(input: {body: \"hello\"}) {
                    post { author { username aboutMe } }
                    timelineEdge { node { author { aboutMe } } } } }";
                join(john.execute(create, json!({})), john.execute(&delete, json!({}))).await
            }
            1 => {
                let follow = format!(
                    "mutation {{ follow({by}) {{ user {{ aboutMe }} follower {{ aboutMe }}
                    relationship {{ user {{ aboutMe }} }} followingEdge {{ node {{ aboutMe }} }}
                    followerEdge {{ node {{ aboutMe }} }} }} }}"
                );
                join(susan.execute(&follow, json!({})), john.execute(&delete, json!({}))).await
            }
            _ => {
                let login = format!(
                    "mutation {{ login(input: {{username: \"john{n}\", password: \"{PASSWORD}\"}})
                    {{ viewer {{ email user {{ aboutMe }} sessions {{ id }} }} }} }}"
                );
                join(susan.execute(&login, json!({})), john.execute(&delete, json!({}))).await
            }
        };
        for response in [&first, &second] {
            let allowed = [json!(null), json!("UNAUTHENTICATED"), json!("NOT_FOUND")];
            assert!(allowed.contains(code(response)), "{response:#}");
        }
    }
}
