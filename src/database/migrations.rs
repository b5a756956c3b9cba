//! Applies and reverts migrations, and checks which ones the database has.
//!
//! All migrations, and the records that they are applied, are one transaction. On SQLite it is the
//! only writer; on PostgreSQL it holds an advisory lock.

use anyhow::{Context as _, Result, anyhow, ensure};
use migration::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectionTrait as _, DbErr};

use super::{Database, Engine, WriteTransaction, driver_message, instance_id};

/// Key of the advisory lock that a process holds while it migrates.
const MIGRATION_LOCK_KEY: i64 = 0x726f_6f6b_6572_7900;

impl Database {
    /// Applies the pending migrations in one transaction: all or none.
    ///
    /// Of several processes that start together, one applies them.
    ///
    /// # Errors
    /// When the database is from a newer version or cannot be written; any error of a migration.
    pub async fn migrate(&self) -> Result<()> {
        let cannot_write = |error| anyhow!("cannot write the database: {}", driver_message(&error));
        let transaction = self.begin_migration().await.map_err(cannot_write)?;
        self.ensure_not_newer().await?;
        // Without pending migrations, the role of PostgreSQL needs no right to create tables.
        if self.pending().await? > 0 {
            Migrator::up(&*transaction, None).await.context("cannot migrate the database")?;
            let indexed = self.index_missing(&*transaction).await;
            indexed.context("cannot fill the search indexes")?;
        }
        transaction.commit().await.map_err(cannot_write)
    }

    /// Reverts the latest `steps` migrations, which deletes the data in their tables.
    ///
    /// On PostgreSQL a running instance is detected by the lock on its instance id. An instance
    /// behind a connection pooler holds no such lock and is not detected.
    ///
    /// # Errors
    /// When the database is from a newer version, is in use by an instance, or cannot be written;
    /// any error of a migration.
    pub async fn migrate_down(&self, steps: u32) -> Result<()> {
        self.ensure_not_newer().await?;
        let transaction = self.begin_migration().await?;
        if self.engine == Engine::Postgres {
            let sql = format!(
                "SELECT 1 AS one FROM pg_locks JOIN pg_database ON pg_database.oid = database \
                 WHERE datname = current_database() AND locktype = 'advisory' AND objsubid = 2 \
                 AND classid = {}",
                instance_id::LOCK_CLASS
            );
            let is_served = transaction.query_one_raw(self.statement(&sql, [])).await?.is_some();
            ensure!(!is_served, "the database {} is in use by a running instance", self.address);
        }
        Migrator::down(&*transaction, Some(steps)).await.context("cannot revert the migration")?;
        Ok(transaction.commit().await?)
    }

    /// Begins a transaction in which only this process migrates.
    async fn begin_migration(&self) -> Result<WriteTransaction, DbErr> {
        let transaction = self.begin().await?;
        let sql = match self.engine {
            // A transaction begins on a read-only file too; only a write fails.
            Engine::Sqlite => "PRAGMA user_version = 0".to_owned(),
            Engine::Postgres => migration_lock_sql(),
        };
        transaction.execute_unprepared(&sql).await?;
        Ok(transaction)
    }

    /// Checks that this version knows all migrations that the database has.
    ///
    /// # Errors
    /// When the database has a migration that this version does not know; any error of the
    /// database.
    pub async fn ensure_not_newer(&self) -> Result<()> {
        let migrations = Migrator::migrations();
        for applied in self.applied().await? {
            ensure!(
                migrations.iter().any(|migration| migration.name() == applied),
                "the database comes from a newer version of Rookery (it has the migration \
                 '{applied}'); start that version, or restore a backup from before"
            );
        }
        Ok(())
    }

    /// Checks that the database has exactly the migrations of this version.
    ///
    /// For commands that do not migrate.
    ///
    /// # Errors
    /// When a migration is pending, or the database is from a newer version; any error of the
    /// database.
    pub async fn require_current(&self) -> Result<()> {
        self.ensure_not_newer().await?;
        let pending = self.pending().await?;
        ensure!(
            pending == 0,
            "the database is not up to date ({pending} migrations are pending): \
             run 'rookery migrate up' first"
        );
        Ok(())
    }

    /// The number of this version's migrations that the database does not have.
    async fn pending(&self) -> Result<usize> {
        let applied = self.applied().await?;
        let migrations = Migrator::migrations();
        let is_applied = |name: &str| applied.iter().any(|applied| applied == name);
        Ok(migrations.iter().filter(|migration| !is_applied(migration.name())).count())
    }

    /// The names of the migrations that the database has, in order.
    async fn applied(&self) -> Result<Vec<String>> {
        let sql = "SELECT version FROM seaql_migrations ORDER BY version";
        let table = match self.engine {
            Engine::Sqlite => "SELECT name FROM sqlite_schema WHERE name = 'seaql_migrations'",
            Engine::Postgres => {
                "SELECT 1 AS name WHERE to_regclass('seaql_migrations') IS NOT NULL"
            }
        };
        let table = self.reader().query_one_raw(self.statement(table, [])).await;
        let table = table
            .map_err(|error| anyhow!("cannot read the database: {}", driver_message(&error)))?;
        let rows = if table.is_some() {
            self.reader().query_all_raw(self.statement(sql, [])).await?
        } else {
            vec![]
        };
        rows.iter().map(|row| Ok(row.try_get("", "version")?)).collect()
    }
}

/// SQL that waits for the migration lock, without a timeout.
fn migration_lock_sql() -> String {
    format!(
        "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
         SELECT pg_advisory_xact_lock({MIGRATION_LOCK_KEY})"
    )
}
