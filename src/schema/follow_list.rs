//! Lists of follows, with a filter and an order.
//!
//! Without them, a page is read by the loader of the list, and its `totalCount` is the count stored
//! with the user.

use async_graphql::{Context, Enum, InputObject};

use super::connection::{Connection, Edge, ListOrder, PageArgs, StoredCount, no_page};
use super::follow::FollowerEdge;
use super::loaders;
use super::user::Lists;
use crate::error::Error;
use crate::loaders;
use crate::loaders::{FilteredList, FollowList, FollowPage, ListedUser, PageKey, UserList};
use crate::pagination::{CursorKind, CursorList};

/// Maximum length of a list that is ordered by username.
const MAX_SORTED: i32 = 50_000;

/// Conditions on the users of a list. A user passes the filter if all of them hold.
///
/// A condition that is null does not restrict the list.
#[derive(Debug, InputObject)]
pub struct FollowFilter {
    /// The username starts with this text. Case-insensitive.
    username_prefix: Option<String>,
    /// Whether the viewer follows the user. Always false for an anonymous request.
    viewer_follows: Option<bool>,
    /// Whether the user follows the viewer. Always false for an anonymous request.
    follows_viewer: Option<bool>,
    /// Whether the user and the owner of the list follow each other.
    mutual: Option<bool>,
}

/// What a list of follows is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum FollowOrderField {
    /// The time of the follow.
    FollowedAt,
    /// The username, in lower case.
    Username,
}

/// A direction of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum OrderDirection {
    /// From old to new, and from a to z.
    Asc,
    /// From new to old, and from z to a.
    Desc,
}

/// The order of a list of follows.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct FollowOrder {
    /// What the list is ordered by.
    field: FollowOrderField,
    /// The direction of the order.
    direction: OrderDirection,
}

impl FollowOrder {
    fn is_default(self) -> bool {
        (self.field, self.direction) == (FollowOrderField::FollowedAt, OrderDirection::Desc)
    }
}

/// The arguments of a list of follows.
pub struct FollowArgs {
    pub page: PageArgs,
    pub filter: Option<FollowFilter>,
    pub order_by: Option<FollowOrder>,
}

/// What the `totalCount` of a list of follows is computed from.
pub enum FollowCount {
    Stored(StoredCount),
    Filtered(FilteredList),
}

impl FollowCount {
    pub async fn read(&self, ctx: &Context<'_>) -> Result<i32, Error> {
        match self {
            Self::Stored(count) => count.read(ctx).await,
            Self::Filtered(list) => {
                Ok(loaders(ctx).follow_counts.load(list.clone()).await?.unwrap_or_default())
            }
        }
    }
}

impl From<FollowFilter> for loaders::FollowFilter {
    fn from(filter: FollowFilter) -> Self {
        Self {
            prefix: filter.username_prefix.map(|prefix| prefix.to_ascii_lowercase()),
            viewer_follows: filter.viewer_follows,
            follows_viewer: filter.follows_viewer,
            mutual: filter.mutual,
        }
    }
}

/// A page of the followers or of the followed users of a user.
///
/// # Errors
/// [`Error::ListTooLarge`] for an order by username of too many users; those of
/// [`PageArgs::parse`]; any error of the database.
pub async fn follow_page<E>(
    ctx: &Context<'_>,
    owner: &Lists,
    list: UserList,
    args: FollowArgs,
) -> Result<Connection<E>, Error>
where
    E: Edge<Row = ListedUser, CountSource = FollowCount>,
{
    let (kind, length, opposite_length) = match list {
        UserList::Following => {
            (CursorKind::Following, owner.following_count, owner.followers_count)
        }
        _ => (CursorKind::Followers, owner.followers_count, owner.following_count),
    };
    let filter = args.filter.map_or_else(loaders::FollowFilter::default, Into::into);
    let is_filtered = filter != loaders::FollowFilter::default();
    let count = FollowCount::Stored(owner.stored(length));
    if !is_filtered && args.order_by.is_none_or(FollowOrder::is_default) {
        let key = PageKey { owner: owner.id, page: args.page.parse(kind)? };
        let loaders = loaders(ctx);
        let page = match list {
            UserList::Following => loaders.following.load(key).await?,
            _ => loaders.followers.load(key).await?,
        };
        let page = page.ok_or_else(no_page)?;
        return Ok(Connection { order: kind.into(), page, count_source: count });
    }
    let list = FollowList { list, filter, is_guarded: true };
    let list = FilteredList { owner: owner.id, list, length, opposite_length };
    let count = if is_filtered { FollowCount::Filtered(list.clone()) } else { count };
    filtered_page(ctx, list, kind, (args.page, args.order_by), count).await
}

/// A page of a list with a filter or an order.
async fn filtered_page<E>(
    ctx: &Context<'_>,
    list: FilteredList,
    kind: CursorKind,
    (page, order_by): (PageArgs, Option<FollowOrder>),
    count_source: FollowCount,
) -> Result<Connection<E>, Error>
where
    E: Edge<Row = ListedUser, CountSource = FollowCount>,
{
    let order = order_by.map(|order| (order.field, order.direction));
    let is_by_name = matches!(order, Some((FollowOrderField::Username, _)));
    if is_by_name && list.length > MAX_SORTED {
        return Err(Error::ListTooLarge { max: MAX_SORTED });
    }
    // The loader has one direction of each order; a page of the other is read from its end.
    let is_reversed = matches!(
        order,
        Some(
            (FollowOrderField::FollowedAt, OrderDirection::Asc)
                | (FollowOrderField::Username, OrderDirection::Desc)
        )
    );
    let cursors =
        CursorList::with_arguments(kind, &format!("{:?} {is_by_name} {is_reversed}", list.list));
    let page = if is_reversed { page.reversed() } else { page };
    let page = if is_by_name {
        FollowPage::ByName(page.parse(cursors)?)
    } else {
        FollowPage::ByTime(page.parse(cursors)?)
    };
    let mut page = loaders(ctx).follow_pages.load((list, page)).await?.ok_or_else(no_page)?;
    if is_reversed {
        page = (*page).clone().reversed().into();
    }
    Ok(Connection { order: ListOrder { cursors, is_by_name }, page, count_source })
}

/// A page of the followers of a user whom the viewer follows.
///
/// # Errors
/// Those of [`PageArgs::parse`]; any error of the database.
pub async fn known_followers(
    ctx: &Context<'_>,
    owner: &Lists,
    page: PageArgs,
) -> Result<Connection<FollowerEdge>, Error> {
    let list = known_follower_list(owner.id, owner.followers_count, owner.following_count);
    let count = FollowCount::Filtered(list.clone());
    filtered_page(ctx, list, CursorKind::KnownFollowers, (page, None), count).await
}

/// The list of the followers of a user whom the viewer follows.
pub fn known_follower_list(owner: i64, length: i32, opposite_length: i32) -> FilteredList {
    let filter = loaders::FollowFilter { viewer_follows: Some(true), ..Default::default() };
    let list = FollowList { list: UserList::Followers, filter, is_guarded: false };
    FilteredList { owner, list, length, opposite_length }
}
