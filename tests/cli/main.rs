//! The binary itself, as an operator meets it: what its commands print, how it starts and stops, and
//! that whatever is in its way is said in one line, with exit code 1. What it logs is in `log`.

mod log;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::server::{Server, complaint, end, printed, rookery, run};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_schema_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = fs::read_to_string(Path::new(ROOT).join("schema.graphql")).unwrap();
    assert!(printed(&folder, &["schema"]) == file, "run `cargo run -- schema > schema.graphql`");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "this needs no database");
}

#[test]
fn tables_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let count = |listing: &str, state: &str| {
        listing.lines().filter(|line| line.starts_with(&format!("{state}  m2"))).count()
    };
    for command in
        [&["migrate", "status"][..], &["migrate", "down"], &["doctor"], &["token", "create", "x"]]
    {
        assert_eq!(complaint(&run(&folder, command)), "there is no database at rookery.db");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "nothing was made");
    let up = printed(&folder, &["migrate", "up"]);
    let all = count(&up, "applied");
    assert!(all >= 5 && up.lines().count() == all, "{up}");
    let down = printed(&folder, &["migrate", "down", "--steps", "2"]);
    assert_eq!((count(&down, "applied"), count(&down, "missing")), (all - 2, 2));
    assert_eq!(printed(&folder, &["migrate", "status"]), down);
    let old = complaint(&run(&folder, &["doctor"]));
    assert!(old.contains("2 migrations are missing"), "{old}");
    assert_eq!(count(&printed(&folder, &["migrate", "up"]), "applied"), all);
}

#[test]
fn a_service_starts_answers_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let service = Server::start(&folder);
    let register = "mutation { register(input: {username: \"john\", email: \"john@example.com\",
        password: \"correct horse battery\"}) { userErrors { code } } }";
    let answer = service.post("", register);
    assert_eq!(answer, json!({ "data": { "register": { "userErrors": [] } } }));

    let unknown = run(&folder, &["token", "create", "nobody"]);
    assert_eq!(complaint(&unknown), "there is no user 'nobody'");
    let token = printed(&folder, &["token", "create", "JOHN", "--days", "1"]);
    let viewer = service.post(token.trim_end(), "{ viewer { user { username } } }");
    assert_eq!(viewer["data"]["viewer"]["user"]["username"], "john");

    let query = json!({ "query": "{ users { nodes { username } } }" }).to_string();
    let in_flight = service.begin("", query.len());
    service.terminate();
    assert_eq!(end(in_flight, &query)["data"]["users"]["nodes"][0]["username"], "john");
    let last_words = service.wait();
    assert!(last_words.ends_with("Rookery has stopped.\n"), "{last_words}");
    assert!(!folder.path().join("rookery.db-wal").exists(), "everything is in the one file");

    let again = Server::start(&folder);
    assert_eq!(again.post("", "{ users { totalCount } }")["data"]["users"]["totalCount"], 1);
}

#[test]
fn a_database_is_copied_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    printed(&folder, &["seed", "--users", "3", "--follows-per-user", "2", "--posts-per-user", "1"]);
    let copy = |from, to| run(&folder, &["copy", "--from", from, "--to", to]);
    let (source, target) = ("sqlite://rookery.db", "sqlite://copy.db");
    let missing = complaint(&copy("sqlite://nothing.db", target));
    assert_eq!(missing, "there is no database at nothing.db");
    assert!(!folder.path().join("copy.db").exists(), "nothing was made");
    let copied = copy(source, target);
    let expected = "3 users, 6 follows, 3 posts, 0 bookmarks and 0 sessions copied\nall is well\n";
    assert_eq!(String::from_utf8(copied.stdout).unwrap(), expected);
    let again = complaint(&copy(source, target));
    assert!(again.starts_with("the target's table 'user' has 3 rows: "), "{again}");
    let secret = complaint(&copy(source, "mysql://rookery:secret@localhost/rookery"));
    assert!(!secret.contains("secret"), "{secret}");
}

#[test]
fn what_is_in_the_way_is_said() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let service = Server::start(&one);
    let second = run(&one, &["serve", "--listen", "127.0.0.1:0"]);
    let taken = complaint(&second);
    assert!(taken.ends_with("rookery.db is taken: a Rookery serves it"), "{taken}");
    std::os::unix::fs::symlink(one.path().join("rookery.db"), one.path().join("link.db")).unwrap();
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate", "down"]] {
        let linked = [command, &["--database-url", "sqlite://link.db"]].concat();
        assert_eq!(complaint(&run(&one, &linked)), taken, "the same database by another name");
    }
    let port = complaint(&run(&other, &["serve", "--listen", &service.address]));
    assert!(port.starts_with(&format!("cannot listen on {}: ", service.address)), "{port}");
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0, "nothing was left behind");

    let serve = |url: &str| {
        complaint(&run(&other, &["serve", "--listen", "127.0.0.1:0", "--database-url", url]))
    };
    let nowhere = serve("sqlite://no/such/folder/rookery.db");
    let expected = "cannot create the lock file beside the database no/such/folder/rookery.db: ";
    assert!(nowhere.starts_with(expected), "{nowhere}");
    fs::write(other.path().join("letter.db"), "Dear John, this is no database.").unwrap();
    let letter = serve("sqlite://letter.db");
    assert_eq!(letter, "cannot open the database sqlite://letter.db: file is not a database");
    let output = rookery(&other, &["serve", "--listen", "127.0.0.1:0", "--only-trusted"]).output();
    assert_eq!(complaint(&output.unwrap()), "--only-trusted needs a file of --trusted-documents");
    let memory = serve("sqlite::memory:");
    assert!(memory.starts_with("a database in memory is not supported"), "{memory}");
    let broken = run(&other, &["serve", "--listen", "nowhere"]);
    assert_eq!(broken.status.code(), Some(2), "a wrong option is not a failed start");
}

