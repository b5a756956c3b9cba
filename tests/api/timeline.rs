//! The home timeline: the tutorial's four friends, rightness on the very next read, and agreement
//! with the tutorial's own union on random graphs, at any depth, in both directions.

use entity::post;
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rookery::database::{Database, Snapshot};
use rookery::loader::{Batch as _, Loaders, PageOf, TimelineOf, Timelines};
use rookery::page::{Direction, List, Page, encode_cursor};
use sea_orm::{ConnectionTrait as _, FromQueryResult as _};
use serde_json::json;

use crate::app::{Place, TestApp};
use crate::cast::texts;

#[tokio::test]
async fn four_friends() {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let (john, susan, mary, david) = (&cast.john, &cast.susan, &cast.mary, &cast.david);
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
async fn right_on_the_very_next_read() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    let first = susan.write("one").await;
    assert!(john.timeline().await.is_empty());
    john.follow(&susan).await;
    assert_eq!(john.timeline().await, ["one"], "what was written before the follow");
    susan.write("two").await;
    assert_eq!(john.timeline().await, ["two", "one"]);
    susan.mutate(&format!("editPost(input: {{id: \"{first}\", body: \"1\"}}) {{ changed }}")).await;
    assert_eq!(john.timeline().await, ["two", "1"], "edited, in its old place");
    susan.mutate(&format!("deletePost(id: \"{first}\") {{ changed }}")).await;
    assert_eq!(john.timeline().await, ["two"]);
    john.unfollow(&susan).await;
    assert!(john.timeline().await.is_empty());
}

#[tokio::test]
async fn everybodys_timeline_is_readable_and_says_why_an_entry_is_there() {
    let app = TestApp::new().await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    john.write("mine").await;
    susan.write("hers").await;
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
        let expected =
            [entry("hers", "susan", "FOLLOWING", may_delete), entry("mine", "john", "OWN", false)];
        assert_eq!(timeline["edges"], json!(expected));
        assert_eq!(texts(&timeline["nodes"], "body"), ["hers", "mine"]);
        let page_info = json!({ "hasNextPage": false, "hasPreviousPage": false });
        assert_eq!(timeline["pageInfo"], page_info);
    }
}

/// A graph of up to a dozen users: who follows whom, and who wrote each post, oldest first.
#[derive(Clone, Debug)]
struct Graph {
    follows: Vec<(i64, i64)>,
    authors: Vec<i64>,
}

fn graphs() -> impl Strategy<Value = Graph> {
    // Few sources and many, prolific ones and silent ones.
    let user = 1i64..=12;
    let author = prop_oneof![3 => 1i64..=12, 2 => 1i64..=3, 1 => Just(1i64)];
    let follows = prop::collection::vec((user.clone(), user), 0..60);
    let authors = prop::collection::vec(author, 0..250);
    (follows, authors).prop_map(|(follows, authors)| Graph { follows, authors })
}

fn pages() -> impl Strategy<Value = Page<i64>> {
    let cursor = || prop::option::of(1i64..300);
    (any::<bool>(), prop_oneof![1i32..30, Just(100)], cursor(), cursor()).prop_map(
        |(forward, size, after, before)| {
            let (first, last) = if forward { (Some(size), None) } else { (None, Some(size)) };
            Page::new(first, last, after, before).unwrap()
        },
    )
}

async fn fill(db: &Database, graph: &Graph) {
    let transaction = db.begin().await.unwrap();
    let run = |sql: String| transaction.execute_unprepared_owned(sql);
    for table in ["post", "follow", "\"user\""] {
        run(format!("DELETE FROM {table}")).await;
    }
    for user in 1..=12 {
        run(format!(
            "INSERT INTO \"user\" (id, username, email, created_at) \
             VALUES ({user}, 'u{user}', 'u{user}@example.com', '2026-01-01T00:00:00+00:00')"
        ))
        .await;
    }
    for (n, (one, other)) in graph.follows.iter().enumerate().filter(|(_, (a, b))| a != b) {
        run(format!(
            "INSERT INTO follow (id, follower_id, followed_id) VALUES ({}, {one}, {other}) \
             ON CONFLICT DO NOTHING",
            n + 1
        ))
        .await;
    }
    for (n, author) in graph.authors.iter().enumerate() {
        run(format!(
            "INSERT INTO post (id, author_id, body, created_at) \
             VALUES ({}, {author}, 'x', '2026-01-01T00:00:00+00:00')",
            n + 1
        ))
        .await;
    }
    transaction.commit().await.unwrap();
}

trait ExecuteOwned {
    async fn execute_unprepared_owned(&self, sql: String);
}

