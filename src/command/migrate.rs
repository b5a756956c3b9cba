//! `rookery migrate`: applies, reverts and lists migrations.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Subcommand;
use migration::{MigrationStatus, Migrator, MigratorTrait as _};

use crate::database::Database;

/// The subcommands of `migrate`.
#[derive(Clone, Debug, Subcommand)]
pub enum Migrate {
    /// Apply all pending migrations, as `serve` does at start
    Up,
    /// Revert the latest migrations; the data in their tables are deleted
    Down {
        /// Number of migrations to revert
        #[arg(long, env = "ROOKERY_MIGRATE_STEPS", default_value_t = 1, value_name = "N")]
        steps: u32,
    },
    /// List all migrations and whether they are applied
    Status,
}

/// Executes a subcommand, and returns the state of all migrations, a line each.
///
/// # Errors
/// When the database has migrations of a newer version; any error of the database.
pub async fn migrate(database: &Database, command: &Migrate) -> Result<String> {
    match command {
        Migrate::Up => database.migrate().await?,
        Migrate::Down { steps } => {
            database.migrate_down(*steps).await?;
        }
        Migrate::Status => database.ensure_not_newer().await?,
    }
    let mut lines = String::new();
    for migration in Migrator::get_migration_with_status(database.writer()).await? {
        let applied = migration.status() == MigrationStatus::Applied;
        let state = if applied { "applied" } else { "pending" };
        writeln!(lines, "{state}  {}", migration.name())?;
    }
    Ok(lines)
}
