//! What happens, told to those who watch.

mod applied;
mod cost;
mod exact;
mod faults;
mod socket;

use futures_util::future::join_all;
use indicatif::ProgressBar;
use rookery::command::seed::{self, Plan};
use rookery::page::{List, encode_place};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::cast::Actor;
use crate::events::Events;

pub const TIMELINE: &str = "subscription ($after: String) { timelineEvents(after: $after) {
    __typename
    ... on StreamEvent { cursor occurredAt }
    ... on TimelinePostAdded { edge { cursor reason node { id body author { username } } } }
    ... on TimelinePostUpdated { post { id body editedAt } }
    ... on TimelinePostRemoved { postId }
    ... on TimelineReset { user { username } }
    ... on StreamLagged { missed resumeAfter }
} }";

pub const FOLLOWS: &str = "subscription ($userIds: [ID!]) { relationshipEvents(userIds: $userIds) {
    occurredAt relationship { followState followedBy user { username } } } }";

pub const COUNTS: &str = "subscription ($userId: ID!) { followCounts(userId: $userId) {
    username followersCount followingCount } }";

/// An event in a word.
pub fn word(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("null").to_owned();
    match event["__typename"].as_str().unwrap() {
        "TimelinePostAdded" => format!("+{}", text(&event["edge"]["node"]["body"])),
        "TimelinePostUpdated" => format!("={}", text(&event["post"]["body"])),
        "TimelinePostRemoved" => format!("-{}", text(&event["postId"])),
        "TimelineReset" => format!("!{}", text(&event["user"]["username"])),
        other => other.to_owned(),
    }
}

async fn words(events: &mut Events, count: usize) -> Vec<String> {
    let mut words = Vec::new();
    for _ in 0..count {
        words.push(word(&events.next().await));
    }
    words
}

/// The stream's cursor, read with the page, and the page.
async fn page(actor: &Actor<'_>) -> (String, Vec<String>) {
    let ask = "{ viewer { user { timeline(first: 100) { streamCursor nodes { body } } } } }";
    let timeline = &actor.query(ask).await["viewer"]["user"]["timeline"];
    let bodies = crate::cast::texts(&timeline["nodes"], "body");
    (timeline["streamCursor"].as_str().unwrap().to_owned(), bodies)
}

#[tokio::test]
async fn four_friends_hear_of_each_other() {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let (john, susan, mary, david) = (&cast.john, &cast.susan, &cast.mary, &cast.david);
    john.follow(susan).await;
    john.follow(david).await;
    let mut news = john.watch(TIMELINE, json!({})).await;

    let first = susan.write("from susan").await;
    let event = news.next().await;
    assert_eq!(event["__typename"], "TimelinePostAdded");
    assert_eq!(event["edge"]["reason"], "FOLLOWING");
    assert_eq!(event["edge"]["node"]["id"], first);
    assert_eq!(event["edge"]["node"]["author"]["username"], "susan");
    mary.write("from mary, whom john does not follow").await;
    john.write("from john").await;
    let event = news.next().await;
    assert_eq!((word(&event), &event["edge"]["reason"]), ("+from john".to_owned(), &json!("OWN")));

    // The edge is the one that the timeline has.
    let ask = "{ viewer { user { timeline(first: 1) { edges { cursor reason node { id body author { username } } } } } } }";
    let data = john.query(ask).await;
    assert_eq!(data["viewer"]["user"]["timeline"]["edges"][0], event["edge"]);

    let edit = "mutation ($id: ID!) { editPost(input: {id: $id, body: \"better\"}) { changed } }";
    susan.run(edit, json!({ "id": first })).await;
    susan.run(edit, json!({ "id": first })).await;
    let event = news.next().await;
    assert_eq!((word(&event), &event["post"]["id"]), ("=better".to_owned(), &json!(first)));
    assert!(event["post"]["editedAt"].is_string());
    let delete = format!("deletePost(id: \"{first}\") {{ changed }}");
    susan.mutate(&delete).await;
    susan.mutate(&delete).await;
    assert_eq!(words(&mut news, 1).await, [format!("-{first}")]);

    // Following shows older posts too, so the timeline is to be read anew; twice is once.
    john.follow(mary).await;
    john.follow(mary).await;
    mary.write("now john hears it").await;
    assert_eq!(words(&mut news, 2).await, ["!mary", "+now john hears it"]);
    john.unfollow(susan).await;
    john.unfollow(susan).await;
    susan.write("unheard").await;
    david.follow(john).await;
    david.write("from david").await;
    assert_eq!(words(&mut news, 2).await, ["!susan", "+from david"]);
    david.unfollow(john).await;
    news.nothing().await;
}

