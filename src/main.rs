//! The command line of Rookery. What each command does is in `command`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::builder::FalseyValueParser;
use clap::{Parser, Subcommand};
use indicatif::ProgressBar;
use rookery::command::copy::{self, Route};
use rookery::command::import::{edges, posts};
use rookery::command::migrate::{Migrate, migrate};
use rookery::command::seed::{self, Plan};
use rookery::command::{doctor, lock, serve, token};
use rookery::config::{Config, DatabaseConfig, LogFormat};
use rookery::database::{self, Database, Engine};
use rookery::{schema, telemetry};

/// Answers are made of many small pieces, some of them by SQLite on a thread of its own and dropped on another: the
/// system's allocator spends more time on that than SQLite on reading.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A social graph over GraphQL: users, follows, posts and a home timeline.
///
/// Without a command, `rookery` serves: it opens an SQLite file in the working directory, brings its
/// tables up to date, and prints the address of the playground. `rookery serve --help` lists the options. Options come
/// after the command that they are for.
#[derive(Parser)]
#[command(name = "rookery", version, override_usage = "rookery [OPTIONS] [COMMAND]")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve GraphQL and the playground (this is what `rookery` alone does)
    Serve {
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Change or list the steps that the tables have gone through
    Migrate {
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(subcommand)]
        command: Migrate,
    },
    /// Print the GraphQL schema in the Schema Definition Language
    Schema {
        /// As a subgraph of Apollo Federation 2, for composition
        #[arg(long, env = "ROOKERY_FEDERATION", value_parser = FalseyValueParser::new())]
        federation: bool,
    },
    /// Add generated users, follows and posts, skewed as real ones are; all of them or nothing
    Seed {
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        plan: Plan,
    },
    /// Bring in follows or posts from a file, all of it or nothing; the same file again adds nothing
    Import {
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(subcommand)]
        what: Import,
    },
    /// Copy a whole database into an empty one, all of it or nothing; exit code 1 if the copy is not well
    Copy {
        #[command(flatten)]
        route: Route,
    },
    /// Check that counts are exact and that no row refers to a missing one; exit code 1 if not
    Doctor {
        #[command(flatten)]
        database: DatabaseConfig,
        /// Set the counts right and delete rows that refer to missing ones
        #[arg(long, env = "ROOKERY_DOCTOR_REPAIR", value_parser = FalseyValueParser::new())]
        repair: bool,
    },
    /// Bearer tokens without a password: for operators, load tests and imported users
    Token {
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(subcommand)]
        command: Token,
    },
}

#[derive(Subcommand)]
enum Import {
    /// Who follows whom: two numbers `a b` a line for "user ua follows user ub", `#` for comments;
    /// plain or gzip
    Edges {
        /// The edge list
        file: PathBuf,
    },
    /// Posts of users who are there: a JSON object a line,
    /// {"author": "susan", "body": "...", "createdAt": "2026-11-23T18:30:00Z"}; plain or gzip
    Posts {
        /// The posts
        file: PathBuf,
    },
}

#[derive(Subcommand)]
enum Token {
    /// Open a session for a user and print its bearer token
    Create {
        /// The username; case makes no difference
        username: String,
        /// Days until the token stops working, 1 to 3650
        #[arg(long, env = "ROOKERY_TOKEN_DAYS", default_value_t = 30, value_name = "DAYS",
              value_parser = clap::value_parser!(u16).range(1..=3650))]
        days: u16,
    },
}

