//! Page requests and pages.
//!
//! A request has the arguments `first`, `last`, `after` and `before` of the Relay specification,
//! after validation. A page is built from the rows that the statements of `sql.rs` read: the page,
//! one row more in its direction, and the nearest row beyond each cursor.

use super::CursorKey;
use crate::error::Error;

/// Number of rows of a page if neither `first` nor `last` is given.
pub const DEFAULT_PAGE_SIZE: i32 = 20;
/// Maximum number of rows of a page.
pub const MAX_PAGE_SIZE: i32 = 100;

/// The direction of paging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `first`: forward from the start of the list, or from `after`.
    Forward,
    /// `last`: backward from the end of the list, or from `before`.
    Backward,
}

/// The part of a list that a client requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageRequest<P> {
    pub direction: Direction,
    /// Maximum number of rows, from 1 to [`MAX_PAGE_SIZE`].
    pub size: u8,
    /// Position that precedes the page.
    pub after: Option<P>,
    /// Position that follows the page.
    pub before: Option<P>,
}

impl<P: CursorKey> PageRequest<P> {
    /// Validates the arguments of a connection field.
    ///
    /// # Errors
    /// [`Error::PageSizeOutOfRange`] when both `first` and `last` are given, or the given one is
    /// not from 1 to 100; [`Error::CursorsReversed`] when `after` does not precede `before`.
    pub fn new(
        first: Option<i32>,
        last: Option<i32>,
        after: Option<P>,
        before: Option<P>,
    ) -> Result<Self, Error> {
        let (direction, size) = match (first, last) {
            (Some(_), Some(_)) => return Err(Error::PageSizeOutOfRange),
            (None, Some(last)) => (Direction::Backward, last),
            (first, None) => (Direction::Forward, first.unwrap_or(DEFAULT_PAGE_SIZE)),
        };
        if !(1..=MAX_PAGE_SIZE).contains(&size) {
            return Err(Error::PageSizeOutOfRange);
        }
        let size = u8::try_from(size).map_err(|_| Error::PageSizeOutOfRange)?;
        let is_reversed = |(after, before): (&P, &P)| !after.comes_before(before);
        if after.as_ref().zip(before.as_ref()).is_some_and(is_reversed) {
            return Err(Error::CursorsReversed);
        }
        Ok(Self { direction, size, after, before })
    }

    /// Number of rows to read: one more than the size, to detect further rows.
    #[must_use]
    pub fn limit(&self) -> i64 {
        i64::from(self.size) + 1
    }

    /// Number of rows that a page of a list looks up.
    ///
    /// These are [`Self::limit`], and one beyond each cursor.
    #[must_use]
    pub fn rows(&self) -> usize {
        usize::from(self.size) + 1 + self.cursors()
    }

    /// Number of cursors, 0 to 2.
    #[must_use]
    pub fn cursors(&self) -> usize {
        usize::from(self.after.is_some()) + usize::from(self.before.is_some())
    }

    /// The positions between which the page lies, both exclusive.
    #[must_use]
    pub fn bounds(&self) -> (P, P) {
        (self.after.clone().unwrap_or_else(P::start), self.before.clone().unwrap_or_else(P::end))
    }
}

/// One page, in the order of its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// Whether rows of the list precede the page.
    pub has_previous: bool,
    /// Whether rows of the list follow the page.
    pub has_next: bool,
}

impl<T> Page<T> {
    /// Builds the page of a request from the rows that were read, in any order.
    ///
    /// These are the rows between the bounds, up to [`PageRequest::limit`], and the nearest row
    /// beyond each cursor. `position` returns the position of a row.
    pub fn new<P: CursorKey>(
        request: &PageRequest<P>,
        mut rows: Vec<T>,
        position: impl Fn(&T) -> P,
    ) -> Self {
        let (start, end) = request.bounds();
        rows.sort_unstable_by(|a, b| {
            let (a, b) = (position(a), position(b));
            b.comes_before(&a).cmp(&a.comes_before(&b))
        });
        let (mut has_previous, mut has_next) = (false, false);
        rows.retain(|row| {
            let row = position(row);
            let is_within = start.comes_before(&row) && row.comes_before(&end);
            has_previous |= !is_within && !start.comes_before(&row);
            has_next |= !is_within && start.comes_before(&row);
            is_within
        });
        let size = usize::from(request.size);
        let surplus = rows.len().saturating_sub(size);
        match request.direction {
            Direction::Forward => rows.truncate(size),
            Direction::Backward => drop(rows.drain(..surplus)),
        }
        Self {
            rows,
            has_previous: has_previous || (surplus > 0 && request.direction == Direction::Backward),
            has_next: has_next || (surplus > 0 && request.direction == Direction::Forward),
        }
    }

