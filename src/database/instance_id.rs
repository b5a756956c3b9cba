//! Claims the id of this instance.
//!
//! Row ids contain it, so no two instances on a database generate the same row id. On PostgreSQL an
//! id is an advisory lock, held by a connection of its own for as long as the instance runs. If
//! that connection breaks, the same id, or another free one, is claimed again. On SQLite there is
//! one instance, which the lock on the database file ensures.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _};
use tokio::time::timeout;

use crate::ids::InstanceId;

/// First key of the advisory locks on instance ids; the second key is the id.
pub const LOCK_CLASS: i32 = 0x726f_6f6b;
/// Largest id of a running instance; commands use the next one.
const MAX_INSTANCE_ID: u8 = 254;
/// Interval between checks of the connection that holds the lock.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// Time after which an unanswered check means that the connection is broken.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Claims `wanted`, or the first free id.
///
/// The id is held until all other clones of the result are dropped.
pub(super) async fn claim(options: PgConnectOptions, wanted: Option<u8>) -> Result<InstanceId> {
    let (holder, number) = acquire(&options, wanted, 0).await?;
    tracing::debug!(number, "claimed the instance id");
    let instance = InstanceId::fixed(number);
    tokio::spawn(hold_until_lost(instance.clone(), options, wanted, holder));
    Ok(instance)
}

async fn hold_until_lost(
    instance: InstanceId,
    options: PgConnectOptions,
    wanted: Option<u8>,
    mut holder: PgConnection,
) {
    while instance.is_shared() {
        tokio::time::sleep(CHECK_INTERVAL).await;
        if matches!(timeout(CHECK_TIMEOUT, holder.ping()).await, Ok(Ok(()))) {
            continue;
        }
        let again = timeout(CHECK_TIMEOUT, acquire(&options, wanted, instance.number())).await;
        if let Ok(Ok((next, number))) = again {
            tracing::warn!(number, "claimed the instance id again after its connection was lost");
            instance.set(number);
            holder = next;
        }
    }
}

/// Connects and locks an id on the connection.
///
/// That is `wanted`, which other instances may share, or else the first free id from `first` on.
async fn acquire(
    options: &PgConnectOptions,
    wanted: Option<u8>,
    first: u8,
) -> Result<(PgConnection, u8)> {
    let mut holder = options.connect().await?;
    if let Some(number) = wanted {
        let free = lock(&mut holder, "SELECT pg_try_advisory_lock_shared($1, $2)", number).await?;
        ensure!(free, "another instance has the id {number}");
        return Ok((holder, number));
    }
    for number in (first..=MAX_INSTANCE_ID).chain(0..first) {
        if lock(&mut holder, "SELECT pg_try_advisory_lock($1, $2)", number).await? {
            return Ok((holder, number));
        }
    }
    bail!("all 255 instance ids are taken")
}

async fn lock(holder: &mut PgConnection, sql: &'static str, number: u8) -> Result<bool> {
    let locked = sqlx::query_scalar(sql).bind(LOCK_CLASS).bind(i32::from(number));
    Ok(locked.fetch_one(holder).await?)
}
