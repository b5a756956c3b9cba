//! The binary as operators run it: command output, start, shutdown and failures.
//!
//! A command that fails prints one line to stderr and exits with code 1. `log` tests the logs,
//! metrics and traces of the service.

mod log;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};

use crate::server::{SERVE, Server, end, error_line, printed, rookery, run};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn schema_prints_the_sdl_without_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let file = fs::read_to_string(Path::new(ROOT).join("schema.graphql")).unwrap();
    assert!(printed(&folder, &["schema"]) == file, "run `cargo run -- schema > schema.graphql`");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "no database was created");
}

/// The reader of a pipe may go away, as `head` does.
#[test]
fn a_closed_pipe_ends_a_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    printed(&folder, &["migrate", "up"]);
    let commands: [&[&str]; 4] =
        [&["schema"], &["completions", "bash"], &["migrate", "status"], &["doctor"]];
    for command in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = rookery(&folder, command).stdout(writer).stderr(Stdio::piped()).spawn();
        let output = output.unwrap().wait_with_output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), log.as_str()), (Some(0), ""), "{command:?}");
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let failing = rookery(&folder, &["token", "create", "unknown"]).stderr(writer).output();
    assert_eq!(failing.unwrap().status.code(), Some(1));
}

#[test]
fn completions_are_printed_for_each_shell() {
    let folder = tempfile::tempdir().unwrap();
    for (shell, word) in
        [("bash", "_rookery()"), ("zsh", "#compdef rookery"), ("fish", "complete -c")]
    {
        let script = printed(&folder, &["completions", shell]);
        assert!(script.contains(word) && script.contains("import"), "{shell}: {script}");
    }
}

#[test]
fn migrate_up_down_and_status_list_the_migrations() {
    let folder = tempfile::tempdir().unwrap();
    let count = |list: &str, state: &str| {
        list.lines().filter(|line| line.starts_with(&format!("{state}  m2"))).count()
    };
    for command in [
        &["migrate", "status"][..],
        &["migrate", "down"],
        &["doctor"],
        &["token", "create", "x"],
        &["invite", "list"],
    ] {
        assert_eq!(error_line(&run(&folder, command)), "there is no database at rookery.db");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "no database was created");
    let up = printed(&folder, &["migrate", "up"]);
    let all = count(&up, "applied");
    assert!(all >= 5 && up.lines().count() == all, "{up}");
    let down = printed(&folder, &["migrate", "down", "--steps", "2"]);
    assert_eq!((count(&down, "applied"), count(&down, "pending")), (all - 2, 2));
    assert_eq!(printed(&folder, &["migrate", "status"]), down);
    let old = error_line(&run(&folder, &["doctor"]));
    assert!(old.contains("2 migrations are pending"), "{old}");
    assert_eq!(count(&printed(&folder, &["migrate", "up"]), "applied"), all);
}

/// The kills are spread over the time that an undisturbed migration takes.
#[test]
fn a_kill_during_a_migration_leaves_a_database_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    printed(&folder, &["migrate", "up"]);
    let duration = start.elapsed();
    for n in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let mut migration = rookery(&folder, &["migrate", "up"]);
        let mut migration = migration.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(duration * n / 40);
        migration.kill().unwrap();
        migration.wait().unwrap();
        let applied = printed(&folder, &["migrate", "up"]);
        assert!(applied.lines().all(|line| line.starts_with("applied")), "{applied}");
        assert_eq!(printed(&folder, &["doctor"]), "no problems found\n");
    }
}

#[test]
fn sigterm_finishes_requests_in_flight_and_leaves_one_database_file() {
    let folder = tempfile::tempdir().unwrap();
    let service = Server::start(&folder);
    let register = "mutation { register(input: {username: \"john\", email: \"john@example.com\",
        password: \"correct horse battery\"}) { userErrors { code } } }";
    let response = service.post("", register);
    assert_eq!(response, json!({ "data": { "register": { "userErrors": [] } } }));

    let unknown = run(&folder, &["token", "create", "unknown"]);
    assert_eq!(error_line(&unknown), "there is no user 'unknown'");
    let token = printed(&folder, &["token", "create", "JOHN", "--days", "1"]);
    let viewer = service.post(token.trim_end(), "{ viewer { user { username } } }");
    assert_eq!(viewer["data"]["viewer"]["user"]["username"], "john");

    let query = json!({ "query": "{ users { nodes { username } } }" }).to_string();
    let in_flight = service.begin("", query.len());
    service.terminate();
    assert_eq!(end(in_flight, &query)["data"]["users"]["nodes"][0]["username"], "john");
    let output = service.wait();
    assert!(output.ends_with("Rookery has stopped.\n"), "{output}");
    assert!(
        !folder.path().join("rookery.db-wal").exists(),
        "the WAL was written into the database file"
    );

    let restarted = Server::start(&folder);
    assert_eq!(restarted.post("", "{ users { totalCount } }")["data"]["users"]["totalCount"], 1);
}

