//! The rows of a user that no row of another user or post counts.

use entity::event::Kind;
use sea_orm::{DbErr, FromQueryResult as _};

use super::STEP;
use super::rows::{AccountDeletion, DeletedRow};
use crate::domain::Change;

/// A table of rows of a user that no count of another row counts.
struct Uncounted {
    table: &'static str,
    own: &'static str,
    other: &'static str,
    /// The event of its end. The other user is the actor if `is_by_other`.
    event: Option<Kind>,
    is_by_other: bool,
}

/// The tables in the order in which their rows are deleted.
///
/// Blocks are the last: as long as the account exists, they protect it and others.
const UNCOUNTED: [Uncounted; 12] = [
    silent("notification", "actor_id", "user_id"),
    silent("notification", "user_id", "actor_id"),
    silent("mention", "user_id", "post_id"),
    silent("bookmark", "user_id", "post_id"),
    silent("idempotency_key", "user_id", "post_id"),
    silent("dismissal", "user_id", "dismissed_id"),
    silent("dismissal", "dismissed_id", "user_id"),
    Uncounted {
        event: Some(Kind::FollowRequestEnded),
        ..silent("follow_request", "requester_id", "target_id")
    },
    Uncounted {
        event: Some(Kind::FollowRequestEnded),
        ..silent("follow_request", "target_id", "requester_id")
    },
    Uncounted { event: Some(Kind::Unmuted), ..silent("mute", "muter_id", "muted_id") },
    Uncounted {
        event: Some(Kind::Unblocked),
        is_by_other: true,
        ..silent("block", "blocker_id", "blocked_id")
    },
    Uncounted {
        event: Some(Kind::Unblocked),
        is_by_other: true,
        ..silent("block", "blocked_id", "blocker_id")
    },
];

const fn silent(table: &'static str, own: &'static str, other: &'static str) -> Uncounted {
    Uncounted { table, own, other, event: None, is_by_other: false }
}

impl AccountDeletion<'_> {
    /// Deletes at most `left` of the rows that no other row counts.
    ///
    /// Returns whether none are left.
    pub(super) async fn delete_uncounted(
        &self,
        mut left: i64,
        changes: &mut Vec<Change>,
    ) -> Result<bool, DbErr> {
        for Uncounted { table, own, other, event, is_by_other } in UNCOUNTED {
            if left == 0 {
                return Ok(false);
            }
            // The constant limit makes PostgreSQL expect few rows, and find each by its id.
            let sql = format!(
                "DELETE FROM {table} WHERE id IN (SELECT id FROM ( \
                   SELECT id FROM {table} WHERE {own} = $1 LIMIT {STEP}) AS first LIMIT $2) \
                 RETURNING {own} AS own, {other} AS other"
            );
            let statement = self.services.db.statement(&sql, [self.user.into(), left.into()]);
            let rows = DeletedRow::find_by_statement(statement).all(self.transaction).await?;
            left -= i64::try_from(rows.len()).unwrap_or(i64::MAX);
            if table == "mute" {
                self.subtract_from_own("mutes_count", rows.len()).await?;
            }
            if let Some(kind) = event {
                changes.extend(rows.iter().map(|row| {
                    let (actor, object) =
                        if is_by_other { (row.other, row.own) } else { (row.own, row.other) };
                    Change { kind, actor, object }
                }));
            }
        }
        Ok(left > 0)
    }
}