    /// The page with each of its rows converted.
    #[must_use]
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        let Self { rows, has_previous, has_next } = self;
        Page { rows: rows.into_iter().map(convert).collect(), has_previous, has_next }
    }

    /// The same page of the list in the opposite order.
    #[must_use]
    pub fn reversed(mut self) -> Self {
        self.rows.reverse();
        Self { rows: self.rows, has_previous: self.has_next, has_next: self.has_previous }
    }

    /// Whether the page has the requested size and more rows follow in its direction.
    #[must_use]
    pub fn is_known_to_be_full<P: CursorKey>(&self, request: &PageRequest<P>) -> bool {
        let has_more = match request.direction {
            Direction::Forward => self.has_next,
            Direction::Backward => self.has_previous,
        };
        has_more && self.rows.len() == usize::from(request.size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pagination::{CursorKind, decode_cursor, encode_cursor};

    /// The rows that the SQL statements read, computed naively.
    fn fetch(list: &[i64], request: &PageRequest<i64>) -> Vec<i64> {
        let (upper, lower) = request.bounds();
        let mut rows: Vec<i64> =
            list.iter().copied().filter(|id| *id < upper && *id > lower).collect();
        rows.sort_unstable();
        if request.direction == Direction::Forward {
            rows.reverse();
        }
        rows.truncate(usize::from(request.size) + 1);
        rows.extend(list.iter().copied().filter(|id| *id >= upper).min());
        rows.extend(list.iter().copied().filter(|id| *id <= lower).max());
        rows
    }

    proptest! {
        #[test]
        fn page_has_the_rows_between_its_cursors_and_detects_rows_beyond(
            list in prop::collection::btree_set(1i64..60, 0..30),
            after in prop::option::of(1i64..60),
            before in prop::option::of(1i64..60),
            forward: bool,
            size in 1i32..12,
        ) {
            let list: Vec<i64> = list.into_iter().rev().collect();
            let (first, last) = if forward { (Some(size), None) } else { (None, Some(size)) };
            let request = PageRequest::new(first, last, after, before);
            if after.zip(before).is_some_and(|(after, before)| after <= before) {
                prop_assert_eq!(request, Err(Error::CursorsReversed));
                return Ok(());
            }
            let request = request.unwrap();
            let page = Page::new(&request, fetch(&list, &request), |id| *id);

            let between: Vec<i64> = list.iter().copied()
                .filter(|id| after.is_none_or(|after| *id < after))
                .filter(|id| before.is_none_or(|before| *id > before))
                .collect();
            let size = usize::from(request.size).min(between.len());
            let expected =
                if forward { &between[..size] } else { &between[between.len() - size..] };
            prop_assert_eq!(&page.rows, expected);
            // An empty page is preceded and followed by the rows beyond its cursors.
            let (newest, oldest) = match (expected.first(), expected.last()) {
                (Some(newest), Some(oldest)) => (*newest, *oldest),
                _ => (
                    after.map_or(i64::MAX, |after| after - 1),
                    before.map_or(0, |before| before + 1),
                ),
            };
            prop_assert_eq!(page.has_previous, list.iter().any(|id| *id > newest));
            prop_assert_eq!(page.has_next, list.iter().any(|id| *id < oldest));
        }

        #[test]
        fn only_encoded_cursors_are_decoded(text in "\\PC{0,30}") {
            if let Ok(position) = decode_cursor::<i64>(CursorKind::Timeline, &text) {
                prop_assert_eq!(encode_cursor(CursorKind::Timeline, &position), text);
            }
        }
    }

    #[test]
    fn cursor_of_another_list_is_rejected() {
        let cursor = encode_cursor(CursorKind::Followers, &7i64);
        assert_eq!(decode_cursor::<i64>(CursorKind::Followers, &cursor), Ok(7));
        assert_eq!(decode_cursor::<i64>(CursorKind::Following, &cursor), Err(Error::InvalidCursor));
        let cursor = encode_cursor(CursorKind::Users, &"susan".to_owned());
        assert_eq!(decode_cursor::<String>(CursorKind::Users, &cursor), Ok("susan".into()));
    }

    #[test]
    fn page_size_out_of_range_is_rejected_and_not_clamped() {
        for (first, last) in [
            (Some(0), None),
            (Some(-1), None),
            (Some(101), None),
            (None, Some(0)),
            (Some(1), Some(1)),
        ] {
            assert_eq!(
                PageRequest::<i64>::new(first, last, None, None),
                Err(Error::PageSizeOutOfRange)
            );
        }
        assert_eq!(PageRequest::<i64>::new(None, None, None, None).unwrap().size, 20);
        assert_eq!(PageRequest::<i64>::new(Some(100), None, None, None).unwrap().size, 100);
    }
}
