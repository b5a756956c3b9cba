//! Loader of single follows.

use std::collections::HashMap;

use sea_orm::FromQueryResult;

use super::Batch;
use crate::database::Snapshot;
use crate::error::Error;

/// Whether a follow exists, by the ids of the follower and the followed user.
///
/// The value is `None` if it does not.
pub struct FollowExists(pub(super) Snapshot);

#[derive(FromQueryResult)]
struct FollowPair {
    follower_id: i64,
    followed_id: i64,
}

impl Batch for FollowExists {
    type Key = (i64, i64);
    type Value = ();

    async fn load(&self, keys: &[(i64, i64)]) -> Result<HashMap<(i64, i64), ()>, Error> {
        let sql = format!(
            "SELECT follower_id, followed_id FROM {} CROSS JOIN follow \
             WHERE follower_id = CAST(pair.value ->> 0 AS bigint) \
             AND followed_id = CAST(pair.value ->> 1 AS bigint)",
            self.0.engine().unnest_json("pair")
        );
        let pairs: serde_json::Value =
            keys.iter().map(|(follower, followed)| vec![*follower, *followed]).collect();
        let rows: Vec<FollowPair> =
            self.0.all(keys.len(), &sql, [pairs.to_string().into()]).await?;
        Ok(rows.into_iter().map(|pair| ((pair.follower_id, pair.followed_id), ())).collect())
    }
}
