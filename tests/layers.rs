//! The structure of the source: imports, file lengths, comment widths and words.
//!
//! A room is a top-level module of `src/`, which imports certain rooms and no others.
//! `docs/architecture.md` explains the rooms.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms that it imports: all of these and no others.
///
/// A file imports only from its own room and from rooms listed before it.
const ROOMS: [(&str, &str); 22] = [
    ("clock", ""),
    ("error", ""),
    ("retry", ""),
    ("words", ""),
    ("ids", "clock error"),
    ("config", ""),
    ("telemetry", "config"),
    ("limits", "config error"),
    ("database", "config error ids limits retry telemetry words"),
    ("pagination", "database error"),
    ("auth", "clock config database error ids limits"),
    ("mail", "auth clock config database error ids retry"),
    ("loaders", "clock database error ids pagination retry"),
    ("domain", "auth clock database error ids limits mail pagination retry words"),
    ("events", "auth clock database error loaders"),
    (
        "schema",
        "auth clock database domain error events ids limits loaders pagination retry telemetry",
    ),
    ("graphql", "auth config database domain error events limits loaders schema telemetry"),
    ("http", "auth clock config database error graphql limits schema telemetry"),
    ("app", "auth clock config database domain events graphql http ids limits mail telemetry"),
    ("command", "app auth clock config database domain error http ids limits telemetry"),
    ("lib", ""),
    ("main", "command config database schema telemetry"),
];

/// Words that the code below a folder never contains, and why.
const FORBIDDEN_WORDS: [(&str, &str, &str); 18] = [
    ("src", "Utc::now", "the system clock may jump; use clock::now"),
    ("src", "parse_query", "apollo-compiler parses requests"),
    ("src", "parse_schema", "apollo-compiler parses the schema"),
    ("src/graphql", "Strict", "async-graphql executes normal forms without validation"),
    ("src", "Request::from", "a request is a normal form, not a text"),
    ("src/loaders", ".transaction()", "a read says how many rows it looks up; use Snapshot::read"),
    ("src/domain", ".transaction()", "a read says how many rows it looks up"),
    ("src/auth", ".transaction()", "a read says how many rows it looks up"),
    ("src/events", ".transaction()", "a read says how many rows it looks up"),
    ("src/loaders", "all_unmetered", "a client pays for the read"),
    ("src/domain", "all_unmetered", "a client pays for the read"),
    ("src/auth", "all_unmetered", "a client pays for the read"),
    ("src/events", "all_unmetered", "a client pays for the read"),
    ("src/schema", "sea_orm", "the schema reads through loaders and the domain"),
    ("src/graphql", "axum", "the execution of operations knows no HTTP"),
    ("migration/src", "entity", "a migration does not change when an entity does"),
    ("migration/src", "async_graphql", "storage knows no GraphQL"),
    ("entity/src", "async_graphql", "storage knows no GraphQL"),
];

/// Words of earlier versions that have been replaced by standard terms.
///
/// See `docs/glossary.md`.
const RETIRED_NAMES: [&str; 28] = [
    "Admitted",
    "Asked",
    "Asker",
    "Audience",
    "Began",
    "Bell",
    "Budget",
    "Chapter",
    "Happening",
    "Known",
    "Moment",
    "News",
    "Noted",
    "Pace",
    "Patience",
    "Place",
    "Places",
    "Prompt",
    "Refusal",
    "Room",
    "Slice",
    "Spent",
    "Telling",
    "Told",
    "Turn",
    "Turns",
    "Unanswered",
    "Work",
];

/// Pronouns that hide the actor of a sentence.
const RETIRED_PHRASES: [&str; 9] = [
    "whoever",
    "whomever",
    "somebody",
    "anybody",
    "everybody",
    "nobody",
    "is told",
    "are told",
    "was told",
];

/// Folders and files whose prose is checked.
const PROSE: [&str; 12] = [
    "src",
    "entity/src",
    "migration/src",
    "tests",
    "docs",
    "examples",
    "web/src",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "schema.graphql",
    ".env.example",
];

/// Longest file in lines.
const MAX_LINES: usize = 400;

#[test]
fn files_are_short() {
    let folders = ["src", "entity/src", "migration/src", "tests", "examples"];
    let files = folders.iter().flat_map(|folder| files(Path::new(folder), &["rs"]));
    let lines = |file: &PathBuf| fs::read_to_string(file).unwrap().lines().count();
    let long: Vec<_> = files.filter(|file| lines(file) > MAX_LINES).collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines: {long:?}");
}

