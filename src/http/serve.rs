//! The server: so many connections, with a clock on what they send and on what they read, and an orderly end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use super::{Peer, Stage, Stopping, stopped};
use crate::config::Config;

/// How long to wait when the system has no room for another connection.
const BREATHER: Duration = Duration::from_millis(50);
/// Bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;

/// How many connections there may be, and how long each may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub connections: usize,
    /// To send the head of a request.
    pub head: Duration,
    /// To read what it is sent.
    pub write: Duration,
    /// To finish when the service stops.
    pub grace: Duration,
}

impl From<&Config> for Patience {
    fn from(config: &Config) -> Self {
        Self {
            connections: config.limits.max_connections,
            head: Duration::from_secs(config.header_timeout),
            write: Duration::from_secs(config.write_timeout),
            grace: Duration::from_secs(config.shutdown_timeout),
        }
    }
}

/// Serves until `stop` resolves, then lets what is in flight finish, and ends what goes on for ever.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    (stop, stopping): (impl Future<Output = ()>, Stopping),
    patience: Patience,
) {
    let mut stop = pin!(stop);
    let places = Arc::new(Semaphore::new(patience.connections));
    loop {
        let accepted = async {
            // Whoever finds none waits where the system keeps them.
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((listener.accept().await, place))
        };
        let next = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => None,
        };
        let Some((accepted, place)) = next else { break };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BREATHER).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(patience.write));
        let service =
            TowerToHyperService::new(router.clone().layer(Extension(Peer::new(peer.ip(), place))));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience.head)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(Box::pin(stream)), service)
            .with_upgrades();
        let mut stopping = stopping.subscribe();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stopped(&mut stopping) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    tracing::info!("finishing what is in flight");
    stopping.send_replace(Stage::Stopping);
    if tokio::time::timeout(patience.grace, stopping.closed()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}
