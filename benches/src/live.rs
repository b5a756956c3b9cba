//! Open subscriptions: what each costs, and how long a post takes to the last of its connected readers.
//!
//! Fills an empty database, starts instances of Rookery on it, opens a socket with a subscription of `timelineEvents` for
//! each user, and lets one of them, whom some of the others follow, write posts one after the other. Called by
//! `benches/load/run --live`; prints a row of its table.

#![allow(clippy::cast_precision_loss, reason = "figures to look at")]

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

const SOON: Duration = Duration::from_mins(1);
const TIMELINE: &str = "subscription { timelineEvents { __typename ... on TimelinePostAdded {
    edge { node { id body author { username followersCount followingCount } } } } } }";

#[derive(Parser)]
struct Options {
    /// The program
    #[arg(long)]
    rookery: PathBuf,
    /// An empty database
    #[arg(long)]
    database_url: String,
    #[arg(long, default_value_t = 5_000)]
    subscriptions: usize,
    /// Subscribers who follow the one who writes
    #[arg(long, default_value_t = 1_000)]
    followers: usize,
    #[arg(long, default_value_t = 200)]
    posts: usize,
    #[arg(long, default_value_t = 1)]
    instances: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let tokens = fill(&options).await?;
    let start = |_| Instance::start(&options);
    let instances: Vec<Instance> = (0..options.instances).map(start).collect::<Result<_>>()?;
    let before: u64 = instances.iter().map(Instance::memory).sum::<Result<_>>()?;

    // Sockets by turns; who writes is at the first instance.
    let mut sockets = Vec::with_capacity(tokens.len());
    for (n, token) in tokens.iter().enumerate() {
        sockets.push(Socket::open(&instances[n % instances.len()].address, token).await?);
    }
    let author = &mut sockets.remove(0);
    let me = author.ask("{ viewer { user { username } } }").await?;
    let name = &me["viewer"]["user"]["username"];
    let follow = format!("mutation {{ follow(user: {{username: {name}}}) {{ changed }} }}");
    for follower in &mut sockets[..options.followers] {
        let answer = follower.ask(&follow).await?;
        ensure!(answer["follow"]["changed"] == true, "{answer}");
    }
    let idle: u64 = instances.iter().map(Instance::memory).sum::<Result<_>>()?;
    for socket in &mut sockets {
        socket.subscribe().await?;
    }
    // Everybody is there when a post comes to all who follow its author.
    let (followers, others) = sockets.split_at_mut(options.followers);
    loop {
        author.post("Is everybody there?").await?;
        let heard = followers
            .iter_mut()
            .map(async |one| timeout(Duration::from_secs(2), one.next()).await.is_ok());
        let all = futures_util::future::join_all(heard).await.into_iter().all(|heard| heard);
        author.settle().await?;
        if all {
            break;
        }
    }
    let open: u64 = instances.iter().map(Instance::memory).sum::<Result<_>>()?;

    let (mut firsts, mut lasts, mut cpu) = (vec![], vec![], instances_cpu(&instances)?);
    for n in 0..options.posts {
        let body = format!("post {n}");
        let began = Instant::now();
        author.post(&body).await?;
        let mut hearing: FuturesUnordered<_> =
            followers.iter_mut().map(|one| hear(one, &body)).collect();
        let mut first = None;
        while let Some(heard) = hearing.next().await {
            heard?;
            first.get_or_insert_with(|| began.elapsed());
        }
        drop(hearing);
        firsts.push(first.unwrap_or_default());
        lasts.push(began.elapsed());
        author.settle().await?;
    }
    cpu = instances_cpu(&instances)? - cpu;
    for other in others {
        ensure!(
            timeout(Duration::from_millis(1), other.next()).await.is_err(),
            "a stranger has heard"
        );
    }
    firsts.sort_unstable();
    lasts.sort_unstable();
    let ms = |of: &[Duration], part: usize| of[(of.len() - 1) * part / 100].as_secs_f64() * 1e3;
    let kb = |more: u64, less: u64| more.saturating_sub(less) as f64 / options.subscriptions as f64;
    println!(
        "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
        options.instances,
        options.subscriptions,
        options.followers,
        before as f64 / 1024.0,
        open as f64 / 1024.0,
        kb(idle, before),
        kb(open, idle),
        ms(&firsts, 50),
        ms(&lasts, 50),
        ms(&lasts, 99),
        cpu * 1e3 / options.posts as f64,
    );
    Ok(())
}

/// Users with a session each.
async fn fill(options: &Options) -> Result<Vec<String>> {
    let database = Database::open(&rookery_benches::config(&options.database_url).database).await?;
    database.migrate().await?;
    ensure!(database.largest_key().await? == 0, "the database is not empty");
    let users = u32::try_from(options.subscriptions + 1)?;
    // Of few users, each would be followed by somebody, and the one who writes must not be.
    let follows_per_user = (users / 500).clamp(1, 10);
    let plan = seed::Plan { users, follows_per_user, posts_per_user: 2, rng_seed: 1 };
    seed::run(&database, &plan, &ProgressBar::hidden()).await?;
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
                // Everybody comes from one address here.
                "--max-network-connections",
                "20000",
                "--database-url",
                &options.database_url,
            ])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().context("no output")?);
        let mut line = String::new();
        while !line.contains("/graphql") {
            line.clear();
            ensure!(stdout.read_line(&mut line)? > 0, "it ended");
        }
        let address = line.split("//").nth(1).and_then(|rest| rest.split('/').next());
        let address = address.context("no address")?.to_owned();
        Ok(Self { child, _stdout: stdout, address })
    }

    /// Of its own, in KiB.
    fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("RssAnon"));
        Ok(line.and_then(|line| line.split_whitespace().nth(1)).context("no RssAnon")?.parse()?)
    }

    /// Seconds of the processor, in hundredths.
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
        ensure!(socket.message().await?["type"] == "connection_ack", "no acknowledgement");
        Ok(socket)
    }

    async fn send(&mut self, message: Value) -> Result<()> {
        Ok(self.0.send(Message::text(message.to_string())).await?)
    }

    async fn message(&mut self) -> Result<Value> {
        loop {
            match timeout(SOON, self.0.next()).await?.context("the socket was closed")?? {
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

    async fn ask(&mut self, query: &str) -> Result<Value> {
        self.start("q", query).await?;
        let answer = self.message().await?;
        ensure!(self.message().await?["type"] == "complete", "{answer}");
        Ok(answer["payload"]["data"].clone())
    }

    async fn subscribe(&mut self) -> Result<()> {
        self.start("t", TIMELINE).await
    }

    /// Without waiting for the answer.
    async fn post(&mut self, body: &str) -> Result<()> {
        let create =
            format!("mutation {{ createPost(input: {{body: \"{body}\"}}) {{ post {{ id }} }} }}");
        self.start(body, &create).await
    }

    /// Takes the answer.
    async fn settle(&mut self) -> Result<()> {
        while self.message().await?["type"] != "complete" {}
        Ok(())
    }

    /// The next event of the subscription.
    async fn next(&mut self) -> Result<Value> {
        Ok(self.message().await?["payload"]["data"]["timelineEvents"].clone())
    }
}

/// Reads until the post comes.
async fn hear(socket: &mut Socket, body: &str) -> Result<()> {
    while socket.next().await?["edge"]["node"]["body"] != body {}
    Ok(())
}
