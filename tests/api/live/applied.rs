//! A client that keeps its page up to date by what it is told, and reads it anew only when it is told to, has the page
//! that it would read: whoever writes meanwhile, on whichever instance, and whenever it hangs up.

use std::collections::{BTreeMap, HashSet};

use futures_util::future::join_all;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::TIMELINE;
use crate::app::TestApp;
use crate::cast::Actor;
use crate::events::{A_WHILE, Events};

const ACTS: usize = 24;

/// A page as a client keeps it: the bodies of posts by their ids.
#[derive(Default)]
struct Kept {
    posts: BTreeMap<String, String>,
    cursor: String,
    /// Each comes once.
    seen: HashSet<String>,
    hung_up: usize,
}

impl Kept {
    async fn read(&mut self, actor: &Actor<'_>) {
        let ask = "{ viewer { user { timeline(first: 100) { streamCursor nodes { id body } } } } }";
        let timeline = actor.query(ask).await["viewer"]["user"]["timeline"].take();
        let nodes = timeline["nodes"].as_array().unwrap();
        assert!(nodes.len() < 100, "all of it is on one page");
        self.posts = nodes.iter().map(|post| (text(&post["id"]), text(&post["body"]))).collect();
        self.cursor = text(&timeline["streamCursor"]);
        self.seen.clear();
    }

    /// Says whether the page is to be read anew.
    fn apply(&mut self, event: &Value) -> bool {
        self.cursor = text(&event["cursor"]);
        assert!(self.seen.insert(self.cursor.clone()), "{event} came twice");
        match event["__typename"].as_str().unwrap() {
            "TimelinePostAdded" => {
                let post = &event["edge"]["node"];
                self.posts.insert(text(&post["id"]), text(&post["body"]));
            }
            "TimelinePostUpdated" => {
                if let Some(body) = self.posts.get_mut(event["post"]["id"].as_str().unwrap()) {
                    *body = text(&event["post"]["body"]);
                }
            }
            "TimelinePostRemoved" => drop(self.posts.remove(event["postId"].as_str().unwrap())),
            _ => return true,
        }
        false
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Posts, edits, removes, follows and unfollows at random, on both instances.
async fn write(me: usize, people: &[Actor<'_>], instances: [&TestApp; 2], seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut mine: Vec<String> = Vec::new();
    for n in 0..ACTS {
        let at = people[me].at(instances[random.random_range(0..2)]);
        let other = &people[(me + random.random_range(1..people.len())) % people.len()];
        let some = |random: &mut ChaCha8Rng| random.random_range(0..mine.len().max(1));
        match (random.random_range(0..10), mine.len()) {
            (0..2, _) => drop(at.follow(other).await),
            (2, _) => drop(at.unfollow(other).await),
            (3..5, 1..) => {
                let id = &mine[some(&mut random)];
                let edit = format!("editPost(input: {{id: \"{id}\", body: \"edited {n}\"}})");
                at.mutate(&format!("{edit} {{ changed }}")).await;
            }
            (5, 1..) => {
                let id = mine.swap_remove(some(&mut random));
                at.mutate(&format!("deletePost(id: \"{id}\") {{ changed }}")).await;
            }
            _ => mine.push(at.write(&format!("{me}.{n}")).await),
        }
    }
}

/// Until everybody else has written all, and there is nothing more to be told.
async fn keep(
    actor: &Actor<'_>,
    instances: [&TestApp; 2],
    (all_written, seed): (watch::Receiver<bool>, u64),
) -> Kept {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut kept = Kept::default();
    kept.read(actor).await;
    loop {
        let at = actor.at(instances[random.random_range(0..2)]);
        let is_last = *all_written.borrow();
        let mut events = at.subscribe(TIMELINE, json!({ "after": kept.cursor })).await;
        let patience = random.random_range(1..9);
        match take(&mut kept, &mut events, patience).await {
            Taken::Reset => kept.read(&at).await,
            Taken::Enough => kept.hung_up += 1,
            Taken::Nothing if is_last => return kept,
            Taken::Nothing => {}
        }
    }
}

enum Taken {
    Enough,
    Reset,
    Nothing,
}

async fn take(kept: &mut Kept, events: &mut Events, most: usize) -> Taken {
    for _ in 0..most {
        let Ok(event) = timeout(A_WHILE, events.next()).await else { return Taken::Nothing };
        if kept.apply(&event) {
            return Taken::Reset;
        }
    }
    Taken::Enough
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_kept_by_what_is_told_is_the_page() {
    for seed in 0..3 {
        let (a, b) = crate::instances::two().await;
        let names = ["john", "susan", "mary", "david"];
        let people = join_all(names.iter().map(|name| a.join(name))).await;
        let instances = [&a, &b];
        let (done, all_written) = watch::channel(false);
        let writing = async {
            let all =
                (0..people.len()).map(|me| write(me, &people, instances, seed * 100 + me as u64));
            join_all(all).await;
            done.send_replace(true);
        };
        let watchers = people.iter().chain(&people).enumerate();
        let keeping = join_all(watchers.map(|(n, person)| {
            keep(person, instances, (all_written.clone(), seed * 1000 + n as u64))
        }));
        let ((), all) = tokio::join!(writing, keeping);
        for (person, kept) in people.iter().chain(&people).zip(&all) {
            let mut page = Kept::default();
            page.read(person).await;
            assert_eq!(kept.posts, page.posts, "{} with {seed}", person.username);
        }
        assert!(all.iter().map(|kept| kept.hung_up).sum::<usize>() > 8, "they hang up");
    }
}
