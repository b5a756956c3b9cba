//! Edges of lists of users, such as followers, whose rows are [`ListedUser`]s.
//!
//! [`ListedUser`]: crate::loaders::ListedUser

/// Defines the edge type of a list of users.
///
/// `count` is the type that `totalCount` is computed from, and the function that computes it. The
/// fields in braces are those beyond `cursor` and `node`.
macro_rules! user_edge {
    (
        $(#[$doc:meta])* $name:ident, $connection:literal, $node_doc:literal,
        count: $source:ty => $count:expr, { $($fields:tt)* }
    ) => {
        pub struct $name {
            cursor: String,
            row: $crate::loaders::ListedUser,
        }

        $(#[$doc])*
        #[async_graphql::Object]
        impl $name {
            /// The cursor of this entry.
            async fn cursor(&self) -> $crate::schema::text::ShortText<'_> {
                self.cursor.as_str().into()
            }

            #[doc = $node_doc]
            async fn node(&self) -> $crate::schema::eager::Eager<$crate::schema::user::User> {
                $crate::schema::eager::Eager((&self.row.user).into())
            }

            $($fields)*
        }

        impl $crate::schema::connection::Edge for $name {
            const CONNECTION: &'static str = $connection;
            type Row = $crate::loaders::ListedUser;
            type Node = $crate::schema::user::User;
            type Key = i64;
            type CountSource = $source;

            fn new(row: &Self::Row, cursor: String) -> Self {
                Self { cursor, row: row.clone() }
            }

            fn key(row: &Self::Row) -> i64 {
                row.entry_id
            }

            fn cursor(row: &Self::Row, list: $crate::schema::connection::ListOrder) -> String {
                use $crate::pagination::encode_cursor;
                if list.is_by_name {
                    encode_cursor(list.cursors, &row.user.username.to_ascii_lowercase())
                } else {
                    encode_cursor(list.cursors, &row.entry_id)
                }
            }

            async fn load(
                row: &Self::Row,
                _: &async_graphql::Context<'_>,
            ) -> Result<Self::Node, $crate::error::Error> {
                Ok((&row.user).into())
            }

            async fn count(
                source: &$source,
                ctx: &async_graphql::Context<'_>,
            ) -> Result<i32, $crate::error::Error> {
                ($count)(source, ctx).await
            }
        }
    };
}

pub(super) use user_edge;
