//! The rows of a user that no row of another user or post counts.
//!
//! Notifications are deleted before their causes, and all others at the end.

use entity::event::Kind;
use sea_orm::{DbErr, FromQueryResult as _};

use super::STEP;
use super::rows::{AccountDeletion, DeletedRow, locked_sql};
use crate::database::Engine;
use crate::domain::Change;

/// A table of rows of a user that no count of another row counts.
#[derive(Clone, Copy)]
struct Uncounted {
    table: &'static str,
    /// The column of the user.
    own: &'static str,
    other: &'static str,
    /// Whether `other` can also be the column of the user.
    is_mutual: bool,
    /// The event of its end. The other user is the actor if `is_by_other`.
    event: Option<Kind>,
    is_by_other: bool,
}

/// The tables in the order in which their rows are deleted.
///
/// Blocks are the last: as long as the account exists, they protect it and others.
const UNCOUNTED: [Uncounted; 10] = [
    silent("mention", "user_id", "post_id"),
    silent("bookmark", "user_id", "post_id"),
    silent("idempotency_key", "user_id", "post_id"),
    silent("mail", "user_id", "id"),
    silent("mail_token", "user_id", "id"),
    silent("invite", "creator_id", "id"),
    mutual("dismissal", "user_id", "dismissed_id"),
    Uncounted {
        event: Some(Kind::FollowRequestEnded),
        ..mutual("follow_request", "requester_id", "target_id")
    },
    Uncounted { event: Some(Kind::Unmuted), ..silent("mute", "muter_id", "muted_id") },
    Uncounted {
        event: Some(Kind::Unblocked),
        is_by_other: true,
        ..mutual("block", "blocker_id", "blocked_id")
    },
];

/// The notifications of the user and those that the user has caused.
const NOTIFICATIONS: Uncounted = mutual("notification", "user_id", "actor_id");

const fn silent(table: &'static str, own: &'static str, other: &'static str) -> Uncounted {
    Uncounted { table, own, other, is_mutual: false, event: None, is_by_other: false }
}

const fn mutual(table: &'static str, own: &'static str, other: &'static str) -> Uncounted {
    Uncounted { is_mutual: true, ..silent(table, own, other) }
}

impl Uncounted {
    /// The statement that deletes rows of the user `$1`, at most `$2`.
    fn delete_sql(&self, engine: Engine) -> String {
        let Self { table, own, other, is_mutual, .. } = *self;
        // The constant limit makes PostgreSQL expect few rows, and find each by its id.
        let rows_of = |column: &str| {
            format!(
                "SELECT id FROM (SELECT id FROM {table} WHERE {column} = $1 LIMIT {STEP}) AS own"
            )
        };
        let mut rows = rows_of(own);
        if is_mutual {
            rows = format!("{rows} UNION ALL {}", rows_of(other));
        }
        let rows = format!("SELECT id FROM ({rows}) AS first LIMIT $2");
        format!(
            "DELETE FROM {table} WHERE id IN ({}) RETURNING {own} AS own, {other} AS other",
            locked_sql(engine, table, "id", &rows)
        )
    }
}

impl AccountDeletion<'_> {
    /// Deletes at most [`STEP`] notifications of and by the user.
    ///
    /// Returns whether none are left.
    pub(super) async fn delete_notifications(&self) -> Result<bool, DbErr> {
        let deleted = self.delete_rows(&NOTIFICATIONS, STEP).await?;
        Ok(i64::try_from(deleted.len()).is_ok_and(|number| number < STEP))
    }

    /// Deletes at most `left` of the rows that no other row counts.
    ///
    /// Returns whether none are left.
    pub(super) async fn delete_uncounted(
        &self,
        mut left: i64,
        changes: &mut Vec<Change>,
    ) -> Result<bool, DbErr> {
        for uncounted in UNCOUNTED {
            if left == 0 {
                return Ok(false);
            }
            let rows = self.delete_rows(&uncounted, left).await?;
            left -= i64::try_from(rows.len()).unwrap_or(i64::MAX);
            if uncounted.table == "mute" {
                self.subtract_from_own("mutes_count", rows.len()).await?;
            }
            if let Some(kind) = uncounted.event {
                changes.extend(rows.iter().map(|row| {
                    let other = if row.own == self.user { row.other } else { row.own };
                    let (actor, object) =
                        if uncounted.is_by_other { (other, self.user) } else { (self.user, other) };
                    Change { kind, actor, object }
                }));
            }
        }
        Ok(left > 0)
    }

    /// Deletes at most `max` rows of the user.
    async fn delete_rows(&self, uncounted: &Uncounted, max: i64) -> Result<Vec<DeletedRow>, DbErr> {
        let sql = uncounted.delete_sql(self.services.db.engine());
        let statement = self.services.db.statement(&sql, [self.user.into(), max.into()]);
        DeletedRow::find_by_statement(statement).all(self.transaction).await
    }
}
