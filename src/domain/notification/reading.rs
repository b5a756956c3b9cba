//! Reads of the viewer's notifications: pages, and the number of unread ones.
//!
//! Notifications of posts that the viewer may not see any more are left out.

use entity::notification::{self, Kind};
use sea_orm::{ActiveEnum as _, FromQueryResult, Iterable as _, Value};

use crate::auth::Viewer;
use crate::database::{Engine, Snapshot};
use crate::error::Error;
use crate::pagination::{CursorKey as _, Direction, OwnedRows, Page, PageRequest, USERS, page_sql};

/// Look-ups for a notification: its row, the post, the author, and a follow.
const LOOKUPS: usize = 4;
/// Maximum of the number of unread notifications that is counted.
pub const MAX_CAP: i32 = 1_000;
/// Number of all kinds of notifications.
pub const MAX_TYPES: i32 = 7;

/// A page of the viewer's notifications of some kinds, newest first.
///
/// `None` selects all kinds. Notifications of posts that the viewer may not see any more are left
/// out.
///
/// # Errors
/// [`Error::OutOfRange`] when there are no kinds, or more than [`MAX_TYPES`]; any error of the
/// database.
pub async fn page(
    snapshot: &Snapshot,
    viewer: &Viewer,
    kinds: Option<&[Kind]>,
    request: &PageRequest<i64>,
) -> Result<Page<notification::Model>, Error> {
    let is_allowed = |kinds: &[Kind]| {
        i32::try_from(kinds.len()).is_ok_and(|count| (1..=MAX_TYPES).contains(&count))
    };
    if kinds.is_some_and(|kinds| !is_allowed(kinds)) {
        return Err(Error::OutOfRange { argument: "types", min: 1, max: MAX_TYPES });
    }
    let is_listed = |kind: &Kind| kinds.is_none_or(|kinds| kinds.contains(kind));
    let listed: Vec<Kind> = Kind::iter().filter(is_listed).collect();
    let rows = if listed.len() == Kind::iter().count() {
        all_rows(snapshot, viewer, request).await?
    } else {
        rows_of_kinds(snapshot, viewer, &listed, request).await?
    };
    Ok(Page::new(request, rows, |row: &notification::Model| row.id))
}

/// The rows of a page of notifications of all kinds.
async fn all_rows(
    snapshot: &Snapshot,
    viewer: &Viewer,
    request: &PageRequest<i64>,
) -> Result<Vec<notification::Model>, Error> {
    let engine = snapshot.engine();
    let condition = format!("AND {}", notification::visible_to_sql("notification", "$5"));
    let (table, condition) = ("notification", condition.as_str());
    let list = OwnedRows { parent: USERS, table, owner: "user_id", condition, viewer: None };
    let sql = format!("SELECT notification.* FROM {}", page_sql(engine, list, request.direction));
    let (start, end) = request.bounds();
    let (owner, limit) = (engine.bind_ids([viewer.id()]), request.limit());
    let values = [owner, start.into(), end.into(), limit.into(), viewer.id().into()];
    snapshot.all(LOOKUPS * request.rows(), &sql, values).await
}

/// The rows of a page of notifications of some kinds.
///
/// They are the rows of a page of each kind. [`Page::new`] merges them.
async fn rows_of_kinds(
    snapshot: &Snapshot,
    viewer: &Viewer,
    kinds: &[Kind],
    request: &PageRequest<i64>,
) -> Result<Vec<notification::Model>, Error> {
    let sql = kinds_sql(snapshot.engine(), kinds, request.direction);
    let (start, end) = request.bounds();
    let values = [viewer.id().into(), start.into(), end.into(), request.limit().into()];
    snapshot.all(LOOKUPS * kinds.len() * request.rows(), &sql, values).await
}

/// The statement for pages of notifications of some kinds, each with its own page.
///
/// `$1` is the recipient, `$2` and `$3` are [`PageRequest::bounds`], and `$4` is
/// [`PageRequest::limit`]. It reads the index of recipient, kind and id. On PostgreSQL it compares
/// triples, which only this index can order.
#[must_use]
pub fn kinds_sql(engine: Engine, kinds: &[Kind], direction: Direction) -> String {
    let of_kind = |kind: &Kind| match engine {
        Engine::Sqlite => sqlite_kind(kind.into_value(), direction),
        Engine::Postgres => postgres_kind(kind.into_value(), direction),
    };
    let rows = kinds.iter().map(of_kind).collect::<Vec<_>>().join(" UNION ALL ");
    match engine {
        Engine::Sqlite => {
            format!("SELECT notification.* FROM notification WHERE notification.id IN ({rows})")
        }
        Engine::Postgres => rows,
    }
}

