//! Mails that an application writes to a folder, and tokens as in its mails.

use std::fs;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use entity::mail::Kind;
use entity::{mail_token, user};
use rookery::auth::{hash_token, new_token};
use rookery::ids::snowflake;
use sea_orm::{ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, Set};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::app::TestApp;

/// Longest wait for a mail that must be written.
const MAIL_TIMEOUT: Duration = Duration::from_mins(1);

/// The next sequence number of an id.
static SEQUENCE: AtomicU16 = AtomicU16::new(0);

/// A mail in the folder.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    /// The whole file.
    pub source: String,
}

impl Mail {
    fn parse(source: String) -> Self {
        let header = |name: &str| {
            let line = source.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no header {name} in {source}")).trim().to_owned()
        };
        let (to, subject) = (header("To:"), header("Subject:"));
        Self { to, subject, source }
    }

    /// The token of the link in the text.
    pub fn token(&self) -> String {
        let (_, rest) = self.source.split_once("#token=").expect("a link with a token");
        rest.split_whitespace().next().unwrap().to_owned()
    }
}

/// The folder of an application's mails.
pub struct MailFolder(TempDir);

impl MailFolder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Options that write mails to the folder.
    pub fn options(&self) -> Vec<&str> {
        vec!["--mail-folder", self.0.path().to_str().unwrap()]
    }

    /// All mails, the oldest cause first.
    pub fn mails(&self) -> Vec<Mail> {
        let files = fs::read_dir(self.0.path()).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> =
            files.filter(|file| file.extension().is_some_and(|ending| ending == "eml")).collect();
        files.sort_by_key(|file| {
            file.file_stem().unwrap().to_str().unwrap().parse::<i64>().unwrap()
        });
        files.into_iter().map(|file| Mail::parse(fs::read_to_string(file).unwrap())).collect()
    }

    /// Waits until there are `count` mails. Panics if there are more.
    pub async fn await_mails(&self, count: usize) -> Vec<Mail> {
        let written = async {
            loop {
                let mails = self.mails();
                if mails.len() >= count {
                    return mails;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let mails = timeout(MAIL_TIMEOUT, written).await.expect("the mails are written");
        assert_eq!(mails.len(), count, "{mails:?}");
        mails
    }

    /// Waits until there are `count` mails, and returns the newest.
    pub async fn last(&self, count: usize) -> Mail {
        self.await_mails(count).await.pop().unwrap()
    }
}

impl TestApp {
    /// An instance with the given options that writes mails to the folder.
    ///
    /// Its database is new.
    pub async fn with_mail(folder: &MailFolder, options: &[&str]) -> Self {
        Self::with(&[&folder.options(), options].concat()).await
    }

    /// Waits until the outbox has no mail.
    pub async fn await_empty_outbox(&self) {
        let empty = async {
            while !entity::mail::Entity::find()
                .all(self.database().reader())
                .await
                .unwrap()
                .is_empty()
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(MAIL_TIMEOUT, empty).await.expect("the mails are sent");
    }

    /// A valid token as in a mail to a user. No mail is sent.
    pub async fn mail_token(&self, username: &str, kind: Kind) -> String {
        let found = user::Entity::find().filter(user::Column::Username.eq(username));
        let owner = found.one(self.database().reader()).await.unwrap().unwrap();
        let token = new_token();
        let now: DateTime<Utc> = Utc::now().trunc_subsecs(3);
        let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed) % 8_192;
        let row = mail_token::ActiveModel {
            id: Set(snowflake::command_id_at(now, sequence).unwrap()),
            user_id: Set(owner.id),
            kind: Set(kind),
            email: Set(owner.email),
            token_hash: Set(hash_token(token.expose_secret())),
            expires_at: Set(now + TimeDelta::minutes(10)),
        };
        row.insert(self.database().writer()).await.unwrap();
        token.expose_secret().to_owned()
    }

    /// Makes all tokens of mails expire.
    pub async fn expire_mail_tokens(&self) {
        let past = Utc::now().trunc_subsecs(3) - TimeDelta::seconds(1);
        mail_token::Entity::update_many()
            .col_expr(mail_token::Column::ExpiresAt, sea_orm::sea_query::Expr::value(past))
            .exec(self.database().writer())
            .await
            .unwrap();
    }
}
