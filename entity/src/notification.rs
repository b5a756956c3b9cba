//! A notification: what another user did that concerns the recipient.

use sea_orm::entity::prelude::*;

/// A row of the table `notification`.
///
/// Recipient, kind, actor and post are unique together, by an index that treats no post as 0.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notification")]
pub struct Model {
    /// Snowflake id: the time of the notification and its position in the list.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The recipient.
    pub user_id: i64,
    /// What the actor did.
    pub kind: Kind,
    /// The user who did it.
    pub actor_id: i64,
    /// The post that it is about; `None` for follows and requests.
    ///
    /// It is the liked or reposted post of the recipient, or the post of the actor that replies to
    /// or mentions the recipient.
    pub post_id: Option<i64>,
    #[sea_orm(belongs_to, relation_enum = "Recipient", from = "user_id", to = "id")]
    pub recipient: BelongsTo<super::user::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Actor", from = "actor_id", to = "id")]
    pub actor: BelongsTo<super::user::Entity>,
    #[sea_orm(belongs_to, from = "post_id", to = "id")]
    pub post: BelongsTo<Option<super::post::Entity>>,
}

/// What a notification reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Kind {
    /// The actor follows the recipient.
    Follow = 0,
    /// The actor asks to follow the recipient.
    FollowRequest = 1,
    /// The actor has accepted the recipient's request to follow.
    RequestAccepted = 2,
    /// The actor likes a post of the recipient.
    Like = 3,
    /// The actor replied to a post of the recipient.
    Reply = 4,
    /// The actor reposted a post of the recipient.
    Repost = 5,
    /// The actor mentions the recipient in a post.
    Mention = 6,
}

impl ActiveModelBehavior for ActiveModel {}

/// The condition that a viewer may see the post of a notification, if it has one.
///
/// It is the scope of all reads of notifications. `notification` is the name of the table in the
/// statement, and `viewer` an expression with the viewer's id.
#[must_use]
pub fn visible_to_sql(notification: &str, viewer: &str) -> String {
    let is_visible = super::user::visible_to_sql("post.author_id", viewer);
    format!(
        "({notification}.post_id IS NULL OR (SELECT 1 FROM post \
         WHERE post.id = {notification}.post_id AND {is_visible}) IS NOT NULL)"
    )
}
