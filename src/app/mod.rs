//! Builds the application from its configuration, for the binary and the tests.

mod collector;

use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context, Result};
use argon2::Params;
use axum::Router;
use chrono::TimeDelta;

use crate::auth::Passwords;
use crate::clock;
use crate::config::{AccountsConfig, Config, PasswordLogin, Registration};
use crate::database::Database;
use crate::domain::{self, FollowLimits, PostLimits, RegistrationMode, ReservedNames, Services};
use crate::events::{EventConfig, EventHub};
use crate::graphql::GraphqlEngine;
use crate::http::{self, AppState, Shutdown};
use crate::ids::{IdGenerator, snowflake};
use crate::limits::{CostRateLimiter, CredentialThrottle};
use crate::mail::{Mailer, Outbox};
use crate::telemetry::Metrics;
use collector::ServerCollector;

/// Poll interval for events where LISTEN/NOTIFY reports other instances' events.
const POLL_WITH_NOTIFY: Duration = Duration::from_secs(2);
/// Poll interval for events on SQLite and behind a pooler.
const POLL_WITHOUT_NOTIFY: Duration = Duration::from_millis(500);
/// Interval between evictions of rate limits that have no effect any more.
const EVICTION_INTERVAL: Duration = Duration::from_mins(1);
/// Interval between searches for mutes that have expired.
const MUTE_EXPIRY_INTERVAL: Duration = Duration::from_secs(2);
/// Number of these intervals between two searches when there are no subscribers.
const IDLE_PASSES: u64 = 30;
/// Interval between two searches for old notifications.
const NOTIFICATION_PRUNE_INTERVAL: Duration = Duration::from_hours(1);
/// Delay of the first of these searches after the start.
const NOTIFICATION_PRUNE_DELAY: Duration = Duration::from_mins(1);
/// Interval between deletions of idempotency keys and tokens that have expired.
const KEY_EXPIRY_INTERVAL: Duration = Duration::from_mins(10);

/// One instance of the application. Clones share it.
#[derive(Clone)]
pub struct App {
    /// All routes.
    pub router: Router,
    /// Liveness and readiness, for the listener of the metrics.
    pub health: Router,
    /// The state of the routes, for a program that embeds the application.
    pub state: AppState,
    pub database: Database,
    pub passwords: Passwords,
    pub events: EventHub,
    pub metrics: Arc<Metrics>,
    pub shutdown: Shutdown,
}

impl App {
    /// Opens the database, applies pending migrations, and builds everything on top.
    ///
    /// # Errors
    /// When the database cannot be opened or written, or is from a newer version; when the argon2
    /// parameters are out of range; when the trusted documents or the reserved names cannot be
    /// read; when the URL of the SMTP server or a template of mails is not valid.
    pub async fn build(config: &Config) -> Result<Self> {
        let database = open_database(config).await?;
        let passwords = passwords(&config.accounts)?;
        let throttle = CredentialThrottle::per_minute(config.limits.credential_attempts_per_minute);
        let throttle = Arc::new(throttle);
        let services = services(config, &database, &passwords, &throttle).await?;
        let mail = services.mail.clone();
        let events = start_events(config, &database).await?;
        let metrics = Arc::new(Metrics::default());
        let engine = GraphqlEngine::build(config, services, &events, Arc::clone(&metrics))?;
        let engine = Arc::new(engine);
        spawn_eviction(Arc::downgrade(&throttle), Arc::downgrade(&engine.cost_limiter));
        spawn_mute_expiry(Arc::downgrade(&engine), events.clone());
        if config.notification_retention_days > 0 {
            let retention = TimeDelta::days(config.notification_retention_days.into());
            spawn_notification_pruning(Arc::downgrade(&engine), retention);
        }
        spawn_key_expiry(Arc::downgrade(&engine));
        metrics.register_collector(ServerCollector {
            database: database.clone(),
            passwords: passwords.clone(),
            mail,
            events: events.clone(),
            streams: engine.streams.clone(),
            concurrency: engine.concurrency.clone(),
            response_memory: engine.response_memory.clone(),
            cost_limiter: Arc::clone(&engine.cost_limiter),
            token_issuer: engine.token_issuer.clone(),
        });
        let shutdown = Shutdown::default();
        let state = AppState::new(engine, &config.http, shutdown.clone());
        let health = http::health_router(state.clone());
        let router = http::router(state.clone());
        Ok(Self { router, health, state, database, passwords, events, metrics, shutdown })
    }
}

async fn open_database(config: &Config) -> Result<Database> {
    let database = Database::open(&config.database).await?;
    database.migrate().await?;
    database.start_wal_checkpointer();
    database.start_replica_monitors(&config.database)?;
    Ok(database)
}

