//! A PostgreSQL database of a test's own: a copy of a template that is migrated once.
//!
//! `ROOKERY_TEST_POSTGRES` names the server, as in `postgres://postgres@127.0.0.1:5432`, and a role that
//! may make databases. Without it the tests run on SQLite.

use std::sync::atomic::{AtomicU32, Ordering};

use migration::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection};
use tokio::sync::OnceCell;

const TEMPLATE: &str = "rookery_test_template";

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
        run(&server, &[&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")]).await;
        Some(Self { server, name })
    }

    /// Without tables.
    pub async fn empty() -> Option<Self> {
        let copy = Self::new().await?;
        let drop = format!("DROP DATABASE {}", copy.name);
        run(&copy.server, &[&drop, &format!("CREATE DATABASE {}", copy.name)]).await;
        Some(copy)
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

async fn make_template(server: &str) {
    let drop = format!("DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)");
    run(server, &[&drop, &format!("CREATE DATABASE {TEMPLATE}")]).await;
    let template = connect(&format!("{server}/{TEMPLATE}")).await;
    Migrator::up(&template, None).await.unwrap();
    template.close().await.unwrap();
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
