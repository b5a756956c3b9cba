//! The driver baseline: the benchmark queries through the database's own client.
//!
//! The axum handlers run the SQL statements of the GraphQL queries without GraphQL, loaders, SeaORM
//! and connection pool, so they show the minimum cost of these statements. SQLite is read on the
//! thread that handles the request. PostgreSQL is read through four connections, which pipeline
//! their statements. A timeline is always merged and never scanned.
//!
//! `driver-baseline --database-url sqlite://rookery.db --listen 127.0.0.1:8002` serves
//! `GET /q1/{username}`, `/q2/{username}` and `/q3/{username}`.

mod postgres;
mod response;
mod sqlite;

use axum::Router;
use clap::Parser;
use rookery::config::Config;
use rookery::database::Engine;
use rookery::http::{ServerLimits, ServerOptions, Shutdown};
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
    let limits = ServerLimits::from(&config);
    let Config { database, http, .. } = config;
    let url = database.url().to_owned();
    let router: Router = match Engine::from_url(&url) {
        Some(Engine::Postgres) => postgres::router(&url).await?,
        _ => sqlite::router(&url)?,
    };
    let listener = TcpListener::bind(&http.listen).await?;
    println!("http://{}/", listener.local_addr()?);
    let options = ServerOptions { limits, shutdown: Shutdown::default(), access_log: None };
    rookery::http::serve(listener, router, std::future::pending(), options).await;
    Ok(())
}
