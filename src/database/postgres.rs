//! Connection pools of PostgreSQL: parameters, timeouts and connection checks.
//!
//! TLS is configured in the URL with the parameters of libpq (`sslmode`, `sslrootcert`, `sslcert`,
//! `sslkey`). A connection is checked when it has been idle, and after each use: the server may be
//! gone, or a transaction may still be open.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _, Executor as _, PgPool, Row as _};
use sea_orm::{DatabaseConnection, SqlxPostgresConnector};
use tokio::time::timeout;

use super::STATEMENT_CACHE_CAPACITY;

/// Idle time after which a connection is pinged before it is used.
const PING_IF_IDLE_FOR: Duration = Duration::from_secs(1);
/// Age at which a connection is replaced.
///
/// Connections thereby spread over the addresses of a host name.
const MAX_LIFETIME: Duration = Duration::from_mins(30);

/// Timeouts of a pool.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Longest wait for a free connection, and for a lock.
    pub acquire: Duration,
    /// Longest execution of a statement.
    pub statement: Duration,
}

/// The kind of transactions that a pool is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `REPEATABLE READ` and read-only: each transaction sees one snapshot.
    Read,
    /// `READ COMMITTED`.
    Write,
}

/// Parses a URL of PostgreSQL.
///
/// # Errors
/// When the URL is not valid. The message has no part of it, because it may contain a password.
pub fn options(url: &str) -> Result<PgConnectOptions> {
    ensure!(
        !has_raw_delimiter(url),
        "the database URL is not valid: in a user name or password, write / as %2F, ? as %3F, \
         # as %23 and @ as %40"
    );
    let options = url.parse::<PgConnectOptions>();
    let options =
        options.map_err(|_| anyhow::anyhow!("expected postgres://USER:PASSWORD@HOST:PORT/NAME"));
    let options = options.context("the database URL is not valid")?;
    // The driver does not resolve an IPv6 address in brackets.
    let host = options.get_host().trim_matches(['[', ']']).to_owned();
    Ok(options
        .host(&host)
        .application_name("rookery")
        .statement_cache_capacity(STATEMENT_CACHE_CAPACITY)
        .disable_statement_logging())
}

/// Whether a URL has an @ after the end of its authority.
///
/// The user name or the password then ended the authority with a delimiter, and its rest would be
/// taken for the name of the database.
fn has_raw_delimiter(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find(['/', '?', '#']).is_some_and(|end| rest[end..].contains('@'))
}

/// The URL of a database without user and password.
pub fn address(options: &PgConnectOptions) -> String {
    let name = options.get_database().unwrap_or_else(|| options.get_username());
    let host = options.get_host();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("postgres://{host}:{}/{name}", options.get_port())
}

/// A pool that connects when it is first used.
pub fn pool(options: PgConnectOptions, size: u32, timeouts: Timeouts, purpose: Purpose) -> PgPool {
    let isolation = match purpose {
        Purpose::Read => "repeatable read",
        Purpose::Write => "read committed",
    };
    let options = options.options([
        ("default_transaction_isolation", isolation.to_owned()),
        ("default_transaction_read_only", (purpose == Purpose::Read).to_string()),
        ("statement_timeout", timeouts.statement.as_millis().to_string()),
        ("lock_timeout", timeouts.acquire.as_millis().to_string()),
        ("idle_in_transaction_session_timeout", "60s".to_owned()),
        // A statement is planned once: its plan does not depend on the number of ids.
        ("plan_cache_mode", "force_generic_plan".to_owned()),
        // An index costs little more than a scan on an SSD or in memory. With the default of 4, a
        // table that has grown since it was analyzed is scanned.
        ("random_page_cost", "1.1".to_owned()),
        // Compilation takes longer than the statements of Rookery.
        ("jit", "off".to_owned()),
    ]);
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(timeouts.acquire)
        .idle_timeout(None)
        .max_lifetime(MAX_LIFETIME)
        .test_before_acquire(false)
        .before_acquire(|connection, usage| {
            Box::pin(async move {
                if usage.idle_for > PING_IF_IDLE_FOR {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_release(move |connection, _| {
            // Without a timeout, a connection to an unreachable host would stay in the pool.
            let limit = timeouts.statement + PING_IF_IDLE_FOR;
            Box::pin(async move {
                let check = timeout(limit, has_no_open_transaction(connection));
                check.await.map_err(|_| sqlx::Error::PoolTimedOut)?
            })
        })
        .connect_lazy_with(options)
}

/// End of the period in which a connection may have an open transaction.
///
/// In seconds since [`START`].
static SUSPECT_UNTIL: AtomicU64 = AtomicU64::new(0);
static START: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Length of that period in seconds.
///
/// The connection in question returns to its pool immediately, so one minute is ample.
const SUSPECT_FOR: u64 = 60;

/// Records that a `BEGIN` was cancelled before its response arrived.
///
/// Its connection may have a transaction open that the driver does not know of.
pub fn mark_begin_cancelled() {
    SUSPECT_UNTIL.store(START.elapsed().as_secs() + SUSPECT_FOR, Ordering::SeqCst);
}

/// Whether no transaction is open on the connection.
///
/// Fails when the server does not respond. The transaction is checked only after a cancelled
/// `BEGIN`; otherwise the connection is pinged. `now()` is the start of the transaction, so in an
/// open one it differs from the statement's time.
async fn has_no_open_transaction(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    if START.elapsed().as_secs() < SUSPECT_UNTIL.load(Ordering::SeqCst) {
        connection.fetch_one("SELECT now() = statement_timestamp()").await?.try_get(0)
    } else {
        connection.ping().await.map(|()| true)
    }
}

/// Whether the server has the parameters that [`pool`] sets.
///
/// A connection pooler drops them. Transactions must then set isolation level and access mode.
pub async fn applies_startup_options(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let sql = "SELECT current_setting('default_transaction_isolation')";
    let isolation: String = sqlx::query_scalar(sql).fetch_one(pool).await?;
    Ok(isolation == "repeatable read")
}

/// The encoding of the database. Texts of all languages need `UTF8`.
pub async fn encoding(pool: &PgPool) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("SELECT current_setting('server_encoding')").fetch_one(pool).await
}

/// The reason why a pool has no connection.
///
/// A pool retries until its timeout, and reports only that.
pub async fn connection_error(options: &PgConnectOptions, timeout: Duration) -> sqlx::Error {
    match tokio::time::timeout(timeout, options.connect()).await {
        Ok(Err(error)) => error,
        _ => sqlx::Error::PoolTimedOut,
    }
}

/// The pool as a connection of SeaORM.
pub fn connection(pool: PgPool) -> DatabaseConnection {
    SqlxPostgresConnector::from_sqlx_postgres_pool(pool)
}
