//! Visibility: nothing of a protected user reaches a viewer who may not see it.
//!
//! The first test follows every path of `schema.graphql` that leads to a post or to a list of a
//! user, as each kind of viewer. New fields are covered without a change here. `cases` has writes,
//! federation and streams, to which no such path leads.

mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use async_graphql::parser::types::{FieldDefinition, TypeKind};
use serde_json::{Value, json};

use crate::schema::document::{Document, Samples, Schema, base, is_required};
use crate::support::actors::Actor;
use crate::support::app::TestApp;

/// Maximum number of fields on a path, beyond the root type.
const DEPTH: usize = 4;
/// Lists of a user that a protected user shows to followers only.
const LISTS: [&str; 4] = ["posts", "timeline", "followers", "following"];

/// A graph around the protected user `secret`.
struct Graph<'a> {
    secret: Actor<'a>,
    /// A follower of `secret`, without protection.
    ///
    /// All other users follow this user, and are followed by this user.
    follower: Actor<'a>,
    /// Viewers who may not see the posts and lists of `secret`, by what they are.
    others: Vec<(&'static str, Actor<'a>)>,
    /// A post of `secret`.
    post: String,
}

/// Creates the graph.
///
/// `former` has followed `secret`, and bookmarked, liked and reposted a post.
async fn graph(app: &TestApp) -> Graph<'_> {
    let secret = app.register("secret").await;
    let follower = app.register("follower").await;
    let (stranger, former, blocked, requester) = (
        app.register("stranger").await,
        app.register("former").await,
        app.register("blocked").await,
        app.register("requester").await,
    );
    for user in [&follower, &former, &blocked] {
        user.follow(&secret).await;
    }
    for user in [&secret, &stranger, &former, &blocked, &requester] {
        user.follow(&follower).await;
        follower.follow(user).await;
    }
    let post = secret.write("secret 1").await;
    for n in 2..4 {
        secret.write(&format!("secret {n} for @former and @stranger")).await;
        follower.write(&format!("open {n}")).await;
    }
    for user in [&follower, &former] {
        for verb in ["bookmark", "like", "repost"] {
            user.mutate(&format!("{verb}(postId: \"{post}\") {{ changed }}")).await;
        }
    }
    secret.protect(true).await;
    secret.mutate("removeFollower(user: {username: \"former\"}) { changed }").await;
    secret.mutate("block(user: {username: \"blocked\"}) { changed }").await;
    requester.follow(&secret).await;
    let others = vec![
        ("an anonymous client", app.anonymous()),
        ("a stranger", stranger),
        ("a former follower", former),
        ("a blocked user", blocked),
        ("a user whose request is pending", requester),
    ];
    Graph { secret, follower, others, post }
}

/// A selection that leads from a type to a post or to a list of a user.
type Path<'a> = Vec<Step<'a>>;

#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a FieldDefinition),
    /// An object type of an interface or a union.
    On(&'a str),
}

/// The paths of at most `depth` fields from a type to a post or a list of a user.
fn paths<'a>(schema: &'a Schema, name: &str, depth: usize) -> Vec<Path<'a>> {
    let mut found = Vec::new();
    if name == "Post" {
        found.push(vec![]);
    }
    if matches!(schema.kind(name), TypeKind::Interface(_) | TypeKind::Union(_)) {
        for object in schema.possible_types(name) {
            let rest = paths(schema, object, depth);
            found.extend(rest.into_iter().map(|rest| [&[Step::On(object)][..], &rest].concat()));
        }
        return found;
    }
    for field in schema.fields(name).filter(|_| depth > 0) {
        if name == "User" && LISTS.contains(&field.name.node.as_str()) {
            found.push(vec![Step::Field(field)]);
        }
        let rest = paths(schema, base(&field.ty.node), depth - 1);
        found.extend(rest.into_iter().map(|rest| [&[Step::Field(field)][..], &rest].concat()));
    }
    found
}

