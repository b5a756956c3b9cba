//! Loaders of reports: by id, and the numbers of reports of users.

use std::collections::HashMap;

use entity::report;
use sea_orm::FromQueryResult;

use super::{Batch, ViewerId};
use crate::database::Snapshot;
use crate::error::Error;

/// Reports by id, if the viewer made them or is a moderator.
pub struct Reports {
    pub(super) db: Snapshot,
    pub(super) viewer: ViewerId,
}

impl Batch for Reports {
    type Key = i64;
    type Value = report::Model;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, report::Model>, Error> {
        let engine = self.db.engine();
        let sql = format!(
            "SELECT report.* FROM report WHERE {} AND {}",
            engine.in_list_sql("report.id", 1),
            report::visible_to_sql("$2")
        );
        let values = [engine.bind_ids(keys.iter().copied()), self.viewer.value()];
        let found: Vec<report::Model> = self.db.all(1 + keys.len(), &sql, values).await?;
        Ok(found.into_iter().map(|report| (report.id, report)).collect())
    }
}

/// Numbers of all reports of users and of their posts.
///
/// A resolver reads them for moderators only.
pub struct ReportCounts {
    pub(super) db: Snapshot,
}

#[derive(FromQueryResult)]
struct ReportCount {
    user_id: i64,
    number: i64,
}

impl Batch for ReportCounts {
    type Key = i64;
    type Value = i32;

    async fn load(&self, keys: &[i64]) -> Result<HashMap<i64, i32>, Error> {
        let engine = self.db.engine();
        let sql = format!(
            "SELECT user_id, count(*) AS number FROM report WHERE {} GROUP BY user_id",
            engine.in_list_sql("user_id", 1)
        );
        let values = [engine.bind_ids(keys.iter().copied())];
        let found: Vec<ReportCount> = self.db.all(keys.len(), &sql, values).await?;
        self.db.charge_counted(found.iter().map(|count| count.number.unsigned_abs()).sum());
        let count =
            |count: ReportCount| (count.user_id, i32::try_from(count.number).unwrap_or(i32::MAX));
        Ok(found.into_iter().map(count).collect())
    }
}
