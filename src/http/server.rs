//! The accept loop, with limits of connections, timeouts and a graceful end.
//!
//! The connections are limited in total and per client network. Written by hand on hyper because
//! `axum::serve` has neither a timeout for a request's head nor limits of connections.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::{Version, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use super::access_log::{self, AccessRecorder};
use super::error::HttpError;
use super::negotiation::MediaType;
use super::{Peer, Shutdown};
use crate::config::Config;
use crate::limits::{ClientNetwork, KeyedSemaphore};
use crate::telemetry::AccessLog;

/// Pause after the system could not accept a connection.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// Shortest interval between log lines about failures to accept a connection.
const LOG_INTERVAL: Duration = Duration::from_secs(1);
/// Size of the buffer for the head of a request.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Limits and timeouts of connections.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Maximum number of connections.
    pub connections: usize,
    /// Maximum number of connections from one client network.
    pub connections_per_network: usize,
    /// Reverse proxies, whose connections are not counted per network.
    pub proxies: Arc<[IpNet]>,
    /// Time for a client to send the head of a request.
    pub read_timeout: Duration,
    /// Time for a client to read.
    pub write_timeout: Duration,
    /// Time for requests in flight to finish during a shutdown.
    pub shutdown_timeout: Duration,
}

/// The limits of a server, its access log, and the shutdown that it takes part in.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub limits: ServerLimits,
    pub shutdown: Shutdown,
    /// Gets an entry for each request, if there is one.
    pub access_log: Option<AccessLog>,
}

impl From<&Config> for ServerLimits {
    fn from(config: &Config) -> Self {
        Self {
            connections: config.limits.max_connections,
            connections_per_network: config.limits.max_connections_per_network,
            proxies: config.http.trusted_proxies.0.clone().into(),
            read_timeout: Duration::from_secs(config.http.read_timeout),
            write_timeout: Duration::from_secs(config.http.write_timeout),
            shutdown_timeout: Duration::from_secs(config.http.shutdown_timeout),
        }
    }
}

/// Serves `router` until `stop` resolves.
///
/// Then requests in flight finish, and streams are ended.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    ServerOptions { limits, shutdown, access_log }: ServerOptions,
) {
    let mut router = router.layer(from_fn(require_one_host));
    if let Some(log) = access_log {
        let recorder = AccessRecorder { log, proxies: Arc::clone(&limits.proxies) };
        router = router.layer(from_fn_with_state(recorder, access_log::record));
    }
    let mut stop = pin!(stop);
    let permits = Arc::new(Semaphore::new(limits.connections));
    let networks = KeyedSemaphore::<ClientNetwork>::default();
    let mut last_logged = None::<Instant>;
    loop {
        let accept = async {
            // Connections over the limit wait in the backlog of the operating system.
            let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
            Some((listener.accept().await, permit))
        };
        let accepted = tokio::select! {
            accepted = accept => accepted,
            () = &mut stop => None,
        };
        let Some((accepted, permit)) = accepted else { break };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if last_logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
                    tracing::warn!(%error, "could not accept a connection");
                    last_logged = Some(Instant::now());
                }
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        let is_proxy = limits.proxies.iter().any(|proxy| proxy.contains(&peer.ip().to_canonical()));
        let max = if is_proxy { usize::MAX } else { limits.connections_per_network };
        let Some(network_permit) = networks.try_acquire(peer.ip().into(), max) else {
            tracing::debug!("closed a connection over the limit of its network");
            continue;
        };
        let peer = Peer::new(peer.ip(), (permit, network_permit));
        let router = router.clone().layer(Extension(peer));
        tokio::spawn(serve_connection(stream, router, limits.clone(), shutdown.clone()));
    }
    drop(listener);
    tracing::info!("shutting down: waiting for requests in flight");
    shutdown.shut_down();
    if !shutdown.wait(limits.shutdown_timeout).await {
        tracing::warn!("some requests did not finish within the shutdown timeout");
    }
}

/// Rejects a request without exactly one header `Host` (RFC 9112, section 3.2).
///
/// Otherwise this server and a proxy before it could take the request for that of different hosts.
async fn require_one_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11) {
        return next.run(request).await;
    }
    let error = HttpError::bad_request("A request must have exactly one header 'Host'.");
    error.into_response(MediaType::Json)
}

/// Serves the requests of a connection until it is closed or the server shuts down.
async fn serve_connection(
    stream: TcpStream,
    router: Router,
    limits: ServerLimits,
    shutdown: Shutdown,
) {
    let _tracked = shutdown.track();
    let _ = stream.set_nodelay(true);
    // Also for small writes, such as keep-alives, which the system buffers for a client that does
    // not read them.
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_user_timeout(
        &stream,
        u32::try_from(limits.write_timeout.as_millis()).unwrap_or(u32::MAX),
    );
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_timeout));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.read_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        // A WebSocket handshake is answered with header names as the client spells them.
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router))
        .with_upgrades();
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.shutting_down() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
