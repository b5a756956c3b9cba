//! Concurrent operations on few users, some of whom are protected or leave.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::graph::name;
use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, two_instances};

const USERS: usize = 10;
const OPERATIONS: usize = 200;
/// Users who delete their accounts, by the number of the operation.
const LEAVERS: [(usize, usize); 3] = [(50, 0), (110, 1), (170, 2)];

fn is_protected(user: usize) -> bool {
    user.is_multiple_of(3)
}

fn leaves(user: usize) -> bool {
    LEAVERS.iter().any(|(_, leaver)| *leaver == user)
}

/// An operation of a user that concerns another user.
struct Operation {
    user: usize,
    verb: &'static str,
    other: usize,
}

impl Operation {
    fn new(number: usize, random: &mut ChaCha8Rng) -> Self {
        let any_user = random.random_range(0..USERS);
        let (user, verb) = match random.random_range(0..10) {
            0..6 => (any_user, "follow"),
            6..9 => (any_user - any_user % 3, "acceptFollowRequest"),
            _ => (any_user, "block"),
        };
        let other = (user + random.random_range(1..USERS)) % USERS;
        match LEAVERS.iter().find(|leaver| leaver.0 == number) {
            Some((_, user)) => Self { user: *user, verb: "deleteAccount", other: *user },
            None => Self { user, verb, other },
        }
    }

    fn document(&self) -> String {
        let Self { verb, other, .. } = self;
        let argument = match *verb {
            "deleteAccount" => format!("input: {{password: \"{PASSWORD}\"}}"),
            _ => format!("user: {{username: \"{}\"}}", name(*other)),
        };
        format!("mutation {{ do: {verb}({argument}) {{ changed userErrors {{ code }} }} }}")
    }

    /// Asserts that a failure is one of the documented ones. Returns `changed`.
    fn check(&self, response: &Value) -> bool {
        let Self { user, verb, other } = self;
        let error = response["errors"][0]["extensions"]["code"].as_str();
        let user_error = response["data"]["do"]["userErrors"][0]["code"].as_str();
        let is_permitted = match (error, user_error) {
            (None, None) => true,
            (Some("UNAUTHENTICATED"), None) => leaves(*user),
            (None, Some("BLOCKED")) => *verb == "follow",
            (None, Some("NOT_FOUND")) => leaves(*other) || *verb == "acceptFollowRequest",
            _ => false,
        };
        assert!(is_permitted, "{verb} by {} of {}: {response}", name(*user), name(*other));
        response["data"]["do"]["changed"] == true
    }
}

/// The pairs of users in the lists of all users.
#[derive(Default)]
struct Lists {
    /// Follower and followed user, from the lists of followers and of followed users.
    follows: [BTreeSet<(String, String)>; 2],
    /// Requester and target, from the lists of received and of sent requests.
    requests: [BTreeSet<(String, String)>; 2],
    /// Blocker and blocked user.
    blocks: BTreeSet<(String, String)>,
}

impl Lists {
    /// Adds the lists of a user. Asserts that all counts are exact.
    async fn read(&mut self, client: &Actor<'_>) {
        let document = "{ viewer {
            user { username followersCount followingCount postsCount posts { totalCount }
                followers(first: 50) { totalCount nodes { username } }
                following(first: 50) { totalCount nodes { username } } }
            followRequests(first: 50) { totalCount nodes { username } }
            sentFollowRequests(first: 50) { totalCount nodes { username } }
            blockedUsers(first: 50) { totalCount nodes { username } } } }";
        let viewer = client.query(document).await["viewer"].take();
        let user = &viewer["user"];
        let names = |list: &Value| {
            let names = texts(&list["nodes"], "username");
            assert_eq!(list["totalCount"], names.len(), "{viewer}");
            names
        };
        let own = || client.username.clone();
        let (followers, following) = (names(&user["followers"]), names(&user["following"]));
        assert_eq!(user["followersCount"], followers.len(), "{viewer}");
        assert_eq!(user["followingCount"], following.len(), "{viewer}");
        assert_eq!(user["postsCount"], user["posts"]["totalCount"], "{viewer}");
        self.follows[0].extend(followers.into_iter().map(|other| (other, own())));
        self.follows[1].extend(following.into_iter().map(|other| (own(), other)));
        let received = names(&viewer["followRequests"]);
        let sent = names(&viewer["sentFollowRequests"]);
        self.requests[0].extend(received.into_iter().map(|other| (other, own())));
        self.requests[1].extend(sent.into_iter().map(|other| (own(), other)));
        let blocked = names(&viewer["blockedUsers"]);
        self.blocks.extend(blocked.into_iter().map(|other| (own(), other)));
    }

    /// Asserts that the lists of all users together are consistent.
    fn check(&self) {
        assert_eq!(self.follows[0], self.follows[1]);
        assert_eq!(self.requests[0], self.requests[1]);
        assert!(self.follows[0].is_disjoint(&self.requests[0]), "a follow ends its request");
        for (blocker, blocked) in &self.blocks {
            let pairs = [(blocker.clone(), blocked.clone()), (blocked.clone(), blocker.clone())];
            for pair in pairs {
                assert!(!self.follows[0].contains(&pair), "{pair:?} despite a block");
                assert!(!self.requests[0].contains(&pair), "{pair:?} despite a block");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_operations_keep_counts_exact() {
    let (a, b) = two_instances().await;
    let mut users = Vec::new();
    for user in 0..USERS {
        users.push([&a, &b][user % 2].register(&name(user)).await);
    }
    for user in (0..USERS).filter(|user| is_protected(*user)) {
        users[user].write("for followers").await;
        users[user].protect(true).await;
        for other in (0..USERS).filter(|other| !is_protected(*other)) {
            assert!(users[other].follow(&users[user]).await, "a request to accept later");
        }
    }

    let mut random = ChaCha8Rng::seed_from_u64(1);
    let operations: Vec<Operation> =
        (0..OPERATIONS).map(|number| Operation::new(number, &mut random)).collect();
    let responses = join_all(operations.iter().enumerate().map(|(n, operation)| {
        let client = users[operation.user].at([&a, &b][n % 2]);
        async move { client.execute(&operation.document(), json!({})).await }
    }));
    let mut changes = 0;
    let mut acceptances = 0;
    for (operation, response) in operations.iter().zip(responses.await) {
        let changed = operation.check(&response);
        changes += usize::from(changed);
        acceptances += usize::from(changed && operation.verb == "acceptFollowRequest");
    }
    assert!(changes > 40 && acceptances > 2, "{changes} changes, {acceptances} acceptances");

    let mut lists = Lists::default();
    for user in (0..USERS).filter(|user| !leaves(*user)) {
        lists.read(&users[user].at([&a, &b][user % 2])).await;
    }
    lists.check();
    for user in (0..USERS).filter(|user| leaves(*user)) {
        assert_eq!(users[user].error("{ viewer { email } }").await, "UNAUTHENTICATED");
    }
    assert_eq!(a.doctor_report().await, "no problems found\n");
}
