//! A PostgreSQL database of a test's own: a copy of a template that is migrated once.
//!
//! `ROOKERY_TEST_POSTGRES` names the server, as in `postgres://postgres@127.0.0.1:5432`, and a role that
//! may make databases. Without it the tests run on SQLite.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use migration::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, Statement};
use tokio::sync::OnceCell;

/// Goes when the test ends.
pub struct Copy {
    server: String,
    name: String,
}

impl Copy {
    pub async fn new() -> Option<Self> {
        static MIGRATED: OnceCell<()> = OnceCell::const_new();
        static COPIES: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("ROOKERY_TEST_POSTGRES").ok()?;
        MIGRATED.get_or_init(|| make_template(&server)).await;
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
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

/// One for each process, since several may test at once.
fn template() -> String {
    format!("rookery_test_{}_template", std::process::id())
}

async fn make_template(server: &str) {
    sweep(server).await;
    let template = template();
    run(server, &[&format!("CREATE DATABASE {template}")]).await;
    let template = connect(&format!("{server}/{template}")).await;
    Migrator::up(&template, None).await.unwrap();
    template.close().await.unwrap();
}

/// Drops what processes that are no more have left.
async fn sweep(server: &str) {
    let connection = connect(&format!("{server}/postgres")).await;
    let all = "SELECT datname::text FROM pg_database WHERE datname LIKE 'rookery\\_test\\_%'";
    let all = Statement::from_string(connection.get_database_backend(), all);
    for row in connection.query_all_raw(all).await.unwrap() {
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
