//! The statements of filtered or reordered lists of follows.
//!
//! A filter can be decided from several sides: the list itself, the opposite list of its owner, the
//! viewer's follows or followers, and the users with a prefix. The smallest side drives the
//! statement, and the others are looked up for each of its rows. If the list itself is the side and
//! keeps its order, the page is read in that order and ends early; else all rows of the side are
//! ranked. The parameters are those of [`page_sql`], then the viewer (`$5`) and the range of
//! usernames with the prefix (`$6`, `$7`).

use entity::user::{self, normalize_identifier, visible_to_sql};
use sea_orm::Value;

use super::{UserList, ViewerId};
use crate::database::Engine;
use crate::pagination::{Direction, OwnedRows, USERS, page_sql};

/// Conditions on the users of a list. `None` is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FollowFilter {
    /// A prefix of the username, in lower case.
    pub prefix: Option<String>,
    /// Whether the viewer follows the user.
    pub viewer_follows: Option<bool>,
    /// Whether the user follows the viewer.
    pub follows_viewer: Option<bool>,
    /// Whether the user and the owner of the list follow each other.
    pub mutual: Option<bool>,
}

/// A set of users from which a statement starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The list itself.
    List,
    /// The opposite list of the same owner.
    Opposite,
    /// The users whom the viewer follows.
    ViewerFollows,
    /// The users who follow the viewer.
    FollowsViewer,
    /// The users with the prefix.
    Prefix,
}

/// A list of follows with a filter, for a viewer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FollowList {
    /// [`UserList::Followers`] or [`UserList::Following`].
    pub list: UserList,
    pub filter: FollowFilter,
    /// Whether the owner's list must be visible to the viewer.
    ///
    /// Otherwise the filter selects follows that the viewer may see in any case.
    pub is_guarded: bool,
}

impl FollowFilter {
    /// Sides that contain all users of the filtered list, beside the list itself.
    pub fn sides(&self) -> impl Iterator<Item = Side> {
        let sides = [
            (self.mutual == Some(true), Side::Opposite),
            (self.viewer_follows == Some(true), Side::ViewerFollows),
            (self.follows_viewer == Some(true), Side::FollowsViewer),
            (self.prefix.is_some(), Side::Prefix),
        ];
        sides.into_iter().filter(|(is_given, _)| *is_given).map(|(_, side)| side)
    }

    /// The first and the end of the usernames with the prefix.
    pub fn prefix_range(&self) -> Option<[Value; 2]> {
        let start = normalize_identifier(self.prefix.as_deref()?);
        let end = format!("{start}~");
        Some([start.into(), end.into()])
    }
}

impl FollowList {
    /// The columns of `follow` with the owner and with the listed user.
    fn columns(&self) -> [&'static str; 2] {
        match self.list {
            UserList::Following => ["follower_id", "followed_id"],
            _ => ["followed_id", "follower_id"],
        }
    }

    /// The values of the parameters from `$5` on.
    pub fn values(&self, viewer: &ViewerId) -> Vec<Value> {
        let range = self.filter.prefix_range();
        [viewer.value()].into_iter().chain(range.into_iter().flatten()).collect()
    }

    /// The conditions on the user `other` in the list of `owner`. Each begins with AND.
    ///
    /// The condition that `side` fulfils is left out.
    fn conditions(&self, owner: &str, other: &str, side: Side) -> String {
        let [of_owner, of_other] = self.columns();
        let FollowFilter { prefix, viewer_follows, follows_viewer, mutual } = &self.filter;
        // A value and not EXISTS: PostgreSQL would join the tables, and could then compare all rows
        // of the one with all of the other.
        let exists = |expected: bool, from: String| {
            let not = if expected { "NOT " } else { "" };
            format!(" AND (SELECT 1 FROM {from}) IS {not}NULL")
        };
        let mut conditions = String::new();
        if let Some(expected) = viewer_follows.filter(|_| side != Side::ViewerFollows) {
            let pair = format!("back.follower_id = $5 AND back.followed_id = {other}");
            conditions += &exists(expected, format!("follow AS back WHERE {pair}"));
        }
        if let Some(expected) = follows_viewer.filter(|_| side != Side::FollowsViewer) {
            let pair = format!("back.follower_id = {other} AND back.followed_id = $5");
            conditions += &exists(expected, format!("follow AS back WHERE {pair}"));
        }
        if let Some(expected) = mutual.filter(|_| side != Side::Opposite) {
            let pair = format!("back.{of_other} = {owner} AND back.{of_owner} = {other}");
            conditions += &exists(expected, format!("follow AS back WHERE {pair}"));
        }
        if prefix.is_some() && side != Side::Prefix {
            let range = format!("named.id = {other} AND {}", has_prefix("named"));
            conditions += &exists(true, format!("\"user\" AS named WHERE {range}"));
        }
        conditions
    }

