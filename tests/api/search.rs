//! Search for posts by words, phrases and prefixes.
//!
//! Both engines find exactly what a plain scan of all posts finds. The text of a query is never
//! syntax. Pages are full, whatever the viewer may not see.

mod repeated_words;
mod users;

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::support::actors::{Actor, texts};
use crate::support::app::TestApp;

const SEARCH: &str = "query ($query: String!, $by: UserBy, $first: Int, $after: String,
    $last: Int, $before: String) {
    searchPosts(query: $query, by: $by, first: $first, after: $after, last: $last, before: $before) {
        nodes { body } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";

/// A page of a search, with these variables.
async fn search(viewer: &Actor<'_>, variables: Value) -> Value {
    viewer.run(SEARCH, variables).await["searchPosts"].take()
}

/// The bodies on the first page.
async fn bodies(viewer: &Actor<'_>, query: &str) -> Vec<String> {
    texts(&search(viewer, json!({ "query": query, "first": 100 })).await["nodes"], "body")
}

/// The extensions of the error of a search.
async fn extensions(viewer: &Actor<'_>, variables: Value) -> Value {
    viewer.execute(SEARCH, variables).await["errors"][0]["extensions"].take()
}

#[tokio::test]
async fn posts_are_found_as_they_are_written_edited_and_deleted() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let post = john.write("Crème brûlée, the recipe").await;
    susan.write("No cream in this one").await;
    assert_eq!(bodies(&susan, "creme").await, ["Crème brûlée, the recipe"]);
    assert_eq!(bodies(&app.anonymous(), "BRÛLÉE recipe").await, ["Crème brûlée, the recipe"]);

    let edit =
        |body: &str| format!("editPost(input: {{id: \"{post}\", body: \"{body}\"}}) {{ changed }}");
    john.mutate(&edit("Mousse au chocolat")).await;
    assert_eq!(bodies(&susan, "creme").await, Vec::<String>::new());
    assert_eq!(bodies(&susan, "chocolat").await, ["Mousse au chocolat"]);
    john.mutate(&edit("Mousse au chocolat")).await;
    assert_eq!(bodies(&susan, "mousse").await, ["Mousse au chocolat"], "the same text");
    john.mutate(&format!("deletePost(id: \"{post}\") {{ changed }}")).await;
    assert_eq!(bodies(&susan, "mousse").await, Vec::<String>::new());
    assert_eq!(app.doctor_report().await, "no problems found\n");
}

#[tokio::test]
async fn words_phrases_and_prefixes_are_found_and_nothing_is_syntax() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let all = [
        "the quick brown fox",
        "brown and quick",
        "OR NEAR AND NOT",
        "it's 100% \"C++\" & f(x) ^ y:z * 2_000",
        "مرحبا بالعالم 🎃",
        "東京タワーに行く",
        "हिन्दी में",
    ];
    for body in all {
        john.write(body).await;
    }
    for (query, expected) in [
        ("quick brown", vec![1, 0]),
        ("brown quick", vec![1, 0]),
        ("\"quick brown\"", vec![0]),
        ("\"brown quick\"", vec![]),
        ("qui*", vec![1, 0]),
        ("qui", vec![]),
        ("\"quick bro\"*", vec![0]),
        ("q*", vec![]),
        ("near", vec![2]),
        ("fox OR brown", vec![]),
        ("NEAR(or, and)", vec![]),
        ("and not", vec![2]),
        ("-fox", vec![0]),
        ("^the words:fox {fox}", vec![]),
        ("c++", vec![3]),
        ("100% f(x)", vec![3]),
        ("it's", vec![3]),
        ("' OR 1=1 --", vec![]),
        ("مرحبا", vec![4]),
        ("京タ", vec![5]),
        ("京東", vec![]),
        ("हिन्दी", vec![6]),
        ("fo\0x", vec![]),
        ("fox\0", vec![0]),
        ("🎃", vec![]),
        ("\"", vec![]),
        ("*", vec![]),
        ("  ", vec![]),
        ("", vec![]),
    ] {
        let expected: Vec<&str> = expected.into_iter().map(|index: usize| all[index]).collect();
        assert_eq!(bodies(&john, query).await, expected, "{query}");
    }
}

