//! Mounts Rookery's GraphQL endpoint beside the routes of another axum program.
//!
//! Run it with `cargo run --example embed`, and send a query:
//!
//! ```sh
//! curl -s http://127.0.0.1:8000/social/graphql -H 'Content-Type: application/json' \
//!   --data '{"query": "{ users(first: 1) { totalCount } }"}'
//! ```

use std::net::SocketAddr;

use axum::Router;
use axum::routing::{get, post};
use clap::Parser;
use rookery::app::App;
use rookery::config::Config;
use rookery::http::embedded;
use tokio::net::TcpListener;

/// The options of `rookery serve`.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    config: Config,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { config } = Arguments::parse();
    let app = App::build(&config).await?;
    let social = Router::new().route("/graphql", post(embedded::handle)).with_state(app.state);
    let router = Router::new().route("/", get(async || "my program\n")).nest("/social", social);
    let listener = TcpListener::bind(&config.http.listen).await?;
    println!("http://{}/social/graphql", listener.local_addr()?);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await?;
    Ok(())
}
