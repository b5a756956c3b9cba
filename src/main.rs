//! The command line of Rookery. What each command does is in `command`.

#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::ffi::OsString;
use std::io::{Write as _, stderr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::builder::{FalseyValueParser, Resettable};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;
use indicatif::ProgressBar;
use rookery::command::copy::{self, CopyOptions};
use rookery::command::import::edge_list::EdgeListOptions;
use rookery::command::import::pairs::{self, PairKind};
use rookery::command::import::posts;
use rookery::command::invite::{self, Invite};
use rookery::command::migrate::{Migrate, migrate};
use rookery::command::output::print;
use rookery::command::seed::{self, SeedOptions};
use rookery::command::token::{self, Token};
use rookery::command::{doctor, lock, serve};
use rookery::config::{Config, DatabaseConfig, LogFormat};
use rookery::database::{self, Database, Engine};
use rookery::{schema, telemetry};

/// The global allocator: mimalloc, which is fast for many small allocations.
///
/// A response is built from many of these. SQLite makes some on a thread of its own, and another
/// thread frees them. The system's allocator would spend more time on these than SQLite on reading.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A social graph over GraphQL: users, follows, posts and a home timeline
///
/// Without a command, `rookery` serves: it opens an SQLite file in the working directory, applies
/// pending migrations, and prints the URL of the playground. `rookery serve --help` lists the
/// options. Put options after their command.
#[derive(Parser)]
#[command(name = "rookery", version, override_usage = "rookery [OPTIONS] [COMMAND]")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve GraphQL and the playground; the default command
    Serve {
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Apply, revert or list the migrations of the database
    Migrate {
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(subcommand)]
        command: Migrate,
    },
    /// Print the GraphQL schema in the Schema Definition Language
    Schema {
        /// Print the subgraph schema of Apollo Federation 2, for composition
        #[arg(long, env = "ROOKERY_FEDERATION", value_parser = FalseyValueParser::new())]
        federation: bool,
    },
    /// Add generated users, their posts, reactions and relationships in one transaction
    ///
    /// Follows, posts and likes are distributed as in real networks: few users have many of them.
    Seed {
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        options: SeedOptions,
    },
    /// Import follows, blocks, mutes or posts from a file in one transaction
    ///
    /// Importing the same file again adds nothing.
    Import {
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(subcommand)]
        source: Import,
    },
    /// Copy a database into an empty one, from any engine to any engine
    ///
    /// The copy is made in one transaction. Afterwards it is checked as by `doctor`. The exit code
    /// is 1 if the check finds problems.
    Copy {
        #[command(flatten)]
        options: CopyOptions,
    },
    /// Check the schema, the stored counts, the references and the values of all rows
    ///
    /// The exit code is 1 if problems are found and not repaired.
    Doctor {
        #[command(flatten)]
        database: DatabaseConfig,
        /// Correct what can be corrected, and delete rows that are not valid
        #[arg(long, env = "ROOKERY_DOCTOR_REPAIR", value_parser = FalseyValueParser::new())]
        repair: bool,
    },
    /// Create bearer tokens without a password
    ///
    /// Tokens are for operators, load tests and imported users.
    Token {
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(subcommand)]
        command: Token,
    },
    /// Create, list and revoke invites, for `serve --registration invite`
    Invite {
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(subcommand)]
        command: Invite,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Subcommand)]
enum Import {
    /// Import follows from an edge list, plain or gzip
    ///
    /// A line `1 2` means that user `u1` follows user `u2`. A line that starts with # or % is a
    /// comment.
    Follows(EdgeList),
    /// Import blocks from an edge list, plain or gzip
    ///
    /// A line `1 2` means that user `u1` blocks user `u2`. A line that starts with # or % is a
    /// comment. A block ends the follows and the requests to follow between the two users.
    Blocks(EdgeList),
    /// Import mutes from an edge list, plain or gzip
    ///
    /// A line `1 2` means that user `u1` mutes user `u2`. A line that starts with # or % is a
    /// comment. The mutes do not end by themselves, and they hide notifications.
    Mutes(EdgeList),
    /// Import posts of existing users from a JSON Lines file, plain or gzip
    ///
    /// A line is an object such as {"author": "susan", "body": "...", "createdAt":
    /// "2026-11-23T18:30:00Z"}. A line may have an "id", and a later line may refer to it with
    /// "inReplyTo", or with "repostOf" in place of a body.
    Posts {
        /// Path of the JSON Lines file
        file: PathBuf,
    },
}

