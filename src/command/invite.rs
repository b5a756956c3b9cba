//! `rookery invite`: creates, lists and revokes invites.
//!
//! It works beside a running service.

use std::fmt::Write as _;

use anyhow::{Result, anyhow, ensure};
use chrono::{SecondsFormat, SubsecRound as _, TimeDelta};
use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;

use crate::clock;
use crate::database::{Database, Snapshot};
use crate::domain::invite::{self, MAX_USES, NOTE, NewInvite};
use crate::ids::{COMMAND_INSTANCE, IdGenerator, InstanceId};

/// Maximum number of invites in a list.
const MAX_LISTED: usize = 10_000;

/// The subcommands of `invite`.
#[derive(Clone, Debug, Subcommand)]
pub enum Invite {
    /// Create an invite and print its code
    ///
    /// The code is shown only once. Invites that have expired are deleted.
    Create(InviteOptions),
    /// List the invites that exist: id, uses, expiry and note
    List,
    /// Delete an invite, so that its code becomes invalid
    Revoke {
        /// Id from `rookery invite list`
        id: i64,
    },
}

/// The properties of a new invite.
#[derive(Args, Clone, Debug)]
pub struct InviteOptions {
    /// Number of users who may register with the code, 1 to 100000
    #[arg(long, env = "ROOKERY_INVITE_USES", default_value_t = 1, value_name = "N",
          value_parser = clap::value_parser!(i32).range(MAX_USES))]
    pub uses: i32,

    /// Days until the code becomes invalid, 1 to 3650
    #[arg(long, env = "ROOKERY_INVITE_DAYS", default_value_t = 7, value_name = "DAYS",
          value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub days: u16,

    /// What the invite is for, at most 100 characters; shown in the list
    #[arg(long, env = "ROOKERY_INVITE_NOTE", default_value = "", value_name = "TEXT")]
    pub note: String,
}

/// Executes a subcommand, and returns what it prints.
///
/// # Errors
/// When the note is not valid; when there is no such invite; when another command writes for too
/// long; any error of the database.
pub async fn run(database: &Database, command: &Invite) -> Result<String> {
    match command {
        Invite::Create(options) => Ok(create(database, options).await? + "\n"),
        Invite::List => list(database).await,
        Invite::Revoke { id } => {
            let transaction = database.begin_serialized().await?;
            ensure!(invite::revoke(&transaction, *id).await?, "there is no invite {id}");
            transaction.commit().await?;
            Ok(String::new())
        }
    }
}

/// Creates an invite of the operator, and returns its code.
///
/// # Errors
/// When the note is not valid, or when another command writes for too long; any error of the
/// database.
pub async fn create(database: &Database, options: &InviteOptions) -> Result<String> {
    let note = options.note.trim();
    let is_valid = note.chars().count() <= *NOTE.end() && !note.contains(char::is_control);
    ensure!(is_valid, "a note is a single line of at most {} characters", NOTE.end());
    let transaction = database.begin_serialized().await?;
    // Larger than the ids of another command within the same millisecond.
    let id = IdGenerator::new(InstanceId::fixed(COMMAND_INSTANCE), database.max_id().await?).next();
    let new = NewInvite {
        id,
        creator: None,
        max_uses: options.uses,
        expires_at: (clock::now() + TimeDelta::days(options.days.into())).trunc_subsecs(3),
        note: Some(note.to_owned()).filter(|note| !note.is_empty()),
    };
    let code = invite::create(&transaction, new).await?;
    transaction.commit().await?;
    Ok(code.expose_secret().to_owned())
}

/// A line for each invite.
async fn list(database: &Database) -> Result<String> {
    let invites = invite::list(&Snapshot::new(database), MAX_LISTED).await;
    let invites = invites.map_err(|_| anyhow!("cannot read the invites in the database"))?;
    let mut lines = String::new();
    for invite in invites {
        let uses = format!("{}/{}", invite.uses, invite.max_uses);
        let expires_at = invite.expires_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let note = invite.note.unwrap_or_default();
        let line = format!("{:<19}  {uses:<13}  {expires_at}  {note}", invite.id);
        writeln!(lines, "{}", line.trim_end())?;
    }
    Ok(lines)
}
