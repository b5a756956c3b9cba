//! The demo data of `serve --demo`: four named users, and 300 generated ones.
//!
//! The graph is always the same, so that the documentation and the playground can name its users.
//! Only the four named users have a password.

use std::iter::zip;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use indicatif::ProgressBar;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom as _;

use super::graph::Ranking;
use super::{YEAR, graph, people, writing};
use crate::clock;
use crate::command::bulk::{Bulk, Pair, PairTable, Post, User};
use crate::database::Database;

/// Numbers of generated users, and of their follows and posts.
const EXTRA_USERS: u32 = 300;
const EXTRA_FOLLOWS: u64 = 4_500;
const EXTRA_POSTS: u64 = 2_400;
const RNG_SEED: u64 = 42;

/// A named user.
struct Actor {
    name: &'static str,
    about_me: &'static str,
    posts: [&'static str; 4],
}

const CAST: [Actor; 4] = [
    Actor {
        name: "John",
        about_me: "Counts birds before breakfast. Keeper of the east hide.",
        posts: [
            "The rooks are back in the churchyard elms, forty nests and rising.",
            "Does anyone know a good way to count a flock that will not sit still?",
            "Answer to my own question: photograph it, then count at the kitchen table.",
            "Post from John: first frost, and the whole rookery was up before me.",
        ],
    },
    Actor {
        name: "Susan",
        about_me: "Sound recordist. If it calls at dawn, I have it on tape.",
        posts: [
            "New microphone, old hedge, eleven species in ten minutes.",
            "A jackdaw has learned the ringtone of my telephone.",
            "Tonight: two hours of owls, one minute of which is usable.",
            "Post from Susan: the dawn chorus started at 4:12 today.",
        ],
    },
    Actor {
        name: "Mary",
        about_me: "Rings swallows, mends nets, bakes for the whole team.",
        posts: [
            "Ring 4471 came home: Sussex to the Cape and back, nineteen grams of bird.",
            "There is seed cake in the hut for all who help with the nets on Saturday.",
            "Rain all day. The nets stay in the bag and so do I.",
            "Post from Mary: three new broods under the bridge.",
        ],
    },
    Actor {
        name: "David",
        about_me: "Draws maps of where birds go. Walks there to be sure.",
        posts: [
            "The winter map is done: every roost within a day's walk.",
            "Walked the ridge to check a dot on the map. The dot was a scarecrow.",
            "If you see a crow with a white feather in its left wing, tell me where.",
            "Post from David: the spring map begins today.",
        ],
    },
];

/// The follows among the cast: indexes of the follower and the followed user.
const CAST_FOLLOWS: [(usize, usize); 4] = [(0, 1), (0, 3), (1, 2), (2, 3)];

/// Adds the demo data to a database without users.
///
/// If there are users, none of the data are added and the result is false. `password_hash` is that
/// of the password of the named users.
///
/// # Errors
/// Any error of the database.
pub async fn demo(db: &Database, password_hash: &str) -> Result<bool> {
    let bulk = Bulk::begin(db).await?;
    if bulk.number(r#"SELECT count(*) AS number FROM "user""#, []).await? > 0 {
        bulk.commit().await?;
        return Ok(false);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(RNG_SEED);
    let progress = ProgressBar::hidden();
    let mut users = add_cast(&bulk, password_hash).await?;
    users.extend(people::add(&bulk, EXTRA_USERS, &mut rng, &progress).await?);
    let cast = u32::try_from(CAST.len())?;
    let mut extras: Vec<u32> = (cast..cast + EXTRA_USERS).collect();
    extras.shuffle(&mut rng);
    let popular = (0..cast).chain(extras.iter().copied()).collect();
    let popular = Ranking::new(popular, graph::POPULARITY)?;
    let active = Ranking::shuffled(&extras, graph::ACTIVITY, &mut rng)?;
    let follows = graph::follows(&active, &popular, EXTRA_FOLLOWS, &mut rng);
    graph::add(&bulk, PairTable::Follow, &users, &follows, &mut rng, &progress).await?;
    writing::add(&bulk, &users, &active, EXTRA_POSTS, &mut rng, &progress).await?;
    bulk.recount(&users).await.context("cannot set the users' counts")?;
    bulk.commit().await?;
    Ok(true)
}

/// Adds the named users with their follows and posts, and returns the users' ids.
///
/// The users are registered before all others.
async fn add_cast(bulk: &Bulk<'_>, password_hash: &str) -> Result<Vec<i64>> {
    let registered_at = minutes_before(clock::now() - YEAR * 2, CAST.len());
    let ids = bulk.ids_at(r#""user""#, &registered_at).await?;
    let users: Vec<User> =
        zip(&ids, &CAST).map(|(id, actor)| actor.user(*id, password_hash)).collect();
    bulk.add_users(&users).await.context("cannot add the cast")?;

    let followed_at = minutes_before(clock::now() - YEAR, CAST_FOLLOWS.len());
    let follows: Vec<Pair> = zip(bulk.ids_at("follow", &followed_at).await?, CAST_FOLLOWS)
        .map(|(id, (follower, followed))| Pair { id, actor: ids[follower], target: ids[followed] })
        .collect();
    let added = bulk.add_pairs(PairTable::Follow, &follows).await;
    added.context("cannot add the cast's follows")?;

    // These are the newest posts, one per minute, by one author after the other.
    let round = |index: usize| CAST.iter().map(move |actor| actor.posts[index]);
    let bodies: Vec<&str> = (0..CAST[0].posts.len()).flat_map(round).collect();
    let created_at = minutes_before(clock::now(), bodies.len());
    let posts: Vec<Post<'_>> = zip(bulk.ids_at("post", &created_at).await?, bodies)
        .zip(ids.iter().cycle())
        .map(|((id, body), author)| Post { id, author: *author, body, in_reply_to: None })
        .collect();
    bulk.add_posts(&posts).await.context("cannot add the cast's posts")?;
    Ok(ids)
}

/// `count` times at intervals of a minute, the last one a minute before `end`.
fn minutes_before(end: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
    let mut times: Vec<_> =
        (1..).map(|minute| end - TimeDelta::minutes(minute)).take(count).collect();
    times.reverse();
    times
}

impl Actor {
    fn user(&self, id: i64, password_hash: &str) -> User {
        let username = self.name.to_ascii_lowercase();
        User {
            id,
            email: format!("{username}@example.com"),
            username,
            display_name: Some(self.name.to_owned()),
            about_me: Some(self.about_me.to_owned()),
            password_hash: Some(password_hash.to_owned()),
        }
    }
}
