//! Several instances on one PostgreSQL database behave like one instance.
//!
//! On SQLite, where there is a single instance, most of these tests use that instance.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use migration::{Migrator, MigratorTrait as _};
use rookery::database::{Database, Engine};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, TestApp, TestDatabase, two_instances};
use crate::support::process::Process;

#[tokio::test]
async fn a_write_on_one_instance_is_visible_on_the_other_at_once() {
    let (a, b) = two_instances().await;
    let (john, susan) = (a.register("john").await, b.register("susan").await);
    susan.write("before").await;
    for _ in 0..20 {
        john.follow(&susan).await;
        assert_eq!(john.at(&b).timeline().await, ["before"]);
        susan.at(&a).write("while").await;
        assert_eq!(john.at(&b).timeline().await, ["while", "before"]);
        let newest = "{ viewer { user { posts(first: 1) { nodes { id } } } } }";
        let data = susan.query(newest).await;
        let id = &data["viewer"]["user"]["posts"]["nodes"][0]["id"];
        susan.mutate(&format!("deletePost(id: {id}) {{ changed }}")).await;
        assert_eq!(john.timeline().await, ["before"]);
        john.at(&b).unfollow(&susan).await;
        assert!(john.timeline().await.is_empty());
    }
    let logout = susan.at(&b).mutate("logout { changed }").await;
    assert_eq!(logout["changed"], true);
    assert_eq!(susan.at(&a).error("{ viewer { user { id } } }").await, "UNAUTHENTICATED");
}

const ALL_USERS: &str = "{ users(first: 20) { nodes { username followersCount followingCount
    followers(first: 20) { totalCount nodes { username } }
    following(first: 20) { totalCount nodes { username } } } } }";

