//! The JSON responses of the baselines.
//!
//! They have the scalar fields of the GraphQL queries, in the order of the queries. The load
//! harness compares these values with the responses of the GraphQL servers.

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

/// Q2: a profile with its newest followers and followed users.
#[derive(Serialize)]
pub struct Profile {
    pub username: String,
    #[serde(rename = "followersCount")]
    pub followers_count: i32,
    #[serde(rename = "followingCount")]
    pub following_count: i32,
    #[serde(rename = "postsCount")]
    pub posts_count: i32,
    pub followers: Vec<UserNode>,
    pub following: Vec<UserNode>,
}

#[derive(Serialize)]
pub struct UserNode {
    pub username: String,
    #[serde(rename = "followersCount")]
    pub followers: i32,
}

/// Q3: followers, and the users that each of them follows.
#[derive(Serialize)]
pub struct Followers {
    pub followers: Vec<Follower>,
}

#[derive(Serialize)]
pub struct Follower {
    pub username: String,
    pub following: Vec<Username>,
}

#[derive(Serialize)]
pub struct Username {
    pub username: String,
}
