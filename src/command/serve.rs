//! `rookery serve`: runs the server until it receives a signal.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::lock;
use super::output::print;
use crate::app::App;
use crate::config::{Config, HttpConfig};
use crate::http::{self, ServerLimits, ServerOptions, Shutdown};
use crate::limits::AttemptPermit;
use crate::telemetry::AccessLog;

/// The password of john, susan, mary and david in the demo data.
pub const DEMO_PASSWORD: &str = "correct horse battery";

/// Open files that are reserved for everything but connections.
const RESERVED_FILES: u64 = 128;

/// Serves until SIGTERM or ctrl-c.
///
/// # Errors
/// When the port or the database is in use; when the database cannot be opened or written, or is
/// from a newer version.
pub async fn serve(config: Config) -> Result<()> {
    let listen = &config.http.listen;
    let listener = bind(listen).await?;
    let _lock = lock::acquire(config.database.url())?;
    let app = App::build(&config).await?;
    if config.demo {
        add_demo_data(&app).await?;
    }
    let delay = Duration::from_secs(config.http.shutdown_delay);
    let stop = shutdown_signal(app.shutdown.clone(), delay)?;
    let mut router = app.router.clone();
    let mut metrics = None;
    match &config.observability.metrics_listen {
        None => {}
        Some(address) if address == listen => {
            router = router.merge(http::metrics_router(app.metrics.clone()));
        }
        Some(address) => {
            let router = http::metrics_router(app.metrics.clone()).merge(app.health.clone());
            metrics = Some((bind(address).await?, router));
        }
    }
    let metrics_listener = metrics.as_ref().map(|(listener, _)| listener);
    print_addresses(&app, &config.http, &listener, metrics_listener)?;
    let mut limits = ServerLimits::from(&config);
    limits.connections = fit_connections_to_file_limit(limits.connections);
    if let Some((listener, router)) = metrics {
        serve_metrics(listener, router, app.shutdown.clone(), limits.clone());
    }
    let shutdown_timeout = limits.shutdown_timeout;
    let output = config.observability.access_log_output;
    let access_log = config.observability.access_log.map(|format| AccessLog::start(format, output));
    let (access_log, access_log_guard) = access_log.unzip();
    let options = ServerOptions { limits, shutdown: app.shutdown, access_log };
    http::serve(listener, router, stop, options).await;
    // Closing waits for the database server, which may be unreachable.
    let _ = tokio::time::timeout(shutdown_timeout, app.database.close()).await;
    drop(access_log_guard);
    Ok(print("Rookery has stopped.\n")?)
}

async fn bind(address: &str) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address}"))
}

fn print_addresses(
    app: &App,
    config: &HttpConfig,
    listener: &TcpListener,
    metrics: Option<&TcpListener>,
) -> Result<()> {
    let address = listener.local_addr()?;
    let mut lines = "Rookery is ready.\n".to_owned();
    if !config.no_playground {
        writeln!(lines, "  Playground       http://{address}/")?;
    }
    writeln!(lines, "  GraphQL          http://{address}/graphql")?;
    writeln!(lines, "  Subscriptions    ws://{address}/graphql")?;
    if let Some(listener) = metrics {
        writeln!(lines, "  Metrics          http://{}/metrics", listener.local_addr()?)?;
    }
    writeln!(lines, "  Database         {}", app.database.address())?;
    if !playground::OFFLINE && !config.no_playground {
        lines += "  (built without npm: the playground loads its files from a CDN)\n";
    }
    Ok(print(lines)?)
}

/// Serves the metrics for as long as the server runs.
fn serve_metrics(listener: TcpListener, router: Router, shutdown: Shutdown, limits: ServerLimits) {
    tokio::spawn(async move {
        // The shutdown waits for scrapes in flight.
        let _tracked = shutdown.track();
        let stop = shutdown.shutting_down();
        let shutdown = Shutdown::default();
        let options = ServerOptions { limits, shutdown, access_log: None };
        http::serve(listener, router, stop, options).await;
    });
}

/// Raises the limit of open files, and returns how many `connections` fit into it.
fn fit_connections_to_file_limit(connections: usize) -> usize {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(RESERVED_FILES);
    let files = rlimit::increase_nofile_limit(wanted).unwrap_or(wanted);
    let max = usize::try_from(files.saturating_sub(RESERVED_FILES)).unwrap_or(usize::MAX).max(1);
    if max < connections {
        tracing::warn!(
            max,
            files,
            "the limit of open files allows fewer connections than --max-connections; \
             raise it with ulimit -n"
        );
    }
    max.min(connections)
}

async fn add_demo_data(app: &App) -> Result<()> {
    let password = app.passwords.hash(DEMO_PASSWORD.into(), &AttemptPermit::unlimited()).await;
    let password = password.map_err(|_| anyhow::anyhow!("cannot hash the demo password"))?;
    if super::seed::demo(&app.database, &password.0).await? {
        let users = "john, susan, mary or david";
        print(format_args!("Demo data: log in as {users}, password \"{DEMO_PASSWORD}\".\n"))?;
    } else {
        print("The database is not empty: no demo data was added.\n")?;
    }
    Ok(())
}

/// Resolves `delay` after the first SIGTERM or ctrl-c, or with the second.
fn shutdown_signal(shutdown: Shutdown, delay: Duration) -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let mut received = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        received().await;
        shutdown.drain();
        let _ = tokio::time::timeout(delay, received()).await;
    })
}
