//! What the tests of the commands share: a database that goes away (on PostgreSQL, if there is a server
//! for the tests), files to import, and the question whether all is well.

#[path = "../../tests/api/postgres.rs"]
mod postgres;

use std::path::PathBuf;

use clap::Parser;
use indicatif::ProgressBar;
use sea_orm::ConnectionTrait as _;

use super::doctor;
use crate::config::Connections;
use crate::database::{Database, Engine};

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    connections: Connections,
}

pub struct Bench {
    pub db: Database,
    folder: tempfile::TempDir,
    _copy: Option<postgres::Copy>,
}

impl Bench {
    pub async fn new() -> Self {
        Self::on(postgres::Copy::new().await).await
    }

    pub async fn on_sqlite() -> Self {
        Self::on(None).await
    }

    async fn on(copy: Option<postgres::Copy>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = || format!("sqlite://{}", folder.path().join("rookery.db").display());
        let address = copy.as_ref().map_or_else(file, postgres::Copy::url);
        let connections = Options::parse_from(["test"]).connections;
        let db = Database::open(&connections.to(&address)).await.unwrap();
        db.migrate().await.unwrap();
        Self { db, folder, _copy: copy }
    }

    pub fn is_on_postgres(&self) -> bool {
        self.db.engine() == Engine::Postgres
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
