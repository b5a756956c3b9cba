//! The graph of the benchmarks: 100,000 users, 5 million follows, 2 million posts.
//!
//! It is seeded once, and shared with the load harness.

use std::path::Path;

use clap::Parser;
use indicatif::ProgressBar;
use rookery::command::seed;
use rookery::command::seed::SeedOptions;
use rookery::config::Config;
use rookery::database::Database;
use sea_orm::FromQueryResult as _;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    config: Config,
}

/// The default configuration for a database, without mail and rate limits.
///
/// Limits of posts are off too.
pub fn config(url: &str) -> Config {
    let rate_limits = [
        "--rate-limit-per-network",
        "0",
        "--rate-limit-per-user",
        "0",
        "--credential-attempts-per-minute",
        "0",
        "--max-posts-per-day",
        "0",
        "--max-post-bytes-per-day",
        "0",
        "--mail-folder",
        "none",
    ];
    Options::parse_from([&["bench", "--database-url", url], &rate_limits[..]].concat()).config
}

/// The URL of the graph: `DATABASE_URL`, else the load harness's SQLite file.
pub fn url() -> String {
    std::env::var("DATABASE_URL").unwrap_or_else(|_| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        format!("sqlite://{}/graph-100000-50-20.db", folder.display())
    })
}

/// Opens the graph. An empty database is seeded first, which takes about a minute.
///
/// # Panics
/// When the database cannot be opened, migrated or seeded.
pub async fn graph() -> Database {
    let url = url();
    if let Some(folder) =
        rookery::database::database_path(&url).ok().as_deref().and_then(Path::parent)
    {
        std::fs::create_dir_all(folder).expect("create the folder of the graph");
    }
    let database = Database::open(&config(&url).database).await.expect("open the database");
    database.migrate().await.expect("apply the migrations");
    if database.max_id().await.expect("read the largest id") == 0 {
        eprintln!("seeding {}", database.address());
        let options = SeedOptions {
            users: 100_000,
            follows_per_user: 50,
            posts_per_user: 20,
            replies_percent: 0,
            likes_per_post: 0,
            reposts_per_100_posts: 0,
            protected_percent: 0,
            blocks_per_100_users: 0,
            requests_per_100_users: 0,
            mutes_per_100_users: 0,
            rng_seed: 1,
        };
        let seeded = seed::run(&database, &options, &ProgressBar::hidden()).await;
        seeded.expect("seed the graph");
    }
    database
}

/// The eight users whose number of followed users is nearest to `followed`.
///
/// # Panics
/// When the database cannot be read.
pub async fn users_following(database: &Database, followed: u32) -> Vec<entity::user::Model> {
    let sql = "SELECT * FROM \"user\" ORDER BY abs(following_count - $1), id LIMIT 8";
    let statement = database.statement(sql, [i64::from(followed).into()]);
    let users = entity::user::Model::find_by_statement(statement).all(database.reader()).await;
    users.expect("read users")
}
