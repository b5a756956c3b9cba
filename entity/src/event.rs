//! What happened, for those who watch. Written by the transaction in which it happens, and named by that
//! transaction's number; so nothing happens untold, and nothing is told that did not happen.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    /// The transaction's number, by the database. On PostgreSQL they are not committed in this order.
    #[sea_orm(primary_key, auto_increment = false)]
    pub txn: i64,
    pub kind: Kind,
    /// The user who did it.
    pub actor: i64,
    /// The post or the other user whom it was done to; 0 where there is neither.
    pub object: i64,
    pub at: DateTimeUtc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Kind {
    /// The table begins here.
    Began = 0,
    PostAdded = 1,
    PostUpdated = 2,
    PostRemoved = 3,
    /// The actor follows the object.
    Followed = 4,
    Unfollowed = 5,
    /// The actor's account is gone, with all posts and follows.
    UserRemoved = 6,
    /// A command has changed more than can be told one by one.
    ManyChanged = 7,
}

impl ActiveModelBehavior for ActiveModel {}
