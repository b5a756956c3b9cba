//! Concurrent reactions, replies and deletions of posts and accounts.
//!
//! Afterwards all counts are compared with lists, and lists with each other. Notifications are
//! compared with the likes, reposts, replies, mentions and follows that are left.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::graph::name;
use crate::support::actors::{Actor, texts};
use crate::support::app::{PASSWORD, two_instances};

const SEED: u64 = 1;
const USERS: usize = 10;
/// Number of posts at the start. The author of each is its number modulo the users.
const POSTS: usize = 16;
const OPERATIONS: usize = 240;
/// Users who delete their accounts, by the number of the operation.
const LEAVERS: [(usize, usize); 2] = [(90, 0), (180, 1)];

/// The text of a reply before the number of the post that it replies to.
const ANSWER: &str = "answer to ";

fn leaves(user: usize) -> bool {
    LEAVERS.iter().any(|(_, leaver)| *leaver == user)
}

/// Whether the author may delete a post.
fn may_be_deleted(post: usize) -> bool {
    post.is_multiple_of(4) || leaves(post % USERS)
}

/// What an operation concerns.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// A post of the start.
    Post(usize),
    User(usize),
    None,
}

/// An operation of a user.
#[derive(Debug)]
struct Operation {
    user: usize,
    verb: &'static str,
    target: Target,
}

impl Operation {
    fn new(number: usize, random: &mut ChaCha8Rng) -> Self {
        if let Some((_, user)) = LEAVERS.iter().find(|leaver| leaver.0 == number) {
            return Self { user: *user, verb: "deleteAccount", target: Target::None };
        }
        let (user, post) = (random.random_range(0..USERS), random.random_range(0..POSTS));
        let other = Target::User((user + random.random_range(1..USERS)) % USERS);
        let deleted = post - post % 4;
        let (user, verb, target) = match random.random_range(0..40) {
            0..8 => (user, "like", Target::Post(post)),
            8..11 => (user, "unlike", Target::Post(post)),
            11..16 => (user, "repost", Target::Post(post)),
            16..19 => (user, "unrepost", Target::Post(post)),
            19..26 => (user, "reply", Target::Post(post)),
            26..30 => (user, "mention", other),
            30..34 => (user, "follow", other),
            34..36 => (user, "block", other),
            36..38 => (user, "markNotificationsRead", Target::None),
            _ => (deleted % USERS, "deletePost", Target::Post(deleted)),
        };
        Self { user, verb, target }
    }

    /// The mutation. `posts` are the ids of the posts of the start.
    fn document(&self, posts: &[String]) -> String {
        let (number, other) = match self.target {
            Target::Post(post) => (post, String::new()),
            Target::User(user) => (0, name(user)),
            Target::None => (0, String::new()),
        };
        let post = &posts[number];
        let created = "post { id } userErrors { code }";
        let changed = "changed userErrors { code }";
        let field = match self.verb {
            "reply" => {
                let input = format!("{{body: \"{ANSWER}{number}\", inReplyToId: \"{post}\"}}");
                format!("createPost(input: {input}) {{ {created} }}")
            }
            "mention" => format!("createPost(input: {{body: \"hi @{other}\"}}) {{ {created} }}"),
            "deleteAccount" => {
                format!("deleteAccount(input: {{password: \"{PASSWORD}\"}}) {{ {changed} }}")
            }
            "markNotificationsRead" => format!("markNotificationsRead {{ {changed} }}"),
            "deletePost" => format!("deletePost(id: \"{post}\") {{ {changed} }}"),
            verb @ ("follow" | "block") => {
                format!("{verb}(user: {{username: \"{other}\"}}) {{ {changed} }}")
            }
            verb => format!("{verb}(postId: \"{post}\") {{ {changed} }}"),
        };
        format!("mutation {{ do: {field} }}")
    }

    /// Asserts that a failure is one of the documented ones.
    ///
    /// Returns whether anything changed.
    fn check(&self, response: &Value) -> bool {
        let error = response["errors"][0]["extensions"]["code"].as_str();
        let payload = &response["data"]["do"];
        let is_gone = match self.target {
            Target::Post(post) => may_be_deleted(post),
            Target::User(user) => leaves(user),
            Target::None => false,
        };
        let is_permitted = match (error, payload["userErrors"][0]["code"].as_str()) {
            (None, None) => true,
            (Some("UNAUTHENTICATED"), None) => leaves(self.user),
            (None, Some("NOT_FOUND")) => is_gone,
            (None, Some("BLOCKED")) => ["like", "repost", "reply", "follow"].contains(&self.verb),
            _ => false,
        };
        assert!(is_permitted, "{self:?}: {response}");
        payload["changed"] == true || payload["post"]["id"].is_string()
    }
}

