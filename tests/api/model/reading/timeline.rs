//! The pages of a timeline.

use serde_json::{Value, json};

use super::Reader;
use super::post::brief_json;
use crate::model::graph::{Filter, Graph, name};

const TIMELINE_PAGE: &str = "query ($by: UserBy!, $filter: TimelineFilter,
    $first: Int, $after: String, $last: Int, $before: String
) { user(by: $by) {
    timeline(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
        newerCount(cap: 1000) edges { reason repostedBy { username } }
        nodes { id body author { username } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }";

/// Compares all pages of a timeline, in both directions.
///
/// The timeline has `count` pages or one more, of at most 100 entries.
pub async fn check_timeline(
    graph: &Graph,
    reader: &Reader<'_>,
    target: usize,
    (filter, count): (Filter, usize),
) {
    let all = graph.timeline(target, reader.user, filter);
    let size = (all.len() / count + 1).min(100);
    for is_forward in [true, false] {
        let mut range = if is_forward {
            0..size.min(all.len())
        } else {
            all.len().saturating_sub(size)..all.len()
        };
        let mut cursor = Value::Null;
        loop {
            let mut variables =
                json!({ "by": { "username": name(target) }, "filter": filter.argument() });
            let (limit, position) =
                if is_forward { ("first", "after") } else { ("last", "before") };
            variables[limit] = json!(size);
            variables[position] = cursor;
            let mut data = reader.client.run(TIMELINE_PAGE, variables).await;
            let mut page = data["user"]["timeline"].take();
            let info = page["pageInfo"].as_object_mut().unwrap();
            let end = if is_forward { "endCursor" } else { "startCursor" };
            cursor = info[end].clone();
            for name in ["startCursor", "endCursor"] {
                info.remove(name);
            }
            let what = format!(
                "entries {range:?} of {} in the timeline of {} with {filter:?}",
                all.len(),
                name(target)
            );
            let items = &all[range.clone()];
            let expected = expected_page(graph, target, items, (range.start, all.len()));
            reader.check(&what, &page, &expected);
            let is_last = if is_forward { range.end == all.len() } else { range.start == 0 };
            if is_last {
                break;
            }
            range = if is_forward {
                range.end..(range.end + size).min(all.len())
            } else {
                range.start.saturating_sub(size)..range.start
            };
        }
    }
}

/// A page of the timeline of `owner` after `newer` of `all` items, without cursors.
fn expected_page(
    graph: &Graph,
    owner: usize,
    items: &[usize],
    (newer, all): (usize, usize),
) -> Value {
    let edge = |item: &usize| {
        let item = &graph.feed[*item];
        let reason = if item.is_repost {
            "REPOST"
        } else if item.actor == owner {
            "OWN"
        } else {
            "FOLLOWING"
        };
        let reposter = item.is_repost.then(|| json!({ "username": name(item.actor) }));
        json!({ "reason": reason, "repostedBy": reposter })
    };
    let edges: Vec<Value> = items.iter().map(edge).collect();
    let nodes: Vec<Value> =
        items.iter().map(|item| brief_json(graph, graph.feed[*item].post)).collect();
    let page_info =
        json!({ "hasNextPage": newer + items.len() < all, "hasPreviousPage": newer > 0 });
    json!({ "newerCount": newer, "edges": edges, "nodes": nodes, "pageInfo": page_info })
}