/// Small numbers that look random and are the same in each run.
struct Numbers(u32);

impl Numbers {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16) % end
    }

    fn words(&mut self, count: u32, separators: &[&str]) -> String {
        const WORDS: [&str; 7] = ["ab", "abc", "abcd", "x", "xy", "été", "the"];
        let mut text = String::new();
        for _ in 0..count {
            text += WORDS[self.below(7) as usize];
            text += separators[self.below(u32::try_from(separators.len()).unwrap()) as usize];
        }
        text
    }
}

/// A plain implementation for the words of these tests.
fn matches(body: &str, query: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let text = text.to_lowercase().replace('é', "e");
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let body = format!(" {} ", words(body).join(" "));
    let mut terms: Vec<&str> = Vec::new();
    for (index, part) in query.split('"').enumerate() {
        if index % 2 == 1 { terms.push(part) } else { terms.extend(part.split(' ')) }
    }
    terms.into_iter().filter(|term| !words(term).is_empty()).all(|term| {
        let phrase = words(term).join(" ");
        let is_prefix = term.ends_with('*') && phrase.rsplit(' ').next().unwrap().len() > 1;
        body.contains(&format!(" {phrase}{}", if is_prefix { "" } else { " " }))
    })
}

#[tokio::test]
async fn random_queries_find_what_a_scan_of_all_posts_finds() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let mut numbers = Numbers(7);
    let mut posts: Vec<(bool, String)> = Vec::new();
    for _ in 0..80 {
        let length = 1 + numbers.below(6);
        let body = numbers.words(length, &[" ", ", ", "-", "\n"]).trim().to_owned();
        let is_johns = numbers.below(3) > 0;
        (if is_johns { &john } else { &susan }).write(&body).await;
        posts.insert(0, (is_johns, body));
    }
    for _ in 0..25 {
        let length = 1 + numbers.below(3);
        let mut query = numbers.words(length, &[" ", "* ", " ", "-"]);
        if numbers.below(3) == 0 {
            query = format!("\"{}\"", query.replace('*', "").trim());
        }
        for (by, is_by) in [(None, None), (Some("john"), Some(true)), (Some("susan"), Some(false))]
        {
            let found = posts.iter().filter(|(is_johns, body)| {
                is_by.is_none_or(|is_by| is_by == *is_johns) && matches(body, &query)
            });
            let expected: Vec<String> = found.map(|(_, body)| body.clone()).collect();
            let by = by.map(|name| json!({ "username": name }));
            for size in [2, 7] {
                for is_forward in [true, false] {
                    let joined = read_all(&john, &query, by.as_ref(), (size, is_forward)).await;
                    assert_eq!(joined, expected, "{query} by {by:?}, pages of {size}");
                }
            }
        }
    }
}

/// Reads all pages of a search, and checks `PageInfo`.
async fn read_all(
    viewer: &Actor<'_>,
    query: &str,
    by: Option<&Value>,
    (size, is_forward): (usize, bool),
) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = if is_forward {
            json!({ "query": query, "by": by, "first": size, "after": cursor })
        } else {
            json!({ "query": query, "by": by, "last": size, "before": cursor })
        };
        let page = search(viewer, page).await;
        let bodies = texts(&page["nodes"], "body");
        let info = &page["pageInfo"];
        let (on, back) = if is_forward {
            joined.extend(bodies.iter().cloned());
            (&info["hasNextPage"], &info["hasPreviousPage"])
        } else {
            joined.splice(0..0, bodies.iter().cloned());
            (&info["hasPreviousPage"], &info["hasNextPage"])
        };
        assert_eq!(*back, json!(!cursor.is_null()), "{query}");
        if *on == json!(false) {
            return joined;
        }
        assert_eq!(bodies.len(), size, "{query}: the page is full");
        cursor = info[if is_forward { "endCursor" } else { "startCursor" }].clone();
    }
}

