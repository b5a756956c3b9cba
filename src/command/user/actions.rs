//! The changes of `rookery user`, each with its entry in the moderation log.

use std::io::{BufRead as _, stdin};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, ensure};
use argon2::Params;
use chrono::{DateTime, TimeDelta, Utc};
use entity::moderation_log::Action;
use entity::secret::PasswordHash;
use entity::session;
use entity::user::{self, Role, UserRef};
use sea_orm::{ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, Set};
use secrecy::SecretString;

use super::find;
use super::view::{UserView, role_name};
use crate::auth::{NewPassword, Passwords};
use crate::clock;
use crate::database::{Database, SearchIndex, WriteTransaction};
use crate::domain::moderation::MAX_SUSPENSION_DAYS;
use crate::domain::moderation_log::{self, Entry};
use crate::domain::new_user::NewUser;
use crate::domain::suspension::{self, Suspension};
use crate::domain::{
    FollowLimits, PostLimits, RegistrationMode, ReservedNames, Services, deletion, mail,
    personal_words, validation,
};
use crate::error::{self, Error, UserError};
use crate::ids::{COMMAND_INSTANCE, IdGenerator, InstanceId};
use crate::limits::{AttemptPermit, CredentialThrottle};

/// The data of a new account.
pub struct NewAccount {
    pub username: String,
    pub email: String,
    /// Whether the operator knows that the user receives mails there.
    pub email_verified: bool,
    pub display_name: Option<String>,
}

/// A password that the operator sets.
pub struct OperatorPassword {
    pub text: SecretString,
    /// Lowest score, 0 to 4, as for the passwords that users choose.
    pub min_score: u8,
}

/// A change of one account: its transaction, which excludes other commands.
struct Change<'a> {
    db: &'a Database,
    transaction: WriteTransaction,
    /// The row before the change, locked.
    user: user::Model,
    ids: IdGenerator,
}

impl<'a> Change<'a> {
    async fn begin(db: &'a Database, username: &str) -> Result<Self> {
        let transaction = db.begin_serialized().await?;
        let missing = || format!("there is no user '{username}'");
        let found = user::Entity::find_by(&UserRef::Username(username.to_owned()));
        let found = found.one(&transaction).await?.with_context(missing)?;
        let user = user::Entity::find_for_update(user::Column::Id.eq(found.id));
        let user = user.one(&transaction).await?.with_context(missing)?;
        Ok(Self { db, transaction, user, ids: ids(db).await? })
    }

    fn entry(&self, action: Action) -> Entry {
        Entry::new(action, None, self.user.id)
    }

    /// Records the change and commits it.
    async fn commit(self, entry: Entry) -> Result<()> {
        moderation_log::record(&self.transaction, self.ids.next(), entry).await?;
        self.transaction.commit().await?;
        self.db.notifier().notify();
        Ok(())
    }

    async fn end_sessions(&self) -> Result<u64> {
        let of_user = session::Column::UserId.eq(self.user.id);
        let ended = session::Entity::delete_many().filter(of_user).exec(&self.transaction).await?;
        Ok(ended.rows_affected)
    }
}

/// A generator of ids above all ids, also those of other commands.
async fn ids(db: &Database) -> Result<IdGenerator> {
    Ok(IdGenerator::new(InstanceId::fixed(COMMAND_INSTANCE), db.max_id().await?))
}

/// The first line of standard input.
pub fn read_password() -> Result<SecretString> {
    let mut line = String::new();
    stdin().lock().read_line(&mut line).context("cannot read the password")?;
    let password = line.trim_end_matches(['\n', '\r']).to_owned();
    ensure!(!password.is_empty(), "the first line of standard input must be the password");
    Ok(password.into())
}

fn invalid(error: UserError) -> anyhow::Error {
    anyhow!(error.message)
}

/// The message of an error that has one for users.
fn failed(error: Error) -> anyhow::Error {
    match error {
        Error::Expected(errors) => {
            anyhow!("{}", errors.iter().map(|e| &*e.message).collect::<Vec<_>>().join(" "))
        }
        other => anyhow!("the database failed: {other:?}"),
    }
}

/// Hashes with the parameters of the OWASP Password Storage Cheat Sheet.
fn passwords(min_score: u8) -> Result<Passwords> {
    let params = Params::new(19_456, 2, 1, None).map_err(|error| anyhow!("{error}"))?;
    Ok(Passwords::new(params, 1)?.with_min_score(min_score))
}

/// The hash of a password, unless it is easy to guess.
async fn hash(password: OperatorPassword, words: Vec<String>) -> Result<PasswordHash> {
    let text = validation::password(password.text, &[]).map_err(invalid)?;
    let passwords = passwords(password.min_score)?;
    let new = NewPassword { text, words, path: &[] };
    passwords.hash_new(new, &AttemptPermit::unlimited()).await.map_err(failed)
}

/// The services of a command, which has no limits and sends no mails.
async fn services(db: &Database) -> Result<Services> {
    Ok(Services {
        ids: Arc::new(ids(db).await?),
        db: db.clone(),
        passwords: passwords(0)?,
        throttle: Arc::new(CredentialThrottle::per_minute(0)),
        follow_limits: FollowLimits { total: 0, per_day: 0 },
        post_limits: PostLimits { per_day: 0, bytes_per_day: 0 },
        session_lifetime: TimeDelta::days(1),
        registration: RegistrationMode::Closed,
        reserved_names: Arc::new(ReservedNames::new("")?),
        mail: None,
        require_verified_email: false,
        has_password_login: true,
    })
}