/// Asserts that counts equal list lengths, and that each follow is in both lists.
fn assert_exact(data: &Value) {
    let users = data["users"]["nodes"].as_array().unwrap();
    let name = |user: &Value| user["username"].as_str().unwrap().to_owned();
    let mut follows = [vec![], vec![]];
    for user in users {
        for (list, follows) in ["followers", "following"].iter().zip(&mut follows) {
            let others = texts(&user[list]["nodes"], "username");
            assert_eq!(user[format!("{list}Count")], others.len(), "{user}");
            assert_eq!(user[list]["totalCount"], others.len(), "{user}");
            follows.extend(others.into_iter().map(|other| match *list {
                "followers" => (other, name(user)),
                _ => (name(user), other),
            }));
        }
    }
    follows[0].sort();
    follows[1].sort();
    assert_eq!(follows[0], follows[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_exact_after_two_hundred_concurrent_writes() {
    let (a, b) = two_instances().await;
    let names: Vec<String> = (0..10).map(|n| format!("user{n}")).collect();
    let users = join_all(names.iter().map(|name| a.register(name))).await;
    let pair = |n: usize| (n * 7 % 10, (n * 7 + n / 10 % 9 + 1) % 10);
    let write = async |n: usize| {
        let (viewer, other) = (&users[pair(n).0], &users[pair(n).1]);
        let viewer = viewer.at([&a, &b][n % 2]);
        let by = format!("user: {{username: \"{}\"}}", other.username);
        let field = match n {
            59 | 120 | 181 => format!("deleteAccount(input: {{password: \"{PASSWORD}\"}})"),
            _ if n % 3 == 2 => format!("unfollow({by})"),
            _ => format!("follow({by})"),
        };
        let document = format!("mutation {{ do: {field} {{ changed userErrors {{ code }} }} }}");
        viewer.execute(&document, json!({})).await
    };
    let responses = join_all((0..200).map(write)).await;
    let mut changed = 0;
    // Three accounts are deleted meanwhile: their tokens become invalid, and their names unknown.
    let is_deleted = |user: usize| [59, 120, 181].iter().any(|n| n * 7 % 10 == user);
    for (n, response) in responses.iter().enumerate() {
        let (viewer, other) = pair(n);
        let error = response["errors"][0]["extensions"]["code"].as_str();
        let user_error = response["data"]["do"]["userErrors"][0]["code"].as_str();
        match (error, user_error) {
            (None, None) => {}
            (Some("UNAUTHENTICATED"), None) => assert!(is_deleted(viewer), "{response}"),
            (None, Some("NOT_FOUND")) => assert!(is_deleted(other), "{response}"),
            _ => panic!("{response}"),
        }
        changed += usize::from(response["data"]["do"]["changed"] == true);
    }
    assert!(changed > 40, "{changed} changes");
    let data = b.anonymous().query(ALL_USERS).await;
    assert_eq!(data["users"]["nodes"].as_array().unwrap().len(), 7);
    assert_exact(&data);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_exact_when_an_account_is_deleted_during_follows() {
    let (a, b) = two_instances().await;
    let names: Vec<String> = (0..8).map(|n| format!("user{n}")).collect();
    let users = join_all(names.iter().map(|name| a.register(name))).await;
    for round in 0..12 {
        let leaver = b.register(&format!("leaver{round}")).await;
        join_all(users[..4].iter().map(|user| leaver.follow(user))).await;
        let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
        let follow = format!(
            "follow(user: {{username: \"leaver{round}\"}}) {{ changed userErrors {{ code }} }}"
        );
        let follow_and_unfollow = async {
            for _ in 0..3 {
                join_all(users.iter().map(|user| user.mutate(&follow))).await;
                let unfollow = follow.replace("follow(", "unfollow(");
                join_all(users[..3].iter().map(|user| user.mutate(&unfollow))).await;
            }
        };
        let (deleted, ()) = tokio::join!(leaver.mutate(&delete), follow_and_unfollow);
        assert_eq!(deleted["changed"], true);
        assert_exact(&a.anonymous().query(ALL_USERS).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_mutual_follows_do_not_deadlock() {
    let (a, b) = two_instances().await;
    let (john, susan) = (a.register("john").await, a.register("susan").await);
    let work = async {
        for _ in 0..30 {
            let (john_at_a, susan_at_b) = (john.at(&a), susan.at(&b));
            tokio::join!(john_at_a.follow(&susan), susan_at_b.follow(&john));
            tokio::join!(john_at_a.unfollow(&susan), susan_at_b.unfollow(&john));
        }
    };
    // PostgreSQL takes a second to detect one deadlock.
    tokio::time::timeout(Duration::from_secs(20), work).await.unwrap();
    assert_exact(&a.anonymous().query(ALL_USERS).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_deletes_of_a_post_change_it_once() {
    let (a, b) = two_instances().await;
    let john = a.register("john").await;
    for _ in 0..10 {
        john.write("kept").await;
        let delete = format!("deletePost(id: \"{}\") {{ changed }}", john.write("deleted").await);
        let all = join_all((0..8).map(|n| {
            let john: Actor<'_> = john.at(if n % 2 == 0 { &a } else { &b });
            let delete = &delete;
            async move { john.mutate(delete).await["changed"] == true }
        }));
        assert_eq!(all.await.into_iter().filter(|changed| *changed).count(), 1);
    }
    let count = "{ viewer { user { postsCount posts { totalCount } } } }";
    let user = &john.query(count).await["viewer"]["user"];
    assert_eq!(*user, json!({ "postsCount": 10, "posts": { "totalCount": 10 } }));
}

/// The integer that a statement selects.
async fn select_integer(database: &Database, sql: &str) -> i64 {
    let row = database.reader().query_one_raw(database.statement(sql, [])).await.unwrap();
    row.unwrap().try_get_by(0).unwrap()
}

#[ignore = "needs PostgreSQL"]
#[tokio::test(flavor = "multi_thread")]
async fn ten_instances_starting_at_once_migrate_once_and_claim_distinct_ids() {
    let fixture = Arc::new(TestDatabase::new().await);
    let database = fixture.open().await;
    assert_eq!(database.engine(), Engine::Postgres);
    database.migrate_down(100).await.unwrap();
    database.close().await;
    let options = ["--database-max-read-connections", "1", "--database-max-write-connections", "1"];
    let start_instance = |_| {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move { TestApp::at(fixture, &options).await })
    };
    let apps: Vec<TestApp> =
        join_all((0..10).map(start_instance)).await.into_iter().map(Result::unwrap).collect();
    let database = apps[0].database();
    let migrations = "SELECT count(*) FROM seaql_migrations";
    let all = i64::try_from(Migrator::migrations().len()).unwrap();
    assert_eq!(select_integer(database, migrations).await, all);

    // An instance whose connection is terminated loses its id, and claims one again.
    let locks = "FROM pg_locks JOIN pg_database ON pg_database.oid = database
        AND datname = current_database() WHERE locktype = 'advisory' AND objid < 10";
    select_integer(database, &format!("SELECT count(pg_terminate_backend(pid)) {locks}")).await;
    let start = Instant::now();
    while select_integer(database, &format!("SELECT count(DISTINCT objid) {locks}")).await != 10 {
        assert!(start.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let names: Vec<String> = (0..10).map(|n| format!("user{n}")).collect();
    join_all(apps.iter().zip(&names).map(|(app, name)| app.register(name))).await;
    assert_eq!(select_integer(database, "SELECT count(*) FROM \"user\"").await, 10);
}

#[ignore = "needs PostgreSQL"]
#[tokio::test(flavor = "multi_thread")]
async fn instances_with_the_same_id_generate_distinct_row_ids() {
    let a = TestApp::with(&["--instance-id", "7"]).await;
    assert!(a.is_on_postgres());
    let b = TestApp::at(Arc::clone(a.database_fixture()), &["--instance-id", "7"]).await;
    let users = [a.register("john").await, b.register("susan").await, a.register("mary").await];
    for _ in 0..40 {
        let writers = users.iter().zip([&a, &b, &a]).map(|(user, app)| user.at(app));
        let writers: Vec<Actor<'_>> = writers.collect();
        join_all(writers.iter().map(|user| user.write("Hi"))).await;
    }
    let data = a.anonymous().query("{ posts { totalCount } }").await;
    assert_eq!(data["posts"]["totalCount"], 120);
}

#[ignore = "needs PostgreSQL"]
#[tokio::test(flavor = "multi_thread")]
async fn killing_an_instance_loses_no_acknowledged_write() {
    const WRITERS: i64 = 4;
    let b = TestApp::new().await;
    assert!(b.is_on_postgres());
    let (john, susan) = (b.register("john").await, b.register("susan").await);
    susan.follow(&john).await;
    let mut a = Process::start(&b.database_fixture().url());
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (address, token) = (a.address.clone(), john.token.clone().unwrap());
            std::thread::spawn(move || {
                let create = "mutation { createPost(input: {body: \"Hi\"}) { post { id } } }";
                let posts = || Process::post(&address, &token, create);
                let is_stored =
                    |response: &Value| response["data"]["createPost"]["post"]["id"].is_string();
                std::iter::from_fn(posts).take_while(is_stored).count()
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    a.kill();
    let acknowledged: usize = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
    let acknowledged = i64::try_from(acknowledged).unwrap();
    assert!(acknowledged > 10, "{acknowledged}");

    // The other instance serves all of them without a pause.
    assert_eq!(susan.timeline().await.len(), 20);
    john.write("from instance b").await;
    assert_eq!(susan.timeline().await[0], "from instance b");
    let count = "{ viewer { user { postsCount posts { totalCount } } } }";
    let user = &john.query(count).await["viewer"]["user"];
    let stored = user["postsCount"].as_i64().unwrap() - 1;
    assert!((acknowledged..=acknowledged + WRITERS).contains(&stored), "{acknowledged} {user}");
    assert_eq!(user["posts"]["totalCount"], stored + 1);

    let mut a = Process::start(&b.database_fixture().url());
    let follow = "mutation { follow(user: {username: \"susan\"}) { changed } }";
    let response = Process::post(&a.address, john.token.as_deref().unwrap(), follow).unwrap();
    assert_eq!(response["data"]["follow"]["changed"], true);
    a.kill();
}