fn main() -> ExitCode {
    let Cli { command } = Cli::parse_from(arguments());
    let telemetry = match &command {
        Command::Serve { config } => {
            telemetry::begin(&config.log, config.log_format, config.collector())
        }
        _ => telemetry::begin("warn", LogFormat::Pretty, None),
    };
    let result = telemetry.and_then(|spans| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = runtime.block_on(run(command));
        drop(spans);
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The command line; without a command, it is `serve`'s.
fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let first = arguments.get(1).and_then(|argument| argument.to_str());
    let about_all = matches!(first, Some("-h" | "--help" | "-V" | "--version"));
    if first.is_none_or(|first| first.starts_with('-')) && !about_all {
        arguments.insert(1, "serve".into());
    }
    arguments
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Serve { config } => serve::serve(*config).await,
        Command::Schema { federation } => {
            print!("{}", if federation { schema::subgraph().to_owned() } else { schema::sdl() });
            Ok(())
        }
        Command::Migrate { database, command } => {
            let _lock = match command {
                Migrate::Status => existing(&database).map(|()| None)?,
                Migrate::Down { .. } => existing(&database).map(|()| Some(&database))?,
                Migrate::Up => Some(&database),
            }
            .map(|database| lock::take(database.url()))
            .transpose()?
            .flatten();
            let database = Database::open(&database).await?;
            let result = migrate(&database, &command).await;
            database.close().await;
            result
        }
        Command::Seed { database, plan } => {
            with(&database, Tables::Make, async |db| {
                let progress = ProgressBar::no_length();
                let added = seed::run(db, &plan, &progress).await?;
                progress.finish_and_clear();
                println!("{} users, {} follows, {} posts", added.users, added.follows, added.posts);
                Ok(())
            })
            .await
        }
        Command::Import { database, what } => {
            let tables = match what {
                Import::Edges { .. } => Tables::Make,
                Import::Posts { .. } => Tables::Expect,
            };
            with(&database, tables, async |db| import(db, &what).await).await
        }
        Command::Copy { route } => copy_all(&route).await,
        Command::Doctor { database, repair } => {
            with(&database, Tables::Expect, async |db| {
                let progress = ProgressBar::no_length();
                let report = doctor::run(db, repair, &progress).await?;
                progress.finish_and_clear();
                print!("{report}");
                ensure!(report.is_clean(), "the database needs care");
                Ok(())
            })
            .await
        }
        Command::Token { database, command: Token::Create { username, days } } => {
            with(&database, Tables::Expect, async |db| {
                println!("{}", token::create(db, &username, days).await?);
                Ok(())
            })
            .await
        }
    }
}

async fn import(db: &Database, what: &Import) -> Result<()> {
    let progress = ProgressBar::no_length();
    match what {
        Import::Edges { file } => {
            let done = edges::run(db, file, &progress).await?;
            progress.finish_and_clear();
            println!(
                "{} edges: {} users and {} follows added, {} duplicates, {} follows there before",
                done.edges,
                done.users_added,
                done.follows_added,
                done.duplicates,
                done.already_there
            );
        }
        Import::Posts { file } => {
            let done = posts::run(db, file, &progress).await?;
            progress.finish_and_clear();
            let (posts, added, before) = (done.posts, done.posts_added, done.already_there);
            println!("{posts} posts: {added} added, {before} there before");
        }
    }
    Ok(())
}

async fn copy_all(route: &Route) -> Result<()> {
    let (from, to) = (route.connections.to(&route.from), route.connections.to(&route.to));
    with(&from, Tables::Expect, async |from| {
        let _lock = lock::take(to.url())?;
        with(&to, Tables::Make, async |to| {
            let progress = ProgressBar::no_length();
            let (copied, report) = copy::run(from, to, &progress).await?;
            progress.finish_and_clear();
            println!(
                "{} users, {} follows, {} posts, {} bookmarks and {} sessions copied",
                copied.users, copied.follows, copied.posts, copied.bookmarks, copied.sessions
            );
            print!("{report}");
            ensure!(report.is_clean(), "the copy needs care, and so does its source");
            Ok(())
        })
        .await
    })
    .await
}

/// What a command takes for granted.
enum Tables {
    /// That there is a database, in this version's form.
    Expect,
    /// Nothing: it makes what is missing, as `serve` does.
    Make,
}

/// Opens a database, works on it and closes it.
async fn with(
    config: &DatabaseConfig,
    tables: Tables,
    work: impl AsyncFnOnce(&Database) -> Result<()>,
) -> Result<()> {
    if matches!(tables, Tables::Expect) {
        existing(config)?;
    }
    let database = Database::open(config).await?;
    let ready = match tables {
        Tables::Expect => database.require_current().await,
        Tables::Make => database.migrate().await,
    };
    let result = match ready {
        Ok(()) => work(&database).await,
        Err(error) => Err(error),
    };
    database.close().await;
    result
}

fn existing(config: &DatabaseConfig) -> Result<()> {
    if Engine::of(config.url()) == Some(Engine::Sqlite) {
        let file = database::file(config.url())?;
        ensure!(file.exists(), "there is no database at {}", file.display());
    }
    Ok(())
}