#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    printed(&folder, &["seed", "--users", "2", "--follows-per-user", "1", "--posts-per-user", "0"]);
    let service = Server::start_on_full_disk(&folder, 600);
    let register = "mutation { register(input: {username: \"john\", email: \"john@example.com\",
        password: \"correct horse battery\"}) { token } }";
    let answer = service.post("", register);
    let token = answer["data"]["register"]["token"].as_str().unwrap();
    let create = format!(
        "mutation {{ createPost(input: {{body: \"{}\"}}) {{ post {{ id }} }} }}",
        "x".repeat(4_900)
    );
    let answers: Vec<Value> = (0..80).map(|_| service.post(token, &create)).collect();
    let is_stored = |answer: &&Value| answer["data"]["createPost"]["post"]["id"].is_string();
    let acknowledged = answers.iter().filter(is_stored).count();
    for refused in answers.iter().filter(|answer| !is_stored(answer)) {
        let error = &refused["errors"][0];
        assert_eq!(error["extensions"]["code"], "UNAVAILABLE", "{refused}");
        assert!(error["message"].as_str().unwrap().contains("disk is full"), "{refused}");
    }
    assert!((1..80).contains(&acknowledged), "{acknowledged} of 80");
    let count = "{ viewer { user { postsCount posts { totalCount } } } }";
    let user = service.post(token, count)["data"]["viewer"]["user"].clone();
    assert_eq!(
        user,
        json!({ "postsCount": acknowledged, "posts": { "totalCount": acknowledged } })
    );
    drop(service);

    // There is room again.
    let service = Server::start(&folder);
    let user = service.post(token, count)["data"]["viewer"]["user"].clone();
    assert_eq!(user["postsCount"], acknowledged);
    assert!(service.post(token, &create)["data"]["createPost"]["post"]["id"].is_string());
    drop(service);
    assert_eq!(printed(&folder, &["doctor"]), "all is well\n");
}

#[test]
fn the_password_in_an_address_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    for (url, reason) in [
        ("mysql://rookery:secret@localhost/rookery", "this one begins with 'mysql'"),
        ("host=db user=rookery password=secret", "this one begins with 'something else'"),
        ("postgres://rookery:secret@127.0.0.1:1/rookery", "postgres://127.0.0.1:1/rookery: "),
        ("postgres://rookery:secret@[/rookery", "cannot be read: not of the form postgres://"),
    ] {
        for command in ["serve", "doctor"] {
            let quick = ["--database-url", url, "--database-acquire-timeout", "1"];
            let complaint = complaint(&run(&folder, &[&[command], &quick[..]].concat()));
            assert!(complaint.contains(reason), "{complaint}");
            assert!(!complaint.contains("secret"), "{complaint}");
        }
    }
}

/// Each variable that `--help` names, and its default.
fn variables_of_help(help: &str) -> BTreeMap<String, String> {
    let options = help.split("\n      --").filter_map(|option| option.split_once("[env: "));
    let variables = options.map(|(option, rest)| {
        // An address may be secret: help does not show what it is set to.
        let (name, rest) = rest.split_once(']').unwrap();
        let rest = rest.lines().next().unwrap_or_default().trim();
        // A value without a default must be given; what takes no value is off.
        let none = if option.lines().next().unwrap().contains('<') { "" } else { "false" };
        let default = rest.strip_prefix("[default: ").map_or(none, |default| default);
        let default = default.trim_end_matches(']').trim_matches('"');
        (name.trim_end_matches('=').to_owned(), default.to_owned())
    });
    variables.collect()
}

#[test]
fn env_example_names_every_variable() {
    let folder = tempfile::tempdir().unwrap();
    let commands: [&[&str]; 9] = [
        &["serve"],
        &["seed"],
        &["migrate", "up"],
        &["migrate", "down"],
        &["import", "edges"],
        &["import", "posts"],
        &["token", "create"],
        &["copy"],
        &["doctor"],
    ];
    let mut help = BTreeMap::new();
    for command in commands {
        let text = printed(&folder, &[command, &["--help"]].concat());
        let options = text.lines().filter(|line| line.trim_start().starts_with("--")).count();
        let of_command = variables_of_help(&text);
        assert_eq!(of_command.len(), options, "each option has a variable:\n{text}");
        help.extend(of_command);
    }
    let file = fs::read_to_string(Path::new(ROOT).join(".env.example")).unwrap();
    let entries = file.split("\n\n").skip(1).map(|entry| {
        let (meaning, setting) = entry.trim_end().split_once("\n# ").unwrap();
        assert!(meaning.starts_with("# ") && meaning.len() > 10, "{entry}");
        let (name, default) = setting.split_once('=').unwrap();
        (name.to_owned(), default.to_owned())
    });
    let example: BTreeMap<String, String> = entries.collect();
    assert_eq!(example, help, ".env.example and the commands' help differ");

    let mut serve = rookery(&folder, &["serve", "--database-url", "sqlite://no/rookery.db"]);
    let output = serve.args(["--listen", "127.0.0.1:0"]).envs(&example).output().unwrap();
    let understood = complaint(&output);
    assert!(understood.starts_with("cannot create the lock file"), "{understood}");
}
