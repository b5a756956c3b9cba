//! Opens the connection pools of SQLite and of PostgreSQL.
//!
//! Opening a database connects to it, so that a wrong URL fails at start. A replica may be down at
//! start: its pools connect when they are first used. The statements of all pools for requests are
//! counted, in the request scope and in total.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr, sqlx};

use super::interrupt::Interrupt;
use super::postgres::{self, Purpose, Timeouts};
use super::read_pool::ReadPool;
use super::replica::Replica;
use super::{ChangeNotifier, Consumer, Database, Engine, MAX_WAITING, sqlite};
use crate::config::DatabaseConfig;
use crate::limits::FairSemaphore;
use crate::telemetry::request_scope;

impl Database {
    pub(super) async fn open_sqlite(config: &DatabaseConfig) -> Result<Self> {
        let url = config.url();
        sqlite::database_path(url)?;
        if config.replicas().next().is_some() {
            bail!("replicas need PostgreSQL; the database is {url}");
        }
        let cannot_open =
            |error| anyhow!("cannot open the database {url}: {}", driver_message(&error));
        let timeout = Duration::from_secs(config.pool.database_acquire_timeout);
        let write_interrupt = Interrupt::default();
        let writer = sqlite::open(url, 1, timeout, false, &write_interrupt);
        let writer = writer.await.map_err(cannot_open)?;
        let mut readers = Vec::new();
        // The first serves reads outside of snapshots.
        for _ in 0..=config.pool.database_max_read_connections {
            let interrupt = Interrupt::default();
            let connection = sqlite::open(url, 1, timeout, true, &interrupt);
            readers.push((connection.await.map_err(cannot_open)?, interrupt));
        }
        let (connection, _) = readers.remove(0);
        let reader = ReadPool::of_sqlite(connection, readers, timeout);
        let database =
            Self::from_pools(Engine::Sqlite, url.to_owned(), reader, (writer, 1), vec![]);
        Ok(Self { write_interrupt, ..database })
    }

    pub(super) async fn open_postgres(config: &DatabaseConfig) -> Result<Self> {
        let timeouts = timeouts(config);
        let options = postgres::options(config.url())?;
        let address = postgres::address(&options);
        let readers = config.pool.database_max_read_connections;
        let writers = config.pool.database_max_write_connections;
        let read_pool = postgres::pool(options.clone(), readers, timeouts, Purpose::Read);
        let write_pool = postgres::pool(options.clone(), writers, timeouts, Purpose::Write);
        let encoding = match postgres::encoding(&read_pool).await {
            Err(sqlx::Error::PoolTimedOut) => {
                Err(postgres::connection_error(&options, timeouts.acquire).await)
            }
            encoding => encoding,
        };
        let cannot_open =
            |error| anyhow!("cannot open the database {address}: {}", sqlx_message(&error));
        let encoding = encoding.map_err(cannot_open)?;
        ensure!(
            encoding == "UTF8",
            "the database {address} has the encoding {encoding}: create it with ENCODING 'UTF8'"
        );
        let applies_startup_options =
            postgres::applies_startup_options(&read_pool).await.map_err(cannot_open)?;
        let replicas = config.replicas().map(|url| Replica::new(url, readers, timeouts));
        let replicas = replicas.collect::<Result<Vec<_>>>().context("DATABASE_REPLICA_URLS")?;
        let connection = postgres::connection(read_pool);
        let reader = ReadPool::new(connection, readers, timeouts.acquire)
            .with_startup_options(applies_startup_options);
        let writer = (postgres::connection(write_pool), writers);
        Ok(Self::from_pools(Engine::Postgres, address, reader, writer, replicas))
    }

    fn from_pools(
        engine: Engine,
        address: String,
        mut reader: ReadPool,
        (mut writer, writers): (DatabaseConnection, u32),
        mut replicas: Vec<Replica>,
    ) -> Self {
        let statements = Arc::new(AtomicU64::new(0));
        let replicated = replicas.iter_mut().flat_map(|replica| replica.reader.connections_mut());
        let readers = reader.connections_mut().chain(replicated);
        for connection in readers.chain([&mut writer]) {
            let counter = Arc::clone(&statements);
            connection.set_metric_callback(move |_| {
                counter.fetch_add(1, Ordering::Relaxed);
                request_scope::count_statement();
            });
        }
        Self {
            engine,
            consumer: Consumer::default(),
            request: 0,
            address,
            acquire_timeout: reader.acquire_timeout,
            reader,
            writer,
            write_interrupt: Interrupt::default(),
            writer_permits: FairSemaphore::new(writers as usize, MAX_WAITING),
            replicas: replicas.into(),
            next_request: Arc::new(1.into()),
            next_replica: Arc::default(),
            statements,
            notifier: ChangeNotifier::default(),
            open_snapshots: Arc::default(),
        }
    }
}

/// The timeouts of the configuration, for pools of PostgreSQL.
pub(super) fn timeouts(config: &DatabaseConfig) -> Timeouts {
    Timeouts {
        acquire: Duration::from_secs(config.pool.database_acquire_timeout),
        statement: Duration::from_secs(config.pool.database_statement_timeout),
    }
}

/// The message of the database engine, without the prefixes of the libraries.
pub fn driver_message(error: &DbErr) -> String {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(inner))
        | DbErr::Exec(RuntimeErr::SqlxError(inner))
        | DbErr::Query(RuntimeErr::SqlxError(inner)) => sqlx_message(inner),
        error => error.to_string(),
    }
}

fn sqlx_message(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => error.to_string(),
    }
}
