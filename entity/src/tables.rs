//! The list of all tables with ids.
//!
//! Commands and checks derive from it what they do with each table. The table of events is not
//! listed: its rows have no ids, and they have a meaning in their own database only.

/// A table whose rows have ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The name of the table and of its module in this crate.
    pub name: &'static str,
    /// Columns that refer to the ids of other tables.
    pub references: &'static [Reference],
    /// Columns of other tables that count rows of this table.
    pub counts: &'static [Count],
    /// Columns whose values have a meaning in their own database only.
    pub local_columns: &'static [&'static str],
}

impl Table {
    /// The name as an identifier of SQL: a noun may be a reserved word.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.name)
    }
}

/// A column that refers to the id of another table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The column that refers.
    pub column: &'static str,
    /// The table that it refers to.
    pub table: &'static str,
}

/// A column that counts the rows of another table whose `key` is the id of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The table of the column.
    pub table: &'static str,
    /// The column with the count.
    pub column: &'static str,
    /// The column of the counted table with the id.
    pub key: &'static str,
    /// The condition of the rows that are counted.
    pub condition: &'static str,
}

macro_rules! condition {
    () => {
        ""
    };
    ($condition:expr) => {
        $condition
    };
}

macro_rules! tables {
    ($($module:ident {
        references: [$($column:literal -> $parent:literal),*],
        counts: [$($counting:ident.$count:ident by $key:ident $(where $condition:expr)?),*],
        local_columns: [$($local:literal),*],
    })*) => {
        /// All tables with ids. A table comes after those that it refers to.
        ///
        /// A new table is a row here, an entity and a migration. This list drives the largest id,
        /// the stored counts, `copy`, `doctor`, `ANALYZE` and the tests of the schema.
        pub const TABLES: &[Table] = &[$(Table {
            name: stringify!($module),
            references: &[$(Reference { column: $column, table: $parent }),*],
            counts: &[$(Count {
                table: stringify!($counting),
                column: stringify!($count),
                key: stringify!($key),
                condition: condition!($($condition)?),
            }),*],
            local_columns: &[$($local),*],
        }),*];

        /// Runs a block for each of [`TABLES`], with its entity as a type.
        #[macro_export]
        macro_rules! for_each_table {
            ($entity:ident, $table:ident => $block:block) => {
                $(for $table in $crate::TABLES.iter().filter(|t| t.name == stringify!($module)) {
                    type $entity = $crate::$module::Entity;
                    $block
                })*
            };
        }
    };
}

tables! {
    user {
        references: [],
        counts: [],
        local_columns: [],
    }
    session {
        references: ["user_id" -> "user"],
        counts: [],
        local_columns: ["lsn"],
    }
    follow {
        references: ["follower_id" -> "user", "followed_id" -> "user"],
        counts: [user.following_count by follower_id, user.followers_count by followed_id],
        local_columns: [],
    }
    follow_request {
        references: ["requester_id" -> "user", "target_id" -> "user"],
        counts: [],
        local_columns: [],
    }
    block {
        references: ["blocker_id" -> "user", "blocked_id" -> "user"],
        counts: [],
        local_columns: [],
    }
    mute {
        references: ["muter_id" -> "user", "muted_id" -> "user"],
        counts: [user.mutes_count by muter_id],
        local_columns: [],
    }
    dismissal {
        references: ["user_id" -> "user", "dismissed_id" -> "user"],
        counts: [],
        local_columns: [],
    }
    post {
        references: ["author_id" -> "user"],
        counts: [
            user.posts_count by author_id,
            user.replies_count by author_id where "in_reply_to_id IS NOT NULL",
            post.replies_count by in_reply_to_id
        ],
        local_columns: [],
    }
    feed_item {
        references: ["actor_id" -> "user"],
        counts: [post.reposts_count by post_id where crate::feed_item::IS_REPOST],
        local_columns: [],
    }
    like {
        references: ["user_id" -> "user", "post_id" -> "post"],
        counts: [post.likes_count by post_id],
        local_columns: [],
    }
    mention {
        references: ["post_id" -> "post", "user_id" -> "user"],
        counts: [],
        local_columns: [],
    }
    notification {
        references: ["user_id" -> "user", "actor_id" -> "user", "post_id" -> "post"],
        counts: [],
        local_columns: [],
    }
    bookmark {
        references: ["user_id" -> "user", "post_id" -> "post"],
        counts: [],
        local_columns: [],
    }
    idempotency_key {
        references: ["user_id" -> "user"],
        counts: [],
        local_columns: [],
    }
    identity {
        references: ["user_id" -> "user"],
        counts: [],
        local_columns: [],
    }
    invite {
        references: ["creator_id" -> "user"],
        counts: [],
        local_columns: [],
    }
    mail {
        references: ["user_id" -> "user"],
        counts: [],
        local_columns: [],
    }
    mail_token {
        references: ["user_id" -> "user"],
        counts: [],
        local_columns: [],
    }
    external_token {
        references: [],
        counts: [],
        local_columns: [],
    }
}