#[tokio::test]
async fn posts_of_a_protected_author_are_for_followers_and_leave_no_gap() {
    let app = TestApp::new().await;
    let (john, susan) = (app.register("john").await, app.register("susan").await);
    let follower = app.register("follower").await;
    follower.follow(&susan).await;
    for n in 0..30 {
        john.write(&format!("tea open {n}")).await;
        for m in 0..3 {
            susan.write(&format!("tea secret {n} {m}")).await;
        }
    }
    susan.protect(true).await;
    let open: Vec<String> = (0..30).rev().map(|n| format!("tea open {n}")).collect();
    for viewer in [&john, &app.anonymous()] {
        for is_forward in [true, false] {
            assert_eq!(read_all(viewer, "tea", None, (4, is_forward)).await, open);
        }
        let susans = json!({ "query": "tea", "by": { "username": "susan" } });
        let hidden = search(viewer, susans).await;
        let info = json!({ "hasNextPage": false, "hasPreviousPage": false,
            "startCursor": null, "endCursor": null });
        assert_eq!(hidden, json!({ "nodes": [], "pageInfo": info }));
    }
    assert_eq!(read_all(&follower, "tea", None, (50, true)).await.len(), 120);
    assert_eq!(bodies(&follower, "\"secret 7\"").await.len(), 3);
    follower.mutate("unfollow(user: {username: \"susan\"}) { changed }").await;
    assert_eq!(bodies(&follower, "\"secret 7\"").await.len(), 0);
    assert_eq!(bodies(&susan, "\"secret 7\"").await.len(), 3);
}

#[tokio::test]
async fn arguments_are_validated() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    john.write("one two").await;
    john.write("one two").await;
    let page = search(&john, json!({ "query": "one", "first": 1 })).await;
    let after = &page["pageInfo"]["endCursor"];
    for variables in [
        json!({ "query": "two", "after": after }),
        json!({ "query": "one", "by": { "username": "john" }, "after": after }),
    ] {
        assert_eq!(extensions(&john, variables).await["code"], "INVALID_CURSOR");
    }
    let too_long = extensions(&john, json!({ "query": "é".repeat(201) })).await;
    assert_eq!(too_long, json!({ "code": "ARGUMENT_OUT_OF_RANGE", "min": 0, "max": 200 }));
    assert_eq!(bodies(&john, &"é".repeat(200)).await, Vec::<String>::new());
    assert_eq!(
        extensions(&john, json!({ "query": "x", "first": 0 })).await["code"],
        "PAGE_SIZE_OUT_OF_RANGE"
    );
    assert_eq!(
        extensions(&john, json!({ "query": "x", "by": { "id": "x" } })).await["code"],
        "INVALID_ID"
    );
    let unknown = search(&john, json!({ "query": "one", "by": { "username": "unknown" } })).await;
    assert_eq!(unknown["nodes"], json!([]));
    let users = "query ($first: Int!) { searchUsers(query: \"j\", first: $first) { username } }";
    for first in [0, 51] {
        let error = john.execute(users, json!({ "first": first })).await["errors"][0].take();
        let range = json!({ "code": "ARGUMENT_OUT_OF_RANGE", "min": 1, "max": 50 });
        assert_eq!(error["extensions"], range);
    }
}

/// Adds 3000 public posts of john, and 3000 posts of mary, who is protected.
///
/// Their words depend on their number.
async fn fill(app: &TestApp) {
    for name in ["john", "mary"] {
        app.register(name).await;
    }
    for (offset, name, is_public) in [(0, "john", true), (1, "mary", false)] {
        let insert = format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000)
            INSERT INTO post (id, author_id, body, created_at, is_public)
            SELECT 2 * n + {offset}, \"user\".id, 'all ' ||
                CASE WHEN n % 100 = 0 THEN 'hundredth ' ELSE '' END ||
                CASE WHEN n < 10 THEN 'old ' ELSE '' END || '{name}' || n,
                '2026-01-01T00:00:00+00:00', {is_public}
            FROM n CROSS JOIN \"user\" WHERE username = '{name}'"
        );
        app.database().writer().execute_unprepared(&insert).await.unwrap();
    }
    let protect = "UPDATE \"user\" SET is_protected = true WHERE username = 'mary'";
    app.database().writer().execute_unprepared(protect).await.unwrap();
    app.database().index_missing(app.database().writer()).await.unwrap();
}

