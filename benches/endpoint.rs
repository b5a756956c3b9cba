//! The timeline by hand: one axum endpoint that issues the statements of the GraphQL query through the
//! same connections and writes the same figures as JSON. What it is faster by is what GraphQL costs.
//!
//! `cargo run --release --example endpoint -- --database-url sqlite://bench.db --listen 127.0.0.1:8001`,
//! then GET /timeline with the header `Authorization: Bearer <token>`.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use clap::Parser;
use entity::{post, user};
use rookery::auth::Viewer;
use rookery::config::Config;
use rookery::database::{Database, Snapshot};
use rookery::id::Id;
use rookery::loader::timeline_sql;
use rookery::page::Direction;
use serde_json::json;
use tokio::net::TcpListener;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    config: Config,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Config { database, listen, .. } = Arguments::parse().config;
    let database = Database::open(&database).await?;
    let router = Router::new().route("/timeline", get(timeline)).with_state(database);
    let listener = TcpListener::bind(listen).await?;
    println!("http://{}/timeline", listener.local_addr()?);
    let seconds = std::time::Duration::from_secs(10);
    rookery::http::serve(listener, router, std::future::pending(), (seconds, seconds)).await;
    Ok(())
}

async fn timeline(State(database): State<Database>, headers: HeaderMap) -> Response {
    let Some(token) = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
    else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    match read(&database, token).await {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn read(database: &Database, token: &str) -> anyhow::Result<String> {
    let snapshot = Snapshot::new(database);
    let viewer = Viewer::authenticate(&snapshot, token).await;
    let viewer = viewer.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let engine = database.engine();
    let first = [engine.keys([viewer.id()]), i64::MAX.into(), 0i64.into(), 21i64.into()];
    let mut posts: Vec<post::Model> =
        snapshot.all(&timeline_sql(engine, Direction::Forward), first).await?;
    posts.sort_unstable_by_key(|post| std::cmp::Reverse(post.id));
    posts.truncate(20);
    let authors = engine.keys(posts.iter().map(|post| post.author_id));
    let sql = format!("SELECT * FROM \"user\" WHERE {}", engine.is_in("id", 1));
    let authors: Vec<user::Model> = snapshot.all(&sql, [authors]).await?;
    let nodes: Vec<_> = posts
        .iter()
        .map(|post| {
            let author = authors.iter().find(|author| author.id == post.author_id);
            json!({
                "id": Id::Post(post.id).encode(),
                "body": post.body,
                "author": author.map(|author| json!({
                    "id": Id::User(author.id).encode(),
                    "username": author.username,
                    "followersCount": author.followers_count,
                    "followingCount": author.following_count,
                })),
            })
        })
        .collect();
    Ok(json!({ "data": { "viewer": { "user": { "timeline": { "nodes": nodes } } } } }).to_string())
}
