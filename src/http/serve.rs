//! The server: so many connections, in all and of each network, with a clock on what they send and on what they read, and
//! an orderly end.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_io_timeout::TimeoutStream;

use super::{Peer, Stage, Stopping, stopped};
use crate::auth::Network;
use crate::config::Config;
use crate::place::Places;

/// How long to wait when the system has no room for another connection.
const BREATHER: Duration = Duration::from_millis(50);
/// How often to say so.
const SAID: Duration = Duration::from_secs(1);
/// Bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;

/// How many connections there may be, and how long each may take.
#[derive(Clone, Debug)]
pub struct Patience {
    pub connections: usize,
    /// Of one network.
    pub network_connections: usize,
    /// Whose connections are many people's.
    pub proxies: Arc<[IpNet]>,
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
            network_connections: config.limits.max_network_connections,
            proxies: config.trusted_proxies.0.clone().into(),
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
    let networks = Places::<Network>::default();
    let mut said = None::<Instant>;
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
                if said.is_none_or(|said| said.elapsed() >= SAID) {
                    tracing::warn!(%error, "a connection could not be accepted");
                    said = Some(Instant::now());
                }
                tokio::time::sleep(BREATHER).await;
                continue;
            }
        };
        let is_proxy =
            patience.proxies.iter().any(|proxy| proxy.contains(&peer.ip().to_canonical()));
        let most = if is_proxy { usize::MAX } else { patience.network_connections };
        let Some(own) = networks.enter(peer.ip().into(), most) else {
            tracing::debug!("a network has too many connections");
            continue;
        };
        let peer = Peer::new(peer.ip(), (place, own));
        tokio::spawn(connection(
            stream,
            router.clone().layer(Extension(peer)),
            patience.clone(),
            stopping.subscribe(),
        ));
    }
    drop(listener);
    tracing::info!("finishing what is in flight");
    stopping.send_replace(Stage::Stopping);
    if tokio::time::timeout(patience.grace, stopping.closed()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

/// Answers what comes over a connection until it ends, or the service does.
async fn connection(
    stream: TcpStream,
    router: Router,
    patience: Patience,
    mut stopping: watch::Receiver<Stage>,
) {
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(patience.write));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router))
        .with_upgrades();
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
}
