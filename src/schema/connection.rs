//! Relay connections: one generic type for all lists that have a `totalCount`.
//!
//! [`Connection`] is generic over its [`Edge`], which names the GraphQL type of the connection
//! (<https://relay.dev/graphql/connections.htm>). async-graphql's `connection` module is not used:
//! its edges own their nodes, so each node would be loaded and built even if it is not selected.
//! Here, a connection has the rows of its page, and makes edges and nodes from them on request. The
//! cost functions of list fields are in this file, too.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::{Context, Object, ObjectType, SimpleObject, TypeName};
use futures_util::future::try_join_all;

use super::eager::Eager;
use super::user::can_see;
use crate::error::Error;
use crate::pagination::{
    CursorKey, CursorKind, CursorList, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Page, PageRequest,
    decode_cursor, encode_cursor,
};

/// The position of a page in its list.
///
/// `hasNextPage` and `hasPreviousPage` are both accurate regardless of the paging direction.
#[derive(Clone, Debug, SimpleObject)]
pub struct PageInfo {
    /// Whether the list has entries after this page.
    has_next_page: bool,
    /// Whether the list has entries before this page.
    has_previous_page: bool,
    /// The cursor of the first entry of the page. Null if the page is empty.
    start_cursor: Option<String>,
    /// The cursor of the last entry of the page. Null if the page is empty.
    end_cursor: Option<String>,
}

impl PageInfo {
    pub fn new<T>(page: &Page<T>, cursor: impl Fn(&T) -> String) -> Self {
        Self {
            has_next_page: page.has_next,
            has_previous_page: page.has_previous,
            start_cursor: page.rows.first().map(&cursor),
            end_cursor: page.rows.last().map(&cursor),
        }
    }
}

/// The four arguments of every connection field.
pub struct PageArgs {
    pub first: Option<i32>,
    pub after: Option<String>,
    pub last: Option<i32>,
    pub before: Option<String>,
}

impl PageArgs {
    /// Validates the page size and decodes the cursors of a list.
    ///
    /// # Errors
    /// [`Error::PageSizeOutOfRange`], [`Error::InvalidCursor`], [`Error::CursorsReversed`].
    pub fn parse<K: CursorKey>(self, list: impl Into<CursorList>) -> Result<PageRequest<K>, Error> {
        let list = list.into();
        let cursor = |text: Option<String>| text.map(|text| decode_cursor(list, &text)).transpose();
        PageRequest::new(self.first, self.last, cursor(self.after)?, cursor(self.before)?)
    }

    /// The arguments for the same page of the list in the opposite order.
    pub fn reversed(self) -> Self {
        let Self { first, after, last, before } = self;
        let default = (first, last) == (None, None);
        let first = if default { Some(DEFAULT_PAGE_SIZE) } else { first };
        Self { first: last, after: before, last: first, before: after }
    }
}

/// Cost of a connection field: 1, plus the page size times `child_cost`.
///
/// `child_cost` is the cost of its selection.
pub fn cost(first: Option<i32>, last: Option<i32>, child_cost: usize) -> usize {
    let size = first.or(last).unwrap_or(DEFAULT_PAGE_SIZE).clamp(1, MAX_PAGE_SIZE);
    multiply_cost(size.unsigned_abs() as usize, child_cost)
}

/// Cost of a list of posts, with 4 more for each post.
///
/// The text of a post is read even if it is not selected.
pub fn cost_of_posts(first: Option<i32>, last: Option<i32>, child_cost: usize) -> usize {
    cost(first, last, child_cost.saturating_add(4))
}

/// Adds 250 for a list without a stored count, whose `totalCount` counts rows.
pub fn with_count(cost: usize) -> usize {
    cost.saturating_add(250)
}

/// Cost of a field whose selection is resolved `count` times, at most `MAX_COST`.
///
/// async-graphql adds the costs of fields without an overflow check. `MAX_COST` exceeds every
/// configurable limit, and the sum over all fields of the largest document does not overflow.
pub fn multiply_cost(count: usize, child_cost: usize) -> usize {
    const MAX_COST: usize = 1 << 40;
    child_cost.saturating_mul(count.max(1)).saturating_add(1).min(MAX_COST)
}