fn has_argument(step: Step<'_>, name: &str) -> bool {
    match step {
        Step::Field(field) => field.arguments.iter().any(|each| each.node.name.node == name),
        Step::On(_) => false,
    }
}

/// The document of a path. It selects what identifies each object on the way.
///
/// Connections have at most three entries, so that the document is not too expensive. They also
/// have the argument `optional`, if their field has it.
fn document(
    schema: &Schema,
    samples: &Samples,
    path: &[Step<'_>],
    optional: &str,
) -> (String, Value) {
    let mut document = Document::new(schema, samples);
    let mut selection = String::new();
    let mut ty = "Query".to_owned();
    for step in path {
        match step {
            Step::On(object) => {
                write!(selection, "... on {object} {{ __typename ").unwrap();
                (*object).clone_into(&mut ty);
            }
            Step::Field(field) => {
                selection += &document.call_with(field, &["first", optional]);
                base(&field.ty.node).clone_into(&mut ty);
                selection += " { __typename ";
            }
        }
        selection += match ty.as_str() {
            "User" => "username isViewer ",
            "Post" => "body ",
            _ => "",
        };
    }
    // All stored values of the last object, among them the counts of a list.
    let leaves = schema.fields(&ty).filter(|field| {
        let has_arguments = field.arguments.iter().any(|argument| is_required(&argument.node));
        schema.fields(base(&field.ty.node)).next().is_none() && !has_arguments
    });
    let leaves: BTreeSet<String> = leaves
        .map(|field| field.name.node.to_string())
        .filter(|name| !["streamCursor", "aboutMe"].contains(&name.as_str()))
        .collect();
    let leaves = leaves.into_iter().collect::<Vec<_>>().join(" ");
    let nodes = schema.fields(&ty).find(|field| field.name.node == "nodes");
    let nodes = match nodes.map(|field| base(&field.ty.node)) {
        Some("Post") => "nodes { __typename body } pageInfo { hasNextPage hasPreviousPage }",
        Some(_) => "nodes { __typename username } pageInfo { hasNextPage hasPreviousPage }",
        None => "",
    };
    let end = " }".repeat(path.len());
    write!(selection, "{leaves} {nodes}{end}").unwrap();
    document.finish("query", &selection)
}

/// Whether a value contains something of `secret` that only followers may see.
///
/// These are posts, and entries or counts of lists.
fn reveals(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(reveals),
        Value::Object(fields) => {
            let is = |key: &str, text: &str| fields.get(key).is_some_and(|value| value == text);
            let body = fields.get("body").and_then(Value::as_str).unwrap_or_default();
            let is_secret_user = is("__typename", "User") && is("username", "secret");
            let has_entries = |list: &str| {
                let Some(list) = fields.get(list) else { return false };
                let page = &list["pageInfo"];
                let entries = ["nodes", "edges"].map(|key| list[key].as_array().map(Vec::len));
                let counts = ["totalCount", "newerCount"].map(|key| list[key].as_u64());
                entries.into_iter().flatten().any(|length| length > 0)
                    || counts.into_iter().flatten().any(|count| count > 0)
                    || page["hasNextPage"] == true
                    || page["hasPreviousPage"] == true
            };
            body.starts_with("secret")
                || is_secret_user && LISTS.into_iter().any(has_entries)
                || fields.values().any(reveals)
        }
        _ => false,
    }
}

