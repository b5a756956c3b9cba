//! Logs, metrics and traces have no secrets and no personal data.
//!
//! They are enough to find a request: an internal error is logged with its request id.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;
use std::{fs, thread};

use clap::Parser;
use rookery::config::DatabaseConfig;
use rookery::database::Database;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::server::{SERVE, Server, get, rookery};

#[test]
fn logs_at_level_trace_and_metrics_contain_no_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let options = [
        "--log",
        "trace",
        "--log-format",
        "json",
        "--slow-operation-ms",
        "0",
        "--metrics-listen",
        "127.0.0.2:0",
        "--access-log",
        "json",
        "--access-log-output",
        "stderr",
    ];
    let mut command = rookery(&folder, &[&SERVE[..], &options[..]].concat());
    command.stderr(Stdio::from(fs::File::create(&log).unwrap()));
    let service = Server::spawn_with_log(command);
    let register =
        "mutation register { register(input: {username: \"john\", email: \"john@secret.example\",
        password: \"correct horse battery\"}) { token userErrors { code } } }";
    let response = service.post("", register);
    let token = response["data"]["register"]["token"].as_str().unwrap().to_owned();
    let login = |password: &str| {
        let name = "john@secret.example";
        service.post("", &format!("mutation {{ login(input: {{username: \"{name}\", password: \"{password}\"}}) {{ token }} }}"))
    };
    login("wrong horse battery");
    let second =
        login("correct horse battery")["data"]["login"]["token"].as_str().unwrap().to_owned();
    service.post(&token, "query sessions { viewer { email sessions { id } } }");
    service.post(
        &second,
        "mutation { changePassword(input: {currentPassword: \"correct horse battery\", \
        newPassword: \"another horse battery\"}) { token } }",
    );
    let register_with_taken_email = "mutation { register(input: {username: \"susan\", email: \"john@secret.example\", \
        password: \"third horse battery\"}) { userErrors { code } } }";
    service.post("", register_with_taken_email);
    // A token in the query string, and one in a WebSocket upgrade.
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
    let mut tokens = verify_and_reset(&service, &folder);
    tokens.extend([token, second]);
    let metrics = get(&service.metrics.clone().unwrap(), "/metrics");
    service.terminate();
    service.wait();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.len() > 1_000, "the level trace is on");
    assert!(log.contains("wrote a mail to a file") && log.contains(".eml"), "{log}");
    let others = ["horse", "secret.example", "rookery_", "argon2id"].map(str::to_owned);
    for secret in tokens.iter().chain(&others) {
        assert!(!log.contains(secret), "{secret} is in the log");
        // All names of metrics begin with `rookery_`.
        assert!(secret == "rookery_" || !metrics.contains(secret), "{secret} is in the metrics");
    }
    // Each line is a JSON object. A slow operation is logged with its name and request id.
    let lines = || log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let accesses: Vec<Value> = lines().filter(|line| line["target"] == "access").collect();
    let succeeded: Vec<_> = accesses.iter().filter(|line| line["status"] == 200).collect();
    assert_eq!(succeeded.len(), 9, "each POST: {accesses:#?}");
    for access in succeeded {
        assert_eq!((&access["client"], &access["path"]), (&json!("127.0.0.1"), &json!("/graphql")));
        assert_eq!(access["request_id"].as_str().unwrap().len(), 16);
    }
    let lines = lines();
    let slow: Vec<Value> = lines.filter(|line| line["message"] == "slow operation").collect();
    let login = slow.iter().find(|line| line["operation"] == "login").unwrap();
    assert_eq!((&login["type"], &login["level"]), (&json!("mutation"), &json!("WARN")));
    assert_eq!(login["span"]["id"].as_str().unwrap().len(), 16);
    assert!(login["statements"].as_u64().unwrap() >= 1, "{login}");

    for line in [
        "rookery_operation_duration_seconds_count{operation=\"login\",type=\"mutation\"} 2",
        "rookery_operation_sql_statements_count{operation=\"viewer\",type=\"query\"}",
        "rookery_password_hashes_total ",
        "rookery_database_connections{pool=\"read\",state=\"open\"} ",
        "rookery_streams_open ",
        concat!(
            "rookery_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\",engine=\"sqlite\"} 1"
        ),
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"));
}

#[test]
fn the_access_log_has_a_combined_line_for_each_request_on_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let service =
        Server::spawn(rookery(&folder, &[&SERVE[..], &["--access-log", "combined"]].concat()));
    assert!(get(&service.address, "/livez").contains("200 OK"));
    get(&service.address, "/nothing?token=secret");
    assert_eq!(service.post("", "{ __typename }")["data"]["__typename"], "Query");
    service.terminate();
    let output = service.wait();
    let lines: Vec<&str> = output.lines().collect();
    let [alive, missing, query, stopped] = lines[..] else { panic!("{output}") };
    assert_eq!(stopped, "Rookery has stopped.");
    for (line, request) in [
        (alive, "\"GET /livez HTTP/1.1\" 200 "),
        (missing, "\"GET /nothing HTTP/1.1\" 404 "),
        (query, "\"POST /graphql HTTP/1.1\" 200 31 "),
    ] {
        assert!(line.starts_with("127.0.0.1 - - [") && line.contains(request), "{line}");
        assert!(line.contains(" +0000] ") && line.ends_with(" \"-\" \"-\""), "{line}");
    }
}