/// A notification: the recipient, the type, the actor, and the id of the post.
type Notice = (String, &'static str, String, String);

/// Names and ids in the lists of all users.
#[derive(Default)]
struct Lists {
    /// The author of each post.
    authors: BTreeMap<String, String>,
    /// User and post, from the lists of likers and from the lists of likes.
    likes: [BTreeSet<(String, String)>; 2],
    /// User and post, from the lists of reposters and from the lists of posts.
    reposts: [BTreeSet<(String, String)>; 2],
    /// Post and reply, from the lists of replies and from `inReplyTo`.
    replies: [BTreeSet<(String, String)>; 2],
    /// The author of a post that may have been deleted, and a reply to it.
    answers: BTreeSet<(String, String)>,
    /// Post and mentioned user.
    mentions: BTreeSet<(String, String)>,
    /// Follower and followed user.
    follows: BTreeSet<(String, String)>,
    /// Blocker and blocked user.
    blocks: BTreeSet<(String, String)>,
    notices: BTreeSet<Notice>,
}

/// The lists of a viewer. The pages have space for all entries.
const LISTS: &str = "{ viewer {
    user { postsCount
        posts(first: 40) { totalCount nodes { id body likesCount repostsCount repliesCount
            inReplyTo { id } mentions { user { username } }
            likers(first: 20) { totalCount nodes { username } }
            reposters(first: 20) { totalCount nodes { username } }
            replies(first: 40) { totalCount nodes { id } } } }
        withReposts: posts(first: 100, filter: {reposts: true}) {
            totalCount edges { repostedAt node { id } } }
        followers(first: 50) { nodes { username } } }
    likes(first: 100) { totalCount nodes { id } }
    blockedUsers(first: 50) { nodes { username } }
    unreadNotificationsCount(cap: 1000)
    notifications(first: 100) { nodes { type isRead actor { username } post { id } } } } }";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// One field of the nodes of a list, whose `totalCount` must be their number.
fn nodes(list: &Value, field: &str, context: &str) -> Vec<String> {
    let nodes = texts(&list["nodes"], field);
    assert_eq!(list["totalCount"], nodes.len(), "totalCount of {context}: {list}");
    nodes
}

impl Lists {
    /// Adds the lists of a user. Asserts that all counts are exact.
    async fn read(&mut self, client: &Actor<'_>) {
        let viewer = client.query(LISTS).await["viewer"].take();
        let (user, own) = (&viewer["user"], || client.username.clone());
        let posts = nodes(&user["posts"], "id", &format!("posts of {}", own()));
        assert_eq!(user["postsCount"], posts.len(), "postsCount of {}", own());
        for post in user["posts"]["nodes"].as_array().unwrap() {
            self.add_post(post, own());
        }
        let entries = user["withReposts"]["edges"].as_array().unwrap();
        assert_eq!(user["withReposts"]["totalCount"], entries.len(), "reposts of {}", own());
        let reposts = entries.iter().filter(|entry| entry["repostedAt"].is_string());
        self.reposts[1].extend(reposts.map(|entry| (own(), text(&entry["node"]["id"]))));
        let likes = nodes(&viewer["likes"], "id", &format!("likes of {}", own()));
        self.likes[1].extend(likes.into_iter().map(|post| (own(), post)));
        let followers = texts(&user["followers"]["nodes"], "username");
        self.follows.extend(followers.into_iter().map(|follower| (follower, own())));
        let blocked = texts(&viewer["blockedUsers"]["nodes"], "username");
        self.blocks.extend(blocked.into_iter().map(|blocked| (own(), blocked)));

        let notices = viewer["notifications"]["nodes"].as_array().unwrap();
        let unread = notices.iter().filter(|notice| notice["isRead"] == false).count();
        assert_eq!(viewer["unreadNotificationsCount"], unread, "unread ones of {}", own());
        for notice in notices {
            let kind = ["FOLLOW", "LIKE", "REPLY", "REPOST", "MENTION"]
                .into_iter()
                .find(|kind| notice["type"] == *kind)
                .unwrap_or_else(|| panic!("{notice}"));
            let post = notice["post"]["id"].as_str().unwrap_or_default().to_owned();
            let actor = text(&notice["actor"]["username"]);
            assert!(self.notices.insert((own(), kind, actor, post)), "twice: {notice}");
        }
    }

