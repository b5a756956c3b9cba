//! Pages of a list: where one begins and ends, which rows it needs, and what it may say of the rest.
//!
//! Every list has one total order and every row one position in it. A page asks for one row more
//! than it shows, and for the nearest row on the far side of each cursor; from those the [`Slice`]
//! knows, without counting, whether anything comes before and after. Nothing here knows GraphQL.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::database::Engine;
use crate::error::Error;

pub const DEFAULT_SIZE: i32 = 20;
pub const MAX_SIZE: i32 = 100;

/// The lists that have cursors. A cursor of one is refused by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum List {
    Users = 1,
    Posts,
    UserPosts,
    Followers,
    Following,
    Timeline,
    Bookmarks,
    /// Not a list of rows: what happens.
    Stream,
}

/// A row's place in the order of its list.
pub trait Position: Clone + Ord + Sized {
    /// Stands behind every row.
    fn end() -> Self;
    /// Stands before every row.
    fn start() -> Self;
    fn comes_before(&self, other: &Self) -> bool;
    fn to_bytes(&self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// Lists ordered by key show the newest first.
impl Position for i64 {
    fn start() -> Self {
        Self::MAX
    }
    fn end() -> Self {
        0
    }
    fn comes_before(&self, other: &Self) -> bool {
        self > other
    }
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key = Self::from_be_bytes(bytes.try_into().ok()?);
        (key > 0 && key < Self::MAX).then_some(key)
    }
}

/// Lists ordered by lower-cased username run from a to z.
impl Position for String {
    fn start() -> Self {
        Self::new()
    }
    fn end() -> Self {
        "~".to_owned()
    }
    fn comes_before(&self, other: &Self) -> bool {
        self < other
    }
    fn to_bytes(&self) -> Vec<u8> {
        self.clone().into_bytes()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let username = Self::from_utf8(bytes.to_vec()).ok()?;
        let plain = username.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        (plain && !username.is_empty()).then_some(username)
    }
}

/// # Errors
/// [`Error::InvalidCursor`] when the text is not a cursor of this list.
pub fn decode_cursor<P: Position>(list: List, text: &str) -> Result<P, Error> {
    P::from_bytes(&decode_place(list, text)?).ok_or(Error::InvalidCursor)
}

pub fn encode_cursor<P: Position>(list: List, position: &P) -> String {
    encode_place(list, &position.to_bytes())
}

/// What [`encode_place`] was given.
///
/// # Errors
/// [`Error::InvalidCursor`] when the text is not a cursor of this list.
pub fn decode_place(list: List, text: &str) -> Result<Vec<u8>, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    match bytes.split_first() {
        Some((&tag, rest)) if tag == list as u8 => Ok(rest.to_vec()),
        _ => Err(Error::InvalidCursor),
    }
}

