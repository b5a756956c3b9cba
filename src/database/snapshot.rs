//! One moment of the database for everything that a request reads.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, FromQueryResult, Value};
use tokio::sync::{Mutex, OnceCell, OwnedRwLockReadGuard, OwnedSemaphorePermit};
use tokio::time::timeout;

use super::reader::Reader;
use super::{Database, Engine, Last, Lsn, Moment};

/// One request's reads: all statements see the database as it was at the first of them, so that a
/// count and the list it counts agree whatever others write meanwhile. The connection goes back with
/// the last clone. Opened by the first read; cheap when nothing is read.
#[derive(Clone, Debug)]
pub struct Snapshot {
    database: Database,
    state: Arc<Mutex<State>>,
    /// Nobody looks at a clock.
    can_wait: bool,
}

/// Snapshots that can wait and are open at the same time: many may be told something at once, and whoever asks something is
/// not to wait for all of them.
pub(super) const TURNS: usize = 2;

/// For so long one waits. Those before it are taken for lost then: their server may have gone without a word.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct State {
    /// Where it is opened, if not on the database itself.
    replica: Option<Reader>,
    open: Option<Arc<Open>>,
}

/// An open moment. Its transaction ends before it lets the log be emptied.
#[derive(Debug)]
pub struct Open {
    transaction: DatabaseTransaction,
    /// Which transactions it has seen, once somebody has asked.
    seen: OnceCell<Moment>,
    _turn: Option<OwnedSemaphorePermit>,
    _shared: OwnedRwLockReadGuard<()>,
}

impl Deref for Open {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}

impl Snapshot {
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self { database: database.clone(), state: Arc::default(), can_wait: false }
    }

    /// For what is told unasked: it waits for its turn among its kind.
    #[must_use]
    pub fn in_turn(database: &Database) -> Self {
        Self { can_wait: true, ..Self::new(database) }
    }

    /// A moment of a replica that has everything up to `lsn`, if there is one.
    #[must_use]
    pub fn of_replica(database: &Database, lsn: Lsn) -> Option<Self> {
        let replica = Some(database.replica(lsn)?.reader.clone());
        let state = Arc::new(Mutex::new(State { replica, open: None }));
        Some(Self { state, ..Self::new(database) })
    }

    #[must_use]
    pub fn engine(&self) -> Engine {
        self.database.engine
    }

    pub async fn is_on_replica(&self) -> bool {
        self.state.lock().await.replica.is_some()
    }

    /// The transaction to read in. A write through it fails.
    ///
    /// # Errors
    /// When no connection gets free in time.
    pub async fn get(&self) -> Result<Arc<Open>, DbErr> {
        let mut state = self.state.lock().await;
        if let Some(transaction) = &state.open {
            return Ok(Arc::clone(transaction));
        }
        let turn = if self.can_wait { self.turn().await } else { None };
        let shared = Arc::clone(&self.database.snapshots).read_owned().await;
        let reader = state.replica.as_ref().unwrap_or(&self.database.reader);
        let transaction = reader.begin().await?;
        let seen = OnceCell::new();
        let moment = Arc::new(Open { transaction, seen, _turn: turn, _shared: shared });
        state.open = Some(Arc::clone(&moment));
        Ok(moment)
    }

    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let turn = Arc::clone(&self.database.turns).acquire_owned();
        timeout(PATIENCE, turn).await.ok()?.ok()
    }

    /// Runs a statement in the engine's own words.
    ///
    /// # Errors
    /// As the database says.
    pub async fn all<R, V>(&self, sql: &str, values: V) -> Result<Vec<R>, DbErr>
    where
        R: FromQueryResult,
        V: IntoIterator<Item = Value>,
    {
        let statement = self.database.statement(sql, values);
        R::find_by_statement(statement).all(&**self.get().await?).await
    }

    /// Which transactions it has seen. Only on the primary: a replica does not know which are open.
    ///
    /// # Errors
    /// As the database says.
    pub async fn moment(&self) -> Result<Moment, DbErr> {
        let open = self.get().await?;
        let seen = match self.engine() {
            Engine::Sqlite => "'::'",
            Engine::Postgres => "pg_current_snapshot()::text",
        };
        let sql = format!("SELECT txn, at, {seen} AS seen FROM event ORDER BY txn DESC LIMIT 1");
        let ask = async || {
            let row = open.query_one_raw(self.database.statement(&sql, [])).await?;
            let row = row.ok_or_else(|| DbErr::RecordNotFound("the first event".to_owned()))?;
            let at: DateTime<Utc> = row.try_get("", "at")?;
            let last = Last { txn: row.try_get("", "txn")?, at: at.timestamp_micros() };
            let seen: String = row.try_get("", "seen")?;
            Moment::new(&seen, last).ok_or_else(|| DbErr::Custom(format!("no snapshot: {seen}")))
        };
        open.seen.get_or_try_init(ask).await.cloned()
    }

    /// Lets go of the moment: the next read sees what has been written since.
    pub async fn renew(&self) {
        *self.state.lock().await = State::default();
    }
}
