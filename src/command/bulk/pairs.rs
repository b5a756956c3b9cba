//! Bulk writes of pairs of users: follows, requests to follow, blocks and mutes.

use entity::notification;
use sea_orm::{ActiveEnum as _, DbErr, Value};

use super::{Bulk, json};

/// A request to follow of a user who follows already.
pub(in crate::command) const REQUEST_OF_FOLLOW: &str = "EXISTS (SELECT 1 FROM follow \
    WHERE follower_id = requester_id AND followed_id = target_id)";

/// A table of pairs of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairTable {
    Follow,
    FollowRequest,
    Block,
    Mute,
}

/// A pair to add: `actor` follows, asks to follow, blocks or mutes `target`.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub id: i64,
    pub actor: i64,
    pub target: i64,
}

impl PairTable {
    /// The name of the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Follow => "follow",
            Self::FollowRequest => "follow_request",
            Self::Block => "block",
            Self::Mute => "mute",
        }
    }

    /// The rows of the table, as in a report.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Follow => "follows",
            Self::FollowRequest => "follow requests",
            Self::Block => "blocks",
            Self::Mute => "mutes",
        }
    }

    /// The columns of the actor and of the target.
    const fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Follow => ("follower_id", "followed_id"),
            Self::FollowRequest => ("requester_id", "target_id"),
            Self::Block => ("blocker_id", "blocked_id"),
            Self::Mute => ("muter_id", "muted_id"),
        }
    }

    /// Another column without a default, and its value, each after a comma.
    ///
    /// A mute that is added does not end by itself, and it hides notifications.
    const fn other_column(self) -> (&'static str, &'static str) {
        match self {
            Self::Mute => (", hides_notifications", ", true"),
            Self::Follow | Self::FollowRequest | Self::Block => ("", ""),
        }
    }

    /// The condition that a pair from the list `item` may be added.
    fn may_be_added(self) -> String {
        let is_blocked = |blocker, blocked| {
            format!(
                "EXISTS (SELECT 1 FROM block WHERE blocker_id = CAST({blocker} AS bigint) \
                 AND blocked_id = CAST({blocked} AS bigint))"
            )
        };
        match self {
            Self::Follow | Self::FollowRequest => {
                let (actor, target) = ("value ->> 1", "value ->> 2");
                format!("NOT {} AND NOT {}", is_blocked(actor, target), is_blocked(target, actor))
            }
            Self::Block | Self::Mute => "true".to_owned(),
        }
    }
}

impl Bulk<'_> {
    pub async fn add_pairs(&self, table: PairTable, pairs: &[Pair]) -> Result<(), DbErr> {
        self.execute(&self.add_pairs_sql(table), [pair_rows(pairs)?]).await.map(drop)
    }

    /// Adds the pairs that do not exist yet, and returns their number.
    ///
    /// A follow or a request between users of whom one blocks the other is not added.
    pub async fn add_new_pairs(&self, table: PairTable, pairs: &[Pair]) -> Result<u64, DbErr> {
        let (actor, target) = table.columns();
        let add = format!(
            "{} WHERE {} ON CONFLICT ({actor}, {target}) DO NOTHING",
            self.add_pairs_sql(table),
            table.may_be_added()
        );
        self.execute(&add, [pair_rows(pairs)?]).await
    }

    /// Number of these pairs that exist with an id up to `max_id`.
    pub async fn count_pairs(
        &self,
        table: PairTable,
        pairs: &[Pair],
        max_id: i64,
    ) -> Result<u64, DbErr> {
        let count = format!(
            "SELECT count(*) AS number FROM {} WHERE {}.id <= $2",
            self.join_sql(table.name(), table.columns(), ["1", "2"]),
            table.name()
        );
        let number = self.number(&count, [pair_rows(pairs)?, max_id.into()]).await?;
        Ok(number.unsigned_abs())
    }

    /// Deletes the rows between the two users of each pair, in both directions.
    ///
    /// Returns the number of deleted rows.
    pub async fn delete_between(&self, table: PairTable, pairs: &[Pair]) -> Result<u64, DbErr> {
        self.delete_both_ways(table.name(), table.columns(), pairs).await
    }

    /// Deletes the notifications that the two users of each pair have of each other.
    pub async fn delete_notifications_between(&self, pairs: &[Pair]) -> Result<(), DbErr> {
        let columns = ("actor_id", "user_id");
        self.delete_both_ways("notification", columns, pairs).await.map(drop)
    }

    async fn delete_both_ways(
        &self,
        name: &str,
        columns: (&str, &str),
        pairs: &[Pair],
    ) -> Result<u64, DbErr> {
        let delete = format!(
            "DELETE FROM {name} WHERE id IN (
                SELECT {name}.id FROM {} UNION ALL SELECT {name}.id FROM {})",
            self.join_sql(name, columns, ["1", "2"]),
            self.join_sql(name, columns, ["2", "1"])
        );
        self.execute(&delete, [pair_rows(pairs)?]).await
    }

    /// Deletes the requests to follow whose follow exists, with their notifications.
    pub async fn delete_accepted_requests(&self) -> Result<(), DbErr> {
        let delete = format!(
            "DELETE FROM notification WHERE kind = {} AND EXISTS (SELECT 1 FROM follow \
             WHERE follower_id = notification.actor_id AND followed_id = notification.user_id)",
            notification::Kind::FollowRequest.into_value()
        );
        self.execute(&delete, []).await?;
        let delete = format!("DELETE FROM follow_request WHERE {REQUEST_OF_FOLLOW}");
        self.execute(&delete, []).await.map(drop)
    }

    fn add_pairs_sql(&self, table: PairTable) -> String {
        let (name, (actor, target)) = (table.name(), table.columns());
        let (column, value) = table.other_column();
        format!(
            "INSERT INTO {name} (id, {actor}, {target}{column})
            SELECT CAST(value ->> 0 AS bigint), CAST(value ->> 1 AS bigint),
                CAST(value ->> 2 AS bigint){value}
            FROM {}",
            self.engine().unnest_json("item")
        )
    }

    /// The pairs bound to `$1`, joined with their rows.
    ///
    /// `indexes` are those of the actor and of the target in each pair of the list.
    fn join_sql(&self, name: &str, (actor, target): (&str, &str), indexes: [&str; 2]) -> String {
        let [of_actor, of_target] = indexes;
        format!(
            "{} JOIN {name} ON {actor} = CAST(edge.value ->> {of_actor} AS bigint)
                AND {target} = CAST(edge.value ->> {of_target} AS bigint)",
            self.engine().unnest_json("edge")
        )
    }
}

/// The pairs as a JSON array: id, actor and target of each.
fn pair_rows(pairs: &[Pair]) -> Result<Value, DbErr> {
    json(pairs.iter().map(|pair| (pair.id, pair.actor, pair.target)))
}
