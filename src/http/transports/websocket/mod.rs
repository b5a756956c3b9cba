//! GraphQL over WebSocket: the protocol graphql-transport-ws.
//!
//! One task for each WebSocket reads messages and sends responses; each operation runs on a task of
//! its own. While a message cannot be sent, none is read. The token of `connection_init` is
//! verified again for each operation. Written by hand because async-graphql's implementation has no
//! limits of operations, other close codes and no backpressure.

mod message;
mod operation;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_graphql::ServerError;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use futures_util::stream::{self, AbortHandle, BoxStream, SelectAll, StreamExt as _};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::auth::Client;
use crate::error::Error;
use crate::graphql::isolation::spawn_buffered;
use crate::graphql::{Arrival, GraphQLParams, GraphqlEngine, truncate_errors};
use crate::http::{AppState, Peer};
use crate::limits::{RateLimitKey, RateLimiter, StreamPermit};
use crate::schema::{code, server_error, with_code};
use crate::telemetry::RequestScope;
use message::{Close, End, Incoming, Outgoing, credentials};

const PROTOCOL: &str = "graphql-transport-ws";

/// Interval of pings.
///
/// A client that has sent nothing when the next ping is due is disconnected.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Time for the client to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest id of an operation in bytes; it is stored, and sent with each response.
const MAX_OPERATION_ID_BYTES: usize = 1_024;
/// Small, because there are many WebSockets on which little is received.
const READ_BUFFER_BYTES: usize = 4 * 1024;

pub fn upgrade(
    upgrade: WebSocketUpgrade,
    state: AppState,
    client: Client,
    head: &Parts,
) -> Response {
    // The WebSocket takes over the connection, with its permit.
    let peer = head.extensions.get::<Peer>().cloned();
    let token = head.headers.get(header::AUTHORIZATION);
    let token = token.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    // Messages of up to twice the limit are read, to be rejected with the protocol's close code.
    let limit = state.engine.limits.max_body_bytes.saturating_mul(2);
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(limit).max_frame_size(limit);
    let upgrade = upgrade.read_buffer_size(READ_BUFFER_BYTES);
    let messages = RateLimiter::per_minute(state.engine.limits.max_socket_messages_per_minute);
    let mut response = upgrade.on_upgrade(async move |socket| {
        let is_supported = socket.protocol().is_some_and(|protocol| protocol == PROTOCOL);
        let mut connection = Connection {
            socket,
            _tracked: state.shutdown.track(),
            state,
            _peer: peer,
            client,
            token,
            permit: None,
            operations: SelectAll::new(),
            running: HashMap::new(),
            single_results: HashSet::new(),
            messages,
        };
        let end = if is_supported {
            let Err(end) = connection.run().await;
            end
        } else {
            Close::new(4406, "Subprotocol not acceptable").into()
        };
        // Running operations end before the close frame is sent.
        let Connection { socket, operations, permit, _tracked, .. } = connection;
        drop((operations, permit));
        match end {
            End::Gone => {}
            End::Closed => close(socket, None).await,
            End::Close(reason) => close(socket, Some(reason)).await,
        }
    });
    // Among the extensions are the client's spellings of header names, which hyper sends back. Some
    // clients look up `Sec-WebSocket-Protocol` with regard to case.
    response.extensions_mut().extend(head.extensions.clone());
    response
}

/// Sends the close frame, if any, and reads until the connection is closed.
///
/// No frame is sent if the client has sent its own. This takes at most `CLOSE_TIMEOUT`.
async fn close(mut socket: WebSocket, close: Option<Close>) {
    let handshake = async {
        if let Some(Close(code, reason)) = close {
            let frame = CloseFrame { code, reason: reason.into() };
            socket.send(Message::Close(Some(frame))).await?;
        }
        while socket.recv().await.transpose()?.is_some() {}
        Ok::<(), axum::Error>(())
    };
    let _ = timeout(CLOSE_TIMEOUT, handshake).await;
}

/// An operation that has not ended.
struct Running {
    handle: AbortHandle,
    _permit: StreamPermit,
}

