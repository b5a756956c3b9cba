//! The benchmark queries and mutations as whole requests, without a network.
//!
//! The requests go through the router. Each query is measured with a document that is new to the
//! server, and with a cached document. For comparison, parsing the document and batches of a loader
//! are measured alone.

use apollo_compiler::ast::Document;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use futures_util::future::join_all;
use rookery::app::App;
use rookery::command::token;
use rookery::database::Snapshot;
use rookery::loaders::Loaders;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

fn queries() -> Vec<(String, String)> {
    let requests: Value =
        serde_json::from_str(include_str!("../load/queries.json")).expect("queries.json is JSON");
    let text = |name: &str| {
        requests[name]["query"].as_str().expect("queries.json has the query").to_owned()
    };
    ["Q1", "Q2", "Q3"].map(|name| (name.to_owned(), text(name))).to_vec()
}

async fn send(app: &App, token: Option<&str>, body: Value) -> usize {
    let mut request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Body::from(body.to_string())).expect("build a request");
    let response = app.router.clone().oneshot(request).await.expect("a response");
    assert!(response.status().is_success());
    let body = to_bytes(response.into_body(), usize::MAX).await.expect("read the body");
    assert!(
        !body.windows(9).any(|part| part == b"\"errors\":"),
        "{}",
        String::from_utf8_lossy(&body)
    );
    body.len()
}

fn reads(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("build a runtime");
    let (app, names, users) = runtime.block_on(async {
        let database = rookery_benches::graph().await;
        let users = rookery_benches::users_following(&database, 50).await;
        database.close().await;
        let app = App::build(&rookery_benches::config(&rookery_benches::url())).await;
        let names: Vec<String> = users.iter().map(|user| user.username.clone()).collect();
        (app.expect("build the application"), names, users)
    });
    let mut names = names.iter().cycle();
    let mut variables = || json!({ "username": names.next() });
    for (name, query) in queries() {
        let mut group = criterion.benchmark_group(format!("request {name}"));
        group.sample_size(30);
        group.bench_function("parse", |bench| {
            bench.iter(|| Document::parse(query.as_str(), ""));
        });
        let mut count = 0u64;
        group.bench_function("new document", |bench| {
            bench.to_async(&runtime).iter(|| {
                count += 1;
                let query = format!("{query} # {count}");
                send(&app, None, json!({ "query": query, "variables": variables() }))
            });
        });
        group.bench_function("cached document", |bench| {
            bench
                .to_async(&runtime)
                .iter(|| send(&app, None, json!({ "query": query, "variables": variables() })));
        });
        group.finish();
    }
    let mut group = criterion.benchmark_group("loader, users by id");
    for size in [1, 8] {
        group.bench_function(BenchmarkId::from_parameter(size), |bench| {
            bench.to_async(&runtime).iter(async || {
                let loaders = Loaders::new(Snapshot::new(&app.database), None).await;
                let keys = users.iter().take(size).map(|user| loaders.users.load(user.id));
                join_all(keys).await
            });
        });
    }
    group.finish();
}

fn writes(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("build a runtime");
    let folder = tempfile::tempdir().expect("create a folder");
    let url = format!("sqlite://{}", folder.path().join("writes.db").display());
    let (app, token) = runtime.block_on(async {
        let app = App::build(&rookery_benches::config(&url)).await.expect("build the application");
        for name in ["john", "susan"] {
            let query = "mutation ($input: RegisterInput!) { \
                register(input: $input) { userErrors { code } } }";
            let email = format!("{name}@example.com");
            let password = "correct horse battery";
            let input = json!({ "username": name, "email": email, "password": password });
            send(&app, None, json!({ "query": query, "variables": { "input": input } })).await;
        }
        let token = token::create(&app.database, "john", 30).await.expect("create a token");
        (app, token)
    });
    let mut group = criterion.benchmark_group("mutation");
    group.sample_size(30);
    let mutations = [
        (
            "follow and unfollow",
            "mutation { a: follow(user: {username: \"susan\"}) { changed } \
            b: unfollow(user: {username: \"susan\"}) { changed } }",
        ),
        ("createPost", "mutation { createPost(input: {body: \"a post\"}) { post { id } } }"),
    ];
    for (name, query) in mutations {
        group.bench_function(name, |bench| {
            bench.to_async(&runtime).iter(|| send(&app, Some(&token), json!({ "query": query })));
        });
    }
    group.finish();
}

criterion_group!(all, reads, writes);
criterion_main!(all);