/// Widest comment in columns.
///
/// `cargo fmt` wraps code and leaves comments as they are.
const MAX_COLUMNS: usize = 100;

#[test]
fn comments_are_wrapped() {
    let folders = ["src", "entity/src", "migration/src", "tests", "examples", "benches"];
    let mut wide = Vec::new();
    for file in folders.iter().flat_map(|folder| files(Path::new(folder), &["rs"])) {
        for (index, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            if line.trim_start().starts_with("//") && line.chars().count() > MAX_COLUMNS {
                wide.push(format!("{}:{}", file.display(), index + 1));
            }
        }
    }
    assert!(wide.is_empty(), "more than {MAX_COLUMNS} columns:\n{}", wide.join("\n"));
}

/// Longest first line of a doc comment in characters, without its marker.
///
/// Documentation lists and `-h` show the first line alone.
const MAX_FIRST_LINE: usize = 80;

#[test]
fn doc_comments_start_with_a_short_line() {
    let folders = ["src", "entity/src", "migration/src", "tests", "examples", "benches", "fuzz"];
    let mut long = Vec::new();
    let mut lines = 0;
    for file in folders.iter().flat_map(|folder| files(Path::new(folder), &["rs"])) {
        let mut marker = None;
        for (index, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            let line = line.trim_start();
            let starts = ["///", "//!"].into_iter().find(|marker| line.starts_with(marker));
            let previous = std::mem::replace(&mut marker, starts);
            let is_first = starts.is_some() && starts != previous;
            lines += usize::from(is_first);
            if is_first && line[3..].trim().chars().count() > MAX_FIRST_LINE {
                long.push(format!("{}:{}", file.display(), index + 1));
            }
        }
    }
    assert!(lines > 1_000, "only {lines} comments were found");
    assert!(long.is_empty(), "more than {MAX_FIRST_LINE} characters:\n{}", long.join("\n"));
}

