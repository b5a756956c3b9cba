//! What the hand-written endpoints answer: the leaves of the GraphQL queries, in their order.

use serde::Serialize;

/// Q1: a page of a timeline.
#[derive(Serialize)]
pub struct Timeline {
    pub timeline: Vec<Post>,
}

#[derive(Serialize)]
pub struct Post {
    pub id: String,
    pub body: String,
    pub author: Author,
}

#[derive(Serialize)]
pub struct Author {
    pub id: String,
    pub username: String,
    #[serde(rename = "followersCount")]
    pub followers: i32,
    #[serde(rename = "followingCount")]
    pub following: i32,
}

/// Q2: a profile with the newest of both lists.
#[derive(Serialize)]
pub struct Profile {
    pub username: String,
    #[serde(rename = "followersCount")]
    pub followers_count: i32,
    #[serde(rename = "followingCount")]
    pub following_count: i32,
    #[serde(rename = "postsCount")]
    pub posts_count: i32,
    pub followers: Vec<Listed>,
    pub following: Vec<Listed>,
}

#[derive(Serialize)]
pub struct Listed {
    pub username: String,
    #[serde(rename = "followersCount")]
    pub followers: i32,
}

/// Q3: followers, and whom each of them follows.
#[derive(Serialize)]
pub struct Followers {
    pub followers: Vec<Follower>,
}

#[derive(Serialize)]
pub struct Follower {
    pub username: String,
    pub following: Vec<Named>,
}

#[derive(Serialize)]
pub struct Named {
    pub username: String,
}
