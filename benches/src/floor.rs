//! The queries at their cheapest: axum endpoints that issue the statements of the GraphQL queries through
//! the database's own client, without pool, framework or layers. SQLite is read on the thread that answers;
//! PostgreSQL through four connections, whose statements go out back to back. It always merges timelines.
//!
//! `floor --database-url sqlite://rookery.db --listen 127.0.0.1:8002`, then GET /q1/{username}, /q2/…, /q3/….

mod answer;
mod postgres;
mod sqlite;

use axum::Router;
use clap::Parser;
use rookery::config::Config;
use rookery::database::Engine;
use rookery::http::{Patience, Stopping};
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    config: Config,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Arguments::parse().config;
    let patience = Patience::from(&config);
    let Config { database, listen, .. } = config;
    let url = database.url().to_owned();
    let router: Router = match Engine::of(&url) {
        Some(Engine::Postgres) => postgres::router(&url).await?,
        _ => sqlite::router(&url)?,
    };
    let listener = TcpListener::bind(listen).await?;
    println!("http://{}/", listener.local_addr()?);
    let never = (std::future::pending(), Stopping::default());
    rookery::http::serve(listener, router, never, patience).await;
    Ok(())
}