#[tokio::test]
async fn whoever_comes_back_misses_nothing() {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let (john, susan, mary) = (&cast.john, &cast.susan, &cast.mary);
    john.follow(susan).await;
    susan.write("read already").await;
    let (start, read) = page(john).await;
    assert_eq!(read, ["read already"]);

    susan.write("one").await;
    let gone = susan.write("gone").await;
    mary.write("before john followed").await;
    john.follow(mary).await;
    mary.write("two").await;
    susan.mutate(&format!("deletePost(id: \"{gone}\") {{ changed }}")).await;
    john.unfollow(mary).await;
    mary.write("after john unfollowed").await;
    // What was added and is gone again is not added.
    let missed = ["+one", "!mary", "+two", &format!("-{gone}"), "!mary"];
    let mut news = john.subscribe(TIMELINE, json!({ "after": start })).await;
    let mut cursors = vec![start];
    for word in missed {
        let event = news.next().await;
        assert_eq!(self::word(&event), word);
        cursors.push(event["cursor"].as_str().unwrap().to_owned());
    }
    susan.write("live").await;
    assert_eq!(words(&mut news, 1).await, ["+live"]);
    news.nothing().await;
    drop(news);

    // From any place in it, the rest.
    susan.write("later").await;
    for (told, after) in cursors.iter().enumerate() {
        let mut news = john.subscribe(TIMELINE, json!({ "after": after })).await;
        let rest: Vec<&str> = missed[told..].iter().copied().chain(["+live", "+later"]).collect();
        assert_eq!(words(&mut news, rest.len()).await, rest, "after {told}");
        news.nothing().await;
    }
    let list = encode_place(List::Timeline, &7_i64.to_be_bytes());
    let zero = encode_place(List::Stream, &0_i64.to_be_bytes());
    // More transactions than are ever open at a time: each event would carry them all.
    let many: Vec<u8> = (1..=1_100).chain([0]).flat_map(i64::to_be_bytes).collect();
    let many = encode_place(List::Stream, &many);
    for wrong in ["", "?", "CAAA", &list, &zero, &many] {
        let code = john.refused(TIMELINE, json!({ "after": wrong })).await;
        assert_eq!(code, "INVALID_CURSOR", "{wrong}");
    }
}

#[tokio::test]
async fn what_is_no_longer_kept_is_told() {
    let app = TestApp::with(&["--event-retention", "1"]).await;
    let cast = app.cast().await;
    let (john, susan) = (&cast.john, &cast.susan);
    john.follow(susan).await;
    let (old, _) = page(john).await;
    susan.write("one").await;
    susan.write("two").await;
    let (recent, _) = page(john).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    app.app.live.prune().await.unwrap();
    let mut news = john.subscribe(TIMELINE, json!({ "after": old })).await;
    let event = news.next().await;
    assert_eq!(word(&event), "StreamLagged");
    assert_eq!((&event["missed"], &event["resumeAfter"]), (&json!(null), &json!(null)));
    assert_eq!(news.answer().await, None, "the last event");

    // What nothing has happened since is as good as new.
    let mut news = john.subscribe(TIMELINE, json!({ "after": recent })).await;
    susan.write("three").await;
    assert_eq!(words(&mut news, 1).await, ["+three"]);

    // A place that this database has not come to yet is from another.
    let future = [i64::MAX - 1, 0].map(i64::to_be_bytes).concat();
    let future = encode_place(List::Stream, &future);
    let mut news = john.subscribe(TIMELINE, json!({ "after": future })).await;
    assert_eq!(words(&mut news, 1).await, ["StreamLagged"]);
}

