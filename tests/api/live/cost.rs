//! What it costs to tell: not more for many who listen than for one.

use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use serde_json::json;

use super::{COUNTS, TIMELINE, word};
use crate::app::{PASSWORD, TestApp};

/// However many are told, and however many follow the author without being there.
#[tokio::test]
async fn telling_many_takes_as_many_statements_as_telling_one() {
    // Whatever is shown of the author, and of the post to whoever reads it.
    const WITH_AUTHOR: &str = "subscription { timelineEvents { __typename ... on StreamEvent { cursor }
        ... on TimelinePostAdded { edge { node { id body author { username avatarUrl aboutMe postsCount } } } } } }";
    let app = TestApp::new().await;
    let susan = app.join("susan").await;
    let names: Vec<String> = (0..30).map(|n| format!("user{n}")).collect();
    let mut all = Vec::new();
    for name in &names {
        let user = app.join(name).await;
        user.follow(&susan).await;
        all.push(user);
    }
    let mut told = Vec::new();
    let mut taken = Vec::new();
    for many in [1, 10, 30] {
        while told.len() < many {
            told.push(all[told.len()].watch(WITH_AUTHOR, json!({})).await);
        }
        // The table may be looked at in between for other reasons; not each time.
        let mut least = u64::MAX;
        for _ in 0..4 {
            let write = async {
                susan.write("news").await;
                let heard = told.iter_mut().map(|events| async { word(&events.next().await) });
                assert_eq!(join_all(heard).await, vec!["+news"; many]);
            };
            least = least.min(app.statements(write).await.1);
            for events in &mut told {
                events.nothing().await;
            }
        }
        taken.push(least);
    }
    assert_eq!(taken, [taken[0]; 3], "for 1, 10 and 30");
}

/// Somebody's counts may have changed with an account that is gone; whose, is found out once for all who want to know.
#[tokio::test]
async fn an_account_that_goes_costs_as_much_whoever_listens() {
    let app = TestApp::new().await;
    let names: Vec<String> = (0..30).map(|n| format!("user{n}")).collect();
    let mut all = Vec::new();
    for name in &names {
        all.push(app.join(name).await);
    }
    let mut listening = Vec::new();
    let mut taken = Vec::new();
    for many in [1, 10, 30] {
        while listening.len() < many {
            let one = &all[listening.len()];
            let mut events = one.watch(COUNTS, json!({ "userId": one.id })).await;
            assert_eq!(events.next().await["followersCount"], 0);
            listening.push(events);
        }
        // The table may be looked at in between for other reasons; not each time.
        let mut least = u64::MAX;
        for n in 0..3 {
            let leaver = app.join(&format!("leaver{many}_{n}")).await;
            leaver.follow(&all[0]).await;
            assert_eq!(listening[0].next().await["followersCount"], 1);
            let delete =
                format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ deletedUserId }}");
            let leave = async {
                leaver.mutate(&delete).await;
                assert_eq!(listening[0].next().await["followersCount"], 0);
                listening[many - 1].nothing().await;
            };
            least = least.min(app.statements(leave).await.1);
        }
        taken.push(least);
    }
    assert_eq!(taken, [taken[0]; 3], "for 1, 10 and 30");
}

/// Who waits for something to happen does not work.
#[tokio::test]
async fn waiting_is_not_measured() {
    let app = TestApp::new().await;
    let susan = app.join("susan").await;
    let mut events = susan.watch(TIMELINE, json!({})).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    susan.write("news").await;
    events.next().await;
    let metrics = app.app.metrics.answer().into_body().collect().await.unwrap().to_bytes();
    let metrics = String::from_utf8_lossy(&metrics);
    let line =
        "operation_seconds_bucket{le=\"1.0\",operation=\"timelineEvents\",type=\"subscription\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}
