//! GraphQL types of search: posts by their words, and users by their names.
//!
//! Found posts have a connection type of their own, without `totalCount`: to count all posts with a
//! common word would take far longer than a page.

use async_graphql::{Context, Object};

use super::connection::{Edge as _, PageArgs, PageInfo, cost_of_posts, multiply_cost};
use super::eager::Eager;
use super::post::{Post, PostEdge};
use super::user::{User, UserBy};
use super::{loaders, request};
use crate::domain::search::{self, PostSearch};
use crate::error::Error;
use crate::loaders::ListedPost;
use crate::pagination::{CursorKind, CursorList, Page, encode_cursor};

pub struct PostSearchConnection {
    cursors: CursorList,
    page: Page<ListedPost>,
}

impl PostSearchConnection {
    fn cursor(&self, entry: &ListedPost) -> String {
        encode_cursor(self.cursors, &entry.post.id)
    }
}

/// One page of the posts that a search finds.
///
/// A page has fewer entries than requested only if the list, or the range between the cursors, has
/// no more entries.
#[Object]
impl PostSearchConnection {
    /// The entries of this page, each with its cursor.
    async fn edges(&self) -> Vec<Eager<PostEdge>> {
        let edge = |entry: &ListedPost| Eager(PostEdge::new(entry, self.cursor(entry)));
        self.page.rows.iter().map(edge).collect()
    }

    /// The posts of `edges`, in the same order.
    async fn nodes(&self) -> Vec<Eager<Post>> {
        self.page.rows.iter().map(|entry| Eager(Post::from(entry.post.clone()))).collect()
    }

    /// The position of this page in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo::new(&self.page, |entry| self.cursor(entry))
    }
}

#[derive(Default)]
pub struct SearchQuery;

#[expect(clippy::too_many_arguments)]
#[Object]
impl SearchQuery {
    /// The posts with all words of a query, newest first.
    ///
    /// Only posts that the viewer may see are found. Case, accents and punctuation are ignored.
    /// Words in double quotes are a phrase: the post has them in this order. A word that ends in
    /// `*` is a prefix of at least two characters. Without words the list is empty. If a post has a
    /// word more than 255 times, the first 255 are searched. In scripts without spaces each
    /// character is a word.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR` also for a cursor of another query,
    /// `INVALID_ID`, `ARGUMENT_OUT_OF_RANGE`, `QUERY_TOO_COMPLEX` if the server would look at too
    /// many posts that the viewer may not see, or that do not match.
    #[graphql(complexity = "250 + cost_of_posts(first, last, child_complexity)")]
    async fn search_posts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Words, phrases and prefixes. At most 200 characters.")] query: String,
        #[graphql(desc = "Only posts of this user. Default: of all users.")] by: Option<UserBy>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<PostSearchConnection, Error> {
        let terms = search::SearchQuery::parse(&query)?;
        let author = match by {
            // No post has the author 0, as which an unknown user is searched for.
            Some(by) => Some(User::find(ctx, by).await?.map_or(0, |user| user.lists().id)),
            None => None,
        };
        let arguments = format!("{} {query}", author.unwrap_or_default());
        let cursors = CursorList::with_arguments(CursorKind::SearchedPosts, &arguments);
        let page = PageArgs { first, after, last, before }.parse(cursors)?;
        let viewer = request(ctx).viewer().map_or(0, |viewer| viewer.id());
        let search = PostSearch { query: terms, viewer, author };
        let page = search::posts(&loaders(ctx).snapshot, &search, &page).await?;
        Ok(PostSearchConnection { cursors, page: page.map(ListedPost::from) })
    }

    /// The users whose names have words that begin with the words of a query.
    ///
    /// A name is the username or the display name. The best come first: the user with this
    /// username, then users whose username begins with the query, then users with more followers.
    /// Case and accents are ignored. At most 2000 users are ranked: 1000 whose username begins with
    /// the query, and 1000 whose names have the words. Without words the list is empty.
    ///
    /// Errors: `ARGUMENT_OUT_OF_RANGE`.
    #[graphql(
        complexity = "250 + multiply_cost(usize::try_from(first).unwrap_or(50).min(50), child_complexity)"
    )]
    async fn search_users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The beginnings of words. At most 200 characters.")] query: String,
        #[graphql(default = 20, desc = "Maximum number of users: 1 to 50.")] first: i32,
    ) -> Result<Vec<Eager<User>>, Error> {
        let found = search::users(&loaders(ctx).snapshot, &query, first).await?;
        Ok(found.iter().map(|user| Eager(User::from(user))).collect())
    }
}
