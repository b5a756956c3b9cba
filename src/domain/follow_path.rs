//! A shortest path of follows between two users.
//!
//! It is found by a bidirectional breadth-first search. Each level is one statement. The side
//! whose border has fewer follows goes next. A follow is used if the viewer may see it in a list of
//! one of its two users.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use entity::user::visible_to_sql;
use sea_orm::FromQueryResult;

use crate::database::{Engine, Snapshot};
use crate::error::Error;

/// Maximum number of follows that a search reads.
pub const MAX_FOLLOWS: usize = 200_000;
/// Number of follows that are reserved as a row before they are read.
///
/// A search would otherwise exceed the maximum of work before it has read [`MAX_FOLLOWS`]. All
/// rows are charged.
const FOLLOWS_PER_ROW: usize = 4;
/// Maximum number of follows of a path.
pub const MAX_LENGTH: i32 = 6;

/// What a search is for, and its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// The user whose follow is the first, and the number of users they follow.
    pub from: (i64, i32),
    /// The user who is followed last, and the number of their followers.
    pub to: (i64, i32),
    /// Maximum number of follows of the path, 1 to [`MAX_LENGTH`].
    pub max_length: i32,
    /// Number of follows after which the search fails: [`MAX_FOLLOWS`].
    pub max_follows: usize,
}

#[derive(FromQueryResult)]
struct Follow {
    follower_id: i64,
    followed_id: i64,
    /// Number of follows that the next user adds to the side.
    weight: i32,
    /// Whether the viewer may see the follow.
    is_visible: bool,
}

/// One of the two sides of a search.
struct Reached {
    direction: Direction,
    /// Each reached user, with the user from whom they were reached.
    from: HashMap<i64, i64>,
    /// The users that were reached last.
    border: Vec<i64>,
    /// Number of the follows of these users.
    weight: usize,
}

/// The direction in which a side follows the follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a follower to the followed users.
    ToFollowed,
    /// From a followed user to the followers.
    ToFollowers,
}

impl Reached {
    fn new((start, weight): (i64, i32), direction: Direction) -> Self {
        let from = HashMap::from([(start, start)]);
        Self { direction, from, border: vec![start], weight: to_rows(weight) }
    }

    /// The users from `user` back to the start of this side.
    fn back_from(&self, user: i64) -> Vec<i64> {
        let previous = |user: &i64| self.from.get(user).copied().filter(|from| from != user);
        std::iter::successors(Some(user), previous).collect()
    }

    /// Moves the border to the users of `follows`.
    ///
    /// Returns a user whom the other side has reached, if there is one.
    fn extend(&mut self, follows: Vec<Follow>, other: &Self) -> Option<i64> {
        self.border.clear();
        self.weight = 0;
        let mut meeting = None;
        for follow in follows.into_iter().filter(|follow| follow.is_visible) {
            let (reached, next) = match self.direction {
                Direction::ToFollowed => (follow.follower_id, follow.followed_id),
                Direction::ToFollowers => (follow.followed_id, follow.follower_id),
            };
            if let Entry::Vacant(entry) = self.from.entry(next) {
                entry.insert(reached);
                self.border.push(next);
                self.weight += to_rows(follow.weight);
                meeting = meeting.or_else(|| other.from.contains_key(&next).then_some(next));
            }
        }
        meeting
    }
}

fn to_rows(count: i32) -> usize {
    usize::try_from(count).unwrap_or_default()
}

/// The ids of the users on a shortest path, both ends included.
///
/// `None` if there is no path of at most `max_length` follows. `viewer` is 0 for an anonymous
/// client.
///
/// # Errors
/// [`Error::OutOfRange`] when `max_length` is out of range; [`Error::PathTooExpensive`] after
/// `max_follows`; any error of the database.
pub async fn find(
    snapshot: &Snapshot,
    viewer: i64,
    search: Search,
) -> Result<Option<Vec<i64>>, Error> {
    if !(1..=MAX_LENGTH).contains(&search.max_length) {
        return Err(Error::OutOfRange { argument: "maxLength", min: 1, max: MAX_LENGTH });
    }
    if search.from.0 == search.to.0 {
        return Ok(Some(vec![search.from.0]));
    }
    let mut forward = Reached::new(search.from, Direction::ToFollowed);
    let mut backward = Reached::new(search.to, Direction::ToFollowers);
    let mut rest = search.max_follows;
    for _ in 0..search.max_length {
        let is_forward = forward.weight <= backward.weight;
        let (side, other) =
            if is_forward { (&mut forward, &backward) } else { (&mut backward, &forward) };
        let follows = follows_of(snapshot, viewer, side, rest + 1).await?;
        let Some(left) = rest.checked_sub(follows.len()) else {
            return Err(Error::PathTooExpensive { max: search.max_follows });
        };
        rest = left;
        if let Some(meeting) = side.extend(follows, other) {
            let mut path = forward.back_from(meeting);
            path.reverse();
            path.extend(backward.back_from(meeting).into_iter().skip(1));
            return Ok(Some(path));
        }
        if side.border.is_empty() {
            return Ok(None);
        }
    }
    Ok(None)
}

/// The statement of a level.
///
/// Its parameters are the users at the border, the viewer, and the maximum number of follows. The
/// visibility of a follow is a column, so that hidden follows count towards the maximum.
#[must_use]
pub fn level_sql(engine: Engine, direction: Direction) -> String {
    let (reached, next, weight) = match direction {
        Direction::ToFollowed => ("follower_id", "followed_id", "following_count"),
        Direction::ToFollowers => ("followed_id", "follower_id", "followers_count"),
    };
    format!(
        "SELECT level.follower_id, level.followed_id, next.{weight} AS weight, \
           ({} OR {}) AS is_visible \
         FROM (SELECT follower_id, followed_id FROM {} CROSS JOIN follow \
           WHERE {reached} = reached.value LIMIT $3) AS level \
         CROSS JOIN \"user\" AS next WHERE next.id = level.{next}",
        visible_to_sql(&format!("level.{reached}"), "$2"),
        visible_to_sql(&format!("level.{next}"), "$2"),
        engine.unnest_ids("reached"),
    )
}

/// Reads the follows of the users at the border of a side, at most `limit`.
async fn follows_of(
    snapshot: &Snapshot,
    viewer: i64,
    side: &Reached,
    limit: usize,
) -> Result<Vec<Follow>, Error> {
    let rows = side.weight.min(limit) + side.border.len();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let ids = snapshot.engine().bind_ids(side.border.iter().copied());
    let values = [ids, viewer.into(), limit.into()];
    let sql = level_sql(snapshot.engine(), side.direction);
    let follows = snapshot.all(rows / FOLLOWS_PER_ROW, &sql, values).await?;
    snapshot.charge_read(rows - rows / FOLLOWS_PER_ROW);
    Ok(follows)
}
