//! Lists of follows with a filter and an order.
//!
//! Random requests are compared with plain sets of a random graph.

use std::collections::BTreeSet;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::support::actors::{Actor, texts};
use crate::support::app::TestApp;

/// Users of a random graph, and their follows, oldest first.
struct Graph<'a> {
    users: Vec<Actor<'a>>,
    /// Pairs of the follower and the followed user, as indexes.
    follows: Vec<(usize, usize)>,
}

/// A graph of 14 users, of whom some follow most others and some none.
async fn graph<'a>(app: &'a TestApp, rng: &mut ChaCha8Rng) -> Graph<'a> {
    let mut users = Vec::new();
    for n in 0..14 {
        let name = ["Anna", "ann", "bert", "Ben"][n % 4];
        users.push(app.register(&format!("{name}_{n}")).await);
    }
    let mut follows = Vec::new();
    for n in 0..140 {
        let pair = (rng.random_range(0..14_usize), rng.random_range(0..14_usize));
        let is_active = pair.0 < 9 || n % 7 == 0;
        if pair.0 != pair.1 && is_active && !follows.contains(&pair) {
            users[pair.0].follow(&users[pair.1]).await;
            follows.push(pair);
        }
    }
    Graph { users, follows }
}

/// The arguments of a list.
#[derive(Debug)]
struct Request {
    followers: bool,
    owner: usize,
    /// `None` for an anonymous client.
    viewer: Option<usize>,
    prefix: Option<&'static str>,
    viewer_follows: Option<bool>,
    follows_viewer: Option<bool>,
    mutual: Option<bool>,
    order: Option<(&'static str, &'static str)>,
}

fn request(rng: &mut ChaCha8Rng) -> Request {
    let flag = |rng: &mut ChaCha8Rng| [None, None, Some(true), Some(false)][rng.random_range(0..4)];
    let orders = [
        None,
        Some(("FOLLOWED_AT", "DESC")),
        Some(("FOLLOWED_AT", "ASC")),
        Some(("USERNAME", "ASC")),
        Some(("USERNAME", "DESC")),
    ];
    Request {
        followers: rng.random(),
        owner: rng.random_range(0..14),
        viewer: Some(rng.random_range(0..15)).filter(|viewer| *viewer < 14),
        prefix: [None, None, Some("AN"), Some("anna_"), Some("b"), Some("x"), Some("ann%")]
            [rng.random_range(0..7)],
        viewer_follows: flag(rng),
        follows_viewer: flag(rng),
        mutual: flag(rng),
        order: orders[rng.random_range(0..5)],
    }
}