#[test]
fn an_invite_of_a_command_admits_one_client_of_the_running_service() {
    let folder = tempfile::tempdir().unwrap();
    let options = [&SERVE[..], &["--registration", "invite"]].concat();
    let service = Server::spawn(rookery(&folder, &options));
    let code = printed(&folder, &["invite", "create", "--note", "the first user"]);
    let register = |name: &str| {
        let query = format!(
            "mutation {{ register(input: {{username: \"{name}\", email: \"{name}@example.com\",
             password: \"correct horse battery\", inviteCode: \"{}\"}}) {{
             userErrors {{ code path }} }} }}",
            code.trim_end()
        );
        service.post("", &query)["data"]["register"]["userErrors"].clone()
    };
    assert_eq!(register("john"), json!([]));
    let used_up = json!([{ "code": "INVALID_INPUT", "path": ["input", "inviteCode"] }]);
    assert_eq!(register("susan"), used_up);
    let list = printed(&folder, &["invite", "list"]);
    assert!(list.contains("  1/1 ") && list.ends_with("  the first user\n"), "{list}");
    let id = list.split(' ').next().unwrap();
    assert_eq!(printed(&folder, &["invite", "revoke", id]), "");
    let gone = error_line(&run(&folder, &["invite", "revoke", id]));
    assert_eq!(gone, format!("there is no invite {id}"));
    assert_eq!(printed(&folder, &["invite", "list"]), "");
}

#[test]
fn imports_and_seeds_print_what_they_added() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("edges"), "1 2\n").unwrap();
    let blocked = "1 follows and 0 follow requests deleted\n";
    for (kind, users, more) in [("follows", 2, ""), ("mutes", 0, ""), ("blocks", 0, blocked)] {
        let expected = format!(
            "1 {kind} read: {users} users and 1 {kind} added, 0 duplicates, 0 existing\n{more}"
        );
        assert_eq!(printed(&folder, &["import", kind, "edges"]), expected);
    }
    let seed = ["seed", "--users", "50", "--follows-per-user", "2", "--posts-per-user", "1"];
    let expected = "50 users (1 protected), 100 follows, 50 posts (15 replies), 250 likes, \
        5 reposts, 10 blocks, 10 follow requests, 25 mutes\n";
    assert_eq!(printed(&folder, &seed), expected);
    assert_eq!(printed(&folder, &["doctor"]), "no problems found\n");
}

#[test]
fn copy_copies_a_whole_database_into_an_empty_one_only() {
    let folder = tempfile::tempdir().unwrap();
    printed(&folder, &["seed", "--users", "3", "--follows-per-user", "2", "--posts-per-user", "1"]);
    let copy = |from, to| run(&folder, &["copy", "--from", from, "--to", to]);
    let (source, target) = ("sqlite://rookery.db", "sqlite://copy.db");
    let missing = error_line(&copy("sqlite://nothing.db", target));
    assert_eq!(missing, "there is no database at nothing.db");
    assert!(!folder.path().join("copy.db").exists(), "no database was created");
    let copied = copy(source, target);
    let copied = String::from_utf8(copied.stdout).unwrap();
    assert!(
        copied.starts_with(
            "3 users, 0 sessions, 6 follows, 0 follow requests, 0 blocks, 1 mutes, 0 dismissals, \
             3 posts, "
        ),
        "{copied}"
    );
    assert!(copied.ends_with(" copied\nno problems found\n"), "{copied}");
    let not_empty = error_line(&copy(source, target));
    assert!(not_empty.starts_with("the target's table 'user' has 3 rows: "), "{not_empty}");
    let unsupported = error_line(&copy(source, "mysql://rookery:secret@localhost/rookery"));
    assert!(!unsupported.contains("secret"), "{unsupported}");
}

