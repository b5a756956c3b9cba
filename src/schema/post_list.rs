//! Lists of posts: those of a user with their reposts, replies, and the counts.

use async_graphql::{Context, InputObject};

use super::connection::{Connection, ListOrder, PageArgs, StoredCount, no_page, to_graphql_int};
use super::loaders;
use super::post::PostEdge;
use super::user::{Lists, can_see};
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
    /// Whether the list also has the user's reposts, each at the place of its time.
    ///
    /// Reposts of posts that the viewer may not see are left out. A post that its author has
    /// reposted is in the list twice.
    #[graphql(default = false)]
    reposts: bool,
}

/// What the `totalCount` of a list of posts is computed from.
pub enum PostCount {
    /// All public posts, which are counted.
    Public,
    Stored(StoredCount),
    /// Posts with a stored count, and the reposts by their author.
    ///
    /// The reposts that the viewer may see are counted.
    WithReposts(StoredCount),
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
            Self::WithReposts(posts) => {
                if !can_see(ctx, posts.user, posts.is_protected).await? {
                    return Ok(0);
                }
                let reposts = loaders(ctx).repost_counts.load(posts.user).await?;
                Ok(posts.count.saturating_add(reposts.unwrap_or_default()))
            }
            Self::Replies { all: 0, .. } => Ok(0),
            Self::Replies { post, all } => {
                Ok(loaders(ctx).reply_counts.load((*post, *all)).await?.unwrap_or_default())
            }
        }
    }
}

/// The list of the cursors of a user's posts with a filter.
fn post_cursors(filter: UserPostFilter) -> CursorList {
    let arguments = match filter {
        UserPostFilter { replies: true, reposts: false } => return CursorKind::UserPosts.into(),
        UserPostFilter { replies: false, reposts: false } => "without replies",
        UserPostFilter { replies: true, reposts: true } => "with reposts",
        UserPostFilter { replies: false, reposts: true } => "without replies, with reposts",
    };
    CursorList::with_arguments(CursorKind::UserPosts, arguments)
}

/// A page of the posts of a user, newest first, with a filter that may add reposts.
///
/// # Errors
/// Those of [`PageArgs::parse`]; any error of the database.
pub async fn user_posts(
    ctx: &Context<'_>,
    owner: &Lists,
    page: PageArgs,
    filter: Option<UserPostFilter>,
) -> Result<Connection<PostEdge>, Error> {
    let filter = filter.unwrap_or(UserPostFilter { replies: true, reposts: false });
    let (posts, replies) = (owner.posts_count, filter.replies);
    let listed = if replies { posts } else { posts - owner.replies_count };
    let cursors = post_cursors(filter);
    let page = PageKey { owner: owner.id, page: page.parse(cursors)? };
    let key = PostPageKey { page, replies, posts, listed };
    let (page, count_source) = if filter.reposts {
        let page = loaders(ctx).feed_pages.load(key).await?;
        (page, PostCount::WithReposts(owner.stored(listed)))
    } else {
        (loaders(ctx).post_pages.load(key).await?, PostCount::Stored(owner.stored(listed)))
    };
    let page = page.ok_or_else(no_page)?;
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
