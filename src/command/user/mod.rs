//! `rookery user`: the accounts, for operators.
//!
//! Every command works beside a running service. Each change is recorded in the moderation log, in
//! its transaction, without a moderator. `actions` has the changes, `view` what is printed.

mod actions;
#[cfg(test)]
mod tests;
mod view;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use entity::user::{self, Role, UserRef};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use crate::database::Database;
use actions::{NewAccount, OperatorPassword};
use view::{Output, UserView};

/// A subcommand of `user`, and the form of its output.
#[derive(Args, Clone, Debug)]
pub struct UserArgs {
    /// Print JSON: an object, or an array of objects
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: UserCommand,
}

/// The subcommands of `user`.
#[derive(Clone, Debug, Subcommand)]
pub enum UserCommand {
    /// List accounts by username
    List {
        /// Only accounts whose username starts with this text, in any case
        #[arg(long, default_value = "")]
        prefix: String,
        /// Only accounts with this role
        #[arg(long, value_enum)]
        role: Option<RoleName>,
        /// Only suspended accounts
        #[arg(long)]
        suspended: bool,
        /// Maximum number of accounts
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: u64,
    },
    /// Show an account
    Show(Username),
    /// Create an account
    ///
    /// With --password, its password is the first line of standard input. Without it, the account
    /// has none, and `rookery token create` makes a token for it.
    Create {
        #[command(flatten)]
        user: Username,
        /// E-mail address
        #[arg(long)]
        email: String,
        /// Name to display
        #[arg(long)]
        display_name: Option<String>,
        /// The user receives mails at the address: mark it as verified
        #[arg(long)]
        email_verified: bool,
        /// Read the password from standard input
        #[arg(long)]
        password: bool,
        #[command(flatten)]
        rule: PasswordRule,
    },
    /// Set the password to the first line of standard input, and end all sessions
    SetPassword {
        #[command(flatten)]
        user: Username,
        #[command(flatten)]
        rule: PasswordRule,
    },
    /// Change the username
    Rename {
        #[command(flatten)]
        user: Username,
        /// New username
        new_username: String,
    },
    /// Change the role
    Role {
        #[command(flatten)]
        user: Username,
        /// New role
        #[arg(value_enum)]
        role: RoleName,
    },
    /// Suspend an account, or change the settings of the suspension
    Suspend {
        #[command(flatten)]
        user: Username,
        /// Why; the user reads it at the next attempt to sign in
        #[arg(long)]
        reason: String,
        /// End of the suspension in RFC 3339, such as 2026-12-31T00:00:00Z
        #[arg(long)]
        until: Option<DateTime<Utc>>,
    },
    /// End the suspension of an account
    Unsuspend(Username),
    /// List the open sessions of an account
    Sessions {
        #[command(flatten)]
        user: Username,
        /// End all of them
        #[arg(long)]
        end: bool,
    },
    /// Delete an account with everything that it has
    Delete {
        #[command(flatten)]
        user: Username,
        /// Confirm the deletion, which cannot be undone
        #[arg(long, required = true)]
        yes: bool,
    },
}

/// The account of a subcommand.
#[derive(Args, Clone, Debug)]
pub struct Username {
    /// Username, in any case
    username: String,
}

/// The rule for a new password: that of `serve` for the passwords of users.
#[derive(Args, Clone, Copy, Debug)]
pub struct PasswordRule {
    /// Lowest score of the password, 0 to 4; 0 accepts all
    #[arg(long, env = "ROOKERY_MIN_PASSWORD_SCORE", default_value_t = 2, value_name = "SCORE",
          value_parser = clap::value_parser!(u8).range(0..=4))]
    min_password_score: u8,
}

impl PasswordRule {
    /// The first line of standard input, as a password with this rule.
    fn read_password(self) -> Result<OperatorPassword> {
        let text = actions::read_password()?;
        Ok(OperatorPassword { text, min_score: self.min_password_score })
    }
}

/// A role on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    User,
    Moderator,
    Admin,
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::User => Self::User,
            RoleName::Moderator => Self::Moderator,
            RoleName::Admin => Self::Admin,
        }
    }
}

/// Executes a subcommand, and returns its output.
///
/// # Errors
/// When there is no such user, a value is not valid, or another command writes for too long; any
/// error of the database.
pub async fn run(db: &Database, UserArgs { json, command }: UserArgs) -> Result<String> {
    let output = match command {
        UserCommand::List { prefix, role, suspended, limit } => {
            Output::Users(list(db, &prefix, (role, suspended), limit).await?)
        }
        UserCommand::Show(user) => Output::user(show(db, &user.username).await?),
        UserCommand::Create { user, email, display_name, email_verified, password, rule } => {
            let username = user.username;
            let new = NewAccount { username, email, email_verified, display_name };
            let password = password.then(|| rule.read_password()).transpose()?;
            let username = actions::create(db, new, password).await?;
            Output::user(show(db, &username).await?)
        }
        UserCommand::SetPassword { user, rule } => {
            let password = rule.read_password()?;
            actions::set_password(db, &user.username, password).await?;
            Output::user(show(db, &user.username).await?)
        }
        UserCommand::Rename { user, new_username } => {
            actions::rename(db, &user.username, &new_username).await?;
            Output::user(show(db, &new_username).await?)
        }
        UserCommand::Role { user, role } => {
            actions::set_role(db, &user.username, role.into()).await?;
            Output::user(show(db, &user.username).await?)
        }
        UserCommand::Suspend { user, reason, until } => {
            actions::suspend(db, &user.username, (until, reason)).await?;
            Output::user(show(db, &user.username).await?)
        }
        UserCommand::Unsuspend(user) => {
            actions::unsuspend(db, &user.username).await?;
            Output::user(show(db, &user.username).await?)
        }
        UserCommand::Sessions { user, end } => {
            if end {
                actions::end_sessions(db, &user.username).await?;
            }
            let user = find(db, &user.username).await?;
            Output::Sessions(view::sessions(db, user.id).await?)
        }
        UserCommand::Delete { user, .. } => {
            let user = show(db, &user.username).await?;
            actions::delete(db, &user).await?;
            Output::user(user)
        }
    };
    output.print(json)
}

/// The row of a user.
async fn find(db: &Database, username: &str) -> Result<user::Model> {
    let found = user::Entity::find_by(&UserRef::Username(username.to_owned()));
    let found = found.one(db.reader()).await?;
    found.with_context(|| format!("there is no user '{username}'"))
}

async fn show(db: &Database, username: &str) -> Result<UserView> {
    let user = find(db, username).await?;
    let sessions = view::sessions(db, user.id).await?.len();
    Ok(UserView { user, sessions: Some(sessions) })
}

/// The accounts whose usernames start with `prefix`, in order.
async fn list(
    db: &Database,
    prefix: &str,
    (role, is_suspended): (Option<RoleName>, bool),
    limit: u64,
) -> Result<Vec<UserView>> {
    use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
    let name = || Expr::from(Func::lower(Expr::col(user::Column::Username)));
    let prefix = user::normalize_identifier(prefix);
    let end = format!("{prefix}~");
    let mut found =
        user::Entity::find().filter(name().gte(prefix)).filter(name().lt(end)).limit(limit);
    if let Some(role) = role {
        found = found.filter(user::Column::Role.eq(Role::from(role)));
    }
    if is_suspended {
        found = found.filter(user::Column::IsSuspended.eq(true));
    }
    let found = found.order_by_asc(name()).all(db.reader()).await?;
    Ok(found.into_iter().map(|user| UserView { user, sessions: None }).collect())
}
