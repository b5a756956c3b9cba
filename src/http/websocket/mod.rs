//! GraphQL over a WebSocket: the protocol graphql-transport-ws. One task for each socket reads messages and
//! sends what the operations answer, each of which has a task of its own; while a message cannot be sent, none is read.
//!
//! The viewer is who the token in `connection_init` says, looked up anew for each operation.

mod message;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_graphql::ServerError;
use async_graphql::parser::types::OperationType;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use futures_util::stream::{self, AbortHandle, BoxStream, SelectAll, StreamExt as _};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::answer::{errors_as_json, shorten};
use super::execute::{Asker, Operation, authenticate, refusal};
use super::guard::refuse;
use super::parameters::Parameters;
use super::task::on_its_own;
use super::{Peer, Shared, Stage, stopped};
use crate::auth::{Client, Viewer, Who};
use crate::database::{Lsn, Snapshot};
use crate::error::Error;
use crate::place::Place;
use crate::schema::code;
use crate::trace::Work;

use message::{Close, End, Incoming, Outgoing};

const PROTOCOL: &str = "graphql-transport-ws";

/// How often a client is asked whether it is still there; the second time without an answer, it is not.
const PING: Duration = Duration::from_secs(20);
/// How long a client may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// Bytes of an operation's id: it is kept, and comes with each answer.
const MAX_ID: usize = 1_024;
/// There are many sockets, and little comes in.
const BUFFER: usize = 4 * 1024;

pub fn upgrade(
    upgrade: WebSocketUpgrade,
    shared: Shared,
    client: Client,
    head: &Parts,
) -> Response {
    // The connection is the socket's from now on, and so is its place.
    let peer = head.extensions.get::<Peer>().cloned();
    let token = head.headers.get(header::AUTHORIZATION);
    // What is no text is no good token, and not none.
    let token = token.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    // Up to twice as much is read, to be refused in the protocol's words.
    let limit = shared.limits.max_body.saturating_mul(2);
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(limit).max_frame_size(limit);
    upgrade.read_buffer_size(BUFFER).on_upgrade(async move |socket| {
        let speaks = socket.protocol().is_some_and(|protocol| protocol == PROTOCOL);
        let mut connection = Connection {
            socket,
            shared,
            _peer: peer,
            client,
            token,
            place: None,
            operations: SelectAll::new(),
            running: HashMap::new(),
            singles: HashSet::new(),
        };
        let end = if speaks {
            let Err(end) = connection.run().await;
            end
        } else {
            Close::new(4406, "Subprotocol not acceptable").into()
        };
        // What still runs ends first.
        let Connection { socket, operations, place, .. } = connection;
        drop((operations, place));
        match end {
            End::Gone => {}
            End::Closed => say_goodbye(socket, None).await,
            End::Close(close) => say_goodbye(socket, Some(close)).await,
        }
    })
}

/// Closes the socket, unless the client has; and reads on until both have said so.
async fn say_goodbye(mut socket: WebSocket, close: Option<Close>) {
    let goodbye = async {
        if let Some(Close(code, reason)) = close {
            let frame = CloseFrame { code, reason: reason.into() };
            socket.send(Message::Close(Some(frame))).await?;
        }
        while socket.recv().await.transpose()?.is_some() {}
        Ok::<(), axum::Error>(())
    };
    let _ = timeout(GOODBYE, goodbye).await;
}

/// An operation that has not ended.
struct Running {
    handle: AbortHandle,
    _place: Place<Who>,
}

struct Connection {
    socket: WebSocket,
    shared: Shared,
    _peer: Option<Peer>,
    client: Client,
    /// `Bearer <token>`, as it came.
    token: Option<String>,
    /// Among the sockets; there once the connection is acknowledged.
    place: Option<Place<Who>>,
    operations: SelectAll<BoxStream<'static, (String, Outgoing)>>,
    running: HashMap<String, Running>,
    /// Queries and mutations among them.
    singles: HashSet<String>,
}

