//! `rookery migrate`: the tables, step by step, without a service.

use anyhow::Result;
use clap::Subcommand;
use migration::{MigrationStatus, Migrator, MigratorTrait as _};

use crate::database::Database;

#[derive(Clone, Debug, Subcommand)]
pub enum Migrate {
    /// Apply all steps that are missing; `serve` does this by itself
    Up,
    /// Take back the latest steps, and the data in their tables with them
    Down {
        /// How many steps to take back
        #[arg(long, env = "ROOKERY_MIGRATE_STEPS", default_value_t = 1, value_name = "N")]
        steps: u32,
    },
    /// List the steps, and which of them are applied
    Status,
}

/// # Errors
/// When the database comes from a newer version, or cannot be written.
pub async fn migrate(database: &Database, command: &Migrate) -> Result<()> {
    match command {
        Migrate::Up => database.migrate().await?,
        Migrate::Down { steps } => {
            database.migrate_down(*steps).await?;
        }
        Migrate::Status => database.refuse_newer().await?,
    }
    for migration in Migrator::get_migration_with_status(database.writer()).await? {
        let applied = migration.status() == MigrationStatus::Applied;
        println!("{}  {}", if applied { "applied" } else { "missing" }, migration.name());
    }
    Ok(())
}
