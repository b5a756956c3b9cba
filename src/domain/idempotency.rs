//! Idempotency keys: a repeated request returns the result of the first one.
//!
//! A client chooses a key for a request that it may have to repeat. The row of the key is written
//! in the transaction of the request, so it exists if and only if the request has succeeded. Of
//! two concurrent requests with one key, the second waits for the end of the first transaction.

use chrono::{DateTime, TimeDelta, Utc};
use entity::idempotency_key;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbErr, EntityTrait as _,
    QueryFilter as _,
};
use sha2::{Digest as _, Sha256};

use super::{Services, validation};
use crate::auth::Viewer;
use crate::clock;
use crate::database::Database;
use crate::error::{Error, UserError, UserErrorKind};
use crate::ids::snowflake;

/// The time for which a key is kept.
const KEY_LIFETIME: TimeDelta = TimeDelta::hours(24);
/// Maximum number of expired keys that one transaction deletes.
const MAX_DELETED: u64 = 1_000;
/// The path of the key in the arguments.
const PATH: &[&str] = &["input", "idempotencyKey"];

/// A key of a client, and the hash of the input that it belongs to.
pub struct IdempotencyKey {
    key: String,
    input_hash: Vec<u8>,
}

impl IdempotencyKey {
    /// A key for an input, which consists of all `fields`.
    ///
    /// # Errors
    /// `InvalidInput` when the key is not valid.
    pub fn new(key: String, fields: &[&[u8]]) -> Result<Self, UserError> {
        let key = validation::idempotency_key(key, PATH)?;
        let mut input = Vec::new();
        for field in fields {
            // With its length, so that two inputs differ if their fields differ.
            input.extend((field.len() as u64).to_be_bytes());
            input.extend_from_slice(field);
        }
        Ok(Self { key, input_hash: Sha256::digest(&input).to_vec() })
    }

    /// Claims the key for this transaction, or returns the post of an earlier request.
    ///
    /// The caller has locked the viewer, creates the post and calls [`Self::record`]. An expired
    /// key is claimed anew.
    ///
    /// # Errors
    /// [`Error::Expected`] with `IdempotencyMismatch` when the viewer used the key with another
    /// input; [`Error::Unauthenticated`] when the account was deleted; any error of the database.
    pub async fn claim(
        &self,
        services: &Services,
        transaction: &DatabaseTransaction,
        viewer: &Viewer,
    ) -> Result<Option<i64>, Error> {
        // On PostgreSQL it waits for a transaction that has claimed the key, and locks the row of
        // the key in any case. The next statement therefore finds that row.
        let claim = services.db.statement(
            "INSERT INTO idempotency_key (id, user_id, \"key\", input_hash, post_id) \
             VALUES ($1, $2, $3, $4, 0) ON CONFLICT (user_id, \"key\") DO UPDATE \
             SET id = excluded.id, input_hash = excluded.input_hash, post_id = 0 \
             WHERE idempotency_key.id < $5",
            [
                services.ids.next().into(),
                viewer.id().into(),
                self.key.as_str().into(),
                self.input_hash.clone().into(),
                first_live_id(clock::now()).into(),
            ],
        );
        if transaction.execute_raw(claim).await?.rows_affected() > 0 {
            return Ok(None);
        }
        let found = idempotency_key::Entity::find()
            .filter(idempotency_key::Column::UserId.eq(viewer.id()))
            .filter(idempotency_key::Column::Key.eq(self.key.as_str()))
            .one(transaction)
            .await?;
        let first = found.ok_or(Error::Conflict)?;
        if first.input_hash != self.input_hash {
            let message = "This key was used with another input. Use a new key.";
            return Err(UserErrorKind::IdempotencyMismatch.at(PATH, message).into());
        }
        Ok(Some(first.post_id))
    }

    /// Records the post that the request with this key has created.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn record(
        &self,
        transaction: &DatabaseTransaction,
        viewer: &Viewer,
        post: i64,
    ) -> Result<(), DbErr> {
        idempotency_key::Entity::update_many()
            .col_expr(idempotency_key::Column::PostId, Expr::value(post))
            .filter(idempotency_key::Column::UserId.eq(viewer.id()))
            .filter(idempotency_key::Column::Key.eq(self.key.as_str()))
            .exec(transaction)
            .await
            .map(drop)
    }
}

/// Deletes at most 1,000 expired keys. Returns whether there may be more.
///
/// A key that another transaction uses or deletes is left out, so that neither waits for the other.
///
/// # Errors
/// Any error of the database.
pub async fn delete_expired(db: &Database) -> Result<bool, Error> {
    let transaction = db.begin().await?;
    let sql = format!(
        "DELETE FROM idempotency_key WHERE id IN (SELECT id FROM idempotency_key \
         WHERE id < $1 ORDER BY id LIMIT {MAX_DELETED} {})",
        db.engine().lock_sql("FOR UPDATE SKIP LOCKED")
    );
    let delete = db.statement(&sql, [first_live_id(clock::now()).into()]);
    let deleted = transaction.execute_raw(delete).await?.rows_affected();
    transaction.commit().await?;
    Ok(deleted >= MAX_DELETED)
}

/// The smallest id of a key that has not expired at `now`.
fn first_live_id(now: DateTime<Utc>) -> i64 {
    snowflake::first_id_at(now - KEY_LIFETIME)
}