impl Connection {
    async fn run(&mut self) -> Result<std::convert::Infallible, End> {
        let mut stopping = self.shared.stopping.subscribe();
        let mut late = std::pin::pin!(sleep(self.shared.patience));
        let mut ping = interval_at(Instant::now() + PING, PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_there = true;
        loop {
            tokio::select! {
                message = self.socket.recv() => {
                    is_there = true;
                    self.receive(message.ok_or(End::Gone)?.map_err(End::from)?).await?;
                }
                Some((id, outgoing)) = self.operations.next() => self.pass_on(id, outgoing).await?,
                () = &mut late, if self.place.is_none() => {
                    return Err(Close::new(4408, "Connection initialisation timeout").into());
                }
                _ = ping.tick() => {
                    if !std::mem::take(&mut is_there) {
                        return Err(End::Gone);
                    }
                    self.send(Message::Ping(Bytes::new())).await?;
                }
                // What is answered once is answered first.
                () = stopped(&mut stopping), if self.singles.is_empty() => {
                    return Err(Close::new(1001, "Going away").into());
                }
            }
        }
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        let text = match message {
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(End::Closed),
            Message::Binary(_) => return Err(Close::new(4400, "Messages must be texts").into()),
        };
        if text.len() > self.shared.limits.max_body {
            return Err(Close::new(1009, "Message too big").into());
        }
        let incoming = serde_json::from_str(&text)
            .map_err(|error| Close::new(4400, format!("Invalid message: {error}")))?;
        match incoming {
            Incoming::ConnectionInit { payload } => self.begin(payload.unwrap_or_default()).await,
            Incoming::Ping { payload } => {
                let mut pong = json!({ "type": "pong" });
                if let Some(payload) = payload {
                    pong["payload"] = payload.into();
                }
                self.send_json(&pong).await
            }
            Incoming::Pong { .. } => Ok(()),
            Incoming::Subscribe { id, payload } => self.subscribe(id, payload).await,
            Incoming::Complete { id } => {
                self.forget(&id);
                Ok(())
            }
        }
    }

    async fn begin(&mut self, payload: Map<String, Value>) -> Result<(), End> {
        if self.place.is_some() {
            return Err(Close::new(4429, "Too many initialisation requests").into());
        }
        let given = payload.iter().find(|(key, _)| key.eq_ignore_ascii_case("authorization"));
        match given.map(|(_, value)| value) {
            None | Some(Value::Null) => {}
            Some(Value::String(token)) => self.token = Some(token.clone()),
            Some(_) => return Err(Close::forbidden().into()),
        }
        let Ok(room) = self.shared.room.enter(self.client.network).await else {
            return Err(Close::new(1013, "Try again later").into());
        };
        let snapshot = Snapshot::new(&self.shared.database);
        let viewer = match authenticated(&self.shared, &snapshot, self.token.as_deref()).await {
            Ok(viewer) => viewer,
            Err(Error::Unauthenticated(_)) => {
                let network = Who::Network(self.client.network);
                // Who has used up their network's share is not told whether a token is good.
                if self.shared.quota.admit(network).is_err() {
                    return Err(Close::new(1013, "Try again later").into());
                }
                self.shared.quota.note_refused(network, 0);
                return Err(Close::forbidden().into());
            }
            Err(_) => return Err(Close::new(1013, "Try again later").into()),
        };
        // Who waits to be read keeps no connection to the database.
        drop((snapshot, room));
        let who = Who::of(viewer.as_ref(), &self.client);
        let full = |why| Close::new(4403, format!("Forbidden: {why}"));
        self.place = Some(self.shared.sockets.open(who, &self.shared.limits).map_err(full)?);
        self.send_json(&json!({ "type": "connection_ack" })).await
    }

    async fn subscribe(&mut self, id: String, parameters: Parameters) -> Result<(), End> {
        let Some(who) = self.place.as_ref().map(Place::whose) else {
            return Err(Close::new(4401, "Unauthorized").into());
        };
        if id.len() > MAX_ID {
            return Err(Close::new(
                4400,
                format!("Invalid message: the id has more than {MAX_ID} bytes"),
            )
            .into());
        }
        if id.is_empty() || !parameters.name_a_document() {
            return Err(Close::new(4400, "Invalid message: the id or the query is missing").into());
        }
        if self.running.contains_key(&id) {
            return Err(Close::new(4409, format!("Subscriber for {id} already exists")).into());
        }
        let most = self.shared.limits.max_socket_operations;
        if self.running.len() >= most {
            let message = format!("A socket runs no more than {most} operations at a time.");
            return self.fail(&id, vec![refuse(code::TOO_MANY_OPERATIONS, message)]).await;
        }
        let place = match self.shared.sockets.begin(who, &self.shared.limits) {
            Ok(place) => place,
            Err(message) => {
                return self.fail(&id, vec![refuse(code::TOO_MANY_OPERATIONS, message)]).await;
            }
        };
        let bytes = parameters.query.as_ref().map_or(0, String::len);
        if let Err(error) = self.shared.quota.admit(who) {
            return self.fail(&id, vec![error]).await;
        }
        let operation = match Operation::new(&self.shared, parameters) {
            Ok(operation) => operation,
            Err(error) => {
                self.shared.quota.note_refused(who, bytes);
                return self.fail(&id, vec![error]).await;
            }
        };
        if operation.ty() != OperationType::Subscription {
            if *self.shared.stopping.borrow() == Stage::Stopping {
                return self.fail(&id, vec![refusal(Error::Unavailable)]).await;
            }
            self.singles.insert(id.clone());
        }
        let answers =
            answers(operation, self.shared.clone(), self.token.clone(), self.client.clone());
        let answers = on_its_own(Work::new(), answers).chain(stream::iter([Outgoing::Complete]));
        let (answers, handle) = stream::abortable(answers.map({
            let id = id.clone();
            move |outgoing| (id.clone(), outgoing)
        }));
        self.running.insert(id, Running { handle, _place: place });
        self.operations.push(answers.boxed());
        Ok(())
    }

    /// What an operation says, to the client.
    async fn pass_on(&mut self, id: String, outgoing: Outgoing) -> Result<(), End> {
        match outgoing {
            Outgoing::Next(told) => {
                let id = Value::from(id).to_string();
                let answer = told.json();
                let message = format!(r#"{{"id":{id},"type":"next","payload":{answer}}}"#);
                self.send(Message::text(message)).await
            }
            Outgoing::Failed(errors) => {
                self.forget(&id);
                self.fail(&id, errors).await
            }
            Outgoing::Complete => {
                self.forget(&id);
                self.send_json(&json!({ "id": id, "type": "complete" })).await
            }
            Outgoing::Forbidden => Err(Close::forbidden().into()),
        }
    }

    async fn fail(&mut self, id: &str, mut errors: Vec<ServerError>) -> Result<(), End> {
        self.shared.metrics.errors(&errors);
        shorten(&mut errors);
        self.send_json(&json!({ "id": id, "type": "error", "payload": errors })).await
    }

    /// Ends an operation, without a word.
    fn forget(&mut self, id: &str) {
        self.singles.remove(id);
        if let Some(running) = self.running.remove(id) {
            running.handle.abort();
        }
    }

    async fn send_json(&mut self, message: &Value) -> Result<(), End> {
        self.send(Message::text(message.to_string())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.shared.reading, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }
}

async fn authenticated(
    shared: &Shared,
    snapshot: &Snapshot,
    token: Option<&str>,
) -> Result<Option<Viewer>, Error> {
    match token {
        None => Ok(None),
        token => authenticate(shared, snapshot, token).await.map(Some),
    }
}

/// What an operation answers, but for the end.
fn answers(
    operation: Operation,
    shared: Shared,
    token: Option<String>,
    client: Client,
) -> BoxStream<'static, Outgoing> {
    let begun = async move {
        let _place = match shared.room.enter(client.network).await {
            Ok(place) => place,
            Err(error) => return once(Outgoing::Failed(vec![refusal(error)])),
        };
        let snapshot = Snapshot::new(&shared.database);
        let viewer = match authenticated(&shared, &snapshot, token.as_deref()).await {
            Ok(viewer) => viewer,
            Err(Error::Unauthenticated(_)) => return once(Outgoing::Forbidden),
            Err(error) => return once(Outgoing::Failed(vec![refusal(error)])),
        };
        let asker = Asker { snapshot, viewer, client, seen: Lsn::default() };
        if operation.ty() != OperationType::Subscription {
            return once(answer(operation, &shared, asker).await);
        }
        let answers = operation.stream(shared, asker).await;
        let outgoing = answers.map(|answer| match answer {
            Ok(answer) => Outgoing::Next(answer.tell()),
            Err(errors) => Outgoing::Failed(errors),
        });
        outgoing.boxed()
    };
    stream::once(begun).flatten().boxed()
}

fn once(outgoing: Outgoing) -> BoxStream<'static, Outgoing> {
    stream::iter([outgoing]).boxed()
}

/// Of a query or a mutation.
async fn answer(operation: Operation, shared: &Shared, asker: Asker) -> Outgoing {
    let writing = AtomicBool::new(false);
    match timeout(shared.timeout, operation.run(shared, asker, &writing)).await {
        Ok(Ok(executed)) => Outgoing::Next(executed.answer.tell()),
        Ok(Err(errors)) => Outgoing::Failed(errors),
        Err(_) => {
            let error = if writing.into_inner() { Error::OutcomeUnknown } else { Error::Timeout };
            let errors = vec![refusal(error)];
            shared.metrics.errors(&errors);
            Outgoing::Next(errors_as_json(errors).into())
        }
    }
}
