//! Limits on what everybody may do together and alone: rates, attempts, room, and clocks on slow clients.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use rookery::database::Snapshot;
use rookery::http::Peer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::app::{PASSWORD, TestApp};
use crate::cast::Actor;

const RATE: &str = "{ rateLimit { cost limit used remaining resetAt } }";

/// As a connection from an address brings it.
async fn from(app: &TestApp, address: &str, document: &str) -> (StatusCode, Option<u64>, Value) {
    let peer = Peer::from(address.parse::<IpAddr>().unwrap());
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    let body = Body::from(json!({ "query": document }).to_string());
    let (status, headers, body) = app.send(request.extension(peer).body(body).unwrap()).await;
    let after = headers.get(header::RETRY_AFTER);
    let after = after.map(|value| value.to_str().unwrap().parse().unwrap());
    (status, after, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn what_is_asked_for_is_counted() {
    let app = TestApp::with(&["--rate-user", "2000", "--rate-network", "500"]).await;
    let (john, susan) = (app.join("john").await, app.join("susan").await);
    let rate = john.query(RATE).await["rateLimit"].take();
    assert_eq!((&rate["cost"], &rate["limit"]), (&json!(6), &json!(2000)));
    assert_eq!((&rate["used"], &rate["remaining"]), (&json!(6), &json!(1994)));
    assert!(rate["resetAt"].is_string());

    // Page sizes multiply: a hundred entries, of a text for five and a name for two.
    let timeline = "{ viewer { user { timeline(first: 100) { nodes { body author { username } } } } } \
        rateLimit { cost remaining } }";
    let dear = john.query(timeline).await["rateLimit"].take();
    assert_eq!(dear["cost"], 2 + 1 + 100 * (1 + 5 + 2) + 3);
    assert!(dear["remaining"].as_i64().unwrap() <= 2000 - 6 - 806 + 100);
    john.query(timeline).await;
    let body = json!({ "query": timeline });
    let (status, headers, answer) =
        app.post_with(john.token.as_deref(), &axum::http::HeaderMap::new(), &body).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{answer:#}");
    let extensions = &answer["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "RATE_LIMITED");
    let seconds = extensions["retryAfterSeconds"].as_u64().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(headers[header::RETRY_AFTER], seconds.to_string());

    // Neither somebody else nor nobody is concerned, nor is what costs little.
    susan.query(timeline).await;
    john.query("{ __typename }").await;
    for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
        let (status, _, answer) = from(&app, address, RATE).await;
        assert_eq!((status, &answer["data"]["rateLimit"]["limit"]), (StatusCode::OK, &json!(500)));
    }
    assert_eq!(
        from(&app, "2001:db8::2", RATE).await.2["data"]["rateLimit"]["used"],
        12,
        "one network"
    );
}

/// What is refused costs too, and who has used everything up is not read any more.
#[tokio::test]
async fn refusals_are_counted() {
    let app = TestApp::with(&["--rate-network", "1000"]).await;
    let john = app.join("john").await;
    let mut refused = 0;
    while from(&app, "192.0.2.1", "{ wrong").await.0 != StatusCode::TOO_MANY_REQUESTS {
        refused += 1;
    }
    assert!((9..=20).contains(&refused), "{refused}");
    let (status, after, answer) = from(&app, "192.0.2.1", "{ __typename }").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{answer:#}");
    assert!(after.is_some_and(|seconds| seconds <= 60));
    // Who is signed in has a quota of their own, wherever they are.
    let mine = Request::post("/graphql")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", john.token.as_ref().unwrap()))
        .extension(Peer::from("192.0.2.1".parse::<IpAddr>().unwrap()));
    let (status, ..) =
        app.send(mine.body(Body::from("{\"query\": \"{ __typename }\"}")).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn without_rates_there_is_nothing_to_show() {
    let app = TestApp::new().await;
    assert_eq!(app.anonymous().query(RATE).await, json!({ "rateLimit": null }));
}

fn guesses(name: &str, count: usize) -> String {
    let guess = |n| {
        format!(
            "a{n}: login(input: {{username: \"{name}\", password: \"wrong guess {n}\"}}) \
            {{ token userErrors {{ code ... on TooManyRequestsError {{ retryAfterSeconds }} }} }} "
        )
    };
    format!("mutation {{ {} }}", (0..count).map(guess).collect::<String>())
}

fn codes(answer: &Value) -> Vec<&str> {
    let payloads = answer["data"].as_object().unwrap().values();
    payloads.map(|payload| payload["userErrors"][0]["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn guesses_are_counted_one_by_one() {
    let app = TestApp::with(&["--rate-attempts", "5"]).await;
    app.join("john").await;
    for (address, name) in [("192.0.2.1", "john"), ("192.0.2.2", "nobody")] {
        let before = app.app.passwords.hashed();
        let (_, _, answer) = from(&app, address, &guesses(name, 20)).await;
        let mut codes = codes(&answer);
        codes.sort_unstable();
        assert_eq!(codes[..5], ["INVALID_CREDENTIALS"; 5]);
        assert_eq!(codes[5..], ["TOO_MANY_REQUESTS"; 15]);
        assert_eq!(app.app.passwords.hashed() - before, 5, "nothing is hashed that is not counted");
        let after = answer["data"]["a19"]["userErrors"][0]["retryAfterSeconds"].as_i64();
        assert!(after.is_some_and(|seconds| (1..=12).contains(&seconds)), "{after:?}");
    }
    // The right password is an attempt too.
    let login = format!(
        "mutation {{ a: login(input: {{username: \"john\", password: \"{PASSWORD}\"}}) \
        {{ token userErrors {{ code }} }} }}"
    );
    assert_eq!(codes(&from(&app, "192.0.2.1", &login).await.2), ["TOO_MANY_REQUESTS"]);
    assert!(from(&app, "192.0.2.9", &login).await.2["data"]["a"]["token"].is_string());
}

#[tokio::test]
async fn guesses_at_one_account_are_counted_from_everywhere() {
    let app = TestApp::with(&["--rate-attempts", "2"]).await;
    app.join("john").await;
    let mut counted = 0;
    for n in 1..=20 {
        let name = ["john", "JOHN", "john@example.com"][n % 3];
        let (_, _, answer) = from(&app, &format!("198.51.100.{n}"), &guesses(name, 1)).await;
        counted += usize::from(codes(&answer) == ["INVALID_CREDENTIALS"]);
    }
    assert!((10..=11).contains(&counted), "{counted}");
}

#[tokio::test]
async fn passwords_and_addresses_are_not_guessed_at_from_within() {
    let app = TestApp::with(&["--rate-attempts", "3"]).await;
    let john = app.join("john").await;
    let tried = async |mutation: &str| {
        let payload = john.mutate(&format!("{mutation} {{ userErrors {{ code }} }}")).await;
        payload["userErrors"][0]["code"].as_str().map(str::to_owned)
    };
    let wrong =
        "changePassword(input: {currentPassword: \"wrong guess\", newPassword: \"new password\"})";
    assert_eq!(tried(wrong).await.as_deref(), Some("INVALID_CREDENTIALS"));
    let email = "updateProfile(input: {email: \"susan@example.com\"})";
    assert_eq!(tried(email).await, None);
    for more in [wrong, email, "deleteAccount(input: {password: \"wrong guess\"})"] {
        assert_eq!(tried(more).await.as_deref(), Some("TOO_MANY_REQUESTS"), "{more}");
    }
    assert_eq!(tried("updateProfile(input: {aboutMe: \"birds\"})").await, None);
}

#[tokio::test]
async fn an_answer_has_so_much_text_and_no_more() {
    let app = TestApp::with(&["--max-answer", "2000"]).await;
    let john = app.join("john").await;
    for _ in 0..4 {
        john.write(&"é".repeat(250)).await;
    }
    let posts = |first| format!("{{ posts(first: {first}) {{ nodes {{ body }} }} }}");
    let answer = john.query(&posts(4)).await;
    assert_eq!(answer["posts"]["nodes"].as_array().unwrap().len(), 4);
    john.write("one more").await;
    assert_eq!(john.error(&posts(5)).await, "QUERY_TOO_COMPLEX");
    let twice = format!("{{ a: posts(first: 3) {{ nodes {{ body }} }} {}", &posts(3)[2..]);
    assert_eq!(john.error(&twice).await, "QUERY_TOO_COMPLEX");
}

#[tokio::test]
async fn who_finds_no_room_is_told_at_once() {
    let app = TestApp::with(&["--max-requests", "2", "--database-readers", "1"]).await;
    // The only connection for reading is taken: whoever reads waits for it.
    let taken = Snapshot::new(app.database());
    let open = taken.get().await.unwrap();
    let waiting = |app: TestApp| {
        tokio::spawn(async move { from(&app, "192.0.2.1", "{ users { totalCount } }").await.0 })
    };
    let first = [waiting(app.clone()), waiting(app.clone())];
    tokio::time::sleep(Duration::from_millis(50)).await;
    let start = Instant::now();
    let (status, after, answer) = from(&app, "192.0.2.1", "{ __typename }").await;
    assert_eq!((status, after), (StatusCode::SERVICE_UNAVAILABLE, Some(1)));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    assert!(start.elapsed() < Duration::from_secs(2), "it does not wait for the others");
    drop((open, taken));
    for one in first {
        assert_eq!(one.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(from(&app, "192.0.2.1", "{ __typename }").await.0, StatusCode::OK);
}

/// Whoever takes too long loses the one connection that there is, and the next is served.
#[tokio::test]
async fn slow_clients_keep_no_connection() {
    let options = ["--request-timeout", "1", "--header-timeout", "1", "--write-timeout", "1"];
    let app = TestApp::with(&options).await;
    let john = app.join("john").await;
    for n in 0..100 {
        john.write(&format!("{n}{}", "x".repeat(4_900))).await;
    }
    let one = [&options[..], &["--max-connections", "1"]].concat();
    let address = app.serve(&one).await;
    let large = "{\"query\": \"{ posts(first: 100) { nodes { body } } }\"}";
    let head = |body: &str, length: usize| {
        format!(
            "POST /graphql HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
            Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let whole = head(large, large.len());
    let typename = "{\"query\": \"{ __typename }\"}";
    for (what, sent) in [
        ("nothing", String::new()),
        ("a slow head", "POST /graphql HTTP/1.1\r\nHost: te".to_owned()),
        ("a slow body", head("{\"query\"", 100)),
        ("an idle connection", head(typename, typename.len())),
        ("answers that are not read", whole.repeat(100)),
    ] {
        let mut slow = TcpStream::connect(&address).await.unwrap();
        let sent = timeout(Duration::from_secs(5), slow.write_all(sent.as_bytes())).await;
        assert!(sent.is_ok(), "{what} could not be sent");
        let mut next = TcpStream::connect(&address).await.unwrap();
        let ask = head(typename, typename.len());
        next.write_all(ask.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        let answered = timeout(Duration::from_secs(8), next.read_exact(&mut answer)).await;
        assert!(answered.is_ok(), "{what} keeps the connection");
        assert_eq!(&answer, b"HTTP/1.1 200");
        drop((slow, next));
    }
}

/// Of one user's sockets it is tested with the sockets themselves.
#[tokio::test]
async fn streams_of_nobody_in_particular_are_counted_by_network() {
    let app = TestApp::with(&["--max-network-sockets", "2"]).await;
    let john: Actor<'_> = app.join("john").await;
    let watch =
        format!("subscription {{ followCounts(userId: \"{}\") {{ followersCount }} }}", john.id);
    let nobody = app.anonymous();
    let open = [nobody.watch(&watch, json!({})).await, nobody.watch(&watch, json!({})).await];
    let refused = app
        .send(
            Request::post("/graphql")
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::ACCEPT, "text/event-stream")
                .body(Body::from(json!({ "query": watch }).to_string()))
                .unwrap(),
        )
        .await;
    assert!(refused.2.contains("TOO_MANY_OPERATIONS"), "{}", refused.2);
    drop(open);
    tokio::time::sleep(Duration::from_millis(50)).await;
    nobody.watch(&watch, json!({})).await;
}

/// Whatever its size, a price is more than anybody may ask for, and never less for being more.
#[tokio::test]
async fn a_price_does_not_run_over() {
    let app = TestApp::with(&["--rate-network", "1000000"]).await;
    let john = app.join("john").await;
    for (lists, bodies, levels) in [(6, 368, 7), (5, 400, 6), (7, 300, 8), (6, 369, 7)] {
        let mut inside = format!("posts(first: 100) {{ nodes {{ {} }} }}", "body ".repeat(bodies));
        for level in 0..lists {
            let ids = "id ".repeat(20 * level % levels);
            inside = format!("followers(first: 100) {{ nodes {{ {ids} {inside} }} }}");
        }
        let ask = format!(
            "query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on User {{ {inside} }} }} rateLimit {{ cost }} }}"
        );
        let answer = app.anonymous().ask(&ask, json!({ "ids": vec![john.id.as_str(); 100] })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "{answer:#}");
    }
}

/// Names that clients make up are no labels; what did not run has none.
#[tokio::test]
async fn metrics_are_few_whatever_is_asked() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    for n in 0..20 {
        app.anonymous().ask(&format!("query made_up_{n} {{ unknown_{n} }}"), json!({})).await;
        john.refused(&format!("subscription made_up_{n} {{ unknown_{n} }}"), json!({})).await;
        john.query(&format!("query made_up_{n} {{ alias_{n}: users {{ totalCount }} }}")).await;
    }
    let metrics = app.app.metrics.answer().into_body().collect().await.unwrap().to_bytes();
    let metrics = String::from_utf8_lossy(&metrics);
    assert!(metrics.contains("operation=\"users\""), "{metrics}");
    for made_up in ["made_up", "unknown", "alias"] {
        assert!(!metrics.contains(made_up), "{metrics}");
    }
}

#[tokio::test]
async fn each_event_is_an_answer_of_its_own() {
    let app = TestApp::with(&["--max-answer", "1000"]).await;
    let john = app.join("john").await;
    let mut news = john
        .watch("subscription { timelineEvents { ... on TimelinePostAdded { edge { node { body } } } } }", json!({}))
        .await;
    for n in 0..8 {
        john.write(&format!("{n}{}", "x".repeat(299))).await;
        let answer = news.answer().await.unwrap();
        assert!(answer.get("errors").is_none(), "{n}: {answer}");
    }
}

/// A document of several operations costs what the one costs that runs.
#[tokio::test]
async fn others_in_the_document_cost_nothing() {
    let app = TestApp::with(&["--rate-network", "100000"]).await;
    let dear = "query b { users(first: 100) { nodes { followers(first: 100) { nodes { id username } } } } }";
    let document =
        format!("query a {{ rateLimit {{ cost }} }} {dear} {}", dear.replace(" b ", " c "));
    let body = json!({ "query": document, "operationName": "a" });
    let answer = app.post(None, &body).await;
    assert_eq!(answer["data"]["rateLimit"]["cost"], 2, "{answer:#}");
    let all = json!({ "query": document, "operationName": "b" });
    assert!(app.post(None, &all).await["data"]["users"].is_object());
}

/// However little is allowed in a minute, what is allowed at all can be had when a minute has gone by.
#[tokio::test]
async fn what_costs_more_than_a_minute_gives_is_not_refused_for_ever() {
    let app = TestApp::with(&["--rate-network", "100"]).await;
    let dear = "{ users(first: 100) { nodes { id username } } }";
    assert_eq!(from(&app, "192.0.2.1", dear).await.0, StatusCode::OK);
    let (status, after, _) = from(&app, "192.0.2.1", dear).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(after.is_some_and(|seconds| seconds <= 60));
}

/// The sender is charged for what is refused, wherever it is refused: read or not, valid or not, alone or in a batch.
#[tokio::test]
async fn whoever_sends_what_is_refused_pays_for_it() {
    let app =
        TestApp::with(&["--rate-user", "3000", "--rate-network", "3000", "--max-batch", "5"]).await;
    let padding = "x".repeat(8_000);
    let refused = [
        json!({ "query": format!("{{ wrong {padding}") }),
        json!({ "query": format!("{{ unknown(a: \"{padding}\") }}") }),
        json!([{ "query": format!("{{ unknown(a: \"{padding}\") }}") }]),
    ];
    for (n, body) in refused.iter().enumerate() {
        let user = app.join(&format!("user{n}")).await;
        let mut count = 0;
        loop {
            let answer = app.post(user.token.as_deref(), body).await;
            let answer = answer.get(0).unwrap_or(&answer);
            if answer["errors"][0]["extensions"]["code"] == "RATE_LIMITED" {
                break;
            }
            count += 1;
            assert!(count < 30, "{body} is for nothing");
        }
        // Of the network nothing was taken but for registering.
        assert_ne!(from(&app, "0.0.0.0", "{ __typename }").await.0, StatusCode::TOO_MANY_REQUESTS);
    }
}

/// A socket takes the connection's place with it.
#[tokio::test]
async fn sockets_are_connections_too() {
    let app = TestApp::new().await;
    let address = app.serve(&["--max-connections", "2"]).await;
    let open = async || {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let upgrade = "GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
            Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n";
        stream.write_all(upgrade.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        let answered = timeout(Duration::from_millis(500), stream.read_exact(&mut head)).await;
        answered.is_ok().then_some(stream)
    };
    let (one, two) = (open().await, open().await);
    assert!(one.is_some() && two.is_some());
    assert!(open().await.is_none(), "there is no third");
    drop(one);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(open().await.is_some());
}