    fn add_post(&mut self, post: &Value, author: String) {
        let id = text(&post["id"]);
        let counted = |list: &str, count: &str, field: &str| {
            let context = format!("{list} of a post of {author}");
            let nodes = nodes(&post[list], field, &context);
            assert_eq!(post[count], nodes.len(), "{count} and {context}: {post}");
            nodes
        };
        let likers = counted("likers", "likesCount", "username");
        let reposters = counted("reposters", "repostsCount", "username");
        let replies = counted("replies", "repliesCount", "id");
        self.likes[0].extend(likers.into_iter().map(|user| (user, id.clone())));
        self.reposts[0].extend(reposters.into_iter().map(|user| (user, id.clone())));
        self.replies[0].extend(replies.into_iter().map(|reply| (id.clone(), reply)));
        let parent = post["inReplyTo"]["id"].as_str();
        self.replies[1].extend(parent.map(|parent| (parent.to_owned(), id.clone())));
        let answer =
            text(&post["body"]).strip_prefix(ANSWER).map(|post| post.parse::<usize>().unwrap());
        self.answers.extend(answer.map(|post| (name(post % USERS), id.clone())));
        let mentions = post["mentions"].as_array().unwrap().iter();
        let mentioned = mentions.map(|mention| text(&mention["user"]["username"]));
        self.mentions.extend(mentioned.map(|user| (id.clone(), user)));
        self.authors.insert(id, author);
    }

    /// The notifications of everything in the lists, except between users with a block.
    ///
    /// That of a reply remains when the post that it replies to is deleted.
    fn expected_notices(&self) -> BTreeSet<Notice> {
        let author = |post: &String| self.authors[post].clone();
        let of_reactions = |reactions: &BTreeSet<(String, String)>, kind: &'static str| {
            let notice =
                |(user, post): &(String, String)| (author(post), kind, user.clone(), post.clone());
            reactions.iter().map(notice).collect::<Vec<Notice>>()
        };
        let replies = self
            .answers
            .iter()
            .map(|(user, reply)| (user.clone(), "REPLY", author(reply), reply.clone()));
        let mentions = self
            .mentions
            .iter()
            .map(|(post, user)| (user.clone(), "MENTION", author(post), post.clone()));
        let follows = self
            .follows
            .iter()
            .map(|(follower, user)| (user.clone(), "FOLLOW", follower.clone(), String::new()));
        let all = replies.chain(mentions).chain(follows);
        let reactions = of_reactions(&self.likes[0], "LIKE").into_iter();
        let reactions = reactions.chain(of_reactions(&self.reposts[0], "REPOST"));
        let is_notified = |(recipient, _, actor, _): &Notice| {
            let pairs = [(recipient, actor), (actor, recipient)];
            let is_block = |(one, other): (&String, &String)| {
                self.blocks.contains(&(one.clone(), other.clone()))
            };
            let has_left = LEAVERS.iter().any(|(_, leaver)| name(*leaver) == *recipient);
            recipient != actor && !has_left && !pairs.into_iter().any(is_block)
        };
        all.chain(reactions).filter(is_notified).collect()
    }

    /// Asserts that the lists of all users together are consistent.
    fn check(&self) {
        assert_eq!(self.likes[0], self.likes[1], "lists of likers and of likes");
        assert_eq!(self.reposts[0], self.reposts[1], "lists of reposters and of posts");
        assert_eq!(self.replies[0], self.replies[1], "lists of replies and inReplyTo");
        let expected = self.expected_notices();
        let surplus: Vec<&Notice> = self.notices.difference(&expected).collect();
        let missing: Vec<&Notice> = expected.difference(&self.notices).collect();
        assert!(surplus.is_empty(), "notifications without a cause: {surplus:?}");
        assert!(missing.is_empty(), "causes without a notification: {missing:?}");
        for number in [self.likes[0].len(), self.reposts[0].len(), self.replies[0].len()] {
            assert!(number > 3, "{number} rows are left");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_reactions_keep_counts_and_notifications_exact() {
    println!("seed {SEED}");
    let (a, b) = two_instances().await;
    let mut users = Vec::new();
    for user in 0..USERS {
        users.push([&a, &b][user % 2].register(&name(user)).await);
    }
    let mut posts = Vec::new();
    for post in 0..POSTS {
        posts.push(users[post % USERS].write(&format!("post {post}")).await);
    }

    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let operations: Vec<Operation> =
        (0..OPERATIONS).map(|number| Operation::new(number, &mut random)).collect();
    let responses = join_all(operations.iter().enumerate().map(|(n, operation)| {
        let client = users[operation.user].at([&a, &b][n % 2]);
        let document = operation.document(&posts);
        async move { client.execute(&document, json!({})).await }
    }));
    let mut changes = 0;
    for (operation, response) in operations.iter().zip(responses.await) {
        changes += usize::from(operation.check(&response));
    }
    assert!(changes > OPERATIONS / 3, "{changes} changes");

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
