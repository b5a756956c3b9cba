//! `rookery serve`: the service on an address, until it is told to stop.

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::lock;
use crate::app::App;
use crate::auth::Attempt;
use crate::config::Config;
use crate::http::{self, Patience};

/// The password of john, susan, mary and david in the demo data.
pub const DEMO_PASSWORD: &str = "correct horse battery";

/// # Errors
/// When the port or the database is taken, cannot be opened or written, or is from a newer version.
pub async fn serve(config: Config) -> Result<()> {
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let _lock = lock::take(&config.database.database_url)?;
    let app = App::build(&config).await?;
    if config.demo {
        fill_with_demo(&app).await?;
    }
    let stop = stop()?;
    let address = listener.local_addr()?;
    println!("Rookery is ready.");
    println!("  Playground       http://{address}/");
    println!("  GraphQL          http://{address}/graphql");
    println!("  Subscriptions    ws://{address}/graphql");
    println!("  Database         {}", app.database.address());
    if !playground::OFFLINE {
        println!("  (built without npm: the playground loads its files from a CDN)");
    }
    let patience = Patience::from(&config);
    http::serve(listener, app.router, (stop, app.stopping), patience).await;
    // A server that has vanished would keep us waiting.
    let _ = tokio::time::timeout(patience.grace, app.database.close()).await;
    println!("Rookery has stopped.");
    Ok(())
}

async fn fill_with_demo(app: &App) -> Result<()> {
    let password = app.passwords.hash(DEMO_PASSWORD.to_owned(), &Attempt::of_operator()).await;
    let password = password.map_err(|_| anyhow::anyhow!("cannot hash the demo password"))?;
    if super::seed::demo(&app.database, &password).await? {
        println!("Demo data: log in as john, susan, mary or david, password \"{DEMO_PASSWORD}\".");
    } else {
        println!("The database is not empty: no demo data was added.");
    }
    Ok(())
}

/// Resolves with the first SIGTERM or ctrl-c.
fn stop() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
