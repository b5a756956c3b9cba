//! Keyset pagination: cursors, page requests, pages, and their SQL.
//!
//! Every list has a total order, and a cursor is a position in it. A statement reads one row more
//! than the page size, and the nearest row on the other side of each cursor. From these rows a
//! [`Page`] derives without a count whether rows precede and follow it, for both directions of
//! paging. The module does not depend on GraphQL.

mod cursor;
mod page;
mod sql;

pub use cursor::{
    CursorKey, CursorKind, CursorList, decode_cursor, decode_cursor_bytes, encode_cursor,
    encode_cursor_bytes,
};
pub use page::{DEFAULT_PAGE_SIZE, Direction, MAX_PAGE_SIZE, Page, PageRequest};
pub use sql::{OwnedRows, USERS, all_pages_sql, page_sql};
