//! The server: connections with a clock on their request heads, and an orderly end.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use super::{Stopping, stopped};

/// How long to wait when the system has no room for another connection.
const BREATHER: Duration = Duration::from_millis(50);

/// Serves until `stop` resolves, then lets what is in flight finish within `grace`, and ends what goes on for ever.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    (stop, stopping): (impl Future<Output = ()>, Stopping),
    (header_timeout, grace): (Duration, Duration),
) {
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BREATHER).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .serve_connection(TokioIo::new(stream), service)
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
    stopping.send_replace(true);
    if tokio::time::timeout(grace, stopping.closed()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}
