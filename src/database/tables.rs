//! The tables' form: which migrations the database has gone through, and bringing it up to date.

use anyhow::{Context as _, Result, anyhow, ensure};
use migration::{Migrator, MigratorTrait as _};
use sea_orm::ConnectionTrait as _;

use super::{Database, Engine, node, reason};

/// Held while the tables change: instances that start together take turns.
const MIGRATING: i64 = 0x726f_6f6b_6572_7900;

impl Database {
    /// Brings the tables to this version's form. Of several instances that start at once, one does it.
    ///
    /// # Errors
    /// When the database comes from a newer version, or cannot be written.
    pub async fn migrate(&self) -> Result<()> {
        let cannot_write = |error| anyhow!("cannot write the database: {}", reason(&error));
        let cannot_migrate = "cannot bring the database's tables up to date";
        let transaction = self.begin().await.map_err(cannot_write)?;
        if self.engine == Engine::Sqlite {
            // A file that cannot be written lets transactions begin; only a write finds out.
            transaction
                .execute_unprepared("PRAGMA user_version = 0")
                .await
                .map_err(cannot_write)?;
            transaction.rollback().await.map_err(cannot_write)?;
            self.refuse_newer().await?;
            return Migrator::up(&self.writer, None).await.context(cannot_migrate);
        }
        transaction.execute_unprepared(&take_turns()).await.map_err(cannot_write)?;
        self.refuse_newer().await?;
        // A role that may not make tables can start a service all the same.
        if self.missing().await? > 0 {
            Migrator::up(&transaction, None).await.context(cannot_migrate)?;
        }
        transaction.commit().await.map_err(cannot_write)
    }

    /// Takes back the latest `steps` migrations, and the data in their tables with them.
    ///
    /// # Errors
    /// When the database comes from a newer version, is being served, or cannot be written.
    pub async fn migrate_down(&self, steps: u32) -> Result<()> {
        let cannot_migrate = "cannot take back the migration";
        self.refuse_newer().await?;
        if self.engine == Engine::Sqlite {
            return Migrator::down(&self.writer, Some(steps)).await.context(cannot_migrate);
        }
        let transaction = self.begin().await?;
        transaction.execute_unprepared(&take_turns()).await?;
        let serving = format!(
            "SELECT 1 AS one FROM pg_locks JOIN pg_database ON pg_database.oid = database \
             WHERE datname = current_database() AND locktype = 'advisory' AND objsubid = 2 \
             AND classid = {}",
            node::LOCKS
        );
        let served = transaction.query_one_raw(self.statement(&serving, [])).await?.is_some();
        ensure!(!served, "the database {} is taken: a Rookery serves it", self.address);
        Migrator::down(&transaction, Some(steps)).await.context(cannot_migrate)?;
        Ok(transaction.commit().await?)
    }

    /// # Errors
    /// When the database holds a migration that this version does not know.
    pub async fn refuse_newer(&self) -> Result<()> {
        let known = Migrator::migrations();
        for applied in self.applied().await? {
            ensure!(
                known.iter().any(|known| known.name() == applied),
                "the database comes from a newer version of Rookery (it has the migration \
                 '{applied}'); start that version, or restore a backup from before"
            );
        }
        Ok(())
    }

    /// For commands that only look, or add to what must be there.
    ///
    /// # Errors
    /// When the tables are not in this version's form.
    pub async fn require_current(&self) -> Result<()> {
        self.refuse_newer().await?;
        let missing = self.missing().await?;
        ensure!(
            missing == 0,
            "the database is not up to date ({missing} migrations are missing): \
             run 'rookery migrate up' first"
        );
        Ok(())
    }

    /// How many migrations of this version the database has not gone through.
    async fn missing(&self) -> Result<usize> {
        let applied = self.applied().await?;
        let known = Migrator::migrations();
        Ok(known.iter().filter(|known| !applied.iter().any(|it| it == known.name())).count())
    }

    /// The names of the migrations that the database has gone through.
    async fn applied(&self) -> Result<Vec<String>> {
        let sql = "SELECT version FROM seaql_migrations ORDER BY version";
        let table = match self.engine {
            Engine::Sqlite => "SELECT name FROM sqlite_schema WHERE name = 'seaql_migrations'",
            Engine::Postgres => {
                "SELECT 1 AS name WHERE to_regclass('seaql_migrations') IS NOT NULL"
            }
        };
        let there = self.reader().query_one_raw(self.statement(table, [])).await;
        let there =
            there.map_err(|error| anyhow!("cannot read the database: {}", reason(&error)))?;
        let rows = if there.is_some() {
            self.reader().query_all_raw(self.statement(sql, [])).await?
        } else {
            vec![]
        };
        rows.iter().map(|row| Ok(row.try_get("", "version")?)).collect()
    }
}

/// However long the others take.
fn take_turns() -> String {
    format!(
        "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
         SELECT pg_advisory_xact_lock({MIGRATING})"
    )
}
