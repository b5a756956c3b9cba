//! Lists of posts: those of a user, replies, and what their counts come from.

use async_graphql::{Context, InputObject};

use super::connection::{Connection, ListOrder, PageArgs, StoredCount, no_page, to_graphql_int};
use super::loaders;
use super::post::PostEdge;
use super::user::Lists;
use crate::domain;
use crate::error::Error;
use crate::loaders::{PageKey, PostPageKey};
use crate::pagination::{CursorKind, CursorList};

/// Which posts of a user a list has.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct UserPostFilter {
    /// Whether the list has posts that reply to others.
    #[graphql(default = true)]
    replies: bool,
}

/// What the `totalCount` of a list of posts is computed from.
pub enum PostCount {
    /// All public posts, which are counted.
    Public,
    Stored(StoredCount),
    /// The replies to a post that the viewer may see.
    ///
    /// They are counted unless there are none at all.
    Replies {
        post: i64,
        /// The stored count of all replies.
        all: i32,
    },
}

impl PostCount {
    pub async fn read(&self, ctx: &Context<'_>) -> Result<i32, Error> {
        match self {
            Self::Public => domain::post::count(&loaders(ctx).snapshot).await.map(to_graphql_int),
            Self::Stored(count) => count.read(ctx).await,
            Self::Replies { all: 0, .. } => Ok(0),
            Self::Replies { post, all } => {
                Ok(loaders(ctx).reply_counts.load((*post, *all)).await?.unwrap_or_default())
            }
        }
    }
}

/// A page of the posts of a user, newest first.
///
/// # Errors
/// Those of [`PageArgs::parse`]; any error of the database.
pub async fn user_posts(
    ctx: &Context<'_>,
    owner: &Lists,
    page: PageArgs,
    filter: Option<UserPostFilter>,
) -> Result<Connection<PostEdge>, Error> {
    let replies = filter.is_none_or(|filter| filter.replies);
    let (cursors, listed) = if replies {
        (CursorList::from(CursorKind::UserPosts), owner.posts_count)
    } else {
        let cursors = CursorList::with_arguments(CursorKind::UserPosts, "without replies");
        (cursors, owner.posts_count - owner.replies_count)
    };
    let page = PageKey { owner: owner.id, page: page.parse(cursors)? };
    let key = PostPageKey { page, replies, posts: owner.posts_count, listed };
    let page = loaders(ctx).post_pages.load(key).await?.ok_or_else(no_page)?;
    let count_source = PostCount::Stored(owner.stored(listed));
    Ok(Connection { order: ListOrder { cursors, is_by_name: false }, page, count_source })
}

/// A page of the replies to a post that the viewer may see, oldest first.
///
/// `all` is the stored count of all replies.
///
/// # Errors
/// Those of [`PageArgs::parse`]; any error of the database.
pub async fn replies(
    ctx: &Context<'_>,
    (post, all): (i64, i32),
    page: PageArgs,
) -> Result<Connection<PostEdge>, Error> {
    // The loader reads the newest first.
    let key = PageKey { owner: post, page: page.reversed().parse(CursorKind::Replies)? };
    let page = loaders(ctx).reply_pages.load(key).await?.ok_or_else(no_page)?;
    let page = (*page).clone().reversed().into();
    let count_source = PostCount::Replies { post, all };
    Ok(Connection { order: CursorKind::Replies.into(), page, count_source })
}