/// Samples that lead to `secret`: directly, and from the follower's lists.
fn samples(graph: &Graph<'_>) -> [Samples; 3] {
    let sample = |user: &str, id: &str, filter: Value| {
        let samples = json!({
            "filter": filter, "posts.filter": { "replies": false, "reposts": true },
            "timeline.filter": { "replies": "TO_FOLLOWED" }, "orderBy": { "field": "USERNAME", "direction": "ASC" },
            "UserBy": { "username": user }, "id": id, "ids": [id, graph.post, graph.secret.id],
            "first": 3, "userIds": [graph.secret.id], "query": "secret",
        });
        serde_json::from_value(samples).unwrap()
    };
    [
        sample("secret", &graph.secret.id, json!({ "mutual": true })),
        sample("secret", &graph.post, json!({ "usernamePrefix": "f" })),
        sample("follower", &graph.follower.id, json!({ "viewerFollows": false })),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_of_the_schema_reveals_posts_or_lists_of_a_protected_user() {
    // A path may have ancestors of ancestors, which are expensive.
    let app = TestApp::with(&["--max-complexity", "100000000"]).await;
    let graph = graph(&app).await;
    // Replies lead from open posts to hidden ones, upwards and downwards.
    let open = graph.follower.reply(&graph.post, "open reply").await;
    graph.secret.reply(&open, "secret reply").await;
    let schema = Schema::read();
    let all = paths(&schema, "Query", DEPTH);
    assert!(all.len() > 100, "only {} paths", all.len());
    let mut revealing: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let viewers = [("the owner", &graph.secret), ("a follower", &graph.follower)];
    let viewers = viewers.into_iter().chain(graph.others.iter().map(|(what, who)| (*what, who)));
    for (what, viewer) in viewers {
        for samples in samples(&graph) {
            for (path, optional) in
                all.iter().flat_map(|path| ["", "filter", "orderBy"].map(|each| (path, each)))
            {
                if !optional.is_empty() && !path.iter().any(|step| has_argument(*step, optional)) {
                    continue;
                }
                let (document, variables) = document(&schema, &samples, path, optional);
                let data = viewer.run(&document, variables).await;
                if reveals(&data) {
                    revealing.entry(document).or_default().insert(what);
                }
            }
        }
    }
    let permitted = BTreeSet::from(["the owner", "a follower"]);
    for (document, viewers) in &revealing {
        assert!(viewers.is_subset(&permitted), "{viewers:?} see what they may not:\n{document}");
    }
    // The test would find something: the owner and followers see it on most paths.
    let count = |what| revealing.values().filter(|viewers| viewers.contains(what)).count();
    println!(
        "{} paths; {} reveal something to the owner, {} to a follower",
        all.len(),
        count("the owner"),
        count("a follower")
    );
    assert!(count("a follower") > 50 && count("the owner") > 50);
}

/// The position of a page, and what is newer than it.
#[tokio::test]
async fn cursors_into_a_hidden_list_reveal_nothing() {
    let app = TestApp::new().await;
    let graph = graph(&app).await;
    let lists = |arguments: &str| {
        let body = "nodes { __typename } pageInfo { hasNextPage hasPreviousPage endCursor }";
        format!(
            "{{ user(by: {{username: \"secret\"}}) {{ __typename username
             posts({arguments}) {{ totalCount {body} }} followers({arguments}) {{ totalCount {body} }}
             following({arguments}) {{ totalCount {body} }}
             timeline({arguments}) {{ newerCount {body} }} }} }}"
        )
    };
    let seen = graph.follower.query(&lists("first: 1")).await;
    for list in LISTS {
        let cursor = &seen["user"][list]["pageInfo"]["endCursor"];
        let body = if list == "timeline" { "newerCount" } else { "totalCount" };
        for argument in ["after", "before", "last: 2, before"] {
            let document = format!(
                "{{ user(by: {{username: \"secret\"}}) {{ __typename username
                 {list}({argument}: {cursor}) {{ {body} nodes {{ __typename }}
                 pageInfo {{ hasNextPage hasPreviousPage }} }} }} }}"
            );
            for (what, viewer) in &graph.others {
                let data = viewer.query(&document).await;
                assert!(!reveals(&data), "{what}: {data}");
            }
        }
        let document = format!(
            "{{ user(by: {{username: \"secret\"}}) {{ __typename username
             {list}(after: {cursor}) {{ {body} nodes {{ __typename }}
             pageInfo {{ hasNextPage hasPreviousPage }} }} }} }}"
        );
        assert!(reveals(&graph.follower.query(&document).await), "{list} of a follower");
    }
}
