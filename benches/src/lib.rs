//! What the benches read: a graph of 100,000 users, 5 million follows and 2 million posts, made once.

use std::path::Path;

use clap::Parser;
use indicatif::ProgressBar;
use rookery::command::seed::{self, Plan};
use rookery::config::Config;
use rookery::database::Database;
use sea_orm::FromQueryResult as _;

/// Options of the service, at their defaults.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    config: Config,
}

pub fn config(url: &str) -> Config {
    let rates = ["--rate-network", "0", "--rate-user", "0", "--rate-attempts", "0"];
    Options::parse_from([&["bench", "--database-url", url], &rates[..]].concat()).config
}

/// The graph's address: `DATABASE_URL`, or the SQLite file that the load harness has as well.
pub fn url() -> String {
    std::env::var("DATABASE_URL").unwrap_or_else(|_| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        format!("sqlite://{}/graph-100000-50-20.db", folder.display())
    })
}

/// The graph; seeded, which takes a minute, where there is none.
///
/// # Panics
/// When there can be none.
pub async fn graph() -> Database {
    let url = url();
    if let Some(folder) = rookery::database::file(&url).ok().as_deref().and_then(Path::parent) {
        std::fs::create_dir_all(folder).expect("a folder for the graph");
    }
    let database = Database::open(&config(&url).database).await.expect("a database");
    database.migrate().await.expect("its tables");
    if database.largest_key().await.expect("its keys") == 0 {
        eprintln!("seeding {}", database.address());
        let plan = Plan { users: 100_000, follows_per_user: 50, posts_per_user: 20, rng_seed: 1 };
        let seeded = seed::run(&database, &plan, &ProgressBar::hidden()).await;
        seeded.expect("a seeded graph");
    }
    database
}

/// Some users who follow about as many as that.
///
/// # Panics
/// When the database cannot be read.
pub async fn followers_of(database: &Database, followed: u32) -> Vec<entity::user::Model> {
    let sql = "SELECT * FROM \"user\" ORDER BY abs(following_count - $1), id LIMIT 8";
    let statement = database.statement(sql, [i64::from(followed).into()]);
    let users = entity::user::Model::find_by_statement(statement).all(database.reader()).await;
    users.expect("users")
}
