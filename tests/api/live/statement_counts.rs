//! SQL statements of event delivery: as many for one subscriber as for many.

use futures_util::future::join_all;
use serde_json::json;

use super::{COUNTS, TIMELINE, summary};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::stream_client::EventClient;

/// Number of measurements at least.
const MIN_ATTEMPTS: usize = 3;
/// Number of measurements after which the least of them counts.
const MAX_ATTEMPTS: usize = 20;

/// The least result of several measurements.
///
/// A poll of the hub adds statements to a measurement, on a busy machine to most of them. A
/// measurement is repeated until a result is at most the first of `counts`.
pub async fn least(counts: &[u64], mut measure: impl AsyncFnMut(usize) -> u64) -> u64 {
    let mut least = u64::MAX;
    for attempt in 0..MAX_ATTEMPTS {
        if attempt >= MIN_ATTEMPTS && counts.first().is_none_or(|first| least <= *first) {
            break;
        }
        least = least.min(measure(attempt).await);
    }
    least
}

/// Panics if a count is higher than the first, that of the fewest subscribers.
pub fn assert_constant(counts: &[u64]) {
    assert!(counts.iter().all(|count| *count <= counts[0]), "statements: {counts:?}");
}

/// Panics if any of the streams receives an event.
pub async fn assert_all_idle(streams: &mut [EventClient]) {
    join_all(streams.iter_mut().map(EventClient::assert_idle)).await;
}

/// Followers of the author without a subscription cost nothing either.
#[tokio::test]
async fn statement_count_of_a_post_event_is_independent_of_the_number_of_subscribers() {
    // Selects fields of the author that are not in the summary row.
    const WITH_AUTHOR: &str = "subscription { timelineEvents { __typename ... on StreamEvent { cursor }
        ... on TimelinePostAdded { edge { node { id body author { username avatarUrl aboutMe postsCount } } } } } }";
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    let names: Vec<String> = (0..30).map(|n| format!("user{n}")).collect();
    let mut all = Vec::new();
    for name in &names {
        let user = app.register(name).await;
        user.follow(&susan).await;
        all.push(user);
    }
    let mut streams = Vec::new();
    let mut counts = Vec::new();
    for subscribers in [1, 10, 30] {
        while streams.len() < subscribers {
            streams.push(all[streams.len()].subscribe_and_join(WITH_AUTHOR, json!({})).await);
        }
        let measure = async |_| {
            let write = async {
                susan.write("a post").await;
                let received =
                    streams.iter_mut().map(|events| async { summary(&events.next().await) });
                assert_eq!(join_all(received).await, vec!["+a post"; subscribers]);
            };
            let ((), statements) = app.count_statements(write).await;
            assert_all_idle(&mut streams).await;
            statements
        };
        counts.push(least(&counts, measure).await);
    }
    assert_constant(&counts);
}

/// The timelines show the post by its repost, with which a count of it changes.
#[tokio::test]
async fn statement_count_of_a_repost_event_is_independent_of_the_number_of_subscribers() {
    let app = TestApp::new().await;
    let (susan, mary) = (app.register("susan").await, app.register("mary").await);
    let names: Vec<String> = (0..30).map(|n| format!("user{n}")).collect();
    let mut all = Vec::new();
    for name in &names {
        let user = app.register(name).await;
        user.follow(&susan).await;
        all.push(user);
    }
    let mut streams = Vec::new();
    let mut counts = Vec::new();
    for subscribers in [1, 10, 30] {
        while streams.len() < subscribers {
            streams.push(all[streams.len()].subscribe_and_join(TIMELINE, json!({})).await);
        }
        let measure = async |_| {
            // The first change of a post's counts is sent at once.
            let post = mary.write("a post").await;
            let repost = async {
                let field = format!("repost(postId: \"{post}\") {{ changed }}");
                assert_eq!(susan.mutate(&field).await["changed"], true);
                let received = streams.iter_mut().map(|events| async {
                    [summary(&events.next().await), summary(&events.next().await)]
                });
                let expected = vec![["+a post by susan", "=a post"]; subscribers];
                assert_eq!(join_all(received).await, expected);
            };
            app.count_statements(repost).await.1
        };
        counts.push(least(&counts, measure).await);
    }
    assert_constant(&counts);
}

/// A deletion may change the counts of any user.
///
/// All subscribed users are therefore read at once.
#[tokio::test]
async fn statement_count_of_an_account_deletion_is_independent_of_the_number_of_subscribers() {
    let app = TestApp::new().await;
    let names: Vec<String> = (0..30).map(|n| format!("user{n}")).collect();
    let mut all = Vec::new();
    for name in &names {
        all.push(app.register(name).await);
    }
    let mut streams = Vec::new();
    let mut counts = Vec::new();
    for subscribers in [1, 10, 30] {
        while streams.len() < subscribers {
            let user = &all[streams.len()];
            let mut events = user.subscribe_and_join(COUNTS, json!({ "userId": user.id })).await;
            assert_eq!(events.next().await["followersCount"], 0);
            streams.push(events);
        }
        let measure = async |n| {
            let leaver = app.register(&format!("leaver{subscribers}_{n}")).await;
            leaver.follow(&all[0]).await;
            assert_eq!(streams[0].next().await["followersCount"], 1);
            let delete =
                format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ deletedUserId }}");
            let delete_account = async {
                leaver.mutate(&delete).await;
                assert_eq!(streams[0].next().await["followersCount"], 0);
                streams[subscribers - 1].assert_idle().await;
            };
            app.count_statements(delete_account).await.1
        };
        counts.push(least(&counts, measure).await);
    }
    assert_constant(&counts);
}

/// The duration of an event is that of its resolution.
#[tokio::test]
async fn the_duration_metric_of_a_subscription_excludes_idle_time() {
    let app = TestApp::new().await;
    let susan = app.register("susan").await;
    let mut events = susan.subscribe_and_join(TIMELINE, json!({})).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    susan.write("a post").await;
    events.next().await;
    let metrics = app.app.metrics.scrape();

    let line = "operation_duration_seconds_bucket{le=\"1.0\",operation=\"timelineEvents\",type=\"subscription\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}