struct Connection {
    socket: WebSocket,
    state: AppState,
    _tracked: TaskTrackerToken,
    _peer: Option<Peer>,
    client: Client,
    /// `Bearer <token>`, from the header or from `connection_init`.
    token: Option<String>,
    /// The WebSocket's permit, once the connection is acknowledged.
    permit: Option<StreamPermit>,
    operations: SelectAll<BoxStream<'static, (String, Outgoing)>>,
    running: HashMap<String, Running>,
    /// Running operations that are not known to be subscriptions.
    single_results: HashSet<String>,
    /// Limits the messages that start no operation, and so cost no points.
    messages: RateLimiter<()>,
}

impl Connection {
    async fn run(&mut self) -> Result<std::convert::Infallible, End> {
        let shutdown = self.state.shutdown.clone();
        let mut init_timeout = std::pin::pin!(sleep(self.state.read_timeout));
        let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut has_received = true;
        loop {
            tokio::select! {
                message = self.socket.recv() => {
                    has_received = true;
                    self.receive(message.ok_or(End::Gone)?.map_err(End::from)?).await?;
                }
                Some((id, outgoing)) = self.operations.next() => self.forward(id, outgoing).await?,
                () = &mut init_timeout, if self.permit.is_none() => {
                    return Err(Close::new(4408, "Connection initialisation timeout").into());
                }
                _ = ping.tick() => {
                    if !std::mem::take(&mut has_received) {
                        return Err(End::Gone);
                    }
                    self.send(Message::Ping(Bytes::new())).await?;
                }
                // Queries and mutations finish first.
                () = shutdown.shutting_down(), if self.single_results.is_empty() => {
                    return Err(Close::new(1001, "Going away").into());
                }
            }
        }
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        let text = match message {
            Message::Text(text) => text,
            Message::Ping(bytes) | Message::Pong(bytes) => return self.count_message(bytes.len()),
            Message::Close(_) => return Err(End::Closed),
            Message::Binary(_) => return Err(Close::new(4400, "Messages must be text").into()),
        };
        if text.len() > self.engine().limits.max_body_bytes {
            return Err(Close::new(1009, "Message too big").into());
        }
        let incoming = serde_json::from_str(&text)
            .map_err(|error| Close::new(4400, format!("Invalid message: {error}")))?;
        match incoming {
            Incoming::ConnectionInit { payload } => {
                self.initialise(payload.unwrap_or_default()).await
            }
            Incoming::Ping { payload } => {
                self.count_message(text.len())?;
                let mut pong = json!({ "type": "pong" });
                if let Some(payload) = payload {
                    pong["payload"] = payload.into();
                }
                self.send_json(&pong).await
            }
            Incoming::Pong { .. } => self.count_message(text.len()),
            Incoming::Subscribe { id, payload } => self.subscribe(id, payload, text.len()).await,
            Incoming::Complete { id } => {
                self.cancel(&id);
                self.count_message(text.len())
            }
        }
    }

    /// Counts a message of `bytes` that is charged to no rate limit.
    fn count_message(&self, bytes: usize) -> Result<(), End> {
        let amount = u32::try_from(1 + bytes / 1024).unwrap_or(u32::MAX);
        let too_many = |_| Close::new(1008, "Too many messages").into();
        self.messages.check(&(), amount).map(drop).map_err(too_many)
    }

    /// Verifies the token of `connection_init` and acknowledges the connection.
    async fn initialise(&mut self, payload: Map<String, Value>) -> Result<(), End> {
        if self.permit.is_some() {
            return Err(Close::new(4429, "Too many initialisation requests").into());
        }
        if let Some(token) = credentials(&payload)? {
            self.token = Some(token);
        }
        let arrival = self.arrival();
        let requester = async move { arrival.check_rate()?.permit().await?.authenticate().await };
        // The requester, and with it the permit and the snapshot, is dropped before anything is
        // sent.
        let key = match requester.await {
            Ok(requester) => requester.rate_limit_key(),
            Err(Error::Unauthenticated(_)) => return Err(Close::forbidden().into()),
            Err(_) => return Err(Close::new(1013, "Try again later").into()),
        };
        let full = |why| Close::new(4403, format!("Forbidden: {why}"));
        let engine = self.engine();
        self.permit =
            Some(engine.streams.open(key, self.client.network, &engine.limits).map_err(full)?);
        self.send_json(&json!({ "type": "connection_ack" })).await
    }

