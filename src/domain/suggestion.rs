//! Suggestions of users whom the viewer may want to follow, and their dismissal.
//!
//! One statement collects candidates from three sources of bounded size, and ranks them: users whom
//! many followed users follow, then followers of the viewer, then popular users.

use entity::user;
use sea_orm::{ConnectionTrait as _, FromQueryResult, QueryResult};

use super::pair::Pair;
use super::{RelationshipChange, Services};
use crate::auth::Viewer;
use crate::clock;
use crate::database::{Engine, Snapshot};
use crate::error::Error;

/// Allowed numbers of suggestions.
pub const SIZES: std::ops::RangeInclusive<i32> = 1..=50;
/// Number of the viewer's newest follows whose users are asked for their follows.
const FRIENDS: usize = 100;
/// Number of the newest follows of each of them.
const FOLLOWS_PER_FRIEND: usize = 100;
/// Number of the viewer's newest followers that are candidates.
const FOLLOWERS: usize = 100;
/// Number of the newest follows of all users that decide who is popular.
const RECENT_FOLLOWS: usize = 2_000;

/// A user whom the viewer may want to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    pub user: user::UserSummary,
    /// Whether users whom the viewer follows, follow the user.
    pub is_friend_of_friends: bool,
    /// Whether the user follows the viewer.
    pub follows_viewer: bool,
    /// Whether many users follow the user.
    pub is_popular: bool,
}

impl FromQueryResult for Suggestion {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, sea_orm::DbErr> {
        const NEXT: usize = user::UserSummary::COLUMNS;
        let is_positive = |index| row.try_get_by_index::<i64>(index).map(|number| number > 0);
        Ok(Self {
            user: user::UserSummary::from_query_result(row, prefix)?,
            is_friend_of_friends: is_positive(NEXT)?,
            follows_viewer: is_positive(NEXT + 1)?,
            is_popular: is_positive(NEXT + 2)?,
        })
    }
}

/// Suggestions for the viewer, the best first.
///
/// # Errors
/// [`Error::OutOfRange`] when `first` is not in [`SIZES`]; any error of the database.
pub async fn list(
    snapshot: &Snapshot,
    viewer: &Viewer,
    first: i32,
) -> Result<Vec<Suggestion>, Error> {
    if !SIZES.contains(&first) {
        return Err(Error::OutOfRange {
            argument: "first",
            min: *SIZES.start(),
            max: *SIZES.end(),
        });
    }
    let following = usize::try_from(viewer.user().following_count).unwrap_or_default();
    let candidates = following.min(FRIENDS) * FOLLOWS_PER_FRIEND + FOLLOWERS + RECENT_FOLLOWS;
    let values = [viewer.id().into(), clock::now().into(), first.into()];
    snapshot.all(candidates + following, &sql(snapshot.engine()), values).await
}

/// Does not suggest `target` to the viewer again.
///
/// # Errors
/// [`Error::Expected`] with `NotFound` or `SelfTarget`; [`Error::Unauthenticated`] when the
/// viewer's account was deleted; any error of the database.
pub async fn dismiss(
    services: &Services,
    viewer: &Viewer,
    target: &user::UserRef,
) -> Result<RelationshipChange, Error> {
    let transaction = services.db.begin().await?;
    let pair = Pair::lock(&transaction, viewer, target).await?;
    let statement = services.db.statement(
        "INSERT INTO dismissal (id, user_id, dismissed_id) VALUES ($1, $2, $3) \
         ON CONFLICT (user_id, dismissed_id) DO NOTHING",
        [services.ids.next().into(), pair.viewer.id.into(), pair.target.id.into()],
    );
    let changed = transaction.execute_raw(statement).await?.rows_affected() > 0;
    services.commit(transaction, viewer).await?;
    Ok(RelationshipChange { changed, user: pair.target.id })
}

/// The statement of suggestions.
///
/// Its parameters are the viewer, the current time, and the number of suggestions.
#[must_use]
pub fn sql(engine: Engine) -> String {
    let newest = format!(
        "SELECT follow.followed_id FROM follow WHERE follow.follower_id = friend.id \
         ORDER BY follow.id DESC LIMIT {FOLLOWS_PER_FRIEND}"
    );
    let of_friends = match engine {
        // SQLite has no LATERAL, so the ids of the follows are found first, in an index.
        Engine::Sqlite => {
            let newest = newest.replacen("follow.followed_id", "follow.id", 1);
            format!("friend CROSS JOIN follow AS theirs WHERE theirs.id IN ({newest})")
        }
        Engine::Postgres => format!("friend CROSS JOIN LATERAL ({newest}) AS theirs"),
    };
    let summary = user::SUMMARY_COLUMNS;
    format!(
        "WITH excluded (id) AS ( \
           SELECT $1 UNION SELECT followed_id FROM follow WHERE follower_id = $1 \
           UNION SELECT target_id FROM follow_request WHERE requester_id = $1 \
           UNION SELECT blocked_id FROM block WHERE blocker_id = $1 \
           UNION SELECT blocker_id FROM block WHERE blocked_id = $1 \
           UNION SELECT muted_id FROM mute WHERE muter_id = $1 \
             AND (expires_at IS NULL OR expires_at > $2) \
           UNION SELECT dismissed_id FROM dismissal WHERE user_id = $1), \
         friend (id) AS (SELECT followed_id FROM follow WHERE follower_id = $1 \
           ORDER BY id DESC LIMIT {FRIENDS}), \
         candidate (id, friends, follows, is_popular) AS ( \
           SELECT theirs.followed_id, 1, 0, 0 FROM {of_friends} \
           UNION ALL SELECT follower_id, 0, 1, 0 FROM (SELECT follower_id FROM follow \
             WHERE followed_id = $1 ORDER BY id DESC LIMIT {FOLLOWERS}) AS follower \
           UNION ALL SELECT DISTINCT followed_id, 0, 0, 1 FROM (SELECT followed_id FROM follow \
             ORDER BY id DESC LIMIT {RECENT_FOLLOWS}) AS recent), \
         ranked (id, friends, follows, is_popular) AS ( \
           SELECT id, sum(friends), sum(follows), sum(is_popular) FROM candidate \
           WHERE id NOT IN (SELECT id FROM excluded) GROUP BY id) \
         SELECT {summary}, ranked.friends, ranked.follows, ranked.is_popular \
         FROM ranked JOIN \"user\" ON \"user\".id = ranked.id \
         ORDER BY ranked.friends DESC, ranked.follows DESC, \
           CASE WHEN ranked.friends > 0 THEN 1 ELSE -1 END * \"user\".followers_count, \
           \"user\".id LIMIT $3"
    )
}