/// An edge list and its format.
#[derive(Args)]
struct EdgeList {
    /// Path of the edge list
    file: PathBuf,
    #[command(flatten)]
    options: EdgeListOptions,
}

fn main() -> ExitCode {
    let Cli { command } = parse_arguments();
    let telemetry = match &command {
        Command::Serve { config } => {
            let options = &config.observability;
            telemetry::init(&options.log, options.log_format, options.otlp_collector())
        }
        _ => telemetry::init("warn", LogFormat::Pretty, None),
    };
    let result = telemetry.and_then(|guard| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = runtime.block_on(run(command));
        drop(guard);
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Parses the command line and the environment.
///
/// Prints help or an error and exits, if there is any.
///
/// An empty environment variable is like one that is not set: a compose file that passes a variable
/// on sets it to an empty text if it is not set outside.
fn parse_arguments() -> Cli {
    fn ignore_empty_variables(command: clap::Command) -> clap::Command {
        let is_empty = |arg: &clap::Arg| {
            let value = arg.get_env().and_then(std::env::var_os);
            value.is_some_and(|value| value.is_empty())
        };
        let command =
            command.mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg });
        command.mut_subcommands(ignore_empty_variables)
    }
    let command = ignore_empty_variables(Cli::command());
    let matches = command.get_matches_from(arguments());
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The arguments of the command line, with `serve` added if there is no command.
fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let first = arguments.get(1).and_then(|argument| argument.to_str());
    let is_general = matches!(first, Some("-h" | "--help" | "-V" | "--version"));
    if first.is_none_or(|first| first.starts_with('-')) && !is_general {
        arguments.insert(1, "serve".into());
    }
    arguments
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Serve { config } => serve::serve(*config).await,
        Command::Schema { federation } => {
            let sdl = if federation { schema::subgraph_sdl().to_owned() } else { schema::sdl() };
            Ok(print(sdl)?)
        }
        Command::Migrate { database, command } => migrate_database(&database, &command).await,
        Command::Seed { database, options } => {
            with_database(&database, SchemaMode::Migrate, async |db| seed_all(db, &options).await)
                .await
        }
        Command::Import { database, source } => {
            let mode = match source {
                Import::Follows(_) | Import::Blocks(_) | Import::Mutes(_) => SchemaMode::Migrate,
                Import::Posts { .. } => SchemaMode::RequireCurrent,
            };
            with_database(&database, mode, async |db| import(db, &source).await).await
        }
        Command::Copy { options } => copy_all(&options).await,
        Command::Doctor { database, repair } => {
            with_database(&database, SchemaMode::RequireCurrent, async |db| {
                let progress = ProgressBar::no_length();
                let report = doctor::run(db, repair, &progress).await?;
                progress.finish_and_clear();
                print(&report)?;
                let advice =
                    if repair { "could not be repaired" } else { "run with --repair to fix them" };
                ensure!(report.is_clean(), "problems found; {advice}");
                Ok(())
            })
            .await
        }
        Command::Token { database, command: Token::Create { username, days } } => {
            with_database(&database, SchemaMode::RequireCurrent, async |db| {
                let token = token::create(db, &username, days).await?;
                Ok(print(format_args!("{token}\n"))?)
            })
            .await
        }
        Command::Invite { database, command } => {
            with_database(&database, SchemaMode::RequireCurrent, async |db| {
                Ok(print(invite::run(db, &command).await?)?)
            })
            .await
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "rookery", &mut script);
            Ok(print(String::from_utf8_lossy(&script))?)
        }
    }
}