    /// Starts the operation of a message of `bytes`.
    async fn subscribe(
        &mut self,
        id: String,
        params: GraphQLParams,
        bytes: usize,
    ) -> Result<(), End> {
        let Some(key) = self.permit.as_ref().map(StreamPermit::key) else {
            return Err(Close::new(4401, "Unauthorized").into());
        };
        if id.len() > MAX_OPERATION_ID_BYTES {
            let message = format!("the id has more than {MAX_OPERATION_ID_BYTES} bytes");
            return Err(Close::new(4400, format!("Invalid message: {message}")).into());
        }
        if id.is_empty() || !params.has_document() {
            return Err(Close::new(4400, "Invalid message: the id or the query is missing").into());
        }
        if self.running.contains_key(&id) {
            return Err(Close::new(4409, format!("Subscriber for {id} already exists")).into());
        }
        let permit = match self.operation_permit(key) {
            Ok(permit) => permit,
            Err(message) => {
                self.count_message(bytes)?;
                return self.fail(&id, vec![with_code(code::TOO_MANY_OPERATIONS, message)]).await;
            }
        };
        if self.state.shutdown.is_shutting_down() {
            return self.fail(&id, vec![server_error(Error::Unavailable)]).await;
        }
        let checked = match self.arrival().on_connection(key).check_rate() {
            Ok(checked) => checked,
            Err(error) => {
                self.count_message(bytes)?;
                return self.fail(&id, vec![server_error(error)]).await;
            }
        };
        let output = operation::run(self.state.clone(), checked, params);
        let output = spawn_buffered(RequestScope::new(), output);
        let output = output.chain(stream::iter([Outgoing::Complete]));
        let (output, handle) = stream::abortable(output.map({
            let id = id.clone();
            move |outgoing| (id.clone(), outgoing)
        }));
        self.single_results.insert(id.clone());
        self.running.insert(id, Running { handle, _permit: permit });
        self.operations.push(output.boxed());
        Ok(())
    }

    fn operation_permit(&self, key: RateLimitKey) -> Result<StreamPermit, String> {
        let engine = self.engine();
        let max = engine.limits.max_operations_per_socket;
        if self.running.len() >= max {
            return Err(format!("A WebSocket runs at most {max} operations at a time."));
        }
        engine.streams.start_operation(key, self.client.network, &engine.limits)
    }

    /// Sends an item of an operation's output to the client.
    async fn forward(&mut self, id: String, outgoing: Outgoing) -> Result<(), End> {
        match outgoing {
            Outgoing::Subscribed => {
                self.single_results.remove(&id);
                Ok(())
            }
            Outgoing::Next(response) => {
                let id = Value::from(id).to_string();
                let payload = response.json();
                let message = format!(r#"{{"id":{id},"type":"next","payload":{payload}}}"#);
                self.send(Message::text(message)).await
            }
            Outgoing::Failed(errors) => {
                self.cancel(&id);
                self.fail(&id, errors).await
            }
            Outgoing::Complete => {
                self.cancel(&id);
                self.send_json(&json!({ "id": id, "type": "complete" })).await
            }
            Outgoing::Forbidden => Err(Close::forbidden().into()),
        }
    }

    async fn fail(&mut self, id: &str, mut errors: Vec<ServerError>) -> Result<(), End> {
        self.engine().record_errors(&errors);
        truncate_errors(&mut errors);
        self.send_json(&json!({ "id": id, "type": "error", "payload": errors })).await
    }

    /// Ends an operation without a message.
    fn cancel(&mut self, id: &str) {
        self.single_results.remove(id);
        if let Some(running) = self.running.remove(id) {
            running.handle.abort();
        }
    }

    async fn send_json(&mut self, message: &Value) -> Result<(), End> {
        self.send(Message::text(message.to_string())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.state.write_timeout, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }

    fn engine(&self) -> &Arc<GraphqlEngine> {
        &self.state.engine
    }

    fn arrival(&self) -> Arrival {
        Arrival::new(self.engine(), self.client.clone(), self.token.clone())
    }
}
