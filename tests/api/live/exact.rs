//! Nothing is lost and nothing comes twice, whatever happens, in whichever order, and whoever hangs up when.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::{TIMELINE, page};
use crate::app::TestApp;
use crate::cast::Actor;
use crate::events::Events;

const PEOPLE: usize = 4;

#[derive(Clone, Debug)]
enum Act {
    Follow(usize, usize),
    Unfollow(usize, usize),
    Post(usize),
    Edit(usize, usize),
    Delete(usize, usize),
    /// Somebody hangs up, and comes back with their last cursor after so many acts.
    HangUp(usize, usize),
    /// Somebody reads the page, and goes on from there.
    Reload(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let person = || 0..PEOPLE;
    let act = prop_oneof![
        3 => (person(), person()).prop_map(|(one, other)| Act::Follow(one, other)),
        2 => (person(), person()).prop_map(|(one, other)| Act::Unfollow(one, other)),
        5 => person().prop_map(Act::Post),
        2 => (person(), 0..9_usize).prop_map(|(one, post)| Act::Edit(one, post)),
        2 => (person(), 0..9_usize).prop_map(|(one, post)| Act::Delete(one, post)),
        2 => (person(), 0..9_usize).prop_map(|(one, acts)| Act::HangUp(one, acts)),
        1 => person().prop_map(Act::Reload),
    ];
    prop::collection::vec(act, 20..60)
}

/// An event of a timeline: what it is, and of which post or person.
type Event = (char, String);

/// What everybody is to be told.
#[derive(Default)]
struct Model {
    follows: BTreeSet<(usize, usize)>,
    /// The author and the body of each post that is there.
    posts: BTreeMap<String, usize>,
    removed: BTreeSet<String>,
    written: Vec<(usize, String)>,
    due: Vec<Vec<Event>>,
}

impl Model {
    fn tell(&mut self, author: usize, event: &Event) {
        for person in 0..PEOPLE {
            if person == author || self.follows.contains(&(person, author)) {
                self.due[person].push(event.clone());
            }
        }
    }

    /// What must have been told: of a post that is gone, only that it is.
    fn certain<'a>(&self, events: &'a [Event]) -> Vec<&'a Event> {
        let all = events.iter();
        all.filter(|(kind, of)| *kind == '-' || !self.removed.contains(of)).collect()
    }

    /// The ids of a person's timeline, newest first.
    fn timeline(&self, person: usize) -> Vec<String> {
        let shown = |author| author == person || self.follows.contains(&(person, author));
        let posts = self
            .written
            .iter()
            .rev()
            .filter(|(author, id)| shown(*author) && !self.removed.contains(id));
        posts.map(|(_, id)| id.clone()).collect()
    }
}

/// Somebody's end: what they have been told, and what they go on with.
struct Watcher {
    events: Option<Events>,
    cursor: Option<String>,
    told: Vec<Event>,
    back_in: usize,
}

impl Watcher {
    async fn read(&mut self) {
        let event = self.events.as_mut().unwrap().next().await;
        self.cursor = Some(event["cursor"].as_str().unwrap().to_owned());
        self.told.push(seen(&event));
    }
}

fn seen(event: &Value) -> Event {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    match event["__typename"].as_str().unwrap() {
        "TimelinePostAdded" => ('+', text(&event["edge"]["node"]["id"])),
        "TimelinePostUpdated" => ('=', text(&event["post"]["id"])),
        "TimelinePostRemoved" => ('-', text(&event["postId"])),
        "TimelineReset" => ('!', text(&event["user"]["username"])),
        other => panic!("{other}"),
    }
}

async fn play(acts: &[Act]) {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let people = [&cast.john, &cast.susan, &cast.mary, &cast.david];
    let mut model = Model { due: vec![vec![]; PEOPLE], ..Model::default() };
    let mut watchers = Vec::new();
    for person in people {
        let (cursor, _) = page(person).await;
        let events = Some(person.watch(TIMELINE, json!({})).await);
        watchers.push(Watcher { events, cursor: Some(cursor), told: vec![], back_in: 0 });
    }
    for act in acts {
        apply(act, &people, &mut model, &mut watchers).await;
        for (person, watcher) in watchers.iter_mut().enumerate() {
            if watcher.events.is_none() && watcher.back_in == 0 {
                come_back(people[person], watcher).await;
            }
            watcher.back_in = watcher.back_in.saturating_sub(1);
        }
    }
    let mut ends = BTreeSet::new();
    for (person, watcher) in watchers.iter_mut().enumerate() {
        if watcher.events.is_none() {
            come_back(people[person], watcher).await;
        }
        // An event for the end: everything before it has come by then.
        let id = people[person].write("the end").await;
        let end = ('+', id.clone());
        while watcher.told.last() != Some(&end) {
            watcher.read().await;
        }
        ends.insert(id.clone());
        watcher.told.retain(|(_, of)| !ends.contains(of));
        watcher.events = None;
        people[person].mutate(&format!("deletePost(id: \"{id}\") {{ changed }}")).await;
    }
    for (person, watcher) in watchers.iter().enumerate() {
        check(&model, &model.due[person], &watcher.told);
        assert_eq!(shown(people[person]).await, model.timeline(person));
    }
}

/// The ids of what a person's page shows.
async fn shown(person: &Actor<'_>) -> Vec<String> {
    let ask = "{ viewer { user { timeline(first: 100) { nodes { id } } } } }";
    let data = person.query(ask).await;
    crate::cast::texts(&data["viewer"]["user"]["timeline"]["nodes"], "id")
}

