//! The database of a command's test, which is deleted after the test.
//!
//! It is a PostgreSQL database if `ROOKERY_TEST_POSTGRES` is set, and an SQLite file otherwise.

#[path = "../../tests/api/support/postgres.rs"]
mod postgres;

use std::path::PathBuf;

use clap::Parser;
use indicatif::ProgressBar;
use sea_orm::ConnectionTrait as _;

use super::doctor;
use crate::config::PoolOptions;
use crate::database::{Database, Engine};

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    pool: PoolOptions,
}

/// A migrated database, and a folder for files.
pub struct TestDatabase {
    pub db: Database,
    folder: tempfile::TempDir,
    _copy: Option<postgres::Copy>,
}

impl TestDatabase {
    pub async fn new() -> Self {
        Self::on(postgres::Copy::new().await).await
    }

    pub async fn on_sqlite() -> Self {
        Self::on(None).await
    }

    async fn on(copy: Option<postgres::Copy>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = || format!("sqlite://{}", folder.path().join("rookery.db").display());
        let url = copy.as_ref().map_or_else(file, postgres::Copy::url);
        let pool = Options::parse_from(["test"]).pool;
        let db = Database::open(&pool.with_url(&url)).await.unwrap();
        db.migrate().await.unwrap();
        Self { db, folder, _copy: copy }
    }

    pub fn is_on_postgres(&self) -> bool {
        self.db.engine() == Engine::Postgres
    }

    /// Writes a file into the folder and returns its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Executes SQL that the commands under test do not expect.
    pub async fn tamper(&self, sql: &str) {
        self.db.writer().execute_unprepared(sql).await.unwrap();
    }

    /// The first column of the rows that `sql` selects.
    pub async fn column(&self, sql: &str) -> Vec<String> {
        let rows = self.db.reader().query_all_raw(self.db.statement(sql, [])).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    /// Number of rows of a table.
    pub async fn count(&self, table: &str) -> i64 {
        let sql = format!(r#"SELECT count(*) FROM "{table}""#);
        let row = self.db.reader().query_one_raw(self.db.statement(&sql, [])).await.unwrap();
        row.unwrap().try_get_by_index(0).unwrap()
    }

    /// Asserts that `doctor` finds no problem.
    pub async fn assert_healthy(&self) {
        let report = doctor::run(&self.db, false, &ProgressBar::hidden()).await.unwrap();
        assert!(report.is_clean(), "{report}");
    }
}
