//! The demonstration graph: four people who know each other, and three hundred generated ones who
//! follow them. Always the same, so that examples can name what is in it.

use std::iter::zip;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use indicatif::ProgressBar;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom as _;

use super::graph::{self, Ranking};
use super::{YEAR, people, writing};
use crate::command::bulk::{Bulk, Follow, Post, User};
use crate::database::Database;

const EXTRAS: u32 = 300;
const EXTRAS_FOLLOW: u64 = 4_500;
const EXTRAS_WRITE: u64 = 2_400;
const RNG_SEED: u64 = 42;

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
            "There is seed cake in the hut for whoever helps with the nets on Saturday.",
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

/// Who follows whom among the cast, by place.
const FRIENDSHIPS: [(usize, usize); 4] = [(0, 1), (0, 3), (1, 2), (2, 3)];

/// Fills an empty database; `false`, and nothing done, when there are users already. The cast logs
/// in with the password that `password_hash` is of; nobody else can log in.
///
/// # Errors
/// When the database refuses.
pub async fn demo(db: &Database, password_hash: &str) -> Result<bool> {
    let bulk = Bulk::begin(db).await?;
    if bulk.number(r#"SELECT count(*) AS number FROM "user""#, []).await? > 0 {
        bulk.commit().await?;
        return Ok(false);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(RNG_SEED);
    let silent = ProgressBar::hidden();
    let mut users = add_cast(&bulk, password_hash).await?;
    users.extend(people::add(&bulk, EXTRAS, &mut rng, &silent).await?);
    let cast = u32::try_from(CAST.len())?;
    let mut extras: Vec<u32> = (cast..cast + EXTRAS).collect();
    extras.shuffle(&mut rng);
    let popular = (0..cast).chain(extras.iter().copied()).collect();
    let popular = Ranking::new(popular, graph::POPULARITY)?;
    let active = Ranking::shuffled(&extras, graph::ACTIVITY, &mut rng)?;
    let edges = graph::edges(&active, &popular, EXTRAS_FOLLOW, &mut rng);
    graph::add(&bulk, &users, &edges, &mut rng, &silent).await?;
    writing::add(&bulk, &users, &active, EXTRAS_WRITE, &mut rng, &silent).await?;
    bulk.recount(&users).await.context("cannot set the users' counts")?;
    bulk.commit().await?;
    Ok(true)
}

/// The cast, who joined before anyone else, with their follows and posts; gives their keys.
async fn add_cast(bulk: &Bulk<'_>, password_hash: &str) -> Result<Vec<i64>> {
    let joined = minutes_before(Utc::now() - YEAR * 2, CAST.len());
    let keys = bulk.keys_at(r#""user""#, &joined).await?;
    let users: Vec<User> =
        zip(&keys, &CAST).map(|(id, actor)| actor.user(*id, password_hash)).collect();
    bulk.add_users(&users).await.context("cannot add the cast")?;

    let met = minutes_before(Utc::now() - YEAR, FRIENDSHIPS.len());
    let follows: Vec<Follow> = zip(bulk.keys_at("follow", &met).await?, FRIENDSHIPS)
        .map(|(id, (one, other))| Follow { id, follower: keys[one], followed: keys[other] })
        .collect();
    bulk.add_follows(&follows).await.context("cannot add the cast's follows")?;

    // In turns and just now: the cast opens the timeline.
    let turns =
        (0..CAST[0].posts.len()).flat_map(|turn| CAST.iter().map(move |actor| actor.posts[turn]));
    let bodies: Vec<&str> = turns.collect();
    let written = minutes_before(Utc::now(), bodies.len());
    let posts: Vec<Post<'_>> = zip(bulk.keys_at("post", &written).await?, bodies)
        .zip(keys.iter().cycle())
        .map(|((id, body), author)| Post { id, author: *author, body })
        .collect();
    bulk.add_posts(&posts).await.context("cannot add the cast's posts")?;
    Ok(keys)
}

/// `count` moments a minute apart, the last of them a minute before `end`.
fn minutes_before(end: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
    let mut moments: Vec<_> =
        (1..).map(|minute| end - TimeDelta::minutes(minute)).take(count).collect();
    moments.reverse();
    moments
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
