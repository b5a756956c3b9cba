//! Connections, as the Relay specification has them: one type for all lists with a `totalCount`.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::{Context, Object, ObjectType, SimpleObject, TypeName};
use futures_util::future::try_join_all;

use super::prompt::Prompt;
use crate::error::Error;
use crate::page::{
    DEFAULT_SIZE, List, MAX_SIZE, Page, Position, Slice, decode_cursor, encode_cursor,
};

/// Where this page stands in its list. Both directions are told truthfully, whichever way the page
/// was asked for.
#[derive(Clone, Debug, SimpleObject)]
pub struct PageInfo {
    /// Whether entries follow after `endCursor`.
    has_next_page: bool,
    /// Whether entries come before `startCursor`.
    has_previous_page: bool,
    /// The cursor of the first entry of the page; null when the page is empty.
    start_cursor: Option<String>,
    /// The cursor of the last entry of the page; null when the page is empty.
    end_cursor: Option<String>,
}

impl PageInfo {
    pub fn new<T, P: Position>(slice: &Slice<T>, list: List, position: impl Fn(&T) -> P) -> Self {
        let cursor = |row: &T| encode_cursor(list, &position(row));
        Self {
            has_next_page: slice.has_next,
            has_previous_page: slice.has_previous,
            start_cursor: slice.rows.first().map(cursor),
            end_cursor: slice.rows.last().map(cursor),
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
    /// # Errors
    /// `PAGE_SIZE_OUT_OF_RANGE`, `INVALID_CURSOR`.
    pub fn of<P: Position>(self, list: List) -> Result<Page<P>, Error> {
        let cursor = |text: Option<String>| text.map(|text| decode_cursor(list, &text)).transpose();
        Page::new(self.first, self.last, cursor(self.after)?, cursor(self.before)?)
    }
}

/// What a connection field costs: what stands below it, once for each row of the page.
pub fn cost(first: Option<i32>, last: Option<i32>, below: usize) -> usize {
    let size = first.or(last).unwrap_or(DEFAULT_SIZE).clamp(1, MAX_SIZE);
    times(size.unsigned_abs() as usize, below)
}

/// The same for a list of posts: each brings its text along, whether or not that is asked for.
pub fn cost_of_posts(first: Option<i32>, last: Option<i32>, below: usize) -> usize {
    cost(first, last, below.saturating_add(4))
}

/// The same for a list that has no stored count: somebody may ask how long it is.
pub fn with_count(cost: usize) -> usize {
    cost.saturating_add(250)
}

/// What a field costs: what stands below it, so many times. The library adds such costs up without a look at how
/// large they become: more than anybody may ask for is enough, and as many as fit into a document do not run over.
pub fn times(count: usize, below: usize) -> usize {
    const ENOUGH: usize = 1 << 40;
    below.saturating_mul(count.max(1)).saturating_add(1).min(ENOUGH)
}

/// An entry of a list: the row it is made from, the node it leads to.
pub trait Edge: ObjectType + Send + Sync + Sized {
    const CONNECTION: &'static str;
    type Row: Send + Sync;
    type Node: ObjectType;
    type Position: Position;
    /// What is needed to tell `totalCount`.
    type Whole: Send + Sync;

    fn new(row: &Self::Row, cursor: String) -> Self;
    fn position(row: &Self::Row) -> Self::Position;
    fn load(
        row: &Self::Row,
        ctx: &Context<'_>,
    ) -> impl Future<Output = Result<Self::Node, Error>> + Send;
    fn count(
        whole: &Self::Whole,
        ctx: &Context<'_>,
    ) -> impl Future<Output = Result<i32, Error>> + Send;
}

pub struct Connection<E: Edge> {
    pub list: List,
    pub slice: Arc<Slice<E::Row>>,
    pub whole: E::Whole,
}

impl<E: Edge> TypeName for Connection<E> {
    fn type_name() -> Cow<'static, str> {
        E::CONNECTION.into()
    }
}

/// One page of a list. A page is never short while there is a next one.
#[Object(name_type)]
impl<E: Edge> Connection<E> {
    /// The entries of this page, each with its cursor and what else belongs to the entry.
    async fn edges(&self) -> Vec<Prompt<E>> {
        let cursor = |row| encode_cursor(self.list, &E::position(row));
        self.slice.rows.iter().map(|row| Prompt(E::new(row, cursor(row)))).collect()
    }

    /// The nodes of `edges`, in the same order, for clients that need no more.
    async fn nodes(&self, ctx: &Context<'_>) -> Result<Vec<Prompt<E::Node>>, Error> {
        let node = async |row| E::load(row, ctx).await.map(Prompt);
        try_join_all(self.slice.rows.iter().map(node)).await
    }

    /// Where this page stands in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo::new(&self.slice, self.list, E::position)
    }

    /// How many entries the whole list has, on all pages.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<i32, Error> {
        E::count(&self.whole, ctx).await
    }
}

/// For a count that the database made.
pub fn int(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
