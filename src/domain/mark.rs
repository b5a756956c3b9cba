//! The posts that the viewer has bookmarked or liked, as pages and as a number.
//!
//! Both lists are private. Posts that the viewer may not see any more are left out.

use entity::user::visible_to_sql;
use sea_orm::FromQueryResult;

use crate::auth::Viewer;
use crate::database::Snapshot;
use crate::error::Error;
use crate::pagination::{OwnedRows, PageRequest, USERS, page_sql};

/// Look-ups for a mark: its row, the post, the author, and a follow.
const LOOKUPS: usize = 4;

/// The table of bookmarks or of likes.
///
/// It has the columns `id`, `user_id` and `post_id`.
#[derive(Clone, Copy, Debug)]
pub struct MarkTable {
    /// The name as an identifier of SQL.
    pub name: &'static str,
}

impl MarkTable {
    /// The condition that a viewer may see the post of a row.
    fn is_visible(self, viewer: &str) -> String {
        let (name, is_visible) = (self.name, visible_to_sql("post.author_id", viewer));
        format!("(SELECT 1 FROM post WHERE post.id = {name}.post_id AND {is_visible}) IS NOT NULL")
    }

    /// The rows of a page of the viewer's list.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn page_rows<R: FromQueryResult>(
        self,
        snapshot: &Snapshot,
        viewer: &Viewer,
        request: &PageRequest<i64>,
    ) -> Result<Vec<R>, Error> {
        let (engine, table) = (snapshot.engine(), self.name);
        let condition = &format!("AND {}", self.is_visible("$5"));
        let list = OwnedRows { parent: USERS, table, owner: "user_id", condition, viewer: None };
        let source = page_sql(engine, list, request.direction);
        let (start, end) = request.bounds();
        let (owner, limit) = (engine.bind_ids([viewer.id()]), request.limit());
        let values = [owner, start.into(), end.into(), limit.into(), viewer.id().into()];
        let sql = format!("SELECT {table}.* FROM {source}");
        snapshot.all(LOOKUPS * request.rows(), &sql, values).await
    }

    /// The number of all rows of the viewer's list.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn count(self, snapshot: &Snapshot, viewer: &Viewer) -> Result<u64, Error> {
        #[derive(FromQueryResult)]
        struct Counted {
            number: i64,
        }
        let (table, is_visible) = (self.name, self.is_visible("$1"));
        let sql =
            format!("SELECT count(*) AS number FROM {table} WHERE user_id = $1 AND {is_visible}");
        let rows: Vec<Counted> = snapshot.all(1, &sql, [viewer.id().into()]).await?;
        let count = rows.first().map_or(0, |counted| counted.number.unsigned_abs());
        snapshot.charge_counted(count);
        Ok(count)
    }
}