#[test]
fn serve_reports_why_it_cannot_start_in_one_line() {
    let (served, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let service = Server::start(&served);
    let second = run(&served, &["serve", "--listen", "127.0.0.1:0"]);
    let in_use = error_line(&second);
    assert!(in_use.ends_with("rookery.db is in use by another rookery process"), "{in_use}");
    let path = |name: &str| served.path().join(name);
    std::os::unix::fs::symlink(path("rookery.db"), path("symbolic.db")).unwrap();
    fs::hard_link(path("rookery.db"), path("hard.db")).unwrap();
    for name in ["symbolic.db", "hard.db"] {
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate", "down"]] {
            let url = format!("sqlite://{name}");
            let linked = [command, &["--database-url", &url]].concat();
            let expected = in_use.replace("rookery.db", name);
            assert_eq!(error_line(&run(&served, &linked)), expected, "the same file");
        }
    }
    let files = fs::read_dir(&served).unwrap().map(|file| file.unwrap().file_name());
    let is_lock = |name: &std::ffi::OsString| name.to_string_lossy().contains("lock");
    assert_eq!(files.filter(is_lock).count(), 0, "the lock is on the database itself");
    let port = error_line(&run(&other, &["serve", "--listen", &service.address]));
    assert!(port.starts_with(&format!("cannot listen on {}: ", service.address)), "{port}");
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0, "no file was left behind");

    let serve = |url: &str| {
        error_line(&run(&other, &["serve", "--listen", "127.0.0.1:0", "--database-url", url]))
    };
    let nowhere = serve("sqlite://no/such/folder/rookery.db");
    let expected = "cannot open the database no/such/folder/rookery.db: ";
    assert!(nowhere.starts_with(expected), "{nowhere}");
    fs::write(other.path().join("text.db"), "This is a text, not a database.").unwrap();
    let not_a_database = serve("sqlite://text.db");
    let expected = "cannot open the database sqlite://text.db: file is not a database";
    assert_eq!(not_a_database, expected);
    let output =
        rookery(&other, &["serve", "--listen", "127.0.0.1:0", "--require-trusted-documents"])
            .output();
    assert_eq!(
        error_line(&output.unwrap()),
        "--require-trusted-documents requires --trusted-documents"
    );
    let memory = serve("sqlite::memory:");
    assert!(memory.starts_with("a database in memory is not supported"), "{memory}");
    for option in [["--listen", "nowhere"], ["--cors-origins", "https://*.example.com"]] {
        let invalid = run(&other, &[&["serve"][..], &option].concat());
        assert_eq!(invalid.status.code(), Some(2), "an invalid option has exit code 2");
    }
    let unknown = error_line(&run(&other, &["serve", "--listen", "no-such-host.invalid:8000"]));
    assert!(unknown.starts_with("cannot listen on no-such-host.invalid:8000: "), "{unknown}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_fails_writes_with_unavailable_and_loses_no_acknowledged_one() {
    let folder = tempfile::tempdir().unwrap();
    printed(&folder, &["seed", "--users", "2", "--follows-per-user", "1", "--posts-per-user", "0"]);
    let service = Server::start_on_full_disk(&folder, 600);
    let register = "mutation { register(input: {username: \"john\", email: \"john@example.com\",
        password: \"correct horse battery\"}) { token } }";
    let response = service.post("", register);
    let token = response["data"]["register"]["token"].as_str().unwrap();
    let create = format!(
        "mutation {{ createPost(input: {{body: \"{}\"}}) {{ post {{ id }} }} }}",
        "x".repeat(4_900)
    );
    let responses: Vec<Value> = (0..80).map(|_| service.post(token, &create)).collect();
    let is_stored = |response: &&Value| response["data"]["createPost"]["post"]["id"].is_string();
    let acknowledged = responses.iter().filter(is_stored).count();
    for failed in responses.iter().filter(|response| !is_stored(response)) {
        let error = &failed["errors"][0];
        assert_eq!(error["extensions"]["code"], "UNAVAILABLE", "{failed}");
        assert!(error["message"].as_str().unwrap().contains("disk is full"), "{failed}");
    }
    assert!((1..80).contains(&acknowledged), "{acknowledged} of 80");
    let count = "{ viewer { user { postsCount posts { totalCount } } } }";
    let user = service.post(token, count)["data"]["viewer"]["user"].clone();
    assert_eq!(
        user,
        json!({ "postsCount": acknowledged, "posts": { "totalCount": acknowledged } })
    );
    drop(service);

    // The disk has free space again.
    let service = Server::start(&folder);
    let user = service.post(token, count)["data"]["viewer"]["user"].clone();
    assert_eq!(user["postsCount"], acknowledged);
    assert!(service.post(token, &create)["data"]["createPost"]["post"]["id"].is_string());
    drop(service);
    assert_eq!(printed(&folder, &["doctor"]), "no problems found\n");
}