/// Verifies the address of john, and resets the password.
///
/// Returns the tokens of both mails.
fn verify_and_reset(service: &Server, folder: &tempfile::TempDir) -> Vec<String> {
    let verification = await_token(folder, "verify-email");
    let document = format!("mutation {{ verifyEmail(token: \"{verification}\") {{ changed }} }}");
    let response = service.post("", &document);
    assert_eq!(response["data"]["verifyEmail"]["changed"], true, "{response}");
    let request = "mutation { requestPasswordReset(email: \"john@secret.example\") {
        userErrors { code } } }";
    service.post("", request);
    let reset = await_token(folder, "reset-password");
    let document = format!(
        "mutation {{ resetPassword(token: \"{reset}\", newPassword: \"fourth horse battery\") {{
            changed }} }}"
    );
    let response = service.post("", &document);
    assert_eq!(response["data"]["resetPassword"]["changed"], true, "{response}");
    vec![verification, reset]
}

/// The token of a link in one of the mails, which is waited for.
fn await_token(folder: &tempfile::TempDir, link: &str) -> String {
    for _ in 0..1_000 {
        let files = fs::read_dir(folder.path().join("mail")).into_iter().flatten();
        for file in files.map(|file| file.unwrap().path()) {
            let mail = fs::read_to_string(file).unwrap_or_default();
            if let Some((_, rest)) = mail.split_once(&format!("/{link}#token=")) {
                return rest.split_whitespace().next().unwrap().to_owned();
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("no mail has a link to {link}");
}

/// Nothing reads the pipe, which holds 64 KiB.
#[test]
fn a_full_pipe_for_the_log_delays_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = rookery(&folder, &[&SERVE[..], &["--log", "trace"]].concat());
    command.stderr(Stdio::piped());
    let service = Server::spawn_with_log(command);
    for _ in 0..200 {
        let response = service.post("", "{ users { totalCount } }");
        assert_eq!(response["data"]["users"]["totalCount"], 0);
    }
}

/// A load balancer must see the failing `/readyz` before connections are rejected.
#[test]
fn readyz_fails_after_sigterm_while_requests_are_still_served() {
    let folder = tempfile::tempdir().unwrap();
    let service =
        Server::spawn(rookery(&folder, &[&SERVE[..], &["--shutdown-delay", "20"]].concat()));
    let address = service.address.clone();
    assert!(get(&address, "/readyz").contains("200 OK"));
    service.terminate();
    thread::sleep(Duration::from_millis(200));
    let ready = get(&address, "/readyz");
    assert!(
        ready.contains("503 Service Unavailable") && ready.ends_with("shutting down\n"),
        "{ready}"
    );
    assert!(get(&address, "/livez").contains("200 OK"));
    assert_eq!(service.post("", "{ users { totalCount } }")["data"]["users"]["totalCount"], 0);
    // A second SIGTERM ends the shutdown delay.
    service.terminate();
    service.wait();
}

/// The response has the request id, and the log has the cause.
#[tokio::test]
async fn an_internal_error_is_logged_with_the_request_id_of_its_response() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = rookery(&folder, &SERVE);
    command.stderr(Stdio::from(fs::File::create(&log).unwrap()));
    let service = Server::spawn_with_log(command);
    let url = format!("sqlite://{}", folder.path().join("rookery.db").display());
    let options = Options::parse_from(["test", "--database-url", &url]);
    let database = Database::open(&options.database).await.unwrap();
    let drop_posts = r#"DROP TABLE bookmark; DROP TABLE "like"; DROP TABLE post"#;
    database.writer().execute_unprepared(drop_posts).await.unwrap();
    let response = service.post("", "{ posts { totalCount } }");
    let extensions = &response["errors"][0]["extensions"];
    assert_eq!(extensions["code"], "INTERNAL", "{response}");
    let request_id = extensions["requestId"].as_str().unwrap();
    service.terminate();
    service.wait();
    let log = fs::read_to_string(log).unwrap();
    let line = log.lines().find(|line| line.contains(request_id)).unwrap();
    assert!(line.contains("no such table: post"), "{line}");
    assert!(!response.to_string().contains("no such table"));
}

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    database: DatabaseConfig,
}

/// A span has the name of its operation, and no document or variables.
#[cfg(feature = "otlp")]
#[test]
fn spans_are_sent_to_the_otlp_endpoint_without_documents() {
    use std::io::Read as _;

    let collector = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let received = thread::spawn(move || {
        let (mut stream, _) = collector.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = vec![0; 65_536];
        while !request.windows(6).any(|part| part == b"viewer") {
            let count = stream.read(&mut buffer).unwrap();
            assert_ne!(count, 0, "{}", String::from_utf8_lossy(&request));
            request.extend(&buffer[..count]);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        String::from_utf8_lossy(&request).into_owned()
    });
    let folder = tempfile::tempdir().unwrap();
    let options = ["--otlp-endpoint", &endpoint];
    let service = Server::spawn(rookery(&folder, &[&SERVE[..], &options[..]].concat()));
    service.post("", "query secret($a: Boolean = true) { viewer @include(if: $a) { email } }");
    service.terminate();
    service.wait();
    let request = received.join().unwrap();
    assert!(request.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("rookery") && request.contains("request"), "{request}");
    assert!(!request.contains("secret") && !request.contains("email"), "{request}");
}