async fn migrate_database(config: &DatabaseConfig, command: &Migrate) -> Result<()> {
    let changes_schema = match command {
        Migrate::Status => false,
        Migrate::Down { .. } | Migrate::Up => true,
    };
    if !matches!(command, Migrate::Up) {
        ensure_exists(config)?;
    }
    let _lock = if changes_schema { lock::acquire(config.url())? } else { None };
    let database = Database::open(config).await?;
    let states = migrate(&database, command).await;
    database.close().await;
    Ok(print(states?)?)
}

async fn seed_all(db: &Database, options: &SeedOptions) -> Result<()> {
    let progress = ProgressBar::no_length();
    let added = seed::run(db, options, &progress).await?;
    progress.finish_and_clear();
    Ok(print(format_args!("{added}\n"))?)
}

async fn import(db: &Database, source: &Import) -> Result<()> {
    match source {
        Import::Follows(list) => import_pairs(db, PairKind::Follow, list).await,
        Import::Blocks(list) => import_pairs(db, PairKind::Block, list).await,
        Import::Mutes(list) => import_pairs(db, PairKind::Mute, list).await,
        Import::Posts { file } => {
            let progress = ProgressBar::no_length();
            let done = posts::run(db, file, &progress).await?;
            progress.finish_and_clear();
            let (posts, added, existing) = (done.posts_read, done.posts_added, done.existing);
            print(format_args!("{posts} posts read: {added} added, {existing} existing\n"))?;
            if done.reposts_added > 0 {
                print(format_args!("{} reposts added\n", done.reposts_added))?;
            }
            Ok(())
        }
    }
}

async fn import_pairs(db: &Database, kind: PairKind, list: &EdgeList) -> Result<()> {
    let progress = ProgressBar::no_length();
    let pairs::Outcome { summary: done, skipped } =
        pairs::run(db, kind, &list.file, &list.options, &progress).await?;
    progress.finish_and_clear();
    let pairs = kind.plural();
    print(format_args!(
        "{} {pairs} read: {} users and {} {pairs} added, {} duplicates, {} existing\n",
        done.pairs_read, done.users_added, done.pairs_added, done.duplicates, done.existing
    ))?;
    if kind == PairKind::Block {
        let (follows, requests) = (done.follows_deleted, done.requests_deleted);
        print(format_args!("{follows} follows and {requests} follow requests deleted\n"))?;
    }
    if !skipped.is_empty() {
        print(format_args!("{} invalid lines skipped:{skipped}\n", skipped.count()))?;
    }
    Ok(())
}

async fn copy_all(options: &CopyOptions) -> Result<()> {
    let from = options.pool.with_url(&options.from);
    let to = options.pool.with_url(&options.to);
    with_database(&from, SchemaMode::RequireCurrent, async |from| {
        let _lock = lock::acquire(to.url())?;
        with_database(&to, SchemaMode::Migrate, async |to| {
            let progress = ProgressBar::no_length();
            let (copied, report) = copy::run(from, to, &progress).await?;
            progress.finish_and_clear();
            print(format_args!("{copied} copied\n{report}"))?;
            ensure!(report.is_clean(), "problems found in the copy, and so in its source");
            Ok(())
        })
        .await
    })
    .await
}

/// What a command does about the schema of the database.
enum SchemaMode {
    /// Fails unless the database exists and has the schema of this version.
    RequireCurrent,
    /// Applies pending migrations, as `serve` does.
    Migrate,
}

/// Opens a database, works on it and closes it.
async fn with_database(
    config: &DatabaseConfig,
    mode: SchemaMode,
    work: impl AsyncFnOnce(&Database) -> Result<()>,
) -> Result<()> {
    if matches!(mode, SchemaMode::RequireCurrent) {
        ensure_exists(config)?;
    }
    let database = Database::open(config).await?;
    let ready = match mode {
        SchemaMode::RequireCurrent => database.require_current().await,
        SchemaMode::Migrate => database.migrate().await,
    };
    let result = match ready {
        Ok(()) => work(&database).await,
        Err(error) => Err(error),
    };
    database.close().await;
    result
}

fn ensure_exists(config: &DatabaseConfig) -> Result<()> {
    if Engine::from_url(config.url()) == Some(Engine::Sqlite) {
        let file = database::database_path(config.url())?;
        ensure!(file.exists(), "there is no database at {}", file.display());
    }
    Ok(())
}
