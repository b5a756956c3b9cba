//! The application, put together once: for `serve` and for the tests alike.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context as _, Result};
use argon2::Params;
use axum::Router;
use chrono::TimeDelta;

use crate::auth::{Attempts, Passwords, Presence};
use crate::budget::Budget;
use crate::config::Config;
use crate::database::Database;
use crate::graph::{FollowLimits, Graph};
use crate::http::{
    self, Asked, Documents, Metrics, Persisted, Quota, Room, Shared, Sockets, Stopping,
};
use crate::key::Keys;
use crate::live::{Live, Telling};
use crate::schema;

/// How often to look for events that other instances, or commands, did not ring the bell for.
const HEARD: Duration = Duration::from_secs(2);
/// The same where they cannot.
const UNHEARD: Duration = Duration::from_millis(500);

/// Cheap to clone; all clones are one instance.
#[derive(Clone)]
pub struct App {
    pub router: Router,
    /// For whoever watches the service, beside its metrics.
    pub health: Router,
    pub database: Database,
    pub passwords: Passwords,
    pub live: Live,
    pub metrics: Arc<Metrics>,
    pub stopping: Stopping,
}

impl App {
    /// Opens the database, brings its tables up to date, and builds everything on top.
    ///
    /// # Errors
    /// When the database cannot be opened or written, or comes from a newer version; when the argon2
    /// parameters are out of range.
    pub async fn build(config: &Config) -> Result<Self> {
        let database = Database::open(&config.database).await?;
        database.migrate().await?;
        database.keep_log_short();
        database.use_replicas(&config.database)?;
        let passwords = passwords(config)?;
        let node = database.node(config.node).await?;
        let limits = &config.limits;
        let attempts = Arc::new(Attempts::per_minute(limits.rate_attempts));
        let quota = Arc::new(Quota::per_minute(limits.rate_network, limits.rate_user));
        let room = Room::new(limits.max_requests);
        let budget = Budget::new(limits.max_answer, limits.max_answers);
        let places = (room.clone(), budget.clone());
        forget_each_minute(Arc::downgrade(&attempts), Arc::downgrade(&quota), places);
        let graph = Graph {
            keys: Keys::new(node, database.largest_key().await?),
            db: database.clone(),
            passwords: passwords.clone(),
            attempts,
            follow_limits: FollowLimits {
                total: limits.max_following,
                a_day: limits.max_follows_a_day,
            },
            session_lifetime: TimeDelta::days(config.session_days.into()),
        };
        let patience = if database.connect_bell(&config.database)? { HEARD } else { UNHEARD };
        let retention = Duration::from_secs(config.event_retention);
        let live = Live::start(database.clone(), Telling { retention, patience }).await;
        let live = live.map_err(|_| anyhow::anyhow!("cannot read the events in the database"))?;
        let stopping = Stopping::default();
        let trusted = Some(&config.trusted_documents).filter(|file| !file.is_empty());
        let trusted = trusted.map(Path::new);
        let persisted = Persisted::new(trusted, config.only_trusted, &config.limits)?;
        let schema = schema::build(graph, &live, config.federation);
        for (id, text) in persisted.trusted() {
            if let Some(error) = schema.validate(text).await {
                anyhow::bail!(
                    "document {id} in {} is not valid: {}",
                    config.trusted_documents,
                    error.message
                );
            }
        }
        let sockets = Sockets::default();
        let metrics = Arc::new(metrics(&database, &passwords, &live, (&sockets, &room, &budget)));
        let shared = Shared {
            documents: Arc::new(Documents::new(schema.types()?, &config.limits)),
            schema,
            persisted: Arc::new(persisted),
            origins: config.cors_origins.clone(),
            presence: Presence::start(database.clone()),
            database: database.clone(),
            limits: Arc::new(config.limits.clone()),
            timeout: Duration::from_secs(config.request_timeout),
            patience: Duration::from_secs(config.header_timeout),
            reading: Duration::from_secs(config.write_timeout),
            sockets,
            room,
            budget,
            quota,
            proxies: config.trusted_proxies.0.clone().into(),
            metrics: Arc::clone(&metrics),
            slow: Duration::from_millis(config.slow),
            asked: Asked::default(),
            stopping: Arc::clone(&stopping),
        };
        let health = http::health_router().with_state(shared.clone());
        let router = http::router(shared);
        Ok(Self { router, health, database, passwords, live, metrics, stopping })
    }
}

/// What is read off the parts of the service whenever somebody asks.
fn metrics(
    database: &Database,
    passwords: &Passwords,
    live: &Live,
    (sockets, room, budget): (&Sockets, &Room, &Budget),
) -> Metrics {
    let mut metrics = Metrics::default();
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    for (name, help, is_reader) in [
        ("database_readers", "Connections to the database that read", true),
        ("database_writers", "Connections to the database that write", false),
    ] {
        for (suffix, which, is_idle) in [("open", "open", false), ("idle", "idle", true)] {
            let (database, help) = (database.clone(), format!("{help}, {which}"));
            let read = move || {
                let (open, idle) = database.connections(is_reader);
                count(if is_idle { idle } else { open })
            };
            metrics.read(&format!("{name}_{suffix}"), &help, read);
        }
    }
    let (replicas, statements) = (database.clone(), database.clone());
    metrics
        .read("replicas", "Replicas that are read from", move || count(replicas.replicas_in_use()));
    let read = move || i64::try_from(statements.statements()).unwrap_or(i64::MAX);
    metrics.read("statements", "SQL statements since the start", read);
    let (waiting, hashed) = (passwords.clone(), passwords.clone());
    let help = "Passwords that are hashed or wait for it";
    metrics.read("passwords_at_work", help, move || count(waiting.at_work()));
    let read = move || i64::try_from(hashed.hashed()).unwrap_or(i64::MAX);
    metrics.read("passwords_hashed", "Passwords hashed since the start", read);
    let live = live.clone();
    metrics.read("subscriptions", "Subscriptions to events", move || count(live.subscribers()));
    let sockets = sockets.clone();
    metrics.read("sockets", "Sockets and streams of events", move || count(sockets.count()));
    let room = room.clone();
    let (here, budget) = (room.clone(), budget.clone());
    metrics.read("requests", "Requests that are worked on", move || count(here.taken()));
    let room = room.clone();
    let read = move || i64::try_from(room.turned_away()).unwrap_or(i64::MAX);
    metrics.read("requests_turned_away", "Requests that found no room since the start", read);
    let help = "Bytes of large answers that are made or not yet sent";
    metrics.read("answer_bytes", help, move || count(budget.taken()));
    metrics
}

/// Who has not come for a while is not remembered.
fn forget_each_minute(
    attempts: Weak<Attempts>,
    quota: Weak<Quota>,
    (room, budget): (Room, Budget),
) {
    tokio::spawn(async move {
        let mut minutes = tokio::time::interval(Duration::from_mins(1));
        while let (Some(attempts), Some(quota)) = (attempts.upgrade(), quota.upgrade()) {
            attempts.forget();
            quota.forget();
            room.forget();
            budget.forget();
            drop((attempts, quota));
            minutes.tick().await;
        }
    });
}

fn passwords(config: &Config) -> Result<Passwords> {
    let params = Params::new(config.argon2_memory_kib, config.argon2_iterations, 1, None)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .context("the argon2 parameters are out of range")?;
    Passwords::new(params, config.argon2_parallel)
}
