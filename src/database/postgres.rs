//! How PostgreSQL wants to be opened. TLS is set in the address, as libpq has it (`sslmode`,
//! `sslrootcert`, `sslcert`, `sslkey`).

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _, Executor as _, PgPool, Row as _};
use sea_orm::{DatabaseConnection, SqlxPostgresConnector};
use tokio::time::timeout;

use super::STATEMENT_CACHE;

/// A connection that has been idle for longer is tried before it is used: the server may have gone.
const FRESH: Duration = Duration::from_secs(1);
/// Connections are made anew after this long, so that they spread over what a name resolves to.
const LIFETIME: Duration = Duration::from_mins(30);

/// How long to wait: for a connection or a lock, and for a statement to end.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub acquire: Duration,
    pub statement: Duration,
}

/// What a pool is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Each transaction sees one moment, and cannot write.
    Read,
    Write,
}

/// # Errors
/// When the address is not PostgreSQL's. What is secret in it is not repeated.
pub fn options(url: &str) -> Result<PgConnectOptions> {
    let options = url.parse::<PgConnectOptions>();
    let options = options
        .map_err(|_| anyhow::anyhow!("not of the form postgres://USER:PASSWORD@HOST:PORT/NAME"));
    let options = options.context("the database address cannot be read")?;
    Ok(options
        .application_name("rookery")
        .statement_cache_capacity(STATEMENT_CACHE)
        .disable_statement_logging())
}

/// The address without user and password.
pub fn address(options: &PgConnectOptions) -> String {
    let name = options.get_database().unwrap_or_else(|| options.get_username());
    format!("postgres://{}:{}/{name}", options.get_host(), options.get_port())
}

/// A pool that connects when it is first used.
pub fn pool(options: PgConnectOptions, size: u32, patience: Patience, purpose: Purpose) -> PgPool {
    let isolation = match purpose {
        Purpose::Read => "repeatable read",
        Purpose::Write => "read committed",
    };
    let options = options.options([
        ("default_transaction_isolation", isolation.to_owned()),
        ("default_transaction_read_only", (purpose == Purpose::Read).to_string()),
        ("statement_timeout", patience.statement.as_millis().to_string()),
        ("lock_timeout", patience.acquire.as_millis().to_string()),
        ("idle_in_transaction_session_timeout", "60s".to_owned()),
        // Our statements are planned once: for any number of keys the plan is the same.
        ("plan_cache_mode", "force_generic_plan".to_owned()),
        // It costs more than any of our statements is worth.
        ("jit", "off".to_owned()),
    ]);
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(patience.acquire)
        .idle_timeout(None)
        .max_lifetime(LIFETIME)
        .test_before_acquire(false)
        .before_acquire(|connection, usage| {
            Box::pin(async move {
                if usage.idle_for > FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_release(move |connection, _| {
            // Without a limit, a connection to a host that has vanished would keep its place for ever.
            let limit = patience.statement + FRESH;
            Box::pin(async move {
                let settled = timeout(limit, is_settled(connection));
                settled.await.map_err(|_| sqlx::Error::PoolTimedOut)?
            })
        })
        .connect_lazy_with(options)
}

/// Until when there is doubt, in seconds since [`START`].
static DOUBT: AtomicU64 = AtomicU64::new(0);
static START: LazyLock<Instant> = LazyLock::new(Instant::now);
/// For how long; the connection in question comes back at once.
const DOUBTFUL: u64 = 60;

/// A BEGIN was given up between question and answer: its connection may have a transaction open that the
/// driver does not know of.
pub fn note_given_up() {
    DOUBT.store(START.elapsed().as_secs() + DOUBTFUL, Ordering::SeqCst);
}

/// Whether the server is there and no transaction is open. The latter is asked only when there is doubt: the
/// moment of an open transaction is not that of the statement.
async fn is_settled(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    if START.elapsed().as_secs() < DOUBT.load(Ordering::SeqCst) {
        connection.fetch_one("SELECT now() = statement_timestamp()").await?.try_get(0)
    } else {
        connection.ping().await.map(|()| true)
    }
}

/// Whether our settings came through. A pooler between us and the server drops them; then transactions
/// must say themselves what they are.
pub async fn keeps_settings(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let sql = "SELECT current_setting('default_transaction_isolation')";
    let isolation: String = sqlx::query_scalar(sql).fetch_one(pool).await?;
    Ok(isolation == "repeatable read")
}

pub fn connection(pool: PgPool) -> DatabaseConnection {
    SqlxPostgresConnector::from_sqlx_postgres_pool(pool)
}
