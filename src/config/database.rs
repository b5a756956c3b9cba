//! Options of the database, which all commands share.

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

/// The database and how to connect to it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct DatabaseConfig {
    /// Database URL: `sqlite://PATH` or `postgres://USER:PASSWORD@HOST:PORT/NAME`
    ///
    /// A path is relative to the working directory, and a missing file is created. PostgreSQL's
    /// parameters sslmode and sslrootcert work as in libpq, as in
    /// `?sslmode=verify-full&sslrootcert=PATH`.
    #[arg(
        long,
        global = true,
        env = "DATABASE_URL",
        hide_env_values = true,
        default_value = "sqlite://rookery.db",
        value_name = "URL"
    )]
    pub database_url: SecretString,

    #[command(flatten)]
    pub pool: PoolOptions,

    /// Comma-separated URLs of PostgreSQL streaming replicas to read from
    ///
    /// Give all instances the same replicas.
    #[arg(
        long,
        global = true,
        env = "DATABASE_REPLICA_URLS",
        hide_env_values = true,
        default_value = "",
        value_name = "URLS",
        value_delimiter = ','
    )]
    pub database_replica_urls: Vec<SecretString>,

    /// Maximum replication lag in seconds; a replica that is further behind is not read
    #[arg(long, global = true, env = "ROOKERY_DATABASE_REPLICA_LAG", default_value_t = 10,
          value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub database_replica_lag: u64,
}

impl DatabaseConfig {
    /// The URL of the database, including its password.
    pub fn url(&self) -> &str {
        self.database_url.expose_secret()
    }

    /// The URLs of the replicas, including their passwords.
    pub fn replicas(&self) -> impl Iterator<Item = &str> {
        self.database_replica_urls
            .iter()
            .map(|url| url.expose_secret().trim())
            .filter(|url| !url.is_empty())
    }
}

/// Sizes and timeouts of the connection pools.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct PoolOptions {
    /// Maximum number of connections for reading, 1 to 64
    #[arg(long, global = true, env = "ROOKERY_DATABASE_MAX_READ_CONNECTIONS", default_value_t = 4,
          value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub database_max_read_connections: u32,

    /// Maximum number of connections for writing, 1 to 64; SQLite always uses one
    #[arg(long, global = true, env = "ROOKERY_DATABASE_MAX_WRITE_CONNECTIONS", default_value_t = 4,
          value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub database_max_write_connections: u32,

    /// Seconds to wait for a connection or a lock before failing with UNAVAILABLE
    #[arg(long, global = true, env = "ROOKERY_DATABASE_ACQUIRE_TIMEOUT", default_value_t = 4,
          value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub database_acquire_timeout: u64,

    /// Seconds after which PostgreSQL cancels a statement
    #[arg(long, global = true, env = "ROOKERY_DATABASE_STATEMENT_TIMEOUT", default_value_t = 8,
          value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub database_statement_timeout: u64,
}

impl PoolOptions {
    /// The configuration of the database at `url`, with these options and no replicas.
    #[must_use]
    pub fn with_url(&self, url: &str) -> DatabaseConfig {
        DatabaseConfig {
            database_url: url.into(),
            pool: self.clone(),
            database_replica_urls: vec![],
            database_replica_lag: 0,
        }
    }
}