#[test]
fn errors_about_a_database_url_do_not_show_its_password() {
    let folder = tempfile::tempdir().unwrap();
    for (url, reason) in [
        ("mysql://rookery:secret@localhost/rookery", "its scheme is 'mysql'"),
        ("host=db user=rookery password=secret", "its scheme is missing"),
        ("postgres://rookery:secret@127.0.0.1:1/rookery", "postgres://127.0.0.1:1/rookery: "),
        ("postgres://rookery:secret@[/rookery", "is not valid: expected postgres://"),
        ("postgres://rookery:secret@127.0.0.1:1/rookery", "Connection refused"),
        ("postgres://rookery:secret@[::1]:1/rookery", "postgres://[::1]:1/rookery: "),
        ("postgres://rookery:12/secret@localhost/rookery", "write / as %2F"),
        ("postgres://rookery:12?secret@localhost/rookery", "? as %3F"),
        ("postgres://rookery:12#secret@localhost/rookery", "# as %23"),
    ] {
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["doctor"]] {
            let options = ["--database-url", url, "--database-acquire-timeout", "1"];
            let error = error_line(&run(&folder, &[command, &options].concat()));
            assert!(error.contains(reason), "{error}");
            assert!(!error.contains("secret"), "{error}");
            assert!(!error.contains("lookup"), "an IPv6 address is not a name: {error}");
        }
    }
}

/// The environment variables in the output of `--help`, with their defaults.
fn variables_in_help(help: &str) -> BTreeMap<String, String> {
    let options = help.split("\n      --").filter_map(|option| option.split_once("[env: "));
    let variables = options.map(|(option, rest)| {
        // Of a secret option, help shows the name of the variable without `=` and its value.
        let (name, rest) = rest.split_once(']').unwrap();
        // An option with a value has an empty default, and a flag the default `false`.
        let no_default = if option.lines().next().unwrap().contains('<') { "" } else { "false" };
        let default = rest.split_once("[default: ").and_then(|(_, rest)| rest.split_once(']'));
        let default = default.map_or(no_default, |(default, _)| default.trim_matches('"'));
        (name.trim_end_matches('=').to_owned(), default.to_owned())
    });
    variables.collect()
}

#[test]
fn env_example_lists_every_variable_with_its_default() {
    let folder = tempfile::tempdir().unwrap();
    let commands: [&[&str]; 12] = [
        &["serve"],
        &["seed"],
        &["migrate", "up"],
        &["migrate", "down"],
        &["import", "follows"],
        &["import", "blocks"],
        &["import", "mutes"],
        &["import", "posts"],
        &["token", "create"],
        &["invite", "create"],
        &["copy"],
        &["doctor"],
    ];
    let mut help = BTreeMap::new();
    for command in commands {
        let text = printed(&folder, &[command, &["--help"]].concat());
        let options = text.lines().filter(|line| line.trim_start().starts_with("--")).count();
        let of_command = variables_in_help(&text);
        assert_eq!(of_command.len(), options, "an option has no variable:\n{text}");
        help.extend(of_command);
    }
    let file = fs::read_to_string(Path::new(ROOT).join(".env.example")).unwrap();
    let entries = file.split("\n\n").skip(1).map(|entry| {
        let (description, setting) = entry.trim_end().rsplit_once("\n# ").unwrap();
        assert!(description.starts_with("# ") && description.len() > 10, "{entry}");
        let (name, default) = setting.split_once('=').unwrap();
        (name.to_owned(), default.to_owned())
    });
    let example: BTreeMap<String, String> = entries.collect();
    assert_eq!(example, help, ".env.example and the commands' help differ");

    let empty: BTreeMap<String, String> =
        example.keys().map(|name| (name.clone(), String::new())).collect();
    for variables in [example, empty] {
        let mut serve = rookery(&folder, &["serve", "--database-url", "sqlite://no/rookery.db"]);
        let output = serve.args(["--listen", "127.0.0.1:0"]).envs(&variables).output().unwrap();
        // All variables were accepted, because the command fails only at the missing folder.
        let error = error_line(&output);
        assert!(error.contains("no/rookery.db"), "{error}");
    }
}