pub fn encode_place(list: List, place: &[u8]) -> String {
    let mut bytes = vec![list as u8];
    bytes.extend(place);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `first`: from the start of the list, or from `after`, onwards.
    Forward,
    /// `last`: from the end of the list, or from `before`, backwards.
    Backward,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Page<P> {
    pub direction: Direction,
    pub size: u8,
    pub after: Option<P>,
    pub before: Option<P>,
}

impl<P: Position> Page<P> {
    /// # Errors
    /// [`Error::PageSizeOutOfRange`] unless one of `first` and `last` at the most is given, from 1 to
    /// 100.
    pub fn new(
        first: Option<i32>,
        last: Option<i32>,
        after: Option<P>,
        before: Option<P>,
    ) -> Result<Self, Error> {
        let (direction, size) = match (first, last) {
            (Some(_), Some(_)) => return Err(Error::PageSizeOutOfRange),
            (None, Some(last)) => (Direction::Backward, last),
            (first, None) => (Direction::Forward, first.unwrap_or(DEFAULT_SIZE)),
        };
        if !(1..=MAX_SIZE).contains(&size) {
            return Err(Error::PageSizeOutOfRange);
        }
        let size = u8::try_from(size).map_err(|_| Error::PageSizeOutOfRange)?;
        Ok(Self { direction, size, after, before })
    }

    /// Rows to ask for: one more than are shown tells whether the list goes on.
    #[must_use]
    pub fn limit(&self) -> i64 {
        i64::from(self.size) + 1
    }

    /// The page lies between these two positions, both excluded.
    #[must_use]
    pub fn bounds(&self) -> (P, P) {
        (self.after.clone().unwrap_or_else(P::start), self.before.clone().unwrap_or_else(P::end))
    }
}

/// What stands behind `FROM` in a statement for the pages of a list of owners: `owner.value`, and of the
/// rows of `table` whose column `mine` says so, newest first, those of the page and the nearest ones
/// beyond its cursors. Its parameters, by number: `$1` is the list of owners, `$2` and `$3` are
/// [`Page::bounds`], `$4` is [`Page::limit`].
///
/// SQLite looks for ids first, in an index, and has no LATERAL. On PostgreSQL it goes through the
/// owner's row: a sharded one wants that, and it costs a plain one next to nothing.
#[must_use]
pub fn rows(engine: Engine, table: &str, mine: &str, direction: Direction) -> String {
    let window = window(engine, table, &format!("{mine} = owner.value"), direction);
    match engine {
        Engine::Sqlite => {
            format!("json_each($1) AS owner CROSS JOIN {table} WHERE {table}.id IN ({window})")
        }
        Engine::Postgres => format!(
            "(SELECT id AS value FROM \"user\" WHERE id = ANY($1)) AS owner \
             CROSS JOIN LATERAL ({window}) AS {table}"
        ),
    }
}

/// The same for a list that is nobody's: all rows of `table`. Here `$1` is just `true`.
#[must_use]
pub fn all_rows(engine: Engine, table: &str, direction: Direction) -> String {
    let window = window(engine, table, "$1", direction);
    match engine {
        Engine::Sqlite => format!("{table} WHERE id IN ({window})"),
        Engine::Postgres => format!("({window}) AS {table}"),
    }
}

/// The page's rows within `scope`, and the nearest ones beyond: on SQLite their ids.
fn window(engine: Engine, table: &str, scope: &str, direction: Direction) -> String {
    let order = match direction {
        Direction::Forward => "DESC",
        Direction::Backward => "ASC",
    };
    let start = i64::start();
    match engine {
        Engine::Sqlite => format!(
            "SELECT * FROM (SELECT id FROM {table} WHERE {scope} AND id < $2 AND id > $3 \
             ORDER BY id {order} LIMIT $4) AS page \
             UNION ALL SELECT min(id) FROM {table} WHERE {scope} AND id >= $2 \
             UNION ALL SELECT max(id) FROM {table} WHERE {scope} AND id <= $3"
        ),
        Engine::Postgres => format!(
            "(SELECT * FROM {table} WHERE {scope} AND id < $2 AND id > $3 \
             ORDER BY id {order} LIMIT $4) \
             UNION ALL (SELECT * FROM {table} WHERE {scope} AND id >= $2 AND $2 < {start} \
             ORDER BY id LIMIT 1) \
             UNION ALL (SELECT * FROM {table} WHERE {scope} AND id <= $3 AND $3 > 0 \
             ORDER BY id DESC LIMIT 1)"
        ),
    }
}

/// One page, in the order of its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<T> {
    pub rows: Vec<T>,
    pub has_previous: bool,
    pub has_next: bool,
}

impl<T> Slice<T> {
    /// Makes the page of `rows`: those between its bounds, one more than it shows if the list goes
    /// on, and the nearest ones beyond its cursors; in any order.
    pub fn new<P: Position>(page: &Page<P>, mut rows: Vec<T>, position: impl Fn(&T) -> P) -> Self {
        let (start, end) = page.bounds();
        rows.sort_unstable_by(|a, b| {
            let (a, b) = (position(a), position(b));
            b.comes_before(&a).cmp(&a.comes_before(&b))
        });
        let (mut has_previous, mut has_next) = (false, false);
        rows.retain(|row| {
            let row = position(row);
            let within = start.comes_before(&row) && row.comes_before(&end);
            has_previous |= !within && !start.comes_before(&row);
            has_next |= !within && start.comes_before(&row);
            within
        });
        let size = usize::from(page.size);
        let surplus = rows.len().saturating_sub(size);
        match page.direction {
            Direction::Forward => rows.truncate(size),
            Direction::Backward => drop(rows.drain(..surplus)),
        }
        Self {
            rows,
            has_previous: has_previous || (surplus > 0 && page.direction == Direction::Backward),
            has_next: has_next || (surplus > 0 && page.direction == Direction::Forward),
        }
    }