/// An entry of a list, made from a row.
pub trait Edge: ObjectType + Send + Sync + Sized {
    /// GraphQL name of the connection type.
    const CONNECTION: &'static str;
    /// What the page has for each entry.
    type Row: Send + Sync;
    type Node: ObjectType;
    /// The sort key of the list.
    type Key: CursorKey;
    /// What `totalCount` is computed from.
    type CountSource: Send + Sync;

    fn new(row: &Self::Row, cursor: String) -> Self;
    fn key(row: &Self::Row) -> Self::Key;
    /// The cursor of an entry, in a list with this order.
    fn cursor(row: &Self::Row, list: ListOrder) -> String {
        encode_cursor(list.cursors, &Self::key(row))
    }
    fn load(
        row: &Self::Row,
        ctx: &Context<'_>,
    ) -> impl Future<Output = Result<Self::Node, Error>> + Send;
    fn count(
        source: &Self::CountSource,
        ctx: &Context<'_>,
    ) -> impl Future<Output = Result<i32, Error>> + Send;
}

/// The list of a connection, and what orders it.
#[derive(Clone, Copy, Debug)]
pub struct ListOrder {
    pub cursors: CursorList,
    /// Whether the list of users is ordered by username, and not by [`Edge::Key`].
    pub is_by_name: bool,
}

impl From<CursorKind> for ListOrder {
    fn from(kind: CursorKind) -> Self {
        Self { cursors: kind.into(), is_by_name: false }
    }
}

/// One page of a list, as the GraphQL type [`Edge::CONNECTION`].
pub struct Connection<E: Edge> {
    pub order: ListOrder,
    pub page: Arc<Page<E::Row>>,
    pub count_source: E::CountSource,
}

impl<E: Edge> TypeName for Connection<E> {
    fn type_name() -> Cow<'static, str> {
        E::CONNECTION.into()
    }
}

/// One page of a list.
///
/// A page has fewer entries than requested only if the list, or the range between the cursors, has
/// no more entries.
#[Object(name_type)]
impl<E: Edge> Connection<E> {
    /// The entries of this page, each with its cursor.
    async fn edges(&self) -> Vec<Eager<E>> {
        let edge = |row| Eager(E::new(row, E::cursor(row, self.order)));
        self.page.rows.iter().map(edge).collect()
    }

    /// The nodes of `edges`, in the same order.
    async fn nodes(&self, ctx: &Context<'_>) -> Result<Vec<Eager<E::Node>>, Error> {
        let node = async |row| E::load(row, ctx).await.map(Eager);
        try_join_all(self.page.rows.iter().map(node)).await
    }

    /// The position of this page in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo::new(&self.page, |row| E::cursor(row, self.order))
    }

    /// Number of entries of the whole list, on all pages.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i32, Error> {
        E::count(&self.count_source, ctx).await
    }
}

/// The stored count of a user's list, the source of its `totalCount`.
///
/// A list that the viewer may not see has no entries.
pub struct StoredCount {
    pub user: i64,
    pub is_protected: bool,
    pub count: i32,
}

impl StoredCount {
    pub async fn read(&self, ctx: &Context<'_>) -> Result<i32, Error> {
        let is_visible = can_see(ctx, self.user, self.is_protected).await?;
        Ok(if is_visible { self.count } else { 0 })
    }
}

/// A stored count of a post that the viewer may see, the source of a `totalCount`.
pub struct LoadedCount(pub i32);

impl LoadedCount {
    pub async fn read(&self, _: &Context<'_>) -> Result<i32, Error> {
        Ok(self.0)
    }
}

/// The error of a loader that returned no page for a list, which is a bug.
pub fn no_page() -> Error {
    Error::internal("the loader returned no page")
}

/// A database count as a GraphQL `Int`, at most 2^31 - 1.
pub fn to_graphql_int(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
