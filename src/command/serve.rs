//! `rookery serve`: the service on an address, until it is told to stop.

use std::fs::{File, TryLockError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::config::Config;
use crate::database;
use crate::http;

/// The password of john, susan, mary and david in the demo data.
pub const DEMO_PASSWORD: &str = "correct horse battery";

/// # Errors
/// When the port or the database is taken, cannot be opened or written, or is from a newer version.
pub async fn serve(config: Config) -> Result<()> {
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let _lock = lock(&config.database.database_url)?;
    let app = App::build(&config).await?;
    if config.demo {
        fill_with_demo(&app).await?;
    }
    let address = listener.local_addr()?;
    println!("Rookery is ready.");
    println!("  Playground       http://{address}/");
    println!("  GraphQL          http://{address}/graphql");
    println!("  Database         {}", config.database.database_url);
    if !playground::OFFLINE {
        println!("  (built without npm: the playground loads its files from a CDN)");
    }
    let limits =
        (Duration::from_secs(config.header_timeout), Duration::from_secs(config.shutdown_timeout));
    http::serve(listener, app.router, stop()?, limits).await;
    app.database.close().await;
    println!("Rookery has stopped.");
    Ok(())
}

async fn fill_with_demo(app: &App) -> Result<()> {
    let password = app.passwords.hash(DEMO_PASSWORD.to_owned()).await;
    let password = password.map_err(|_| anyhow::anyhow!("cannot hash the demo password"))?;
    if super::seed::demo(&app.database, &password).await? {
        println!("Demo data: log in as john, susan, mary or david, password \"{DEMO_PASSWORD}\".");
    } else {
        println!("The database is not empty: no demo data was added.");
    }
    Ok(())
}

/// Two services on one file would give out the same ids. The lock goes with the process.
fn lock(url: &str) -> Result<Option<File>> {
    let Some(path) = database::file(url)? else {
        return Ok(None);
    };
    let mut name = path.clone().into_os_string();
    name.push(".lock");
    let lock = File::options().create(true).truncate(false).write(true).open(&name);
    let lock = lock.with_context(|| format!("cannot write next to the database {url}"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => {
            bail!("the database {} is taken: another Rookery serves it", path.display())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock the database {}", path.display()))
        }
    }
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