impl Graph<'_> {
    fn follows(&self, follower: usize, followed: usize) -> bool {
        self.follows.contains(&(follower, followed))
    }

    /// The usernames of the list that a request is for.
    fn expected(&self, request: &Request) -> Vec<String> {
        let owner = request.owner;
        let mut listed: Vec<usize> = self
            .follows
            .iter()
            .rev()
            .filter(|pair| owner == if request.followers { pair.1 } else { pair.0 })
            .map(|pair| if request.followers { pair.0 } else { pair.1 })
            .collect();
        let name = |user: usize| self.users[user].username.to_lowercase();
        listed.retain(|user| {
            let is = |expected: Option<bool>, actual: bool| expected.is_none_or(|is| is == actual);
            let of_viewer = |test: &dyn Fn(usize) -> bool| request.viewer.is_some_and(test);
            let back = if request.followers {
                self.follows(owner, *user)
            } else {
                self.follows(*user, owner)
            };
            request.prefix.is_none_or(|prefix| name(*user).starts_with(&prefix.to_lowercase()))
                && is(request.viewer_follows, of_viewer(&|viewer| self.follows(viewer, *user)))
                && is(request.follows_viewer, of_viewer(&|viewer| self.follows(*user, viewer)))
                && is(request.mutual, back)
        });
        match request.order {
            Some(("USERNAME", direction)) => {
                listed.sort_by_key(|user| name(*user));
                if direction == "DESC" {
                    listed.reverse();
                }
            }
            Some(("FOLLOWED_AT", "ASC")) => listed.reverse(),
            _ => {}
        }
        listed.into_iter().map(|user| self.users[user].username.clone()).collect()
    }

    /// Reads all pages of a list in one direction, and checks each.
    async fn check(&self, app: &TestApp, request: &Request, size: usize, forward: bool) {
        let expected = self.expected(request);
        let field = if request.followers { "followers" } else { "following" };
        let (first, after) = if forward { ("first", "after") } else { ("last", "before") };
        let document = format!(
            "query ($id: ID!, $size: Int, $cursor: String, $filter: FollowFilter,
               $order: FollowOrder) {{ user(by: {{id: $id}}) {{
             {field}({first}: $size, {after}: $cursor, filter: $filter, orderBy: $order) {{
               totalCount nodes {{ username }} edges {{ cursor node {{ username }} }}
               pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} }}"
        );
        let anonymous = app.anonymous();
        let viewer = request.viewer.map_or(&anonymous, |viewer| &self.users[viewer]);
        let mut variables = json!({
            "id": self.users[request.owner].id, "size": size,
            "filter": { "usernamePrefix": request.prefix, "viewerFollows": request.viewer_follows,
                "followsViewer": request.follows_viewer, "mutual": request.mutual },
            "order": request.order.map(|(field, direction)|
                json!({ "field": field, "direction": direction })),
        });
        let mut joined: Vec<String> = Vec::new();
        loop {
            let data = viewer.run(&document, variables.clone()).await;
            let page = &data["user"][field];
            let names = texts(&page["nodes"], "username");
            assert_eq!(page["totalCount"], expected.len(), "{request:?}");
            let info = &page["pageInfo"];
            let read = joined.len() + names.len();
            let (more, before) = (read < expected.len(), !joined.is_empty());
            let flags = if forward { (more, before) } else { (before, more) };
            assert_eq!(
                (&info["hasNextPage"], &info["hasPreviousPage"]),
                (&json!(flags.0), &json!(flags.1)),
                "{request:?} {names:?}"
            );
            if forward {
                joined.extend(names);
            } else {
                joined.splice(..0, names);
            }
            if !more {
                break;
            }
            let cursor = if forward { "endCursor" } else { "startCursor" };
            variables["cursor"] = info[cursor].clone();
        }
        assert_eq!(joined, expected, "{request:?} {size} {forward}");
    }
}

#[tokio::test]
async fn filtered_and_ordered_lists_equal_plain_sets() {
    let app = TestApp::new().await;
    let mut rng = ChaCha8Rng::seed_from_u64(18);
    let graph = graph(&app, &mut rng).await;
    let mut lengths = BTreeSet::new();
    for n in 0..250 {
        let request = request(&mut rng);
        lengths.insert(graph.expected(&request).len());
        let size = [1, 2, 3, 100][n % 4];
        graph.check(&app, &request, size, rng.random()).await;
    }
    assert!(lengths.len() > 6, "lists of many lengths: {lengths:?}");
    for (viewer, user) in graph.users.iter().enumerate() {
        for (owner, other) in graph.users.iter().enumerate() {
            let list = Request {
                followers: true,
                owner,
                viewer: Some(viewer),
                prefix: None,
                viewer_follows: Some(true),
                follows_viewer: None,
                mutual: None,
                order: None,
            };
            let document = format!(
                "{{ user(by: {{id: \"{}\"}}) {{ knownFollowers(first: 100) {{ totalCount
                 nodes {{ username }} }} }} }}",
                other.id
            );
            let known = user.query(&document).await["user"]["knownFollowers"].take();
            let expected = graph.expected(&list);
            assert_eq!(known["totalCount"], expected.len());
            assert_eq!(texts(&known["nodes"], "username"), expected);
        }
    }
}

#[tokio::test]
async fn cursors_belong_to_their_filter_and_order() {
    let app = TestApp::new().await;
    let actors = app.actors().await;
    for user in [&actors.susan, &actors.mary, &actors.david] {
        user.follow(&actors.john).await;
    }
    let lists = [
        "",
        "orderBy: {field: FOLLOWED_AT, direction: ASC}",
        "orderBy: {field: USERNAME, direction: ASC}",
        "orderBy: {field: USERNAME, direction: DESC}",
        "filter: {usernamePrefix: \"m\"}",
        "filter: {mutual: false}",
        "filter: {viewerFollows: false}",
    ];
    let document = |arguments: &str, cursor: &str| {
        format!(
            "{{ user(by: {{username: \"john\"}}) {{
            followers(first: 1 {arguments} {cursor}) {{ pageInfo {{ endCursor }} }} }} }}"
        )
    };
    let anonymous = app.anonymous();
    for list in lists {
        let data = anonymous.query(&document(list, "")).await;
        let cursor = &data["user"]["followers"]["pageInfo"]["endCursor"];
        for other in lists {
            let response =
                anonymous.execute(&document(other, &format!("after: {cursor}")), json!({})).await;
            let is_rejected = response["errors"][0]["extensions"]["code"] == "INVALID_CURSOR";
            assert_eq!(is_rejected, list != other, "{list} at {other}: {response}");
        }
    }
    // An empty filter is no filter, and the default order is no order.
    let data = anonymous.query(&document("", "")).await;
    let cursor = &data["user"]["followers"]["pageInfo"]["endCursor"];
    for same in ["filter: {}", "orderBy: {field: FOLLOWED_AT, direction: DESC}"] {
        anonymous.query(&document(same, &format!("after: {cursor}"))).await;
    }
}
