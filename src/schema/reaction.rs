//! The fields of `Post` about likes, reposts and bookmarks.
//!
//! The mutations are in `like.rs`, `repost.rs` and `bookmark.rs`.

use async_graphql::{Context, Object};
use entity::post;

use super::connection::{Connection, LoadedCount, PageArgs, cost, no_page};
use super::like::LikerEdge;
use super::loaders;
use super::repost::ReposterEdge;
use crate::error::Error;
use crate::loaders::PageKey;
use crate::pagination::CursorKind;

/// The fields of a post about what users do with it.
#[derive(Clone, Copy)]
pub struct Reactions {
    id: i64,
    likes_count: i32,
    reposts_count: i32,
}

impl From<&post::Model> for Reactions {
    fn from(post: &post::Model) -> Self {
        let (likes_count, reposts_count) = (post.likes_count, post.reposts_count);
        Self { id: post.id, likes_count, reposts_count }
    }
}

#[Object]
impl Reactions {
    /// Number of users who like the post.
    async fn likes_count(&self) -> i32 {
        self.likes_count
    }

    /// The users who like the post, newest like first.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn likers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<LikerEdge>, Error> {
        let page = PageArgs { first, after, last, before }.parse(CursorKind::Likers)?;
        let key = PageKey { owner: self.id, page };
        let page = loaders(ctx).likers.load(key).await?.ok_or_else(no_page)?;
        let count_source = LoadedCount(self.likes_count);
        Ok(Connection { order: CursorKind::Likers.into(), page, count_source })
    }

    /// Whether the viewer likes the post. False for anonymous requests.
    async fn viewer_has_liked(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        Ok(loaders(ctx).liked.load(self.id).await?.is_some())
    }

    /// Number of users who have reposted the post.
    async fn reposts_count(&self) -> i32 {
        self.reposts_count
    }

    /// The users who have reposted the post, newest repost first.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn reposters(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<ReposterEdge>, Error> {
        let page = PageArgs { first, after, last, before }.parse(CursorKind::Reposters)?;
        let key = PageKey { owner: self.id, page };
        let page = loaders(ctx).reposters.load(key).await?.ok_or_else(no_page)?;
        let count_source = LoadedCount(self.reposts_count);
        Ok(Connection { order: CursorKind::Reposters.into(), page, count_source })
    }

    /// Whether the viewer has reposted the post. False for anonymous requests.
    async fn viewer_has_reposted(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        Ok(loaders(ctx).reposted.load(self.id).await?.is_some())
    }

    /// Whether the viewer has bookmarked the post. False for anonymous requests.
    async fn viewer_has_bookmarked(&self, ctx: &Context<'_>) -> Result<bool, Error> {
        Ok(loaders(ctx).bookmarked.load(self.id).await?.is_some())
    }
}