/// A query for ids: the page of a kind, and the nearest row beyond each cursor.
fn sqlite_kind(kind: i16, direction: Direction) -> String {
    let order = match direction {
        Direction::Forward => "DESC",
        Direction::Backward => "ASC",
    };
    let is_visible = notification::visible_to_sql("notification", "$1");
    let scope = format!("user_id = $1 AND kind = {kind} AND {is_visible}");
    format!(
        "SELECT id FROM (SELECT id FROM notification WHERE {scope} AND id < $2 AND id > $3 \
         ORDER BY id {order} LIMIT $4) AS page \
         UNION ALL SELECT min(id) FROM notification WHERE {scope} AND id >= $2 \
         UNION ALL SELECT max(id) FROM notification WHERE {scope} AND id <= $3"
    )
}

/// A query for the page of a kind, and for the nearest row beyond each cursor.
fn postgres_kind(kind: i16, direction: Direction) -> String {
    let (newest, oldest) = ("user_id DESC, kind DESC, id DESC", "user_id ASC, kind ASC, id ASC");
    let order = match direction {
        Direction::Forward => newest,
        Direction::Backward => oldest,
    };
    let is_visible = notification::visible_to_sql("notification", "$1");
    let (key, start) = ("(user_id, kind, id)", i64::start());
    let at = |id: &str| format!("(CAST($1 AS bigint), {kind}, {id})");
    let rows = |upper: String, lower: String, order: &str, limit: &str| {
        format!(
            "(SELECT * FROM notification WHERE {key} {upper} AND {key} {lower} AND {is_visible} \
             ORDER BY {order} LIMIT {limit})"
        )
    };
    let (after, before) = (at("CAST($2 AS bigint)"), at("CAST($3 AS bigint)"));
    let (first, last) = (at(&start.to_string()), at("0"));
    [
        rows(format!("< {after}"), format!("> {before}"), order, "$4"),
        rows(format!("< {first}"), format!(">= {after}"), oldest, "1"),
        rows(format!("<= {before}"), format!("> {last}"), newest, "1"),
    ]
    .join(" UNION ALL ")
}

/// Number of the viewer's unread notifications, up to `cap`.
///
/// They are those that [`page`] lists.
///
/// # Errors
/// [`Error::OutOfRange`] when `cap` is not from 1 to [`MAX_CAP`]; any error of the database.
pub async fn count_unread(snapshot: &Snapshot, viewer: &Viewer, cap: i32) -> Result<i32, Error> {
    #[derive(FromQueryResult)]
    struct Unread {
        number: i64,
        /// Number of notifications that were read to find these.
        walked: i64,
    }
    if !(1..=MAX_CAP).contains(&cap) {
        return Err(Error::OutOfRange { argument: "cap", min: 1, max: MAX_CAP });
    }
    let values: [Value; 2] = [viewer.id().into(), i64::from(cap).into()];
    let rows: Vec<Unread> = snapshot.all(1, &unread_sql(snapshot.engine()), values).await?;
    let Some(Unread { number, walked }) = rows.first() else { return Ok(0) };
    snapshot.charge_counted(walked.unsigned_abs());
    snapshot.charge_read(LOOKUPS * usize::try_from(*walked).unwrap_or_default());
    Ok(i32::try_from(*number).unwrap_or(cap))
}

/// The statement that counts the unread notifications of `$1`, up to `$2`.
///
/// It begins with the newest. If it reaches `$2`, it has read none before the oldest that it has
/// counted. Otherwise it has read all unread ones.
#[must_use]
pub fn unread_sql(engine: Engine) -> String {
    let read = "(SELECT notifications_read_id FROM \"user\" WHERE \"user\".id = $1)";
    // On PostgreSQL the comparison of pairs makes the planner use the index that begins with them.
    let (is_unread, order) = match engine {
        Engine::Sqlite => {
            (format!("notification.user_id = $1 AND notification.id > {read}"), "id DESC")
        }
        Engine::Postgres => (
            format!(
                "(notification.user_id, notification.id) > ($1, {read}) \
                 AND (notification.user_id, notification.id) <= ($1, {})",
                i64::start()
            ),
            "notification.user_id DESC, notification.id DESC",
        ),
    };
    let is_visible = notification::visible_to_sql("notification", "$1");
    format!(
        "SELECT unread.number, (SELECT count(*) FROM notification WHERE {is_unread} \
           AND notification.id >= CASE WHEN unread.number = $2 THEN unread.oldest ELSE 0 END \
         ) AS walked \
         FROM (SELECT count(*) AS number, min(id) AS oldest FROM ( \
           SELECT notification.id FROM notification WHERE {is_unread} AND {is_visible} \
           ORDER BY {order} LIMIT $2) AS newest) AS unread"
    )
}