    /// Whether the list goes on behind as many rows as the page may have.
    #[must_use]
    pub fn is_known_to_be_full<P: Position>(&self, page: &Page<P>) -> bool {
        let goes_on = match page.direction {
            Direction::Forward => self.has_next,
            Direction::Backward => self.has_previous,
        };
        goes_on && self.rows.len() == usize::from(page.size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the statements fetch, done the slow way.
    fn fetch(list: &[i64], page: &Page<i64>) -> Vec<i64> {
        let (upper, lower) = page.bounds();
        let mut within: Vec<i64> =
            list.iter().copied().filter(|key| *key < upper && *key > lower).collect();
        within.sort_unstable();
        if page.direction == Direction::Forward {
            within.reverse();
        }
        within.truncate(usize::from(page.size) + 1);
        within.extend(list.iter().copied().filter(|key| *key >= upper).min());
        within.extend(list.iter().copied().filter(|key| *key <= lower).max());
        within
    }

    proptest! {
        #[test]
        fn a_slice_shows_what_lies_between_and_tells_what_lies_beyond(
            list in prop::collection::btree_set(1i64..60, 0..30),
            after in prop::option::of(1i64..60),
            before in prop::option::of(1i64..60),
            forward: bool,
            size in 1i32..12,
        ) {
            prop_assume!(after.zip(before).is_none_or(|(after, before)| after > before));
            let list: Vec<i64> = list.into_iter().rev().collect();
            let (first, last) = if forward { (Some(size), None) } else { (None, Some(size)) };
            let page = Page::new(first, last, after, before).unwrap();
            let slice = Slice::new(&page, fetch(&list, &page), |key| *key);

            let between: Vec<i64> = list.iter().copied()
                .filter(|key| after.is_none_or(|after| *key < after))
                .filter(|key| before.is_none_or(|before| *key > before))
                .collect();
            let size = usize::from(page.size).min(between.len());
            let shown = if forward { &between[..size] } else { &between[between.len() - size..] };
            prop_assert_eq!(&slice.rows, shown);
            // Beside an empty page, what counts is what lies beyond the cursors.
            let (newest, oldest) = match (shown.first(), shown.last()) {
                (Some(newest), Some(oldest)) => (*newest, *oldest),
                _ => (after.map_or(i64::MAX, |after| after - 1), before.map_or(0, |before| before + 1)),
            };
            prop_assert_eq!(slice.has_previous, list.iter().any(|key| *key > newest));
            prop_assert_eq!(slice.has_next, list.iter().any(|key| *key < oldest));
        }

        #[test]
        fn no_text_breaks_a_cursor(text in "\\PC{0,30}") {
            if let Ok(position) = decode_cursor::<i64>(List::Timeline, &text) {
                prop_assert_eq!(encode_cursor(List::Timeline, &position), text);
            }
        }
    }

    #[test]
    fn a_cursor_belongs_to_its_list() {
        let cursor = encode_cursor(List::Followers, &7i64);
        assert_eq!(decode_cursor::<i64>(List::Followers, &cursor), Ok(7));
        assert_eq!(decode_cursor::<i64>(List::Following, &cursor), Err(Error::InvalidCursor));
        let cursor = encode_cursor(List::Users, &"susan".to_owned());
        assert_eq!(decode_cursor::<String>(List::Users, &cursor), Ok("susan".into()));
    }

    #[test]
    fn sizes_are_refused_never_clamped() {
        for (first, last) in [
            (Some(0), None),
            (Some(-1), None),
            (Some(101), None),
            (None, Some(0)),
            (Some(1), Some(1)),
        ] {
            assert_eq!(Page::<i64>::new(first, last, None, None), Err(Error::PageSizeOutOfRange));
        }
        assert_eq!(Page::<i64>::new(None, None, None, None).unwrap().size, 20);
        assert_eq!(Page::<i64>::new(Some(100), None, None, None).unwrap().size, 100);
    }
}
