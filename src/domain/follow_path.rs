//! A shortest path of follows between two users.
//!
//! It is found by a bidirectional breadth-first search. Each level is one statement. The side with
//! fewer users at its border goes next. A follow is used if the viewer may see it in one of the
//! lists of its two users.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use entity::user::visible_to_sql;
use sea_orm::FromQueryResult;

use crate::database::{Engine, Snapshot};
use crate::error::Error;

/// Maximum number of follows that a search reads.
pub const MAX_FOLLOWS: usize = 200_000;
/// Maximum number of follows of a path.
pub const MAX_LENGTH: i32 = 6;

#[derive(FromQueryResult)]
struct Follow {
    follower_id: i64,
    followed_id: i64,
}

/// One of the two sides of a search.
struct Reached {
    /// The columns of `follow` with the known user and with the next one.
    columns: [&'static str; 2],
    /// Each reached user, with the user from whom they were reached.
    from: HashMap<i64, i64>,
    /// The users that were reached last.
    border: Vec<i64>,
}

impl Reached {
    fn new(start: i64, columns: [&'static str; 2]) -> Self {
        Self { columns, from: HashMap::from([(start, start)]), border: vec![start] }
    }

    /// The users from `user` back to the start of this side.
    fn back_from(&self, user: i64) -> Vec<i64> {
        let previous = |user: &i64| self.from.get(user).copied().filter(|from| from != user);
        std::iter::successors(Some(user), previous).collect()
    }
}

/// The ids of the users on a shortest path, both ends included.
///
/// `None` if there is no path of at most `max_length` follows. `viewer` is 0 for an anonymous
/// client.
///
/// # Errors
/// [`Error::OutOfRange`] when `max_length` is not from 1 to [`MAX_LENGTH`];
/// [`Error::PathTooExpensive`] after [`MAX_FOLLOWS`]; any error of the database.
pub async fn find(
    snapshot: &Snapshot,
    viewer: i64,
    (from, to): (i64, i64),
    max_length: i32,
) -> Result<Option<Vec<i64>>, Error> {
    if !(1..=MAX_LENGTH).contains(&max_length) {
        return Err(Error::OutOfRange { argument: "maxLength", min: 1, max: MAX_LENGTH });
    }
    if from == to {
        return Ok(Some(vec![from]));
    }
    let mut forward = Reached::new(from, ["follower_id", "followed_id"]);
    let mut backward = Reached::new(to, ["followed_id", "follower_id"]);
    let mut read = 0;
    for _ in 0..max_length {
        let is_forward = forward.border.len() <= backward.border.len();
        let (side, other) =
            if is_forward { (&mut forward, &backward) } else { (&mut backward, &forward) };
        let follows = follows_of(snapshot, viewer, side, MAX_FOLLOWS - read + 1).await?;
        read += follows.len();
        if read > MAX_FOLLOWS {
            return Err(Error::PathTooExpensive { max: MAX_FOLLOWS });
        }
        side.border.clear();
        let mut meeting = None;
        for Follow { follower_id, followed_id } in follows {
            let (known, next) =
                if is_forward { (follower_id, followed_id) } else { (followed_id, follower_id) };
            if let Entry::Vacant(entry) = side.from.entry(next) {
                entry.insert(known);
                side.border.push(next);
                meeting = meeting.or_else(|| other.from.contains_key(&next).then_some(next));
            }
        }
        if let Some(meeting) = meeting {
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

/// The statement of a level, by the columns of the reached user and of the next.
///
/// Its parameters are the users at the border, the viewer, and the maximum number of follows.
#[must_use]
pub fn level_sql(engine: Engine, [reached, next]: [&str; 2]) -> String {
    format!(
        "SELECT follower_id, followed_id FROM {} CROSS JOIN follow \
         WHERE {reached} = reached.value AND ({} OR {}) LIMIT $3",
        engine.unnest_ids("reached"),
        visible_to_sql(&format!("follow.{reached}"), "$2"),
        visible_to_sql(&format!("follow.{next}"), "$2"),
    )
}

/// Reads the follows of the users at the border of a side, at most `limit`.
async fn follows_of(
    snapshot: &Snapshot,
    viewer: i64,
    side: &Reached,
    limit: usize,
) -> Result<Vec<Follow>, Error> {
    let engine = snapshot.engine();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [engine.bind_ids(side.border.iter().copied()), viewer.into(), limit.into()];
    let sql = level_sql(engine, side.columns);
    let follows: Vec<Follow> = snapshot.all(side.border.len(), &sql, values).await?;
    snapshot.charge_read(follows.len());
    Ok(follows)
}
