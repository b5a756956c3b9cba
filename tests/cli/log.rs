//! What the service writes to its log, with everything turned on: enough to find a request again, and nothing of what
//! people would keep to themselves.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Stdio;
use std::{fs, thread, time::Duration};

use clap::Parser;
use rookery::config::DatabaseConfig;
use rookery::database::Database;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::server::{SERVE, Server, get, rookery};

#[test]
fn secrets_are_in_no_log_and_in_no_metric() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let more = [
        "--log",
        "trace",
        "--log-format",
        "json",
        "--slow",
        "0",
        "--metrics-listen",
        "127.0.0.2:0",
    ];
    let mut command = rookery(&folder, &[&SERVE[..], &more[..]].concat());
    command.stderr(Stdio::from(fs::File::create(&log).unwrap()));
    let service = Server::spawn_with_log(command);
    let register =
        "mutation register { register(input: {username: \"john\", email: \"john@secret.example\",
        password: \"correct horse battery\"}) { token userErrors { code } } }";
    let answer = service.post("", register);
    let token = answer["data"]["register"]["token"].as_str().unwrap().to_owned();
    let login = |password: &str| {
        let name = "john@secret.example";
        service.post("", &format!("mutation {{ login(input: {{username: \"{name}\", password: \"{password}\"}}) {{ token }} }}"))
    };
    login("wrong horse battery");
    let second =
        login("correct horse battery")["data"]["login"]["token"].as_str().unwrap().to_owned();
    service.post(&token, "query mine { viewer { email sessions { id } } }");
    service.post(
        &second,
        "mutation { changePassword(input: {currentPassword: \"correct horse battery\", \
        newPassword: \"another horse battery\"}) { token } }",
    );
    let taken = "mutation { register(input: {username: \"susan\", email: \"john@secret.example\", \
        password: \"third horse battery\"}) { userErrors { code } } }";
    service.post("", taken);
    // A query string, a socket.
    let mut socket = TcpStream::connect(&service.address).unwrap();
    write!(
        socket,
        "GET /graphql?query=%7Bviewer%7Bemail%7D%7D&token={token} HTTP/1.1\r\nhost: x\r\n\
        authorization: Bearer {second}\r\n\r\n"
    )
    .unwrap();
    let mut socket = TcpStream::connect(&service.address).unwrap();
    write!(socket, "GET /graphql HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
        authorization: Bearer {token}\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
        sec-websocket-protocol: graphql-transport-ws\r\n\r\n").unwrap();
    thread::sleep(Duration::from_millis(300));
    let metrics = get(&service.metrics.clone().unwrap(), "/metrics");
    service.terminate();
    service.wait();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.len() > 1_000, "everything is logged");
    for secret in ["horse", "secret.example", &token, &second, "rookery_", "argon2id"] {
        assert!(!log.contains(secret), "{secret} is in the log");
        // The names of metrics begin with the name of the service.
        assert!(secret == "rookery_" || !metrics.contains(secret), "{secret} is in the metrics");
    }
    // Each line is an object, and a slow operation is named, with the number of its request.
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let slow: Vec<Value> = lines.filter(|line| line["message"] == "slow").collect();
    let login = slow.iter().find(|line| line["operation"] == "login").unwrap();
    assert_eq!((&login["type"], &login["level"]), (&json!("mutation"), &json!("WARN")));
    assert_eq!(login["span"]["id"].as_str().unwrap().len(), 16);
    assert!(login["statements"].as_u64().unwrap() >= 1, "{login}");

    for line in [
        "rookery_operation_seconds_count{operation=\"login\",type=\"mutation\"} 2",
        "rookery_operation_statements_count{operation=\"viewer\",type=\"query\"}",
        "rookery_passwords_hashed ",
        "rookery_database_readers_open ",
        "rookery_sockets ",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"));
}

/// Whoever balances the load is told before anybody is turned away.
#[test]
fn a_service_that_leaves_says_so_and_goes_on_serving() {
    let folder = tempfile::tempdir().unwrap();
    let service =
        Server::spawn(rookery(&folder, &[&SERVE[..], &["--shutdown-delay", "20"]].concat()));
    let address = service.address.clone();
    assert!(get(&address, "/readyz").contains("200 OK"));
    service.terminate();
    thread::sleep(Duration::from_millis(200));
    let ready = get(&address, "/readyz");
    assert!(ready.contains("503 Service Unavailable") && ready.ends_with("stopping\n"), "{ready}");
    assert!(get(&address, "/livez").contains("200 OK"));
    assert_eq!(service.post("", "{ users { totalCount } }")["data"]["users"]["totalCount"], 0);
    // Whoever is in a hurry says so again.
    service.terminate();
    service.wait();
}

/// The answer tells nothing of the inside, but where in the log it is told.
#[tokio::test]
async fn what_goes_wrong_inside_has_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = rookery(&folder, &SERVE);
    command.stderr(Stdio::from(fs::File::create(&log).unwrap()));
    let service = Server::spawn_with_log(command);
    let url = format!("sqlite://{}", folder.path().join("rookery.db").display());
    let options = Options::parse_from(["test", "--database-url", &url]);
    let database = Database::open(&options.database).await.unwrap();
    database.writer().execute_unprepared("DROP TABLE bookmark; DROP TABLE post").await.unwrap();
    let answer = service.post("", "{ posts { totalCount } }");
    let extensions = &answer["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "INTERNAL", "{answer}");
    let number = extensions["requestId"].as_str().unwrap();
    service.terminate();
    service.wait();
    let log = fs::read_to_string(log).unwrap();
    let line = log.lines().find(|line| line.contains(number)).unwrap();
    assert!(line.contains("no such table: post"), "{line}");
    assert!(!answer.to_string().contains("no such table"));
}

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    database: DatabaseConfig,
}

/// A collector hears of each request, and of no more than its name.
#[cfg(feature = "otlp")]
#[test]
fn spans_are_sent_to_a_collector() {
    use std::io::Read as _;

    let collector = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let heard = thread::spawn(move || {
        let (mut stream, _) = collector.accept().unwrap();
        let mut all = Vec::new();
        let mut some = vec![0; 65_536];
        while !all.windows(6).any(|part| part == b"viewer") {
            let count = stream.read(&mut some).unwrap();
            assert_ne!(count, 0, "{}", String::from_utf8_lossy(&all));
            all.extend(&some[..count]);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        String::from_utf8_lossy(&all).into_owned()
    });
    let folder = tempfile::tempdir().unwrap();
    let options = ["--otlp-endpoint", &endpoint];
    let service = Server::spawn(rookery(&folder, &[&SERVE[..], &options[..]].concat()));
    service.post("", "query secret($a: Boolean = true) { viewer @include(if: $a) { email } }");
    service.terminate();
    service.wait();
    let heard = heard.join().unwrap();
    assert!(heard.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("rookery") && heard.contains("request"), "{heard}");
    assert!(!heard.contains("secret") && !heard.contains("email"), "{heard}");
}
