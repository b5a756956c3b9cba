//! Cursors: opaque positions in a list or in the event stream.
//!
//! A cursor is base64url of a tag byte for the kind of list and the bytes of the position. If the
//! list has a filter or an order, four bytes of their hash come between. A cursor of another list,
//! or a text that is not a cursor, is rejected.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use md5::{Digest as _, Md5};

use crate::error::Error;

/// The kinds of cursors: one for each list, and one for the event stream.
///
/// The numbers are in the cursors that clients hold, so a number never changes its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CursorKind {
    Users = 1,
    Posts = 2,
    UserPosts = 3,
    Followers = 4,
    Following = 5,
    Timeline = 6,
    Bookmarks = 7,
    /// A position in the event stream, not in a list.
    Stream = 8,
    BlockedUsers = 9,
    MutedUsers = 10,
    FollowRequests = 11,
    SentFollowRequests = 12,
    KnownFollowers = 13,
    Likes = 14,
    Likers = 15,
    Reposters = 16,
    Replies = 17,
    Notifications = 18,
    SearchedPosts = 19,
}

/// The list that a cursor belongs to: its kind, and its filter and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorList {
    kind: CursorKind,
    arguments: Option<[u8; 4]>,
}

impl CursorList {
    /// A list whose positions depend on further arguments of its field.
    ///
    /// `arguments` is a text that differs for arguments that make another list.
    #[must_use]
    pub fn with_arguments(kind: CursorKind, arguments: &str) -> Self {
        let [a, b, c, d, ..] = <[u8; 16]>::from(Md5::digest(arguments));
        Self { kind, arguments: Some([a, b, c, d]) }
    }

    fn prefix(self) -> Vec<u8> {
        [self.kind as u8].into_iter().chain(self.arguments.into_iter().flatten()).collect()
    }
}

impl From<CursorKind> for CursorList {
    fn from(kind: CursorKind) -> Self {
        Self { kind, arguments: None }
    }
}

/// The position of a row in the order of its list.
pub trait CursorKey: Clone + Ord + Sized {
    /// A position after every row.
    fn end() -> Self;
    /// A position before every row.
    fn start() -> Self;
    /// Whether the position precedes `other` in the list.
    fn comes_before(&self, other: &Self) -> bool;
    /// The form in a cursor.
    fn to_bytes(&self) -> Vec<u8>;
    /// The position that [`Self::to_bytes`] encoded; `None` if the bytes are not valid.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// The position in a list that is ordered by id, the newest row first.
impl CursorKey for i64 {
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
        let id = Self::from_be_bytes(bytes.try_into().ok()?);
        (id > 0 && id < Self::MAX).then_some(id)
    }
}

/// The position in a list that is ordered by username in lower case, from a to z.
impl CursorKey for String {
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
        let is_valid = username.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        (is_valid && !username.is_empty()).then_some(username)
    }
}

/// The position of a cursor.
///
/// # Errors
/// [`Error::InvalidCursor`] when the text is not a cursor of this list.
pub fn decode_cursor<P: CursorKey>(list: impl Into<CursorList>, text: &str) -> Result<P, Error> {
    P::from_bytes(&decode_cursor_bytes(list, text)?).ok_or(Error::InvalidCursor)
}

/// The cursor of a position.
pub fn encode_cursor<P: CursorKey>(list: impl Into<CursorList>, position: &P) -> String {
    encode_cursor_bytes(list, &position.to_bytes())
}

/// The bytes that [`encode_cursor_bytes`] encoded.
///
/// # Errors
/// [`Error::InvalidCursor`] when the text is not a cursor of this list.
pub fn decode_cursor_bytes(list: impl Into<CursorList>, text: &str) -> Result<Vec<u8>, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    let position = bytes.strip_prefix(&*list.into().prefix());
    position.map(<[u8]>::to_vec).ok_or(Error::InvalidCursor)
}

/// The cursor of a position in bytes.
pub fn encode_cursor_bytes(list: impl Into<CursorList>, position: &[u8]) -> String {
    let mut bytes = list.into().prefix();
    bytes.extend(position);
    URL_SAFE_NO_PAD.encode(bytes)
}
