//! A PostgreSQL database for one test.
//!
//! It is copied from a template that is migrated once per process.
//!
//! `ROOKERY_TEST_POSTGRES` is the server's URL, as in `postgres://postgres@127.0.0.1:5432`. Its
//! role needs the right to create databases. Without the variable the tests run on SQLite. The unit
//! tests of `src/command/` include this file too.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use migration::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// A copy of the template database, which is dropped with the value.
pub struct Copy {
    server: String,
    name: String,
}

impl Copy {
    /// A new copy, or `None` without a server.
    pub async fn new() -> Option<Self> {
        static TEMPLATE: OnceCell<()> = OnceCell::const_new();
        static NEXT_NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("ROOKERY_TEST_POSTGRES").ok()?;
        TEMPLATE.get_or_init(|| create_template(&server)).await;
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("rookery_test_{}_{number}", std::process::id());
        run(&server, &[&format!("CREATE DATABASE {name} TEMPLATE {}", template())]).await;
        Some(Self { server, name })
    }

    pub fn url(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let server = self.server.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let thread = std::thread::spawn(move || runtime.unwrap().block_on(run(&server, &[&drop])));
        let _ = thread.join();
    }
}

/// The template's name.
///
/// It contains the process id, because test processes run concurrently.
fn template() -> String {
    format!("rookery_test_{}_template", std::process::id())
}

async fn create_template(server: &str) {
    drop_abandoned(server).await;
    let template = template();
    run(server, &[&format!("CREATE DATABASE {template}")]).await;
    let template = connect(&format!("{server}/{template}")).await;
    Migrator::up(&template, None).await.unwrap();
    await_older_transactions(&template).await;
    template.close().await.unwrap();
}

/// Waits until all transactions that are older than the newest event have ended.
///
/// Panics after 1 minute. Transactions of all databases of the server count. A cursor from before
/// their end has lagged once the events before it are pruned.
pub async fn await_older_transactions(database: &impl ConnectionTrait) {
    let have_ended = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint \
        > (SELECT max(txn) FROM event)";
    let have_ended = Statement::from_string(database.get_database_backend(), have_ended);
    let wait = async {
        loop {
            let row = database.query_one_raw(have_ended.clone()).await.unwrap().unwrap();
            if row.try_get_by(0).unwrap() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_mins(1), wait).await.expect("older transactions end");
}

/// Drops the databases that test processes left behind when they were killed.
async fn drop_abandoned(server: &str) {
    let connection = connect(&format!("{server}/postgres")).await;
    let names = "SELECT datname::text FROM pg_database WHERE datname LIKE 'rookery\\_test\\_%'";
    let names = Statement::from_string(connection.get_database_backend(), names);
    for row in connection.query_all_raw(names).await.unwrap() {
        let name: String = row.try_get_by(0).unwrap();
        let process = name.split('_').nth(2).unwrap();
        if !Path::new("/proc").join(process).exists() {
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            connection.execute_unprepared(&drop).await.unwrap();
        }
    }
    connection.close().await.unwrap();
}

async fn run(server: &str, statements: &[&str]) {
    let server = connect(&format!("{server}/postgres")).await;
    for sql in statements {
        server.execute_unprepared(sql).await.unwrap();
    }
    server.close().await.unwrap();
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}
