//! The missed changes of a user's notifications.

use std::collections::VecDeque;

use entity::event::{self, Kind};

use super::Replay;
use crate::database::{Engine, StreamPosition};
use crate::error::Error;
use crate::events::DeliveredEvent;
use crate::events::notifications::{NotificationRows, merge};
use crate::events::outbox::MAX_REPLAYED;

impl Replay<'_> {
    /// The missed changes of a user's notifications, one for each transaction.
    ///
    /// `None` if they concern more than [`MAX_REPLAYED`] notifications.
    pub(super) async fn notification_changes(
        &self,
        user: i64,
    ) -> Result<Option<VecDeque<event::Model>>, Error> {
        let Self { after, joined, snapshot } = *self;
        let engine = snapshot.engine();
        let in_progress = engine.bind_ids(after.in_progress().iter().copied());
        let values = [in_progress, after.next_txn().into(), user.into()];
        let mut changes: Vec<event::Model> = snapshot.all(2, &changes_sql(engine), values).await?;
        snapshot.charge_read(changes.len());
        if changes.len() > MAX_REPLAYED {
            return Ok(None);
        }
        // The snapshot is newer than the join.
        changes.retain(|change| joined.contains(change.txn));
        Ok(Some(merge(changes).into()))
    }

    /// Loads the notifications that events have added, with their posts and users.
    pub(super) async fn load_notifications(
        &self,
        events: Vec<event::Model>,
        positions: Vec<StreamPosition>,
    ) -> Result<Vec<DeliveredEvent>, Error> {
        let rows = NotificationRows::load(self.snapshot, &events).await?;
        let delivered = events.into_iter().zip(positions);
        let delivered = delivered.map(|(event, position)| rows.delivered(event, position));
        Ok(delivered.collect())
    }
}

/// A query for the changes of the notifications of the user `$3`.
///
/// They are those of the transactions `$1`, and of all from `$2` on. The query reads at most
/// [`MAX_REPLAYED`] and one more.
fn changes_sql(engine: Engine) -> String {
    let limit = MAX_REPLAYED + 1;
    let [added, withdrawn, read] =
        [Kind::Notified, Kind::NotificationWithdrawn, Kind::NotificationsRead]
            .map(sea_orm::ActiveEnum::into_value);
    let is_in_progress = engine.in_list_sql("txn", 1);
    // On PostgreSQL the comparison of pairs makes the planner use the index that begins with them.
    let (index, is_later) = match engine {
        Engine::Sqlite => ("INDEXED BY event_actor", "actor = $3 AND txn >= $2".to_owned()),
        Engine::Postgres => {
            let end = i64::MAX;
            ("", format!("(actor, txn) >= ($3, $2) AND (actor, txn) < ($3, {end})"))
        }
    };
    let of_table = |table: &str, index: &str, condition: &str| {
        format!(
            "SELECT txn, kind, actor, object FROM ( \
               SELECT * FROM {table} {index} WHERE {is_later} AND {condition} \
               ORDER BY actor, txn LIMIT {limit}) AS later \
             UNION ALL SELECT txn, kind, actor, object FROM {table} \
               WHERE {is_in_progress} AND actor = $3 AND {condition}"
        )
    };
    let parts = of_table("event_part", "", &format!("kind IN ({added}, {withdrawn})"));
    let reads = of_table("event", index, &format!("kind = {read}"));
    format!(
        "SELECT change.txn, change.kind, change.actor, change.object, event.at, \
           CAST(NULL AS text) AS changes \
         FROM ({parts} UNION ALL {reads}) AS change JOIN event ON event.txn = change.txn \
         LIMIT {limit}"
    )
}
