//! What `rookery user` prints: texts, or JSON for programs.

use std::fmt::Write as _;

use anyhow::Result;
use chrono::{DateTime, SecondsFormat, Utc};
use entity::user::Role;
use entity::{session, user};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};
use serde_json::{Value, json};

use crate::clock;
use crate::database::Database;
use crate::ids::GlobalId;

/// An account, without its password hash.
pub struct UserView {
    pub user: user::Model,
    /// Number of open sessions, if it was read.
    pub sessions: Option<usize>,
}

/// The output of a subcommand.
pub enum Output {
    Users(Vec<UserView>),
    User(Box<UserView>),
    Sessions(Vec<session::Model>),
}

/// The open sessions of a user, newest first.
///
/// # Errors
/// Any error of the database.
pub async fn sessions(db: &Database, user: i64) -> Result<Vec<session::Model>> {
    let open = session::Entity::find()
        .filter(session::Column::UserId.eq(user))
        .filter(session::Column::ExpiresAt.gt(clock::now()))
        .order_by_desc(session::Column::Id);
    Ok(open.all(db.reader()).await?)
}

/// The name of a role, as on the command line.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Moderator => "moderator",
        Role::Admin => "admin",
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl UserView {
    fn json(&self) -> Value {
        let user = &self.user;
        json!({
            "id": GlobalId::User(user.id).encode(),
            "username": user.username,
            "email": user.email,
            "emailVerified": user.email_verified,
            "displayName": user.display_name,
            "role": role_name(user.role),
            "createdAt": time(user.created_at),
            "lastSeenAt": user.last_seen_at.map(time),
            "followersCount": user.followers_count,
            "followingCount": user.following_count,
            "postsCount": user.posts_count,
            "hasPassword": user.password_hash.is_some(),
            "isProtected": user.is_protected,
            "isSuspended": user.is_suspended,
            "suspendedUntil": user.suspended_until.map(time),
            "suspensionReason": user.suspension_reason,
            "sessions": self.sessions,
        })
    }

    fn state(&self) -> String {
        let user = &self.user;
        match (user.is_suspended, user.suspended_until) {
            (false, _) => "active".to_owned(),
            (true, None) => "suspended".to_owned(),
            (true, Some(until)) => format!("suspended until {}", time(until)),
        }
    }
}

fn session_json(session: &session::Model) -> Value {
    json!({
        "id": GlobalId::Session(session.id).encode(),
        "createdAt": time(session.created_at),
        "lastUsedAt": time(session.last_used_at),
        "expiresAt": time(session.expires_at),
        "userAgent": session.user_agent,
    })
}

impl Output {
    /// The output of one account.
    pub fn user(user: UserView) -> Self {
        Self::User(Box::new(user))
    }

    /// The text to print.
    ///
    /// # Errors
    /// None in practice: writing to a text cannot fail.
    pub fn print(&self, is_json: bool) -> Result<String> {
        if is_json {
            let value = match self {
                Self::Users(users) => users.iter().map(UserView::json).collect(),
                Self::User(user) => user.json(),
                Self::Sessions(sessions) => sessions.iter().map(session_json).collect(),
            };
            return Ok(format!("{value}\n"));
        }
        let mut text = String::new();
        match self {
            Self::Users(users) => {
                for view in users {
                    let user = &view.user;
                    let (role, state) = (role_name(user.role), view.state());
                    writeln!(text, "{:<30}  {role:<9}  {state}", user.username)?;
                }
            }
            Self::User(view) => {
                let Value::Object(fields) = view.json() else { return Ok(text) };
                for (name, value) in fields {
                    match value {
                        Value::String(value) => writeln!(text, "{name}: {value}")?,
                        Value::Null => writeln!(text, "{name}: -")?,
                        value => writeln!(text, "{name}: {value}")?,
                    }
                }
            }
            Self::Sessions(sessions) => {
                for session in sessions {
                    let agent = session.user_agent.as_deref().unwrap_or("-");
                    let (from, used) = (time(session.created_at), time(session.last_used_at));
                    writeln!(text, "{from}  last used {used}  {agent}")?;
                }
            }
        }
        Ok(text)
    }
}