#[test]
fn rooms_import_exactly_the_listed_rooms() {
    let mut problems = Vec::new();
    let mut found = BTreeSet::new();
    for (file, code) in code("src") {
        let inside = file.strip_prefix("src").unwrap().iter().next().unwrap().to_str().unwrap();
        let room = inside.trim_end_matches(".rs");
        let Some(rank) = rank(room) else {
            problems.push(format!("{}: the room {room} is not listed", file.display()));
            continue;
        };
        for (at, name) in named(&code, "crate::").chain(named(&code, "rookery::")) {
            if name == room {
                continue;
            }
            found.insert((room.to_owned(), name.to_owned()));
            let is_listed = ROOMS[rank].1.split(' ').any(|listed| listed == name);
            if !is_listed || self::rank(name).is_none_or(|other| other > rank) {
                let line = line(&code, at);
                problems.push(format!("{}:{line}: {room} imports {name}", file.display()));
            }
        }
    }
    for (room, imports) in ROOMS {
        for import in imports.split(' ').filter(|import| !import.is_empty()) {
            if !found.contains(&(room.to_owned(), import.to_owned())) {
                problems.push(format!("{room} is listed to import {import}, but does not"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Files of the domain with parts that other nouns need.
const SHARED_PARTS: [&str; 12] = [
    "idempotency",
    "invite",
    "mail",
    "mark",
    "mention",
    "new_user",
    "notification",
    "pair",
    "password",
    "steps",
    "target_post",
    "validation",
];

#[test]
fn files_of_the_domain_do_not_import_each_other() {
    let mut problems = Vec::new();
    for (file, code) in code("src/domain").iter().filter(|(file, _)| !file.ends_with("mod.rs")) {
        for (at, name) in named(code, "super::").chain(named(code, "crate::domain::")) {
            let is_file = Path::new("src/domain").join(name).with_extension("rs").exists();
            if is_file && !SHARED_PARTS.contains(&name) {
                problems.push(format!("{}:{}: {name}", file.display(), line(code, at)));
            }
        }
    }
    assert!(problems.is_empty(), "imports between nouns:\n{}", problems.join("\n"));
}

#[test]
fn rooms_do_not_contain_what_they_must_not_know() {
    let mut problems = Vec::new();
    let mut check = |folder: &str, word: &str, why: &str| {
        for (file, code) in code(folder) {
            for at in words(&code, word) {
                let line = line(&code, at);
                problems.push(format!("{}:{line}: {word}: {why}", file.display()));
            }
        }
    };
    for (folder, word, why) in FORBIDDEN_WORDS {
        check(folder, word, why);
    }
    let below_schema = ROOMS.iter().map(|(room, _)| *room).take_while(|room| *room != "schema");
    for room in below_schema {
        check(&format!("src/{room}"), "async_graphql", "only schema and above know GraphQL");
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A resolver returns text as `Text` or `ShortText`, and never as a plain string.
///
/// The text becomes part of the response, whose memory is bounded. `Text` reserves this memory, and
/// `ShortText` says that the text is bounded. A plain string does neither.
#[test]
fn resolvers_return_texts_only_as_text() {
    let mut problems = Vec::new();
    for (file, code) in code("src/schema") {
        for (at, _) in code.match_indices("async fn ") {
            let signature = code[at..].split(['{', ';']).next().unwrap();
            let Some((_, returned)) = signature.rsplit_once("->") else { continue };
            if ["String", "str"].iter().any(|word| words(returned, word).next().is_some()) {
                let line = line(&code, at);
                problems.push(format!("{}:{line}: {}", file.display(), returned.trim()));
            }
        }
    }
    assert!(problems.is_empty(), "return Text or ShortText instead:\n{}", problems.join("\n"));
}

#[test]
fn retired_words_are_not_used() {
    let mut problems = Vec::new();
    for (file, code) in ["src", "entity/src"].iter().flat_map(code) {
        for name in RETIRED_NAMES {
            for at in words(&code, name) {
                problems.push(format!("{}:{}: {name}", file.display(), line(&code, at)));
            }
        }
    }
    let extensions = ["rs", "md", "graphql", "example", "js", "jsx", "toml"];
    for file in PROSE.iter().flat_map(|path| files(Path::new(path), &extensions)) {
        if file.ends_with("layers.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap().to_lowercase();
        for phrase in RETIRED_PHRASES {
            for at in words(&text, phrase) {
                problems.push(format!("{}:{}: {phrase}", file.display(), line(&text, at)));
            }
        }
    }
    assert!(problems.is_empty(), "use the standard term:\n{}", problems.join("\n"));
}

fn rank(room: &str) -> Option<usize> {
    ROOMS.iter().position(|(name, _)| *name == room)
}

fn line(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// All files below a path with one of these extensions, or the file itself.
fn files(path: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let has_extension = |file: &Path| {
        file.extension().is_some_and(|ending| extensions.iter().any(|known| ending == *known))
    };
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let Ok(entries) = fs::read_dir(path) else { return vec![] };
    let mut all = Vec::new();
    for entry in entries.map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            all.extend(files(&entry, extensions));
        } else if has_extension(&entry) {
            all.push(entry);
        }
    }
    all
}

/// The code of all files below a folder, without comments and unit tests.
///
/// Lines keep their numbers.
fn code(folder: impl AsRef<Path>) -> Vec<(PathBuf, String)> {
    let folder = folder.as_ref();
    let file = folder.with_extension("rs");
    let paths = if folder.is_dir() { files(folder, &["rs"]) } else { vec![file] };
    let paths = paths.into_iter().filter(|path| path.is_file() && !path.ends_with("tests.rs"));
    let without_comments = |text: &str| {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().lines();
        code.map(|line| line.split("//").next().unwrap().to_owned() + "\n").collect()
    };
    paths.map(|path| (path.clone(), without_comments(&fs::read_to_string(path).unwrap()))).collect()
}

/// The positions of a whole word.
fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |next: Option<char>| next.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let after = text[at + word.len()..].chars().next();
        !part(text[..*at].chars().next_back()) && (word.ends_with(':') || !part(after))
    })
}

/// The name, or the names in braces, that follow a prefix such as `crate::`.
fn named<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = (usize, &'a str)> + 'a {
    words(code, prefix).flat_map(move |at| {
        let rest = &code[at + prefix.len()..];
        let list = rest.strip_prefix('{').map(|list| list.split(';').next().unwrap());
        let mut depth = 0;
        let parts = list.unwrap_or(rest).split_inclusive(['{', '}', ',']).filter(move |part| {
            let outside = depth == 0;
            depth += part.matches('{').count();
            depth -= part.matches('}').count().min(depth);
            outside
        });
        let parts = parts.take(if list.is_some() { usize::MAX } else { 1 });
        let names = parts.map(|part| part.trim().split(|c: char| !c.is_alphanumeric() && c != '_'));
        names.map(move |mut words| (at, words.next().unwrap())).filter(|(_, name)| !name.is_empty())
    })
}
