//! Measures the memory of each open subscription and the latency of posts.
//!
//! The latency of a post is the time until its first and its last recipient get the event.
//!
//! The program seeds an empty database and starts instances of Rookery on it. It opens a WebSocket
//! for each user, with a subscription to `timelineEvents`. Some of the users follow one author, who
//! writes posts one after the other. `benches/load/run --live` runs the program, which prints one
//! row of the table.

#![allow(clippy::cast_precision_loss, reason = "the figures are rounded for display")]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt as _, StreamExt as _};
use indicatif::ProgressBar;
use rookery::command::{seed, token};
use rookery::database::Database;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// Time to wait for a message of the server.
const MESSAGE_TIMEOUT: Duration = Duration::from_mins(1);

/// Time for a follower to receive the probe post.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

const TIMELINE: &str = "subscription { timelineEvents { __typename ... on TimelinePostAdded {
    edge { node { id body author { username followersCount followingCount } } } } } }";

#[derive(Parser)]
struct Options {
    /// Path of the rookery binary
    #[arg(long)]
    rookery: PathBuf,
    /// URL of an empty database
    #[arg(long)]
    database_url: String,
    /// Number of subscriptions
    #[arg(long, default_value_t = 5_000)]
    subscriptions: usize,
    /// Number of subscribers who follow the author
    #[arg(long, default_value_t = 1_000)]
    followers: usize,
    /// Number of posts that the author writes
    #[arg(long, default_value_t = 200)]
    posts: usize,
    /// Number of instances
    #[arg(long, default_value_t = 1)]
    instances: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let tokens = seed_users(&options).await?;
    let start = |_| Instance::start(&options);
    let instances: Vec<Instance> = (0..options.instances).map(start).collect::<Result<_>>()?;
    let before: u64 = instances.iter().map(Instance::memory).sum::<Result<_>>()?;

    // WebSockets are distributed round robin. The author's is at the first instance.
    let mut sockets = Vec::with_capacity(tokens.len());
    for (n, token) in tokens.iter().enumerate() {
        sockets.push(Socket::open(&instances[n % instances.len()].address, token).await?);
    }
    let author = &mut sockets.remove(0);
    let data = author.execute("{ viewer { user { username } } }").await?;
    let name = &data["viewer"]["user"]["username"];
    let follow = format!("mutation {{ follow(user: {{username: {name}}}) {{ changed }} }}");
    for follower in &mut sockets[..options.followers] {
        let data = follower.execute(&follow).await?;
        ensure!(data["follow"]["changed"] == true, "the follow failed: {data}");
    }
    let idle: u64 = instances.iter().map(Instance::memory).sum::<Result<_>>()?;
    for socket in &mut sockets {
        socket.subscribe().await?;
    }
    // The subscriptions are active when every follower receives a probe post.
    let (followers, others) = sockets.split_at_mut(options.followers);
    loop {
        author.start_post("probe").await?;
        let received = followers
            .iter_mut()
            .map(async |follower| timeout(PROBE_TIMEOUT, follower.next_event()).await.is_ok());
        let received = futures_util::future::join_all(received).await;
        author.finish_post().await?;
        if received.into_iter().all(|received| received) {
            break;
        }
    }
    let open: u64 = instances.iter().map(Instance::memory).sum::<Result<_>>()?;

    let (mut firsts, mut lasts, mut cpu) = (vec![], vec![], instances_cpu(&instances)?);
    for n in 0..options.posts {
        let body = format!("post {n}");
        let start = Instant::now();
        author.start_post(&body).await?;
        let mut receiving: FuturesUnordered<_> =
            followers.iter_mut().map(|follower| receive_post(follower, &body)).collect();
        let mut first = None;
        while let Some(received) = receiving.next().await {
            received?;
            first.get_or_insert_with(|| start.elapsed());
        }
        drop(receiving);
        firsts.push(first.unwrap_or_default());
        lasts.push(start.elapsed());
        author.finish_post().await?;
    }
    cpu = instances_cpu(&instances)? - cpu;
    for other in others {
        ensure!(
            timeout(Duration::from_millis(1), other.next_event()).await.is_err(),
            "a subscriber who does not follow the author received an event"
        );
    }
    firsts.sort_unstable();
    lasts.sort_unstable();
    let ms = |sorted: &[Duration], percentile: usize| {
        sorted[(sorted.len() - 1) * percentile / 100].as_secs_f64() * 1e3
    };
    let kb_each = |after: u64, before: u64| {
        after.saturating_sub(before) as f64 / options.subscriptions as f64
    };
    println!(
        "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
        options.instances,
        options.subscriptions,
        options.followers,
        before as f64 / 1024.0,
        open as f64 / 1024.0,
        kb_each(idle, before),
        kb_each(open, idle),
        ms(&firsts, 50),
        ms(&lasts, 50),
        ms(&lasts, 99),
        cpu * 1e3 / options.posts as f64,
    );
    Ok(())
}