impl ExecuteOwned for sea_orm::DatabaseTransaction {
    async fn execute_unprepared_owned(&self, sql: String) {
        self.execute_unprepared(&sql).await.unwrap();
    }
}

/// The tutorial's form: posts of followed users, united with one's own, sorted.
async fn union(db: &Database, owner: i64) -> Vec<i64> {
    let statement = db.statement(
        "SELECT post.* FROM post JOIN follow ON follow.followed_id = post.author_id \
         WHERE follow.follower_id = $1 \
         UNION SELECT post.* FROM post WHERE author_id = $1 ORDER BY id DESC",
        [owner.into()],
    );
    let posts = post::Model::find_by_statement(statement).all(db.reader()).await.unwrap();
    posts.into_iter().map(|post| post.id).collect()
}

/// Rows, and what comes before and after them, taken from the whole list.
fn expected(list: &[i64], page: &Page<i64>) -> (Vec<i64>, bool, bool) {
    let (upper, lower) = page.bounds();
    let within: Vec<i64> = list.iter().copied().filter(|id| *id < upper && *id > lower).collect();
    let size = usize::from(page.size).min(within.len());
    let rows = match page.direction {
        Direction::Forward => within[..size].to_vec(),
        Direction::Backward => within[within.len() - size..].to_vec(),
    };
    let cut = within.len() > size;
    let newer = list.iter().any(|id| *id >= upper);
    let older = list.iter().any(|id| *id <= lower);
    let (before, after) = match page.direction {
        Direction::Forward => (newer, older || cut),
        Direction::Backward => (newer || cut, older),
    };
    (rows, before, after)
}

#[test]
fn agrees_with_the_union_on_random_graphs() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let app = runtime.block_on(TestApp::new());
    let db = app.database();
    let mut runner = TestRunner::new(ProptestConfig { cases: 150, ..ProptestConfig::default() });
    let pages = prop::collection::vec(pages(), 1..6);
    // Walks that find nothing, just enough or not quite, and everything.
    let window = prop_oneof![Just(0u32), 1u32..60, Just(1_000)];
    let walkers = prop::collection::vec(any::<bool>(), 12);
    let cases = (graphs(), pages, window, walkers);
    let verdict = runner.run(&cases, |(graph, pages, window, walkers)| {
        runtime.block_on(async {
            fill(db, &graph).await;
            let timelines = Timelines::new(Snapshot::new(db), window);
            for page in &pages {
                // All owners in one batch, as a nested query asks; some walk, some merge.
                let key = |(owner, follows_many): (i64, &bool)| TimelineOf {
                    page: PageOf { owner, page: page.clone() },
                    follows_many: *follows_many,
                };
                let keys: Vec<TimelineOf> = (1..).zip(&walkers).map(key).collect();
                let slices = timelines.load(&keys).await.unwrap();
                for key in &keys {
                    let (owner, slice) = (key.page.owner, &slices[key]);
                    let rows: Vec<i64> = slice.rows.iter().map(|entry| entry.post.id).collect();
                    let (shown, before, after) = expected(&union(db, owner).await, page);
                    prop_assert_eq!(rows, shown, "owner {}, {:?}", owner, page);
                    if page.after.zip(page.before).is_none_or(|(after, before)| after > before) {
                        prop_assert_eq!(slice.has_previous, before, "{} {:?}", owner, page);
                        prop_assert_eq!(slice.has_next, after, "{} {:?}", owner, page);
                    }
                }
            }
            Ok(())
        })
    });
    verdict.unwrap();
}

/// Everything that is a list, of everybody.
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

async fn ask(app: &TestApp, variables: &serde_json::Value) -> serde_json::Value {
    app.anonymous().ask(LISTS, variables.clone()).await
}

#[ignore = "needs PostgreSQL"]
#[test]
fn both_engines_agree_answer_for_answer() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (file, server) =
        runtime.block_on(async { (TestApp::at(Place::file(), &[]).await, TestApp::new().await) });
    assert!(server.is_on_postgres());
    let mut runner = TestRunner::new(ProptestConfig { cases: 40, ..ProptestConfig::default() });
    let queries = prop::collection::vec((pages(), any::<bool>()), 1..5);
    let verdict = runner.run(&(graphs(), queries), |(graph, queries)| {
        runtime.block_on(async {
            for app in [&file, &server] {
                fill(app.database(), &graph).await;
            }
            for (page, both) in &queries {
                let cursor = |list| page.after.map(|after| encode_cursor(list, &after));
                let size = i32::from(page.size).min(20);
                let variables = json!({
                    "first": (page.direction == Direction::Forward).then_some(size),
                    "last": (page.direction == Direction::Backward).then_some(size),
                    "timeline": cursor(List::Timeline),
                    "posts": cursor(List::Posts).filter(|_| *both),
                });
                let answers = [&file, &server].map(|app| ask(app, &variables));
                let [one, other]: [serde_json::Value; 2] =
                    join_all(answers).await.try_into().unwrap();
                prop_assert!(one["data"]["users"]["nodes"].is_array(), "{one}");
                prop_assert_eq!(one, other);
            }
            Ok(())
        })
    });
    verdict.unwrap();
}

