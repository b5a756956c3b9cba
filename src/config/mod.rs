//! The configuration of the server, with each option defined in one place.
//!
//! The definition of an option has its environment variable, its default and its limits. There is
//! one clap struct for each group of options; `rookery serve --help` shows a heading for each
//! group. The first paragraph of an option's comment is what `-h` shows, the whole comment what
//! `--help` shows. `.env.example` lists all variables; a test keeps it complete.

mod accounts;
mod database;
mod events;
mod graphql;
mod http;
mod identity;
mod limits;
mod mail;
mod observability;

use clap::Args;
use clap::builder::FalseyValueParser;

pub use accounts::{AccountsConfig, Registration};
pub use database::{DatabaseConfig, PoolOptions};
pub use events::EventsConfig;
pub use graphql::GraphqlConfig;
pub use http::{HttpConfig, Origins, Proxies};
pub use identity::{IdentityConfig, PasswordLogin, is_authentic};
pub use limits::Limits;
pub use mail::{MailConfig, Sender};
pub use observability::{
    AccessLogFormat, AccessLogOption, AccessLogOutput, LogFormat, ObservabilityConfig,
};

/// The configuration of `rookery serve`.
#[derive(Args, Clone, Debug)]
pub struct Config {
    #[command(flatten)]
    pub database: DatabaseConfig,

    /// Id of this instance, 0 to 254, or 'auto'
    ///
    /// It is part of every id that the instance generates, so each instance on a database needs its
    /// own. 'auto' claims the first free id. Behind pgbouncer, set it for each instance.
    #[arg(long, env = "ROOKERY_INSTANCE_ID", default_value = "auto", value_name = "N",
          value_parser = parse_instance_id, help_heading = "Database")]
    pub instance_id: InstanceIdOption,

    /// Fill an empty database with demo data
    ///
    /// The demo data are john, susan, mary and david (password: "correct horse battery") and 300
    /// generated users with posts.
    #[arg(long, env = "ROOKERY_DEMO", value_parser = FalseyValueParser::new(),
          help_heading = "Database")]
    pub demo: bool,

    /// Days that notifications are kept; 0 keeps all
    ///
    /// Older ones are deleted once an hour.
    #[arg(long, env = "ROOKERY_NOTIFICATION_RETENTION_DAYS", default_value_t = 90,
          value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=36_500),
          help_heading = "Database")]
    pub notification_retention_days: u32,

    #[command(flatten)]
    pub http: HttpConfig,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub accounts: AccountsConfig,
    #[command(flatten)]
    pub mail: MailConfig,
    #[command(flatten)]
    pub identity: IdentityConfig,
    #[command(flatten)]
    pub events: EventsConfig,
    #[command(flatten)]
    pub graphql: GraphqlConfig,
    #[command(flatten)]
    pub observability: ObservabilityConfig,
}

/// The id of an instance; `None` selects a free one.
pub type InstanceIdOption = Option<u8>;

fn parse_instance_id(text: &str) -> Result<InstanceIdOption, String> {
    match text {
        "auto" => Ok(None),
        text => match text.parse() {
            Ok(number @ 0..=254) => Ok(Some(number)),
            _ => Err("expected a number from 0 to 254, or 'auto'".to_owned()),
        },
    }
}

/// Parses a comma-separated list.
fn parse_list<T>(
    text: &str,
    item: impl FnMut(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(item).collect()
}