/// Creates an account, and returns its username.
///
/// The username may be a reserved one: these are for the operator.
pub async fn create(
    db: &Database,
    new: NewAccount,
    password: Option<OperatorPassword>,
) -> Result<String> {
    let username = validation::username(&new.username, &[]).map_err(invalid)?;
    let email = validation::email(&new.email, &[]).map_err(invalid)?;
    let display_name = new.display_name.map(|name| validation::display_name(&name, &[]));
    let display_name = display_name.transpose().map_err(invalid)?;
    let words = personal_words(&username, &email, display_name.as_deref());
    let password_hash = match password {
        Some(password) => Some(hash(password, words).await?),
        None => None,
    };
    let transaction = db.begin_serialized().await?;
    let services = services(db).await?;
    let (id, email_verified) = (services.ids.next(), new.email_verified);
    let user = NewUser { id, username, email, email_verified, display_name, password_hash };
    let user = user.insert(&services, &transaction).await;
    let user = user.map_err(error::from_unique_violation).map_err(failed)?;
    let entry = Entry::new(Action::CreateUser, None, id);
    moderation_log::record(&transaction, services.ids.next(), entry).await?;
    transaction.commit().await?;
    Ok(user.username)
}

/// Sets the password of an account, and ends its sessions.
///
/// Links that set another password become invalid.
pub async fn set_password(db: &Database, username: &str, password: OperatorPassword) -> Result<()> {
    let user = find(db, username).await?;
    let words = personal_words(&user.username, &user.email, user.display_name.as_deref());
    let hash = hash(password, words).await?;
    let change = Change::begin(db, username).await?;
    let row = user::ActiveModel {
        id: Set(change.user.id),
        password_hash: Set(Some(hash)),
        ..Default::default()
    };
    row.update(&change.transaction).await?;
    mail::delete_reset_tokens(&change.transaction, change.user.id).await?;
    change.end_sessions().await?;
    let entry = change.entry(Action::SetPassword);
    change.commit(entry).await
}

/// Changes the username of an account.
pub async fn rename(db: &Database, username: &str, new: &str) -> Result<()> {
    let new = validation::username(new, &[]).map_err(invalid)?;
    let change = Change::begin(db, username).await?;
    if change.user.username == new {
        return Ok(());
    }
    let id = change.user.id;
    let row = user::ActiveModel { id: Set(id), username: Set(new), ..Default::default() };
    let row = row.update(&change.transaction).await;
    let row = row.map_err(error::from_unique_violation).map_err(failed)?;
    let names = SearchIndex::names(&row.username, row.display_name.as_deref());
    db.index_words(&*change.transaction, SearchIndex::Users, id, &names).await?;
    let entry = Entry { detail: Some(row.username), ..change.entry(Action::RenameUser) };
    change.commit(entry).await
}

/// Changes the role of an account.
///
/// The sessions of a user who gets a lower role end, with streams that were opened before.
pub async fn set_role(db: &Database, username: &str, role: Role) -> Result<()> {
    let change = Change::begin(db, username).await?;
    if change.user.role == role {
        return Ok(());
    }
    let id = change.user.id;
    let row = user::ActiveModel { id: Set(id), role: Set(role), ..Default::default() };
    row.update(&change.transaction).await?;
    if role < change.user.role {
        change.end_sessions().await?;
    }
    let detail = Some(role_name(role).to_owned());
    let entry = Entry { detail, ..change.entry(Action::ChangeRole) };
    change.commit(entry).await
}

/// Suspends an account, or changes the settings of the suspension.
pub async fn suspend(
    db: &Database,
    username: &str,
    (until, reason): (Option<DateTime<Utc>>, String),
) -> Result<()> {
    let reason = validation::reason(reason, &[]).map_err(invalid)?;
    let now = clock::now();
    let latest = now + TimeDelta::days(MAX_SUSPENSION_DAYS);
    let is_valid = until.is_none_or(|until| until > now && until <= latest);
    ensure!(is_valid, "the suspension must end in the future, and within 100 years");
    let change = Change::begin(db, username).await?;
    let suspension = Suspension { until, reason: reason.clone() };
    let done = suspension::suspend(db, &change.transaction, &change.user, &suspension).await?;
    if !done.changed {
        return Ok(());
    }
    let entry = Entry { reason: Some(reason), until, ..change.entry(Action::SuspendUser) };
    change.commit(entry).await
}

/// Ends the suspension of an account.
pub async fn unsuspend(db: &Database, username: &str) -> Result<()> {
    let change = Change::begin(db, username).await?;
    let done = suspension::unsuspend(db, &change.transaction, &change.user).await?;
    if !done.changed {
        return Ok(());
    }
    let entry = change.entry(Action::UnsuspendUser);
    change.commit(entry).await
}

/// Ends all sessions of an account.
pub async fn end_sessions(db: &Database, username: &str) -> Result<()> {
    let change = Change::begin(db, username).await?;
    if change.end_sessions().await? == 0 {
        return Ok(());
    }
    let entry = change.entry(Action::EndSessions);
    change.commit(entry).await
}

/// Deletes an account in steps, as its user would.
pub async fn delete(db: &Database, view: &UserView) -> Result<()> {
    let services = services(db).await?;
    let is_deleted = deletion::delete_user(&services, view.user.id).await.map_err(failed)?;
    ensure!(is_deleted, "there is no user '{}'", view.user.username);
    Ok(())
}
