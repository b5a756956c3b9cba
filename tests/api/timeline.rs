//! The home timeline: contents after each write, compared with a reference query.
//!
//! The first test is the timeline test of the Flask Mega-Tutorial, in GraphQL. Property tests
//! compare the k-way merge with a plain union on random graphs, on pages of any size and direction.

mod random_graph;

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rookery::database::Snapshot;
use rookery::loaders::{
    Batch as _, Loaders, PageKey, SCAN_MIN_FOLLOWING, ShownReplies, Timeline, TimelineFilter,
    TimelineKey, Timelines,
};
use rookery::pagination::{CursorKind, Direction, PageRequest, encode_cursor};
use serde_json::{Value, json};

use self::random_graph::{Graph, fill, graphs};
use crate::support::actors::texts;
use crate::support::app::{TestApp, TestDatabase};

#[tokio::test]
async fn timelines_of_four_users_have_own_and_followed_posts_newest_first() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan, mary, david) = (&actors.john, &actors.susan, &actors.mary, &actors.david);
    john.write("post from john").await;
    susan.write("post from susan").await;
    mary.write("post from mary").await;
    david.write("post from david").await;
    john.follow(susan).await;
    john.follow(david).await;
    susan.follow(mary).await;
    mary.follow(david).await;

    assert_eq!(john.timeline().await, ["post from david", "post from susan", "post from john"]);
    assert_eq!(susan.timeline().await, ["post from mary", "post from susan"]);
    assert_eq!(mary.timeline().await, ["post from david", "post from mary"]);
    assert_eq!(david.timeline().await, ["post from david"]);
}

#[tokio::test]
async fn the_next_read_shows_each_follow_post_edit_and_delete() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let first = susan.write("one").await;
    assert!(john.timeline().await.is_empty());
    john.follow(&susan).await;
    assert_eq!(john.timeline().await, ["one"], "posts from before the follow are included");
    susan.write("two").await;
    assert_eq!(john.timeline().await, ["two", "one"]);
    susan.mutate(&format!("editPost(input: {{id: \"{first}\", body: \"1\"}}) {{ changed }}")).await;
    assert_eq!(john.timeline().await, ["two", "1"], "an edit keeps the position");
    susan.mutate(&format!("deletePost(id: \"{first}\") {{ changed }}")).await;
    assert_eq!(john.timeline().await, ["two"]);
    john.unfollow(&susan).await;
    assert!(john.timeline().await.is_empty());
}

#[tokio::test]
async fn timelines_are_public_and_edges_have_a_reason() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    john.write("john's").await;
    susan.write("susan's").await;
    john.follow(&susan).await;
    let document = "{ user(by: {username: \"john\"}) { timeline {
        edges { reason node { body author { username } viewerCanDelete } } nodes { body }
        pageInfo { hasNextPage hasPreviousPage } } } }";
    for (reader, may_delete) in [(&app.anonymous(), false), (&susan, true)] {
        let data = reader.query(document).await;
        let timeline = &data["user"]["timeline"];
        let entry = |body, author, reason, may_delete| {
            json!({ "reason": reason, "node": { "body": body, "author": { "username": author },
                    "viewerCanDelete": may_delete } })
        };
        let expected = [
            entry("susan's", "susan", "FOLLOWING", may_delete),
            entry("john's", "john", "OWN", false),
        ];
        assert_eq!(timeline["edges"], json!(expected));
        assert_eq!(texts(&timeline["nodes"], "body"), ["susan's", "john's"]);
        let page_info = json!({ "hasNextPage": false, "hasPreviousPage": false });
        assert_eq!(timeline["pageInfo"], page_info);
    }
}

fn pages() -> impl Strategy<Value = PageRequest<i64>> {
    let cursor = || prop::option::of(1i64..300);
    (any::<bool>(), prop_oneof![1i32..30, Just(100)], cursor(), cursor()).prop_map(
        |(forward, size, after, before)| {
            let (first, last) = if forward { (Some(size), None) } else { (None, Some(size)) };
            // The larger position is the newer one, which comes first.
            let is_reversed = after.zip(before).is_some_and(|(after, before)| after <= before);
            let before = before.filter(|_| !is_reversed);
            PageRequest::new(first, last, after, before).unwrap()
        },
    )
}

/// The rows of a page of `list`, and whether rows precede and follow them.
fn expected(list: &[i64], page: &PageRequest<i64>) -> (Vec<i64>, bool, bool) {
    let (upper, lower) = page.bounds();
    let within: Vec<i64> = list.iter().copied().filter(|id| *id < upper && *id > lower).collect();
    let size = usize::from(page.size).min(within.len());
    let rows = match page.direction {
        Direction::Forward => within[..size].to_vec(),
        Direction::Backward => within[within.len() - size..].to_vec(),
    };
    let has_more = within.len() > size;
    let newer = list.iter().any(|id| *id >= upper);
    let older = list.iter().any(|id| *id <= lower);
    let (before, after) = match page.direction {
        Direction::Forward => (newer, older || has_more),
        Direction::Backward => (newer || has_more, older),
    };
    (rows, before, after)
}

