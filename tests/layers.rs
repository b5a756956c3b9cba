//! Who may import whom. Reads the paths in every source file and names each one that points the wrong
//! way, with its file and line. `docs/architecture.md` tells why the arrows are as they are.

use std::fs;
use std::path::{Path, PathBuf};

/// Each top-level module, and the others that it may name.
const ALLOWED: [(&str, &str); 19] = [
    ("main", "app command config database schema telemetry"),
    ("command", "app auth config database error graph http key schema"),
    ("app", "auth budget config database graph http key live schema"),
    ("http", "auth budget config database error place schema trace"),
    ("schema", "auth budget database error graph id key live loader page trace"),
    ("live", "auth database error loader place"),
    ("graph", "auth database error key page"),
    ("loader", "database error key page"),
    ("auth", "database error key"),
    ("budget", "auth error"),
    ("config", ""),
    ("database", "config error id key page trace"),
    ("error", "database id key page"),
    ("id", "database error key page"),
    ("key", "database error id page"),
    ("page", "database error id key"),
    ("place", ""),
    ("trace", ""),
    ("telemetry", "config"),
];

/// Words that the files under a folder never say.
const UNSPEAKABLE: [(&str, &str); 4] = [
    ("src/schema", "sea_orm"),
    ("migration/src", "entity"),
    ("migration/src", "async_graphql"),
    ("entity/src", "async_graphql"),
];

/// Rooms that nobody can know are too large.
#[test]
fn files_are_short() {
    let files = ["src", "entity/src", "migration/src"].iter().flat_map(read);
    let long = files.filter(|(_, code)| code.lines().count() > 400);
    let long: Vec<_> = long.map(|(file, _)| file).collect();
    assert!(long.is_empty(), "more than 400 lines: {long:?}");
}

#[test]
fn every_import_points_down() {
    let mut wrong = Vec::new();
    for (file, code) in ["src", "entity/src", "migration/src"].iter().flat_map(read) {
        let mut refuse = |at: usize, what: &str| {
            let line = code[..at].matches('\n').count() + 1;
            wrong.push(format!("{}:{line}: {what}", file.display()));
        };
        for (folder, word) in UNSPEAKABLE.iter().filter(|(folder, _)| file.starts_with(folder)) {
            words(&code, word).for_each(|at| refuse(at, &format!("{folder} never names {word}")));
        }
        let Ok(inside) = file.strip_prefix("src") else { continue };
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if !["schema", "http"].contains(&module) {
            let message = "only schema and http name async_graphql";
            words(&code, "async_graphql").for_each(|at| refuse(at, message));
        }
        let (_, allowed) = ALLOWED.iter().find(|(name, _)| *name == module).unwrap_or(&("", ""));
        for (at, name) in named(&code, "crate::").chain(named(&code, "rookery::")) {
            if name != module && !allowed.split(' ').any(|allowed| allowed == name) {
                refuse(at, &format!("{module} does not import {name}"));
            }
        }
        let siblings = named(&code, "super::").chain(named(&code, "crate::graph::"));
        for (at, name) in siblings.filter(|_| module == "graph") {
            if name != "text" && Path::new("src/graph").join(name).with_extension("rs").exists() {
                refuse(at, &format!("files of graph do not import each other ({name})"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that are not allowed:\n{}", wrong.join("\n"));
}

/// All files below a folder, without comments and test modules; lines stay where they are.
fn read(folder: impl AsRef<Path>) -> Vec<(PathBuf, String)> {
    let paths = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files = Vec::new();
    for path in paths.filter(|path| !path.ends_with("tests.rs")) {
        if path.is_dir() {
            files.extend(read(&path));
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().lines();
            let code = code.map(|line| line.split("//").next().unwrap().to_owned() + "\n");
            files.push((path, code.collect()));
        }
    }
    files
}

/// Where a whole word stands.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |next: Option<char>| next.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let after = code[at + word.len()..].chars().next();
        !part(code[..*at].chars().next_back()) && (word.ends_with(':') || !part(after))
    })
}

/// The names that follow a prefix such as `crate::`, be it one or several in braces.
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
