//! The demo data of `serve --demo`: four named users, and 300 generated ones.
//!
//! The named users reply to each other, like posts of each other, and repost one.
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
use crate::command::bulk::{Bulk, Pair, PairTable, Post, Reaction, User};
use crate::database::Database;
use crate::ids::snowflake;

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
            "Record them, then count the caws. That is how I count owls.",
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
            "Keep a slice for me: I bring the maps on Saturday.",
            "Post from David: the spring map begins today.",
        ],
    },
];

/// The follows among the cast: indexes of the follower and the followed user.
const CAST_FOLLOWS: [(usize, usize); 4] = [(0, 1), (0, 3), (1, 2), (2, 3)];

/// The replies among the cast: indexes of the reply and of its parent.
///
/// The posts of the cast are in rounds: a post of each actor, then the next post of each.
const CAST_REPLIES: [(usize, usize); 3] = [(8, 4), (9, 4), (11, 6)];

/// The likes among the cast: indexes of the user and of the post.
const CAST_LIKES: [(usize, usize); 12] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (0, 1),
    (2, 4),
    (0, 6),
    (1, 6),
    (0, 9),
    (2, 11),
    (1, 12),
    (3, 12),
    (0, 15),
];

/// The reposts among the cast: indexes of the user and of the post.
const CAST_REPOSTS: [(usize, usize); 1] = [(1, 2)];

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
    let actors = add_cast(&bulk, password_hash).await?;
    add_reactions(&bulk, &actors).await?;
    let mut users = actors.users.clone();
    users.extend(people::add(&bulk, EXTRA_USERS, &mut rng, &progress).await?);
    let cast = u32::try_from(CAST.len())?;
    let mut extras: Vec<u32> = (cast..cast + EXTRA_USERS).collect();
    extras.shuffle(&mut rng);
    let popular = (0..cast).chain(extras.iter().copied()).collect();
    let popular = Ranking::new(popular, graph::POPULARITY)?;
    let active = Ranking::shuffled(&extras, graph::ACTIVITY, &mut rng)?;
    let follows = graph::follows(&active, &popular, EXTRA_FOLLOWS, &mut rng);
    graph::add(&bulk, PairTable::Follow, &users, &follows, &mut rng, &progress).await?;
    let authors = (&active, EXTRA_POSTS);
    writing::add(&bulk, &users, authors, |_, _| None, &mut rng, &progress).await?;
    bulk.recount(&users).await.context("cannot set the users' counts")?;
    bulk.recount_posts(&actors.posts).await.context("cannot set the posts' counts")?;
    bulk.commit().await?;
    Ok(true)
}

/// Adds the named users with their follows and posts.
///
/// The users are registered before all others.
async fn add_cast(bulk: &Bulk<'_>, password_hash: &str) -> Result<Cast> {
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
    let post_ids = bulk.ids_at("post", &created_at).await?;
    let parent = |post: usize| {
        let reply = CAST_REPLIES.iter().find(|(reply, _)| *reply == post);
        reply.map(|(_, parent)| post_ids[*parent])
    };
    let posts: Vec<Post<'_>> = zip(&post_ids, bodies)
        .zip(ids.iter().cycle())
        .enumerate()
        .map(|(index, ((id, body), author))| Post {
            id: *id,
            author: *author,
            body,
            in_reply_to: parent(index),
        })
        .collect();
    bulk.add_posts(&posts).await.context("cannot add the cast's posts")?;
    Ok(Cast { users: ids, posts: post_ids })
}

/// Adds the likes and reposts among the cast.
async fn add_reactions(bulk: &Bulk<'_>, cast: &Cast) -> Result<()> {
    let likes = bulk.ids_in_order(r#""like""#, &cast.times(&CAST_LIKES)).await?;
    let likes = cast.reactions(likes, &CAST_LIKES);
    bulk.add_likes(&likes).await.context("cannot add the cast's likes")?;
    let reposts = bulk.ids_in_order("feed_item", &cast.times(&CAST_REPOSTS)).await?;
    let reposts = cast.reactions(reposts, &CAST_REPOSTS);
    bulk.add_reposts(&reposts).await.context("cannot add the cast's reposts")
}

/// The ids of the named users and of their posts.
struct Cast {
    users: Vec<i64>,
    posts: Vec<i64>,
}

impl Cast {
    /// The times of reactions: half a minute after the posts.
    fn times(&self, pairs: &[(usize, usize)]) -> Vec<DateTime<Utc>> {
        let time = |post: usize| snowflake::timestamp_of(self.posts[post]);
        pairs.iter().map(|(_, post)| time(*post) + TimeDelta::seconds(30)).collect()
    }

    /// The reactions with these ids.
    fn reactions(&self, ids: Vec<i64>, pairs: &[(usize, usize)]) -> Vec<Reaction> {
        let reaction = |(id, (user, post)): (i64, &(usize, usize))| Reaction {
            id,
            actor: self.users[*user],
            post: self.posts[*post],
        };
        zip(ids, pairs).map(reaction).collect()
    }
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