#[tokio::test]
async fn one_statement_for_any_number_of_timelines() {
    let app = TestApp::new().await;
    let db = app.database();
    let authors = (0..240).map(|n| n % 12 + 1).collect();
    let follows = (1..=12).flat_map(|a| (1..=12).map(move |b| (a, b))).collect();
    fill(db, &Graph { follows, authors }).await;
    let page = Page::new(Some(20), None, Some(200), None).unwrap();
    for owners in [1, 12] {
        let loaders = Loaders::new(Snapshot::new(db), None).await;
        let load = |owner| {
            let page = PageOf { owner, page: page.clone() };
            loaders.timelines.load(TimelineOf { page, follows_many: false })
        };
        let ((), statements) = app
            .statements(async {
                futures_util::future::join_all((1..=owners).map(load)).await;
            })
            .await;
        assert_eq!(statements, 1, "{owners} owners");
    }
    // Who follows many walks, and merges only when the walk was in vain.
    for (window, expected) in [(1_000, 1), (20, 2)] {
        let timelines = Timelines::new(Snapshot::new(db), window);
        let key =
            |owner| TimelineOf { page: PageOf { owner, page: page.clone() }, follows_many: true };
        let keys: Vec<TimelineOf> = (1..=12).map(key).collect();
        let (found, statements) = app.statements(timelines.load(&keys)).await;
        assert_eq!(statements, expected, "a window of {window}");
        assert!(found.unwrap().values().all(|slice| slice.rows.len() == 20));
    }
    // The same page, asked for by two who have read different counts of its owner.
    let page = PageOf { owner: 1, page };
    let keys = [true, false].map(|follows_many| TimelineOf { page: page.clone(), follows_many });
    let found = Timelines::new(Snapshot::new(db), 0).load(&keys).await.unwrap();
    assert!(keys.iter().all(|key| found[key].rows.len() == 20));
}

/// A page is read with the number of entries before it, and the place to go on from.
#[tokio::test]
async fn newer_entries_are_counted() {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let (john, susan) = (&cast.john, &cast.susan);
    john.follow(susan).await;
    let empty = "{ viewer { user { timeline { newerCount } } } }";
    assert_eq!(john.query(empty).await["viewer"]["user"]["timeline"]["newerCount"], 0);
    for n in 0..15 {
        [john, susan][n % 2].write(&n.to_string()).await;
        cast.mary.write("not john's").await;
    }
    let ask = "query ($after: String, $before: String, $first: Int, $last: Int) { viewer { user {
        timeline(first: $first, after: $after, last: $last, before: $before) {
            capped: newerCount(cap: 7) newerCount edges { cursor } pageInfo { hasPreviousPage } } } } }";
    let all = john.run(ask, json!({ "first": 15 })).await;
    let edges = all["viewer"]["user"]["timeline"]["edges"].as_array().unwrap().clone();
    for newer in 0..15 {
        let cursor = &edges[newer]["cursor"];
        let pages = [
            json!({ "first": 3, "after": (newer > 0).then(|| &edges[newer - 1]["cursor"]) }),
            json!({ "last": 1, "before": edges.get(newer + 1).map(|edge| &edge["cursor"]) }),
        ];
        for page in pages {
            let timeline = &john.run(ask, page).await["viewer"]["user"]["timeline"];
            assert_eq!(&timeline["edges"][0]["cursor"], cursor);
            assert_eq!(timeline["newerCount"], newer);
            assert_eq!(timeline["capped"], newer.min(7));
        }
    }
    let beyond = john.run(ask, json!({ "after": edges[14]["cursor"] })).await;
    assert_eq!(beyond["viewer"]["user"]["timeline"]["newerCount"], 15);
    for cap in [0, 1_001] {
        let ask = format!("{{ viewer {{ user {{ timeline {{ newerCount(cap: {cap}) }} }} }} }}");
        assert_eq!(john.error(&ask).await, "ARGUMENT_OUT_OF_RANGE");
    }
}