async fn come_back(person: &Actor<'_>, watcher: &mut Watcher) {
    let after = json!({ "after": watcher.cursor });
    watcher.events = Some(person.subscribe(TIMELINE, after).await);
}

async fn apply(act: &Act, people: &[&Actor<'_>], model: &mut Model, watchers: &mut [Watcher]) {
    match *act {
        Act::Follow(one, other) | Act::Unfollow(one, other) if one == other => {}
        Act::Follow(one, other) => {
            if people[one].follow(people[other]).await {
                assert!(model.follows.insert((one, other)));
                model.due[one].push(('!', people[other].username.clone()));
            }
        }
        Act::Unfollow(one, other) => {
            if people[one].unfollow(people[other]).await {
                assert!(model.follows.remove(&(one, other)));
                model.due[one].push(('!', people[other].username.clone()));
            }
        }
        Act::Post(one) => {
            let id = people[one].write("a post").await;
            model.posts.insert(id.clone(), one);
            model.written.push((one, id.clone()));
            model.tell(one, &('+', id));
        }
        Act::Edit(one, post) => {
            let Some(id) = own(model, one, post) else { return };
            let body = format!("edited {}", model.due[one].len());
            let edit = format!("editPost(input: {{id: \"{id}\", body: \"{body}\"}}) {{ changed }}");
            if people[one].mutate(&edit).await["changed"] == true {
                model.tell(one, &('=', id));
            }
        }
        Act::Delete(one, post) => {
            let Some(id) = own(model, one, post) else { return };
            people[one].mutate(&format!("deletePost(id: \"{id}\") {{ changed }}")).await;
            model.posts.remove(&id);
            model.removed.insert(id.clone());
            model.tell(one, &('-', id));
        }
        Act::HangUp(person, acts) => {
            // In the middle of what is due: some of it was read.
            let (watcher, due) = (&mut watchers[person], &model.due[person]);
            if watcher.events.is_some() {
                let half = model.certain(&watcher.told).len().midpoint(model.certain(due).len());
                while model.certain(&watcher.told).len() < half {
                    watcher.read().await;
                }
            }
            watcher.events = None;
            watcher.back_in = acts;
        }
        Act::Reload(person) => {
            let (cursor, _) = page(people[person]).await;
            assert_eq!(shown(people[person]).await, model.timeline(person));
            let watcher = &mut watchers[person];
            watcher.told.clone_from(&model.due[person]);
            watcher.cursor = Some(cursor);
            come_back(people[person], watcher).await;
        }
    }
}

fn own(model: &Model, one: usize, post: usize) -> Option<String> {
    let mine: Vec<&String> =
        model.posts.iter().filter(|(_, author)| **author == one).map(|(id, _)| id).collect();
    mine.get(post % mine.len().max(1)).map(|id| (*id).clone())
}

/// All that was due was told, in order, but for what was said of posts that were gone by then.
fn check(model: &Model, due: &[Event], told: &[Event]) {
    assert_eq!(model.certain(told), model.certain(due));
    let mut rest = due.iter();
    let in_order = told.iter().all(|event| rest.any(|due| due == event));
    assert!(in_order, "told {told:?}\nof {due:?}");
}

#[test]
fn streams_and_pages_agree_with_a_model() {
    let config = ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    TestRunner::new(config)
        .run(&acts(), |acts| {
            runtime.block_on(play(&acts));
            Ok(())
        })
        .unwrap();
}

/// Transactions are not over in the order in which they began, and there are two instances; somebody hangs up
/// again and again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_between_writers() {
    const WRITERS: usize = 6;
    const POSTS: usize = 40;
    let (a, b) = crate::instances::two().await;
    let john = a.join("john").await;
    let names: Vec<String> = (0..WRITERS).map(|n| format!("writer{n}")).collect();
    let writers = join_all(names.iter().map(|name| a.join(name))).await;
    for writer in &writers {
        john.follow(writer).await;
    }
    let (mut cursor, _) = page(&john).await;
    // Others are told all the while, on both instances.
    let mary = a.join("mary").await;
    for writer in &writers {
        mary.follow(writer).await;
    }
    let (at_a, at_b) = (mary.at(&a), mary.at(&b));
    let mut others = [at_a.watch(TIMELINE, json!({})).await, at_b.watch(TIMELINE, json!({})).await];
    let listening = join_all(others.iter_mut().map(|events| async {
        let mut told = Vec::new();
        while told.len() < WRITERS * POSTS {
            told.push(seen(&events.next().await).1);
        }
        told.sort();
        told
    }));
    let writing = join_all(writers.iter().enumerate().map(|(n, writer)| {
        let instances = [&a, &b];
        async move {
            let mut written = Vec::new();
            for post in 0..POSTS {
                written.push(writer.at(instances[(n + post) % 2]).write("a post").await);
            }
            written
        }
    }));
    let watching = async {
        let mut told = Vec::new();
        let mut round = 0;
        while told.len() < WRITERS * POSTS {
            let at = john.at([&a, &b][round % 2]);
            let mut events = at.subscribe(TIMELINE, json!({ "after": cursor })).await;
            for _ in 0..(round % 7 + 1).min(WRITERS * POSTS - told.len()) {
                let event = events.next().await;
                cursor = event["cursor"].as_str().unwrap().to_owned();
                told.push(seen(&event).1);
            }
            round += 1;
        }
        let mut events = john.subscribe(TIMELINE, json!({ "after": cursor })).await;
        events.nothing().await;
        told
    };
    let (written, mut told, listened) = tokio::join!(writing, watching, listening);
    let mut written: Vec<String> = written.into_iter().flatten().collect();
    written.sort();
    told.sort();
    assert_eq!(told, written);
    assert_eq!(listened, [written.clone(), written]);
}
