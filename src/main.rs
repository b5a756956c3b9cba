//! The command line of Rookery. What each command does is in `command`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use rookery::command::migrate::{Migrate, migrate};
use rookery::command::{serve, token};
use rookery::config::{Config, DatabaseConfig};
use rookery::database::Database;
use rookery::schema;
use tracing_subscriber::EnvFilter;

/// A social graph over GraphQL: users, follows, posts and a home timeline.
///
/// Without a command, `rookery` serves: it opens an SQLite file in the working directory, brings its
/// tables up to date, and prints the address of the playground.
#[derive(Parser)]
#[command(name = "rookery", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Config,
}

#[derive(Subcommand)]
enum Command {
    /// Serve GraphQL and the playground (this is what `rookery` alone does)
    Serve {
        #[command(flatten)]
        config: Config,
    },
    /// Change or list the steps that the tables have gone through
    Migrate {
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(subcommand)]
        command: Migrate,
    },
    /// Print the GraphQL schema in the Schema Definition Language
    Schema,
    /// Bearer tokens without a password: for operators, load tests and imported users
    Token {
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(subcommand)]
        command: Token,
    },
}

#[derive(Subcommand)]
enum Token {
    /// Open a session for a user and print its bearer token
    Create {
        /// The username; case makes no difference
        username: String,
        /// Days until the token stops working
        #[arg(long, default_value_t = 30, value_name = "DAYS")]
        days: u16,
    },
}

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let command = cli.command.unwrap_or(Command::Serve { config: cli.serve });
    let filter = match &command {
        Command::Serve { config } => config.log.as_str(),
        _ => "warn",
    };
    let filter = EnvFilter::builder().parse_lossy(filter);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(command)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Serve { config } => serve::serve(config).await,
        Command::Migrate { database, command } => {
            let database = Database::open(&database.database_url, 1).await?;
            migrate(&database, &command).await?;
            database.close().await;
            Ok(())
        }
        Command::Schema => {
            print!("{}", schema::sdl());
            Ok(())
        }
        Command::Token { database, command: Token::Create { username, days } } => {
            let database = open(&database).await?;
            println!("{}", token::create(&database, &username, days).await?);
            database.close().await;
            Ok(())
        }
    }
}

/// Opens a database and brings its tables up to date, as `serve` does.
async fn open(config: &DatabaseConfig) -> Result<Database> {
    let database = Database::open(&config.database_url, config.database_readers).await?;
    database.migrate().await?;
    Ok(database)
}
