//! Several instances on one PostgreSQL work as one. With SQLite there is a single instance, which
//! stands for all of them where that makes sense.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use migration::{Migrator, MigratorTrait as _};
use rookery::database::{Database, Engine};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, Statement};
use serde_json::{Value, json};

use crate::app::{PASSWORD, Place, TestApp};
use crate::cast::{Actor, texts};

/// Two instances on one database.
pub async fn two() -> (TestApp, TestApp) {
    let one = TestApp::new().await;
    if !one.is_on_postgres() {
        let same = one.clone();
        return (one, same);
    }
    let other = TestApp::at(Arc::clone(one.place()), &[]).await;
    (one, other)
}

#[tokio::test]
async fn what_one_writes_the_other_reads_at_once() {
    let (a, b) = two().await;
    let (john, susan) = (a.join("john").await, b.join("susan").await);
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

const ALL: &str = "{ users(first: 20) { nodes { username followersCount followingCount
    followers(first: 20) { totalCount nodes { username } }
    following(first: 20) { totalCount nodes { username } } } } }";

/// Each count is the length of its list, and each follow is in both lists.
fn assert_exact(data: &Value) {
    let users = data["users"]["nodes"].as_array().unwrap();
    let name = |user: &Value| user["username"].as_str().unwrap().to_owned();
    let mut edges = [vec![], vec![]];
    for user in users {
        for (side, edges) in ["followers", "following"].iter().zip(&mut edges) {
            let others = texts(&user[side]["nodes"], "username");
            assert_eq!(user[format!("{side}Count")], others.len(), "{user}");
            assert_eq!(user[side]["totalCount"], others.len(), "{user}");
            edges.extend(others.into_iter().map(|other| match *side {
                "followers" => (other, name(user)),
                _ => (name(user), other),
            }));
        }
    }
    edges[0].sort();
    edges[1].sort();
    assert_eq!(edges[0], edges[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_stay_exact_when_two_hundred_act_at_once() {
    let (a, b) = two().await;
    let names: Vec<String> = (0..10).map(|n| format!("user{n}")).collect();
    let users = join_all(names.iter().map(|name| a.join(name))).await;
    let pair = |n: usize| (n * 7 % 10, (n * 7 + n / 10 % 9 + 1) % 10);
    let act = async |n: usize| {
        let (me, other) = (&users[pair(n).0], &users[pair(n).1]);
        let me = me.at([&a, &b][n % 2]);
        let by = format!("user: {{username: \"{}\"}}", other.username);
        let verb = match n {
            59 | 120 | 181 => format!("deleteAccount(input: {{password: \"{PASSWORD}\"}})"),
            _ if n % 3 == 2 => format!("unfollow({by})"),
            _ => format!("follow({by})"),
        };
        let document = format!("mutation {{ do: {verb} {{ changed userErrors {{ code }} }} }}");
        me.ask(&document, json!({})).await
    };
    let answers = join_all((0..200).map(act)).await;
    let mut changed = 0;
    // Three go, in the middle of it: their tokens with them, and nobody finds them any more.
    let leaves = |user: usize| [59, 120, 181].iter().any(|n| n * 7 % 10 == user);
    for (n, answer) in answers.iter().enumerate() {
        let (me, other) = pair(n);
        let error = answer["errors"][0]["extensions"]["code"].as_str();
        let user_error = answer["data"]["do"]["userErrors"][0]["code"].as_str();
        match (error, user_error) {
            (None, None) => {}
            (Some("UNAUTHENTICATED"), None) => assert!(leaves(me), "{answer}"),
            (None, Some("NOT_FOUND")) => assert!(leaves(other), "{answer}"),
            _ => panic!("{answer}"),
        }
        changed += usize::from(answer["data"]["do"]["changed"] == true);
    }
    assert!(changed > 40, "{changed} changes");
    let data = b.anonymous().query(ALL).await;
    assert_eq!(data["users"]["nodes"].as_array().unwrap().len(), 7);
    assert_exact(&data);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_goes_leaves_no_count_behind() {
    let (a, b) = two().await;
    let names: Vec<String> = (0..8).map(|n| format!("user{n}")).collect();
    let users = join_all(names.iter().map(|name| a.join(name))).await;
    for round in 0..12 {
        let leaving = b.join(&format!("leaving{round}")).await;
        join_all(users[..4].iter().map(|user| leaving.follow(user))).await;
        let delete = format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ changed }}");
        let follow = format!(
            "follow(user: {{username: \"leaving{round}\"}}) {{ changed userErrors {{ code }} }}"
        );
        let come = async {
            for _ in 0..3 {
                let here = users.iter().map(|user| user.mutate(&follow));
                join_all(here).await;
                let undo = follow.replace("follow(", "unfollow(");
                join_all(users[..3].iter().map(|user| user.mutate(&undo))).await;
            }
        };
        let (gone, ()) = tokio::join!(leaving.mutate(&delete), come);
        assert_eq!(gone["changed"], true);
        assert_exact(&a.anonymous().query(ALL).await);
    }
}

/// People who follow each other at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_each_other() {
    let (a, b) = two().await;
    let (john, susan) = (a.join("john").await, a.join("susan").await);
    let work = async {
        for _ in 0..30 {
            let (one, other) = (john.at(&a), susan.at(&b));
            tokio::join!(one.follow(&susan), other.follow(&john));
            tokio::join!(one.unfollow(&susan), other.unfollow(&john));
        }
    };
    // A deadlock alone takes the server a second to find.
    tokio::time::timeout(Duration::from_secs(20), work).await.unwrap();
    assert_exact(&a.anonymous().query(ALL).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_post_is_deleted_once() {
    let (a, b) = two().await;
    let john = a.join("john").await;
    for _ in 0..10 {
        john.write("stays").await;
        let delete = format!("deletePost(id: \"{}\") {{ changed }}", john.write("goes").await);
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

pub async fn text(transaction: &DatabaseTransaction, sql: &str) -> String {
    let statement = Statement::from_string(transaction.get_database_backend(), sql);
    transaction.query_one_raw(statement).await.unwrap().unwrap().try_get_by(0).unwrap()
}

async fn number(database: &Database, sql: &str) -> i64 {
    let row = database.reader().query_one_raw(database.statement(sql, [])).await.unwrap();
    row.unwrap().try_get_by(0).unwrap()
}

#[ignore = "needs PostgreSQL"]
#[tokio::test(flavor = "multi_thread")]
async fn ten_that_start_at_once_migrate_once_and_number_themselves() {
    let place = Arc::new(Place::new().await);
    let database = place.open().await;
    assert_eq!(database.engine(), Engine::Postgres);
    database.migrate_down(100).await.unwrap();
    database.close().await;
    let options = ["--database-readers", "1", "--database-writers", "1"];
    let start = |_| {
        let place = Arc::clone(&place);
        tokio::spawn(async move { TestApp::at(place, &options).await })
    };
    let apps: Vec<TestApp> =
        join_all((0..10).map(start)).await.into_iter().map(Result::unwrap).collect();
    let database = apps[0].database();
    let migrations = "SELECT count(*) FROM seaql_migrations";
    let all = i64::try_from(Migrator::migrations().len()).unwrap();
    assert_eq!(number(database, migrations).await, all);

    // Whoever loses the number takes one anew.
    let holders = "FROM pg_locks JOIN pg_database ON pg_database.oid = database
        AND datname = current_database() WHERE locktype = 'advisory' AND objid < 10";
    number(database, &format!("SELECT count(pg_terminate_backend(pid)) {holders}")).await;
    let begun = std::time::Instant::now();
    while number(database, &format!("SELECT count(DISTINCT objid) {holders}")).await != 10 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let names: Vec<String> = (0..10).map(|n| format!("user{n}")).collect();
    join_all(apps.iter().zip(&names).map(|(app, name)| app.join(name))).await;
    assert_eq!(number(database, "SELECT count(*) FROM \"user\"").await, 10);
}

#[ignore = "needs PostgreSQL"]
#[tokio::test(flavor = "multi_thread")]
async fn two_with_one_number_still_make_different_keys() {
    let a = TestApp::with(&["--node", "7"]).await;
    assert!(a.is_on_postgres());
    let b = TestApp::at(Arc::clone(a.place()), &["--node", "7"]).await;
    let users = [a.join("john").await, b.join("susan").await, a.join("mary").await];
    for _ in 0..40 {
        let written = users.iter().zip([&a, &b, &a]).map(|(user, app)| user.at(app));
        let written: Vec<Actor<'_>> = written.collect();
        join_all(written.iter().map(|user| user.write("Hi"))).await;
    }
    let data = a.anonymous().query("{ posts { totalCount } }").await;
    assert_eq!(data["posts"]["totalCount"], 120);
}

/// An instance in a process of its own.
pub struct Process {
    child: Child,
    /// Open, for what it still prints.
    _stdout: BufReader<ChildStdout>,
    pub address: String,
}

impl Process {
    pub fn start(url: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rookery"))
            .args(["serve", "--listen", "127.0.0.1:0", "--database-url", url])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let line = (&mut stdout).lines().map(Result::unwrap).find(|line| line.contains("/graphql"));
        let line = line.unwrap();
        let address = line.split("//").nth(1).unwrap().trim_end().replace("/graphql", "");
        Self { child, _stdout: stdout, address }
    }

    /// The answer, if there is one; nobody's without a token.
    pub fn post(address: &str, token: &str, query: &str) -> Option<Value> {
        let body = json!({ "query": query }).to_string();
        let authorization = match token {
            "" => String::new(),
            token => format!("authorization: Bearer {token}\r\n"),
        };
        let mut stream = TcpStream::connect(address).ok()?;
        write!(
            stream,
            "POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
             {authorization}content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[ignore = "needs PostgreSQL"]
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_killed_takes_nothing_with_it() {
    const WRITERS: i64 = 4;
    let b = TestApp::new().await;
    assert!(b.is_on_postgres());
    let (john, susan) = (b.join("john").await, b.join("susan").await);
    susan.follow(&john).await;
    let mut a = Process::start(&b.place().url());
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (address, token) = (a.address.clone(), john.token.clone().unwrap());
            std::thread::spawn(move || {
                let create = "mutation { createPost(input: {body: \"Hi\"}) { post { id } } }";
                let posts = || Process::post(&address, &token, create);
                let stored =
                    |answer: &Value| answer["data"]["createPost"]["post"]["id"].is_string();
                std::iter::from_fn(posts).take_while(stored).count()
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    a.kill();
    let acknowledged: usize = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
    let acknowledged = i64::try_from(acknowledged).unwrap();
    assert!(acknowledged > 10, "{acknowledged}");

    // B goes on at once, and has it all.
    assert_eq!(susan.timeline().await.len(), 20);
    john.write("from the other one").await;
    assert_eq!(susan.timeline().await[0], "from the other one");
    let count = "{ viewer { user { postsCount posts { totalCount } } } }";
    let user = &john.query(count).await["viewer"]["user"];
    let stored = user["postsCount"].as_i64().unwrap() - 1;
    assert!((acknowledged..=acknowledged + WRITERS).contains(&stored), "{acknowledged} {user}");
    assert_eq!(user["posts"]["totalCount"], stored + 1);

    let mut a = Process::start(&b.place().url());
    let follow = "mutation { follow(user: {username: \"susan\"}) { changed } }";
    let answer = Process::post(&a.address, john.token.as_deref().unwrap(), follow).unwrap();
    assert_eq!(answer["data"]["follow"]["changed"], true);
    a.kill();
}
