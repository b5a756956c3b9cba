//! Loader of the viewer's relationships with other users.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;

use super::{Batch, ViewerId};
use crate::clock;
use crate::database::Snapshot;
use crate::error::Error;

/// Everything between the viewer and another user. Each value is the id of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Relationship {
    user_id: i64,
    /// The follow by which the viewer follows the other user.
    pub following: Option<i64>,
    /// The follow by which the other user follows the viewer.
    pub followed_by: Option<i64>,
    /// The viewer's block of the other user.
    pub blocking: Option<i64>,
    /// The other user's block of the viewer.
    pub blocked_by: Option<i64>,
    /// The viewer's request to follow the other user.
    pub requested: Option<i64>,
    /// The other user's request to follow the viewer.
    pub requested_by: Option<i64>,
    /// The viewer's mute of the other user, unless it has expired.
    pub muting: Option<i64>,
    /// The time at which that mute ends; `None` if it does not end by itself.
    pub muting_until: Option<DateTime<Utc>>,
}

impl Relationship {
    /// Whether the viewer may follow the other user: neither blocks the other.
    pub fn can_follow(&self) -> bool {
        self.blocking.is_none() && self.blocked_by.is_none()
    }
}

/// Relationships of the viewer, by the other user's id. `None` without a viewer.
pub struct Relationships {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

/// The columns of a relationship: their table and its columns with both users.
///
/// The first column has the viewer, the second the other user.
const COLUMNS: [(&str, &str, [&str; 2]); 6] = [
    ("following", "follow", ["follower_id", "followed_id"]),
    ("followed_by", "follow", ["followed_id", "follower_id"]),
    ("blocking", "block", ["blocker_id", "blocked_id"]),
    ("blocked_by", "block", ["blocked_id", "blocker_id"]),
    ("requested", "follow_request", ["requester_id", "target_id"]),
    ("requested_by", "follow_request", ["target_id", "requester_id"]),
];

impl Batch for Relationships {
    type Key = i64;
    type Value = Relationship;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, Relationship>, Error> {
        let Some(viewer) = self.viewer.get() else {
            return Ok(HashMap::new());
        };
        let engine = self.db.engine();
        let columns = COLUMNS.map(|(name, table, [viewer, other])| {
            format!(
                "(SELECT id FROM {table} WHERE {viewer} = $2 AND {other} = other.value) AS {name}"
            )
        });
        let mute = "FROM mute WHERE muter_id = $2 AND muted_id = other.value \
            AND (expires_at IS NULL OR expires_at > $3)";
        let (columns, others) = (columns.join(", "), engine.unnest_ids("other"));
        let sql = format!(
            "SELECT other.value AS user_id, {columns}, (SELECT id {mute}) AS muting, \
             (SELECT expires_at {mute}) AS muting_until FROM {others}"
        );
        let others = engine.bind_ids(keys.iter().copied());
        let values = [others, viewer.into(), clock::now().into()];
        let rows: Vec<Relationship> =
            self.db.all((COLUMNS.len() + 2) * keys.len(), &sql, values).await?;
        Ok(rows.into_iter().map(|row| (row.user_id, row)).collect())
    }
}