    /// The statement that reads the list in its order, and ends early.
    fn walk_sql(&self, engine: Engine, direction: Direction) -> String {
        let [owner, other] = self.columns();
        let condition = self.conditions("owner.value", &format!("follow.{other}"), Side::List);
        let viewer = self.is_guarded.then_some("$5");
        let rows =
            OwnedRows { parent: USERS, table: "follow", owner, condition: &condition, viewer };
        let (summary, rows) = (user::SUMMARY_COLUMNS, page_sql(engine, rows, direction));
        format!(
            "SELECT {summary}, page.owner, page.entry_id FROM ( \
               SELECT owner.value AS owner, follow.id AS entry_id, follow.{other} AS other \
               FROM {rows}) AS page CROSS JOIN \"user\" WHERE \"user\".id = page.other"
        )
    }

    /// The filtered follows from a side, as `entry`. Their owner is `owner.value`.
    ///
    /// Returns the `FROM` clause, and the expression of the listed user.
    fn side_sql(&self, engine: Engine, side: Side) -> (String, &'static str) {
        let [owner, other] = self.columns();
        let of_side = match (side, other) {
            (Side::List, "follower_id") => "entry.follower_id",
            (Side::List, _) => "entry.followed_id",
            (Side::ViewerFollows, _) | (Side::Opposite, "follower_id") => "side.followed_id",
            (Side::FollowsViewer | Side::Opposite, _) => "side.follower_id",
            (Side::Prefix, _) => "side.id",
        };
        let (table, condition) = match side {
            Side::List => ("", "true".to_owned()),
            Side::ViewerFollows => ("follow AS side CROSS JOIN", "side.follower_id = $5".into()),
            Side::FollowsViewer => ("follow AS side CROSS JOIN", "side.followed_id = $5".into()),
            Side::Opposite => ("follow AS side CROSS JOIN", format!("side.{other} = owner.value")),
            Side::Prefix => ("\"user\" AS side CROSS JOIN", has_prefix("side")),
        };
        let pair = match side {
            Side::List => String::new(),
            _ => format!("AND entry.{other} = {of_side}"),
        };
        let is_visible =
            if self.is_guarded { visible_to_sql("owner.value", "$5") } else { "true".to_owned() };
        let owners = engine.unnest_ids("owner");
        let conditions = self.conditions("owner.value", of_side, side);
        let is_entry = format!("entry.{owner} = owner.value {pair}");
        let from = match engine {
            // OFFSET keeps the planner from reading the whole list instead of the pairs.
            Engine::Postgres if side != Side::List => format!(
                "{owners} CROSS JOIN {table} LATERAL ( \
                   SELECT * FROM follow AS entry WHERE {is_entry} OFFSET 0) AS entry \
                 WHERE {is_visible} AND {condition}{conditions}"
            ),
            _ => format!(
                "{owners} CROSS JOIN {table} follow AS entry \
                 WHERE {is_visible} AND {condition} AND {is_entry}{conditions}"
            ),
        };
        (from, of_side)
    }

    /// The statement of a page, which starts from a side.
    ///
    /// A page by username has bounds of usernames in lower case.
    pub fn page_sql(
        &self,
        engine: Engine,
        side: Side,
        is_by_name: bool,
        direction: Direction,
    ) -> String {
        if side == Side::List && !is_by_name {
            return self.walk_sql(engine, direction);
        }
        let (from, other) = self.side_sql(engine, side);
        // Names ascend from the start of the list, and ids descend.
        let is_ascending = is_by_name == (direction == Direction::Forward);
        let (order, key) = (if is_ascending { "ASC" } else { "DESC" }, "found.position");
        let (newer, older) = if is_by_name { ("<=", ">=") } else { (">=", "<=") };
        let summary = user::SUMMARY_COLUMNS;
        let rows = format!(
            "SELECT owner.value AS owner, entry.id AS entry_id, {other} AS other FROM {from}"
        );
        let rows = if is_by_name {
            format!(
                "SELECT listed.*, lower(member.username) AS position FROM ({rows}) AS listed \
                 CROSS JOIN \"user\" AS member WHERE member.id = listed.other"
            )
        } else {
            format!("SELECT listed.*, entry_id AS position FROM ({rows}) AS listed")
        };
        format!(
            "SELECT {summary}, page.owner, page.entry_id FROM ( \
               SELECT owner, entry_id, other, zone, \
                 row_number() OVER (PARTITION BY owner, zone ORDER BY position {order}) AS place \
               FROM (SELECT owner, entry_id, other, position, \
                 CASE WHEN {key} {newer} $2 THEN 1 WHEN {key} {older} $3 THEN 2 ELSE 0 END AS zone \
                 FROM ({rows}) AS found) AS zoned \
             ) AS page CROSS JOIN \"user\" WHERE \"user\".id = page.other \
             AND page.place <= CASE page.zone WHEN 0 THEN $4 ELSE 1 END"
        )
    }

    /// The statement that counts the filtered follows of each owner, from a side.
    ///
    /// Its parameters are those of the pages, of which `$2` to `$4` are not used.
    pub fn count_sql(&self, engine: Engine, side: Side) -> String {
        let (from, _) = self.side_sql(engine, side);
        format!("SELECT owner.value AS owner, count(*) AS count FROM {from} GROUP BY owner.value")
    }
}

/// The condition that a user's username has the prefix.
fn has_prefix(user: &str) -> String {
    format!("lower({user}.username) >= $6 AND lower({user}.username) < $7")
}
