//! The lists of a user: posts, followers, followed users and the home timeline.

use async_graphql::{Context, Object};
use entity::user::UserSummary;

use crate::error::Error;
use crate::loaders::{PageKey, Timeline, TimelineKey, UserList};
use crate::schema::connection::{Connection, PageArgs, StoredCount, cost, cost_of_posts, no_page};
use crate::schema::follow::{FollowerEdge, FollowingEdge};
use crate::schema::follow_list::{
    FollowArgs, FollowFilter, FollowOrder, follow_page, known_followers,
};
use crate::schema::loaders;
use crate::schema::post::PostEdge;
use crate::schema::post_list::{UserPostFilter, user_posts};
use crate::schema::timeline::{TimelineConnection, TimelineFilter, timeline_cursors};

/// The fields of a user that are lists, and what they depend on.
#[derive(Clone, Copy, Debug)]
pub struct Lists {
    pub id: i64,
    pub is_protected: bool,
    pub followers_count: i32,
    pub following_count: i32,
    pub posts_count: i32,
    pub replies_count: i32,
    pub has_mutes: bool,
}

impl From<&UserSummary> for Lists {
    fn from(user: &UserSummary) -> Self {
        Self {
            id: user.id,
            is_protected: user.is_protected,
            followers_count: user.followers_count,
            following_count: user.following_count,
            posts_count: user.posts_count,
            replies_count: user.replies_count,
            has_mutes: user.mutes_count > 0,
        }
    }
}

impl Lists {
    /// The source of the `totalCount` of a list with a stored count.
    pub fn stored(&self, count: i32) -> StoredCount {
        StoredCount { user: self.id, is_protected: self.is_protected, count }
    }
}

// The arguments of a resolver are those of its field.
#[expect(clippy::too_many_arguments)]
#[Object]
impl Lists {
    /// The posts of this user, newest first. Empty if `viewerCanSee` is false.
    ///
    /// With a filter, `totalCount` is the number of entries that pass it. A cursor belongs to its
    /// filter.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "cost_of_posts(first, last, child_complexity)")]
    async fn posts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
        #[graphql(desc = "What the list has. Default: all posts, and no reposts.")] filter: Option<
            UserPostFilter,
        >,
    ) -> Result<Connection<PostEdge>, Error> {
        user_posts(ctx, self, PageArgs { first, after, last, before }, filter).await
    }

    /// The users who follow this user, by default newest follow first.
    ///
    /// Empty if `viewerCanSee` is false. With a filter, `totalCount` is the number of users that
    /// pass it. A cursor belongs to its filter and its order.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`, `LIST_TOO_LARGE` for an order by
    /// username of more than 50000 users.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn followers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only users that pass the filter. Default: all.")] filter: Option<
            FollowFilter,
        >,
        #[graphql(desc = "The order of the list. Default: the newest follow first.")]
        order_by: Option<FollowOrder>,
    ) -> Result<Connection<FollowerEdge>, Error> {
        let args = PageArgs { first, after, last, before };
        follow_page(ctx, self, UserList::Followers, FollowArgs { page: args, filter, order_by })
            .await
    }

    /// The users that this user follows, by default newest follow first.
    ///
    /// Empty if `viewerCanSee` is false. With a filter, `totalCount` is the number of users that
    /// pass it. A cursor belongs to its filter and its order.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`, `LIST_TOO_LARGE` for an order by
    /// username of more than 50000 users.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn following(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only users that pass the filter. Default: all.")] filter: Option<
            FollowFilter,
        >,
        #[graphql(desc = "The order of the list. Default: the newest follow first.")]
        order_by: Option<FollowOrder>,
    ) -> Result<Connection<FollowingEdge>, Error> {
        let args = PageArgs { first, after, last, before };
        follow_page(ctx, self, UserList::Following, FollowArgs { page: args, filter, order_by })
            .await
    }

    /// The posts and reposts of this user and of the followed users, newest first.
    ///
    /// Users whom this user mutes are left out, and posts that the viewer may not see. A repost is
    /// left out if this user wrote the post, follows, mutes or blocks its author or is blocked by
    /// them, or if the author is protected. The timeline is computed when it is read, so it
    /// includes every earlier follow, unfollow, mute and post. Empty if `viewerCanSee` is false. A
    /// cursor belongs to its filter.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "cost_of_posts(first, last, child_complexity)")]
    async fn timeline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
        #[graphql(desc = "What the timeline shows. Default: everything.")] filter: Option<
            TimelineFilter,
        >,
    ) -> Result<TimelineConnection, Error> {
        let filter = filter.map_or_else(Default::default, Into::into);
        let page = PageArgs { first, after, last, before }.parse(timeline_cursors(filter))?;
        let (owner, following, has_mutes) = (self.id, self.following_count, self.has_mutes);
        let timeline = TimelineKey {
            page: PageKey { owner, page },
            timeline: Timeline { owner, following, has_mutes, filter },
        };
        let page = loaders(ctx).timelines.load(timeline.clone()).await?.ok_or_else(no_page)?;
        Ok(TimelineConnection { timeline, page })
    }

    /// The followers of this user whom the viewer follows, newest follow first.
    ///
    /// Empty for anonymous requests. Each of these follows is also in the list `following` of a
    /// user whom the viewer follows, so the list is not empty for a protected user.
    ///
    /// Errors: `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn known_followers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of first entries: 1 to 100. Default: 20 unless `last` is set.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries after this cursor.")] after: Option<String>,
        #[graphql(desc = "Number of last entries: 1 to 100. Cannot be combined with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Result<Connection<FollowerEdge>, Error> {
        known_followers(ctx, self, PageArgs { first, after, last, before }).await
    }
}