fn filters() -> impl Strategy<Value = TimelineFilter> {
    let replies = prop_oneof![
        Just(ShownReplies::All),
        Just(ShownReplies::ToFollowed),
        Just(ShownReplies::None)
    ];
    (any::<bool>(), replies, any::<bool>()).prop_map(|(include_own, replies, include_reposts)| {
        TimelineFilter { include_own, replies, include_reposts }
    })
}

#[test]
fn timelines_equal_the_union_on_random_graphs() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let app = runtime.block_on(TestApp::new());
    let db = app.database();
    let mut runner = TestRunner::new(ProptestConfig { cases: 150, ..ProptestConfig::default() });
    let pages = prop::collection::vec(pages(), 1..6);
    // Windows in which a scan finds no post, too few, enough, and all.
    let window = prop_oneof![Just(0u32), 1u32..60, Just(1_000)];
    let follow_many = prop::collection::vec(any::<bool>(), 12);
    // An anonymous viewer, or any of the owners.
    let cases = (graphs(), pages, window, follow_many, 0i64..=12, filters());
    let result = runner.run(&cases, |(graph, pages, window, follow_many, viewer, filter)| {
        runtime.block_on(async {
            fill(db, &graph).await;
            let timelines = Timelines::new(Snapshot::new(db), viewer.into(), window);
            for page in &pages {
                // All owners in one batch, as in a nested query. Some scan, others merge.
                let key = |(owner, follows_many): (i64, &bool)| {
                    let following = if *follows_many { SCAN_MIN_FOLLOWING } else { 0 };
                    let timeline = Timeline { owner, following, has_mutes: true, filter };
                    TimelineKey { page: PageKey { owner, page: page.clone() }, timeline }
                };
                let keys: Vec<TimelineKey> = (1..).zip(&follow_many).map(key).collect();
                let loaded = timelines.load(&keys).await.unwrap();
                for key in &keys {
                    let (owner, page_of_owner) = (key.page.owner, &loaded[key]);
                    let rows: Vec<i64> =
                        page_of_owner.rows.iter().map(|entry| entry.item).collect();
                    let all = graph.timeline(owner, viewer, filter);
                    let (expected_rows, before, after) = expected(&all, page);
                    prop_assert_eq!(rows, expected_rows, "{} of {}, {:?}", viewer, owner, page);
                    if page.after.zip(page.before).is_none_or(|(after, before)| after > before) {
                        prop_assert_eq!(page_of_owner.has_previous, before, "{} {:?}", owner, page);
                        prop_assert_eq!(page_of_owner.has_next, after, "{} {:?}", owner, page);
                    }
                }
            }
            Ok(())
        })
    });
    result.unwrap();
}

