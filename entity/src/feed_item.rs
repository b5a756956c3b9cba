//! A feed item: an entry that a user adds to the timelines of their followers.
//!
//! A post is an item of its author, and has the same id. A repost is an item of the user who
//! reposts, with an id of its own; there is no other table of reposts. Timelines merge the items of
//! their sources. An item has all that decides whether a timeline shows it.

use sea_orm::entity::prelude::*;

/// A row of the table `feed_item`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "feed_item")]
pub struct Model {
    /// The author of the post, or the user who reposted it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub actor_id: i64,
    /// Snowflake id: the time of the item and its position in timelines.
    ///
    /// It is unique, by an index beside the primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The post. It is no foreign key, which would need an index of all items by post.
    pub post_id: i64,
    /// The author of the post that is reposted, or of the post that was replied to.
    ///
    /// The account can have been deleted. `None` for a post that is neither.
    pub subject_id: Option<i64>,
    /// What the item is.
    pub kind: Kind,
    #[sea_orm(belongs_to, from = "actor_id", to = "id")]
    pub actor: BelongsTo<super::user::Entity>,
}

/// What a feed item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Kind {
    /// A post that replies to none.
    Post = 0,
    /// A post that replies to another.
    Reply = 1,
    /// A repost.
    Repost = 2,
}

impl ActiveModelBehavior for ActiveModel {}

/// The condition that an item is a repost.
///
/// The kind is a literal: PostgreSQL does not use an index of reposts only for a parameter.
pub const IS_REPOST: &str = "kind = 2";

/// A query for the users who have reposted posts of the user `$1`.
///
/// It reads at most `limit` reposts, and returns the `id` of each user with the number of these
/// `reposts`. The user's own reposts are left out.
#[must_use]
pub fn reposters_sql(limit: usize) -> String {
    format!(
        "SELECT actor_id AS id, count(*) AS reposts FROM ( \
           SELECT item.actor_id FROM post JOIN feed_item AS item ON item.post_id = post.id \
           WHERE post.author_id = $1 AND post.reposts_count > 0 \
           AND item.{IS_REPOST} AND item.actor_id <> $1 LIMIT {limit}) AS repost \
         GROUP BY actor_id"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn condition_of_reposts_has_their_kind() {
        assert_eq!(IS_REPOST, format!("kind = {}", Kind::Repost.into_value()));
    }
}