/// Adds 10,100 old posts with two common words, and 2,100 new posts without them.
///
/// The words have the other order in the oldest post.
async fn fill_old(app: &TestApp) {
    app.register("john").await;
    let insert = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 12200)
        INSERT INTO post (id, author_id, body, created_at)
        SELECT n, \"user\".id,
            CASE WHEN n = 1 THEN 'ab cd' WHEN n <= 10100 THEN 'cd ab ' || n ELSE 'new ' || n END,
            '2026-01-01T00:00:00+00:00'
        FROM n CROSS JOIN \"user\"";
    app.database().writer().execute_unprepared(insert).await.unwrap();
    app.database().index_missing(app.database().writer()).await.unwrap();
}

/// PostgreSQL finds too many candidates, and goes on comparing posts.
#[tokio::test]
async fn words_of_very_many_old_posts_are_found_exactly() {
    let app = TestApp::new().await;
    fill_old(&app).await;
    let newest: Vec<String> = (10_081..=10_100).rev().map(|n| format!("cd ab {n}")).collect();
    for (query, expected, has_more) in [
        ("ab", newest.clone(), true),
        ("ab cd", newest.clone(), true),
        ("\"cd ab\"", newest, true),
        ("\"ab cd\"", vec!["ab cd".to_owned()], false),
        ("ab new", vec![], false),
        ("10100 ab", vec!["cd ab 10100".to_owned()], false),
    ] {
        let variables = json!({ "query": query, "first": 20 });
        let (page, statements) = app.count_statements(search(&app.anonymous(), variables)).await;
        assert_eq!(texts(&page["nodes"], "body"), expected, "{query}");
        assert_eq!(page["pageInfo"]["hasNextPage"], has_more, "{query}");
        assert!(statements <= 12, "{query}: {statements} statements");
    }
}

#[tokio::test]
async fn common_rare_and_old_words_take_few_statements() {
    let app = TestApp::new().await;
    fill(&app).await;
    let john = json!({ "username": "john" });
    for (query, by, expected) in [
        ("all", None, 20),
        ("all", Some(&john), 20),
        ("hundredth", None, 20),
        ("hundredth", Some(&john), 20),
        ("old", None, 9),
        ("old", Some(&john), 9),
        ("john1234", None, 1),
        ("john12*", None, 20),
        ("mary1234", None, 0),
        ("none", Some(&john), 0),
    ] {
        let variables = json!({ "query": query, "by": by });
        let (page, statements) = app.count_statements(search(&app.anonymous(), variables)).await;
        let found = texts(&page["nodes"], "body");
        assert_eq!(found.len(), expected, "{query} by {by:?}: {found:?}");
        assert!(found.iter().all(|body| body.contains("john")), "{query}: {found:?}");
        assert!(statements <= 12, "{query} by {by:?}: {statements} statements");
    }
    for is_forward in [true, false] {
        let all = read_all(&app.anonymous(), "hundredth", None, (7, is_forward)).await;
        let expected = (1..=30).rev().map(|n| format!("all hundredth john{}", n * 100));
        assert_eq!(all, expected.collect::<Vec<_>>());
    }
    let first = json!({ "query": "all", "by": john, "first": 1 });
    let (page, one) = app.count_statements(search(&app.anonymous(), first)).await;
    let many = json!({ "query": "all", "by": john, "first": 100 });
    let many = app.count_statements(search(&app.anonymous(), many)).await.1;
    assert_eq!((texts(&page["nodes"], "body").len(), one), (1, many));
}

#[tokio::test]
async fn a_walk_over_hidden_posts_ends_at_the_maximum_of_work() {
    let app = TestApp::with(&["--max-work", "5000"]).await;
    fill(&app).await;
    let common = json!({ "query": "all" });
    assert_eq!(texts(&search(&app.anonymous(), common).await["nodes"], "body").len(), 20);
    let hidden = extensions(&app.anonymous(), json!({ "query": "mary*" })).await;
    assert_eq!(hidden["code"], "QUERY_TOO_COMPLEX");
}
