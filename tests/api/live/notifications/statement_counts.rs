//! SQL statements of notification events: as many for one subscriber as for many.

use futures_util::future::join_all;
use serde_json::json;

use super::{NOTIFICATIONS, change, read_page, summary};
use crate::live::TIMELINE;
use crate::live::statement_counts::{assert_all_idle, assert_constant, least};
use crate::support::actors::Actor;
use crate::support::app::TestApp;
use crate::support::stream_client::EventClient;

/// Registers a number of users.
async fn register(app: &TestApp, number: usize) -> Vec<Actor<'_>> {
    let mut users = Vec::new();
    for n in 0..number {
        users.push(app.register(&format!("user{n}")).await);
    }
    users
}

/// The number of statements of a write, until all streams have the expected event.
async fn statements(
    app: &TestApp,
    streams: &mut [EventClient],
    write: impl Future<Output = ()>,
    expected: &str,
) -> u64 {
    let write_and_receive = async {
        write.await;
        let received = streams.iter_mut().map(|events| async { summary(&events.next().await) });
        assert!(join_all(received).await.iter().all(|event| event == expected), "{expected}");
    };
    let ((), statements) = app.count_statements(write_and_receive).await;
    assert_all_idle(streams).await;
    statements
}

/// Each recipient has a notification of their own.
///
/// A post mentions at most 20 users.
#[tokio::test]
async fn statement_count_of_mentions_is_independent_of_the_number_of_subscribers() {
    let app = TestApp::new().await;
    let (john, users) = (app.register("john").await, register(&app, 20).await);
    let names: Vec<String> = users.iter().map(|user| format!("@{}", user.username)).collect();
    let body = names.join(" ");
    let mut streams = Vec::new();
    let mut counts = Vec::new();
    for subscribers in [1, 10, 20] {
        for user in &users[streams.len()..subscribers] {
            streams.push(user.subscribe_and_join(NOTIFICATIONS, json!({})).await);
        }
        let measure = async |_| {
            let write = async { drop(john.write(&body).await) };
            let expected = format!("+MENTION john: {body}");
            statements(&app, &mut streams, write, &expected).await
        };
        counts.push(least(&counts, measure).await);
    }
    assert_constant(&counts);
}

#[tokio::test]
async fn statement_count_of_follows_is_independent_of_the_number_of_subscribers() {
    let app = TestApp::new().await;
    let users = register(&app, 30).await;
    let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
    let follow_all = format!("followMany(userIds: {})", json!(ids));
    let mut streams = Vec::new();
    let mut counts = Vec::new();
    for subscribers in [1, 10, 30] {
        for user in &users[streams.len()..subscribers] {
            streams.push(user.subscribe_and_join(NOTIFICATIONS, json!({})).await);
        }
        let measure = async |n| {
            let follower = app.register(&format!("follower{subscribers}_{n}")).await;
            let expected = format!("+FOLLOW {}", follower.username);
            let write = change(&follower, &follow_all);
            statements(&app, &mut streams, write, &expected).await
        };
        counts.push(least(&counts, measure).await);
    }
    assert_constant(&counts);
}

/// Subscribers of one user's notifications cost the events of others nothing.
#[tokio::test]
async fn subscribers_without_events_cost_no_statements() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary) = (&actors.john, &actors.susan, &actors.mary);
    mary.follow(susan).await;
    let mut timeline = mary.subscribe_and_join(TIMELINE, json!({})).await;
    let mut idle = Vec::new();
    let mut counts = Vec::new();
    for _ in 0..2 {
        let measure = async |n| {
            let write = async {
                susan.write(&format!("@john {n}")).await;
                assert_eq!(timeline.next().await["__typename"], "TimelinePostAdded");
            };
            let ((), statements) = app.count_statements(write).await;
            timeline.assert_idle().await;
            statements
        };
        counts.push(least(&counts, measure).await);
        idle.push(susan.subscribe_and_join(NOTIFICATIONS, json!({})).await);
        idle.push(mary.subscribe_and_join(NOTIFICATIONS, json!({})).await);
    }
    assert_constant(&counts);
    assert_all_idle(&mut idle).await;
    assert!(read_page(john).await.1.len() >= 6);
}