async fn services(
    config: &Config,
    database: &Database,
    passwords: &Passwords,
    throttle: &Arc<CredentialThrottle>,
) -> Result<Services> {
    let reserved_names = reserved_names(&config.accounts.reserved_names)?;
    let mailer = Mailer::new(config)?;
    let instance = database.claim_instance_id(config.instance_id).await?;
    let ids = Arc::new(IdGenerator::new(instance, max_id(database).await?));
    let mail = mailer.map(|mailer| Outbox::start(database.clone(), Arc::clone(&ids), mailer));
    Ok(Services {
        ids,
        db: database.clone(),
        passwords: passwords.clone(),
        throttle: Arc::clone(throttle),
        follow_limits: FollowLimits {
            total: config.limits.max_following,
            per_day: config.limits.max_follows_per_day,
        },
        post_limits: PostLimits {
            per_day: config.limits.max_posts_per_day,
            bytes_per_day: config.limits.max_post_bytes_per_day,
        },
        session_lifetime: TimeDelta::days(config.accounts.session_days.into()),
        registration: match config.accounts.registration {
            Registration::Open => RegistrationMode::Open,
            Registration::Invite => RegistrationMode::Invite,
            Registration::Closed => RegistrationMode::Closed,
        },
        reserved_names: reserved_names.into(),
        mail,
        require_verified_email: config.accounts.require_verified_email,
        has_password_login: config.identity.password_login == PasswordLogin::On,
    })
}

/// The largest id of the database, above which new ids are generated.
async fn max_id(database: &Database) -> Result<i64> {
    let max_id = database.max_id().await?;
    let newest = snowflake::timestamp_of(max_id);
    if newest > clock::now() + clock::MAX_STEP {
        tracing::warn!(%newest, "the newest row is from the future, and new rows are dated after \
            it; `rookery doctor` counts the rows from the future");
    }
    Ok(max_id)
}

async fn start_events(config: &Config, database: &Database) -> Result<EventHub> {
    let has_notify = database.start_notifier(&config.database)?;
    let poll_interval = if has_notify { POLL_WITH_NOTIFY } else { POLL_WITHOUT_NOTIFY };
    let retention = Duration::from_secs(config.events.event_retention);
    let events = EventHub::start(database.clone(), EventConfig { retention, poll_interval }).await;
    events.map_err(|_| anyhow::anyhow!("cannot read the events in the database"))
}

/// Evicts rate limits that are full again, for as long as the application exists.
fn spawn_eviction(throttle: Weak<CredentialThrottle>, cost_limiter: Weak<CostRateLimiter>) {
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(EVICTION_INTERVAL);
        while let (Some(throttle), Some(cost)) = (throttle.upgrade(), cost_limiter.upgrade()) {
            throttle.evict_idle();
            cost.evict_idle();
            drop((throttle, cost));
            interval.tick().await;
        }
    });
}

/// Ends mutes that have expired, for as long as the application exists.
fn spawn_mute_expiry(engine: Weak<GraphqlEngine>, events: EventHub) {
    tokio::spawn(async move {
        for pass in 1_u64.. {
            tokio::time::sleep(MUTE_EXPIRY_INTERVAL).await;
            let Some(engine) = engine.upgrade() else { return };
            // Reads find out by themselves; only streams need the event.
            if events.subscribers() == 0 && pass % IDLE_PASSES != 0 {
                continue;
            }
            // An error, such as an outage of the database, is logged where it occurs. The next pass
            // tries again.
            while domain::mute::end_expired(&engine.services).await.unwrap_or_default() {}
        }
    });
}

/// Deletes old notifications in batches, for as long as the application exists.
fn spawn_notification_pruning(engine: Weak<GraphqlEngine>, retention: TimeDelta) {
    tokio::spawn(async move {
        let first = tokio::time::Instant::now() + NOTIFICATION_PRUNE_DELAY;
        let mut interval = tokio::time::interval_at(first, NOTIFICATION_PRUNE_INTERVAL);
        loop {
            interval.tick().await;
            let Some(engine) = engine.upgrade() else { return };
            // An error is logged where it occurs. The next pass tries again.
            let db = &engine.services.db;
            while domain::notification::prune(db, retention).await.unwrap_or_default() {}
        }
    });
}

/// Deletes expired idempotency keys, tokens of mails and external tokens.
///
/// The task ends with the application.
fn spawn_key_expiry(engine: Weak<GraphqlEngine>) {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(KEY_EXPIRY_INTERVAL).await;
            let Some(engine) = engine.upgrade() else { return };
            let db = &engine.services.db;
            // An error is logged where it occurs. The next pass tries again.
            while domain::idempotency::delete_expired(db).await.unwrap_or_default() {}
            while domain::mail::delete_expired(db).await.unwrap_or_default() {}
            while domain::identity::delete_expired_tokens(db).await.unwrap_or_default() {}
        }
    });
}

/// The names that are reserved by the file of this path, and the built-in ones.
fn reserved_names(path: &str) -> Result<ReservedNames> {
    let unreadable = || format!("cannot read the reserved names in {path}");
    let file = if path.is_empty() { Ok(String::new()) } else { std::fs::read_to_string(path) };
    ReservedNames::new(&file.with_context(unreadable)?).with_context(unreadable)
}

fn passwords(config: &AccountsConfig) -> Result<Passwords> {
    let params = Params::new(config.argon2_memory_kib, config.argon2_iterations, 1, None)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .context("the argon2 parameters are out of range")?;
    let passwords = Passwords::new(params, config.max_concurrent_hashes)?;
    Ok(passwords.with_min_score(config.min_password_score))
}