#[tokio::test]
async fn who_does_not_read_is_told_so_and_loses_nothing() {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let (john, susan) = (&cast.john, &cast.susan);
    john.follow(susan).await;
    let mut slow = john.watch(TIMELINE, json!({})).await;
    let mut quick = susan.watch(TIMELINE, json!({})).await;
    let all: Vec<String> = (0..300).map(|n| format!("+{n}")).collect();
    for body in &all {
        susan.write(&body[1..]).await;
        assert_eq!(words(&mut quick, 1).await, [body.as_str()]);
    }
    let mut got = Vec::new();
    let lagged = loop {
        let event = slow.next().await;
        if event["__typename"] == "StreamLagged" {
            break event;
        }
        got.push(word(&event));
    };
    assert_eq!(slow.answer().await, None, "the last event");
    assert!(got.len() < 300, "there is a limit to what waits");
    assert_eq!(lagged["missed"], 300 - got.len());
    let after = &lagged["resumeAfter"];
    let mut again = john.subscribe(TIMELINE, json!({ "after": after })).await;
    got.extend(words(&mut again, 300 - got.len()).await);
    assert_eq!(got, all);
    again.nothing().await;
}

#[tokio::test]
async fn whoever_is_signed_out_hears_no_more() {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let (john, susan, mary) = (&cast.john, &cast.susan, &cast.mary);
    for one in [john, mary] {
        one.follow(susan).await;
    }
    let mut johns = john.watch(TIMELINE, json!({})).await;
    let mut marys = mary.watch(TIMELINE, json!({})).await;
    john.mutate("logout { changed }").await;
    susan.write("secret").await;
    assert_eq!(johns.error().await, "UNAUTHENTICATED");
    assert_eq!(words(&mut marys, 1).await, ["+secret"]);

    // A session that is over in time is the same.
    let over = "UPDATE session SET expires_at = $1 \
        WHERE user_id = (SELECT id FROM \"user\" WHERE username = 'mary')";
    let over = app.database().statement(over, [chrono::Utc::now().into()]);
    app.database().writer().execute_raw(over).await.unwrap();
    susan.write("secret too").await;
    assert_eq!(marys.error().await, "UNAUTHENTICATED");

    let nobody = app.anonymous();
    for document in [TIMELINE, FOLLOWS] {
        assert_eq!(nobody.refused(document, json!({})).await, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn an_account_that_goes_takes_its_posts_along() {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let (john, susan, mary) = (&cast.john, &cast.susan, &cast.mary);
    john.follow(susan).await;
    susan.follow(mary).await;
    susan.write("soon gone").await;
    let (start, _) = page(john).await;
    let mut johns = john.watch(TIMELINE, json!({})).await;
    let mut susans = susan.watch(TIMELINE, json!({})).await;
    let mut marys = app.anonymous().watch(COUNTS, json!({ "userId": mary.id })).await;
    assert_eq!(marys.next().await["followersCount"], 1);
    let delete =
        format!("deleteAccount(input: {{password: \"{}\"}}) {{ changed }}", crate::app::PASSWORD);
    susan.mutate(&delete).await;
    assert_eq!(words(&mut johns, 1).await, ["!null"]);
    assert_eq!(susans.error().await, "UNAUTHENTICATED");
    assert_eq!(marys.next().await["followersCount"], 0);
    let mut again = john.subscribe(TIMELINE, json!({ "after": start })).await;
    assert_eq!(words(&mut again, 1).await, ["!null"]);
}

#[tokio::test]
async fn follows_are_told_to_both() {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let (john, susan, mary) = (&cast.john, &cast.susan, &cast.mary);
    let mut all = john.watch(FOLLOWS, json!({})).await;
    let mut some = john.watch(FOLLOWS, json!({ "userIds": [mary.id] })).await;
    let mut counts = mary.watch(COUNTS, json!({ "userId": john.id })).await;
    assert_eq!(counts.next().await["followersCount"], 0);
    let relationship = |event: &Value| {
        let relationship = &event["relationship"];
        let name = relationship["user"]["username"].as_str().unwrap().to_owned();
        (name, relationship["followState"] == "FOLLOWING", relationship["followedBy"] == true)
    };
    susan.follow(john).await;
    assert_eq!(relationship(&all.next().await), ("susan".to_owned(), false, true));
    assert_eq!(counts.next().await["followersCount"], 1);
    john.follow(susan).await;
    assert_eq!(relationship(&all.next().await), ("susan".to_owned(), true, true));
    assert_eq!(counts.next().await["followingCount"], 1);
    susan.unfollow(john).await;
    assert_eq!(relationship(&all.next().await), ("susan".to_owned(), true, false));
    assert_eq!(counts.next().await["followersCount"], 0);
    susan.follow(mary).await;
    john.write("no follow").await;
    john.follow(mary).await;
    for events in [&mut all, &mut some] {
        assert_eq!(relationship(&events.next().await), ("mary".to_owned(), true, false));
        events.nothing().await;
    }
    let mut none = john.subscribe(COUNTS, json!({ "userId": "VQAAAAAAAAAB" })).await;
    assert_eq!(none.answer().await, None, "there is no such user");
    let many = vec![mary.id.as_str(); 101];
    let code = john.refused(FOLLOWS, json!({ "userIds": many })).await;
    assert_eq!(code, "ARGUMENT_OUT_OF_RANGE");
}

/// Who waits for something to happen keeps no connection to the database.
#[tokio::test(flavor = "multi_thread")]
async fn any_number_may_wait() {
    let app = TestApp::with(&["--database-readers", "1", "--max-user-sockets", "100"]).await;
    let cast = app.cast().await;
    let (john, susan) = (&cast.john, &cast.susan);
    john.follow(susan).await;
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(john.watch(TIMELINE, json!({})).await);
        waiting.push(john.watch(COUNTS, json!({ "userId": john.id })).await);
        waiting.push(john.watch(FOLLOWS, json!({})).await);
    }
    // Gone before anybody could look: nothing is told, and nobody keeps what they looked with.
    let passing = app.join("passing").await;
    passing.follow(john).await;
    let delete =
        format!("deleteAccount(input: {{password: \"{}\"}}) {{ changed }}", crate::app::PASSWORD);
    passing.mutate(&delete).await;
    susan.write("news").await;
    let heard = waiting.iter_mut().step_by(3).map(|events| async { word(&events.next().await) });
    assert_eq!(join_all(heard).await, ["+news"; 8]);
    assert_eq!(john.timeline().await, ["news"]);
    let most = TestApp::with(&["--max-user-sockets", "1"]).await;
    let mary = most.join("mary").await;
    let _one = mary.watch(TIMELINE, json!({})).await;
    assert_eq!(mary.refused(TIMELINE, json!({})).await, "TOO_MANY_OPERATIONS");
}

/// A command changes more than can be told; whom the timeline shows is read anew.
#[tokio::test]
async fn many_changes_are_told_as_one() {
    let app = TestApp::new().await;
    let cast = app.cast().await;
    let (john, susan) = (&cast.john, &cast.susan);
    john.follow(susan).await;
    let (start, _) = page(john).await;
    let mut news = john.watch(TIMELINE, json!({})).await;
    let plan = Plan { users: 20, follows_per_user: 3, posts_per_user: 2, rng_seed: 1 };
    seed::run(app.database(), &plan, &ProgressBar::hidden()).await.unwrap();
    // Another process does not ring the bell; it is looked for.
    assert_eq!(words(&mut news, 1).await, ["!null"]);
    susan.write("afterwards").await;
    assert_eq!(words(&mut news, 1).await, ["+afterwards"]);
    let mut again = john.subscribe(TIMELINE, json!({ "after": start })).await;
    assert_eq!(words(&mut again, 2).await, ["!null", "+afterwards"]);
}