/// A query for all public lists of all users.
const LISTS: &str = "query ($first: Int, $last: Int, $timeline: String, $posts: String) {
    users(first: $first, last: $last) { totalCount pageInfo { hasNextPage hasPreviousPage endCursor }
        nodes { id username followersCount followingCount postsCount
            timeline(first: $first, last: $last, after: $timeline) { edges { cursor reason }
                nodes { id author { username } }
                pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }
    posts(first: $first, last: $last, after: $posts) { totalCount nodes { id body }
        pageInfo { hasNextPage hasPreviousPage endCursor } }
    user(by: {username: \"u1\"}) { posts(first: $first, last: $last) { totalCount nodes { id } }
        followers(first: $first, last: $last) { edges { cursor isMutual } nodes { username }
            pageInfo { hasNextPage hasPreviousPage } }
        following(first: $first, last: $last) { totalCount edges { cursor isMutual }
            nodes { username followers(first: 2) { nodes { username } } }
            pageInfo { hasNextPage hasPreviousPage } } } }";

async fn execute(app: &TestApp, variables: &Value) -> Value {
    app.anonymous().execute(LISTS, variables.clone()).await
}

#[ignore = "needs PostgreSQL"]
#[test]
fn sqlite_and_postgres_return_the_same_responses() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (sqlite, postgres) = runtime.block_on(async {
        (TestApp::at(TestDatabase::sqlite_file(), &[]).await, TestApp::new().await)
    });
    assert!(postgres.is_on_postgres());
    let mut runner = TestRunner::new(ProptestConfig { cases: 40, ..ProptestConfig::default() });
    let queries = prop::collection::vec((pages(), any::<bool>()), 1..5);
    let result = runner.run(&(graphs(), queries), |(graph, queries)| {
        runtime.block_on(async {
            for app in [&sqlite, &postgres] {
                fill(app.database(), &graph).await;
            }
            for (page, pages_posts) in &queries {
                let cursor = |list| page.after.map(|after| encode_cursor(list, &after));
                let size = i32::from(page.size).min(20);
                let variables = json!({
                    "first": (page.direction == Direction::Forward).then_some(size),
                    "last": (page.direction == Direction::Backward).then_some(size),
                    "timeline": cursor(CursorKind::Timeline),
                    "posts": cursor(CursorKind::Posts).filter(|_| *pages_posts),
                });
                let responses = [&sqlite, &postgres].map(|app| execute(app, &variables));
                let [first, second]: [Value; 2] = join_all(responses).await.try_into().unwrap();
                prop_assert!(first["data"]["users"]["nodes"].is_array(), "{first}");
                prop_assert_eq!(first, second);
            }
            Ok(())
        })
    });
    result.unwrap();
}

#[tokio::test]
async fn any_number_of_timelines_take_one_statement_and_a_failed_scan_one_more() {
    let app = TestApp::new().await;
    let db = app.database();
    let authors = (0..240).map(|n| n % 12 + 1);
    let follows = (1..=12).flat_map(|a| (1..=12).map(move |b| (a, b))).collect();
    fill(db, &Graph::of_posts(follows, authors)).await;
    let timeline = |owner, following| Timeline {
        owner,
        following,
        has_mutes: false,
        filter: TimelineFilter::default(),
    };
    let page = PageRequest::new(Some(20), None, Some(200), None).unwrap();
    for owners in [1, 12] {
        let loaders = Loaders::new(Snapshot::new(db), None).await;
        let load = |owner| {
            let page = PageKey { owner, page: page.clone() };
            loaders.timelines.load(TimelineKey { page, timeline: timeline(owner, 12) })
        };
        let ((), statements) = app
            .count_statements(async {
                join_all((1..=owners).map(load)).await;
            })
            .await;
        assert_eq!(statements, 1, "{owners} owners");
    }
    // A user who follows many scans recent posts, and merges only if the scan finds too few.
    for (window, expected) in [(1_000, 1), (20, 2)] {
        let timelines = Timelines::new(Snapshot::new(db), 0.into(), window);
        let key = |owner| TimelineKey {
            page: PageKey { owner, page: page.clone() },
            timeline: timeline(owner, SCAN_MIN_FOLLOWING),
        };
        let keys: Vec<TimelineKey> = (1..=12).map(key).collect();
        let (found, statements) = app.count_statements(timelines.load(&keys)).await;
        assert_eq!(statements, expected, "a window of {window}");
        assert!(found.unwrap().values().all(|page| page.rows.len() == 20));
    }
    // The same page twice in one batch, with different counts of followed users.
    let page = PageKey { owner: 1, page };
    let keys = [SCAN_MIN_FOLLOWING, 0]
        .map(|following| TimelineKey { page: page.clone(), timeline: timeline(1, following) });
    let found = Timelines::new(Snapshot::new(db), 0.into(), 0).load(&keys).await.unwrap();
    assert!(keys.iter().all(|key| found[key].rows.len() == 20));
}

#[tokio::test]
async fn newer_count_is_the_number_of_entries_before_the_page_up_to_the_cap() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    let (john, susan) = (&actors.john, &actors.susan);
    john.follow(susan).await;
    let empty = "{ viewer { user { timeline { newerCount } } } }";
    assert_eq!(john.query(empty).await["viewer"]["user"]["timeline"]["newerCount"], 0);
    for n in 0..15 {
        [john, susan][n % 2].write(&n.to_string()).await;
        actors.mary.write("not in john's timeline").await;
    }
    let query = "query ($after: String, $before: String, $first: Int, $last: Int) { viewer { user {
        timeline(first: $first, after: $after, last: $last, before: $before) {
            capped: newerCount(cap: 7) newerCount edges { cursor } pageInfo { hasPreviousPage } } } } }";
    let all = john.run(query, json!({ "first": 15 })).await;
    let edges = all["viewer"]["user"]["timeline"]["edges"].as_array().unwrap().clone();
    for newer in 0..15 {
        let cursor = &edges[newer]["cursor"];
        let pages = [
            json!({ "first": 3, "after": (newer > 0).then(|| &edges[newer - 1]["cursor"]) }),
            json!({ "last": 1, "before": edges.get(newer + 1).map(|edge| &edge["cursor"]) }),
        ];
        for page in pages {
            let timeline = &john.run(query, page).await["viewer"]["user"]["timeline"];
            assert_eq!(&timeline["edges"][0]["cursor"], cursor);
            assert_eq!(timeline["newerCount"], newer);
            assert_eq!(timeline["capped"], newer.min(7));
        }
    }
    let beyond = john.run(query, json!({ "after": edges[14]["cursor"] })).await;
    assert_eq!(beyond["viewer"]["user"]["timeline"]["newerCount"], 15);
    for cap in [0, 1_001] {
        let document =
            format!("{{ viewer {{ user {{ timeline {{ newerCount(cap: {cap}) }} }} }} }}");
        assert_eq!(john.error(&document).await, "ARGUMENT_OUT_OF_RANGE");
    }
}