/// Seeds users, and returns a token for each.
///
/// The first token is of the user with the fewest followers.
async fn seed_users(options: &Options) -> Result<Vec<String>> {
    let database = Database::open(&rookery_benches::config(&options.database_url).database).await?;
    database.migrate().await?;
    ensure!(database.max_id().await? == 0, "the database is not empty");
    let users = u32::try_from(options.subscriptions + 1)?;
    // Few follows per user, so that one user has no followers: the author.
    let follows_per_user = (users / 500).clamp(1, 10);
    let seed_options = seed::SeedOptions {
        users,
        follows_per_user,
        posts_per_user: 2,
        replies_percent: 0,
        likes_per_post: 0,
        reposts_per_100_posts: 0,
        protected_percent: 0,
        blocks_per_100_users: 0,
        requests_per_100_users: 0,
        mutes_per_100_users: 0,
        rng_seed: 1,
    };
    seed::run(&database, &seed_options, &ProgressBar::hidden()).await?;
    let sql = "SELECT username FROM \"user\" ORDER BY followers_count, id";
    let rows =
        sea_orm::ConnectionTrait::query_all_raw(database.reader(), database.statement(sql, []))
            .await?;
    let mut tokens = Vec::with_capacity(rows.len());
    for row in rows {
        let username: String = row.try_get_by_index(0)?;
        tokens.push(token::create(&database, &username, 1).await?);
    }
    database.close().await;
    Ok(tokens)
}

/// A running server, killed when it is dropped.
struct Instance {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    address: String,
}

impl Instance {
    fn start(options: &Options) -> Result<Self> {
        let mut child = Command::new(&options.rookery)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--log",
                "warn",
                // All clients have one address.
                "--max-connections-per-network",
                "20000",
                "--database-url",
                &options.database_url,
            ])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdout =
            BufReader::new(child.stdout.take().context("the server has no standard output")?);
        let mut line = String::new();
        while !line.contains("/graphql") {
            line.clear();
            ensure!(stdout.read_line(&mut line)? > 0, "the server exited");
        }
        let address = line.split("//").nth(1).and_then(|rest| rest.split('/').next());
        let address = address.context("the server printed no address")?.to_owned();
        Ok(Self { child, _stdout: stdout, address })
    }

    /// Anonymous memory in KiB.
    fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("RssAnon"));
        Ok(line.and_then(|line| line.split_whitespace().nth(1)).context("no RssAnon")?.parse()?)
    }

    /// CPU time in seconds, with a resolution of 10 ms.
    fn cpu(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = [11, 12].map(|n| fields.get(n).and_then(|ticks| ticks.parse::<f64>().ok()));
        Ok(ticks.iter().flatten().sum::<f64>() / 100.0)
    }
}

fn instances_cpu(instances: &[Instance]) -> Result<f64> {
    instances.iter().map(Instance::cpu).sum()
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A WebSocket with the protocol `graphql-transport-ws`.
struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn open(address: &str, token: &str) -> Result<Self> {
        let mut request = format!("ws://{address}/graphql").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse()?);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        let mut socket = Self(socket);
        let payload = json!({ "authorization": format!("Bearer {token}") });
        socket.send(json!({ "type": "connection_init", "payload": payload })).await?;
        ensure!(socket.message().await?["type"] == "connection_ack", "expected connection_ack");
        Ok(socket)
    }

    async fn send(&mut self, message: Value) -> Result<()> {
        Ok(self.0.send(Message::text(message.to_string())).await?)
    }

    async fn message(&mut self) -> Result<Value> {
        loop {
            match timeout(MESSAGE_TIMEOUT, self.0.next())
                .await?
                .context("the WebSocket was closed")??
            {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(frame) => bail!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    async fn start(&mut self, id: &str, query: &str) -> Result<()> {
        let payload = json!({ "query": query });
        self.send(json!({ "id": id, "type": "subscribe", "payload": payload })).await
    }

    /// Executes a query or a mutation, and returns its data.
    async fn execute(&mut self, query: &str) -> Result<Value> {
        self.start("q", query).await?;
        let message = self.message().await?;
        ensure!(self.message().await?["type"] == "complete", "expected complete after {message}");
        Ok(message["payload"]["data"].clone())
    }

    async fn subscribe(&mut self) -> Result<()> {
        self.start("t", TIMELINE).await
    }

    /// Sends the mutation that creates a post.
    async fn start_post(&mut self, body: &str) -> Result<()> {
        let create =
            format!("mutation {{ createPost(input: {{body: \"{body}\"}}) {{ post {{ id }} }} }}");
        self.start(body, &create).await
    }

    /// Reads the response to the mutation.
    async fn finish_post(&mut self) -> Result<()> {
        while self.message().await?["type"] != "complete" {}
        Ok(())
    }

    /// The next event of the subscription.
    async fn next_event(&mut self) -> Result<Value> {
        Ok(self.message().await?["payload"]["data"]["timelineEvents"].clone())
    }
}

/// Reads events until the post arrives.
async fn receive_post(socket: &mut Socket, body: &str) -> Result<()> {
    while socket.next_event().await?["edge"]["node"]["body"] != body {}
    Ok(())
}
