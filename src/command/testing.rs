//! What the tests of the commands share: a database in a folder that goes away, files to import,
//! and the question whether all is well.

use std::path::PathBuf;

use clap::Parser;
use indicatif::ProgressBar;
use sea_orm::ConnectionTrait as _;

use super::doctor;
use crate::config::DatabaseConfig;
use crate::database::Database;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    database: DatabaseConfig,
}

pub struct Bench {
    pub db: Database,
    folder: tempfile::TempDir,
}

impl Bench {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("sqlite://{}", folder.path().join("rookery.db").display());
        let db =
            Database::open(&Options::parse_from(["test"]).database.at(&address)).await.unwrap();
        db.migrate().await.unwrap();
        Self { db, folder }
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Changes the database behind Rookery's back.
    pub async fn tamper(&self, sql: &str) {
        self.db.writer().execute_unprepared(sql).await.unwrap();
    }

    /// The only column of the rows that `sql` selects.
    pub async fn column(&self, sql: &str) -> Vec<String> {
        let rows = self.db.reader().query_all_raw(self.db.statement(sql, [])).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    pub async fn count(&self, table: &str) -> i64 {
        let sql = format!(r#"SELECT count(*) FROM "{table}""#);
        let row = self.db.reader().query_one_raw(self.db.statement(&sql, [])).await.unwrap();
        row.unwrap().try_get_by_index(0).unwrap()
    }

    /// The doctor's opinion: counts, references and the file itself.
    pub async fn assert_healthy(&self) {
        let report = doctor::run(&self.db, false, &ProgressBar::hidden()).await.unwrap();
        assert!(report.is_clean(), "{report}");
    }
}
