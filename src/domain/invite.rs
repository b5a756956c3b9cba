//! Invites: a code with which a number of users may register until it expires.
//!
//! A code has 128 random bits and is returned once, when its invite is created. The database has
//! only its SHA-256. A registration counts a use in its own transaction and in one statement, so
//! that concurrent registrations never use an invite more often than it allows, and a registration
//! that fails uses nothing.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use entity::invite;
use entity::secret::TokenHash;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, DatabaseTransaction, DbErr,
    EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Set,
};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::clock;
use crate::database::Snapshot;
use crate::error::{Error, UserError, UserErrorKind};

/// Number of users who may register with an invite.
pub const MAX_USES: RangeInclusive<i64> = 1..=100_000;
/// Length of a note, in characters.
pub const NOTE: RangeInclusive<usize> = 1..=100;

/// Prefix of every code, by which people and secret scanners recognise it.
const CODE_PREFIX: &str = "invite_";
/// Number of random bytes of a code.
const CODE_BYTES: usize = 16;
/// Longest text that is looked up as a code, in bytes.
const MAX_CODE_BYTES: usize = 100;

/// The path of the code in the arguments of `register`.
const PATH: &[&str] = &["input", "inviteCode"];

/// An invite to create.
#[derive(Clone, Debug)]
pub struct NewInvite {
    pub id: i64,
    /// The user who creates it; `None` for the operator.
    pub creator: Option<i64>,
    pub max_uses: i32,
    pub expires_at: DateTime<Utc>,
    pub note: Option<String>,
}

/// Creates an invite, and returns its code. Deletes the invites that have expired.
///
/// # Errors
/// Any error of the database.
pub async fn create(
    transaction: &DatabaseTransaction,
    new: NewInvite,
) -> Result<SecretString, DbErr> {
    let has_expired = invite::Column::ExpiresAt.lte(clock::now());
    invite::Entity::delete_many().filter(has_expired).exec(transaction).await?;
    let random = URL_SAFE_NO_PAD.encode(rand::random::<[u8; CODE_BYTES]>());
    let code = format!("{CODE_PREFIX}{random}");
    let invite = invite::ActiveModel {
        id: Set(new.id),
        creator_id: Set(new.creator),
        code_hash: Set(hash(&code)),
        note: Set(new.note),
        max_uses: Set(new.max_uses),
        uses: Set(0),
        expires_at: Set(new.expires_at),
    };
    invite.insert(transaction).await?;
    Ok(code.into())
}

/// All invites, oldest first, up to `max`.
///
/// # Errors
/// Any error of the database.
pub async fn list(snapshot: &Snapshot, max: usize) -> Result<Vec<invite::Model>, Error> {
    let invites = invite::Entity::find().order_by_asc(invite::Column::Id).limit(max as u64);
    Ok(invites.all(&**snapshot.read(max).await?).await?)
}

/// Deletes an invite. Returns whether it existed.
///
/// # Errors
/// Any error of the database.
pub async fn revoke(transaction: &DatabaseTransaction, id: i64) -> Result<bool, DbErr> {
    Ok(invite::Entity::delete_by_id(id).exec(transaction).await?.rows_affected > 0)
}

/// The code of a client that registers.
pub struct InviteCode(TokenHash);

impl InviteCode {
    /// The code of an input field. Spaces around it are ignored.
    ///
    /// # Errors
    /// `InvalidInput` when there is none, or when it is too long for a code.
    pub fn new(code: Option<&str>) -> Result<Self, UserError> {
        let Some(code) = code.map(str::trim).filter(|code| !code.is_empty()) else {
            let message = "Registration on this server needs the code of an invite.";
            return Err(UserErrorKind::InvalidInput.at(PATH, message));
        };
        if code.len() > MAX_CODE_BYTES { Err(unusable()) } else { Ok(Self(hash(code))) }
    }

    /// Checks that the code can be used, before the work of a registration.
    ///
    /// # Errors
    /// [`Error::Expected`] with `InvalidInput` when it cannot; any error of the database.
    pub async fn check(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let usable = invite::Entity::find().filter(self.is_usable());
        let found = usable.one(&**snapshot.read(1).await?).await?;
        found.map(drop).ok_or_else(|| unusable().into())
    }

    /// Counts a use.
    ///
    /// On PostgreSQL another registration with the code waits until this transaction ends, and then
    /// sees its use.
    ///
    /// # Errors
    /// [`Error::Expected`] with `InvalidInput` when the code cannot be used any more; any error of
    /// the database.
    pub async fn count_use(&self, transaction: &DatabaseTransaction) -> Result<(), Error> {
        let one_more = Expr::col(invite::Column::Uses).add(1);
        let counted = invite::Entity::update_many()
            .col_expr(invite::Column::Uses, one_more)
            .filter(self.is_usable())
            .exec(transaction)
            .await?;
        if counted.rows_affected == 1 { Ok(()) } else { Err(unusable().into()) }
    }

    fn is_usable(&self) -> Condition {
        let uses = Expr::col((invite::Entity, invite::Column::Uses));
        Condition::all()
            .add(invite::Column::CodeHash.eq(self.0.clone()))
            .add(invite::Column::ExpiresAt.gt(clock::now()))
            .add(uses.lt(Expr::col((invite::Entity, invite::Column::MaxUses))))
    }
}

fn unusable() -> UserError {
    let message = "This invite is not valid: it does not exist, has expired or has been used up.";
    UserErrorKind::InvalidInput.at(PATH, message)
}

fn hash(code: &str) -> TokenHash {
    TokenHash(Sha256::digest(code.as_bytes()).to_vec())
}
