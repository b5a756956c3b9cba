//! `rookery serve`: the service on an address, until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::lock;
use crate::app::App;
use crate::auth::Attempt;
use crate::config::Config;
use crate::http::{self, Patience, Stage, Stopping};

/// The password of john, susan, mary and david in the demo data.
pub const DEMO_PASSWORD: &str = "correct horse battery";

/// Files that are open beside connections.
const OTHER_FILES: u64 = 128;

/// # Errors
/// When the port or the database is taken, cannot be opened or written, or is from a newer version.
pub async fn serve(config: Config) -> Result<()> {
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let _lock = lock::take(config.database.url())?;
    let app = App::build(&config).await?;
    if config.demo {
        fill_with_demo(&app).await?;
    }
    let stop = stop(Arc::clone(&app.stopping), Duration::from_secs(config.shutdown_delay))?;
    let (router, metrics) = match config.metrics_listen {
        None => (app.router, None),
        Some(address) if address == config.listen => {
            (app.router.merge(http::metrics_router(app.metrics)), None)
        }
        Some(address) => {
            let listener = TcpListener::bind(address).await;
            let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
            (app.router, Some((listener, http::metrics_router(app.metrics).merge(app.health))))
        }
    };
    let address = listener.local_addr()?;
    println!("Rookery is ready.");
    println!("  Playground       http://{address}/");
    println!("  GraphQL          http://{address}/graphql");
    println!("  Subscriptions    ws://{address}/graphql");
    if let Some((listener, _)) = &metrics {
        println!("  Metrics          http://{}/metrics", listener.local_addr()?);
    }
    println!("  Database         {}", app.database.address());
    if !playground::OFFLINE {
        println!("  (built without npm: the playground loads its files from a CDN)");
    }
    let mut patience = Patience::from(&config);
    patience.connections = room_for(patience.connections);
    if let Some((listener, router)) = metrics {
        let mut stopping = app.stopping.subscribe();
        let stopped = async move { http::stopped(&mut stopping).await };
        tokio::spawn(http::serve(
            listener,
            router,
            (stopped, Stopping::default()),
            patience.clone(),
        ));
    }
    let grace = patience.grace;
    http::serve(listener, router, (stop, app.stopping), patience).await;
    // A server that has vanished would keep us waiting.
    let _ = tokio::time::timeout(grace, app.database.close()).await;
    println!("Rookery has stopped.");
    Ok(())
}

/// So many connections, or as many as the system lets us have open: each is a file to it.
fn room_for(connections: usize) -> usize {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    let files = rlimit::increase_nofile_limit(wanted).unwrap_or(wanted);
    let most = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).max(1);
    if most < connections {
        tracing::warn!(
            most,
            files,
            "fewer connections than --max-connections: raise the limit of open files (ulimit -n)"
        );
    }
    most.min(connections)
}

async fn fill_with_demo(app: &App) -> Result<()> {
    let password = app.passwords.hash(DEMO_PASSWORD.into(), &Attempt::of_operator()).await;
    let password = password.map_err(|_| anyhow::anyhow!("cannot hash the demo password"))?;
    if super::seed::demo(&app.database, &password.0).await? {
        println!("Demo data: log in as john, susan, mary or david, password \"{DEMO_PASSWORD}\".");
    } else {
        println!("The database is not empty: no demo data was added.");
    }
    Ok(())
}

/// Resolves some time after the first SIGTERM or ctrl-c, or with the second.
fn stop(stopping: Stopping, delay: Duration) -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let mut told = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        told().await;
        stopping.send_replace(Stage::Leaving);
        let _ = tokio::time::timeout(delay, told()).await;
    })
}
