//! Each limit, and the bombs it is there for.

use std::fmt::Write as _;

use async_graphql::parser::types::{OperationType, Selection};
use async_graphql_value::Value;
use clap::{Args, Command, FromArgMatches as _};

use super::*;

fn limits() -> Limits {
    let command = Limits::augment_args(Command::new("test"));
    Limits::from_arg_matches(&command.get_matches_from(["test"])).unwrap()
}

fn verdict(document: &str) -> Result<OperationType, String> {
    match admit(document, None, &limits()) {
        Ok(admitted) => Ok(admitted.operation.ty),
        Err(error) => Err(code_of(&error).unwrap().to_owned() + ": " + &error.message),
    }
}

fn refused(document: &str, with: &str) {
    let verdict = verdict(document);
    assert!(verdict.as_ref().is_err_and(|error| error.starts_with(with)), "{verdict:?}");
}

use crate::schema::code_of;

#[test]
fn fragment_bombs_are_measured_not_walked() {
    for (levels, spreads) in [(24, 2), (60, 2), (9, 10), (60, 60)] {
        let mut bomb = String::from("{ ...f0 }");
        for level in 0..levels {
            let next = format!(" ...f{}", level + 1).repeat(spreads);
            write!(bomb, " fragment f{level} on Query {{ {next} }}").unwrap();
        }
        write!(bomb, " fragment f{levels} on Query {{ viewer {{ email }} }}").unwrap();
        refused(&bomb, "QUERY_TOO_COMPLEX");
    }
}

#[test]
fn bombs_without_a_field_are_bombs() {
    for leaf in ["...nope", "... { ...nope }", "... on User @include(if: true) { ...nope }"] {
        let mut bomb = String::new();
        for level in 0..28 {
            write!(bomb, "fragment f{level} on User {{ ...f{0} ...f{0} }} ", level + 1).unwrap();
        }
        write!(bomb, "fragment f28 on User {{ {leaf} }} {{ viewer {{ user {{ ...f0 }} }} }}")
            .unwrap();
        refused(&bomb, "GRAPHQL_VALIDATION_FAILED: The fragment \"nope\" does not exist.");
        let empty = bomb.replace(leaf, "... { ...e }") + " fragment e on User { id }";
        refused(&empty, "QUERY_TOO_COMPLEX");
    }
}

/// Shallow wherever it is written down, and deeper than any stack when it is written out.
#[test]
fn chains_of_fragments_are_not_followed_to_their_end() {
    for (fragments, levels) in [(62, 20), (20, 48), (62, 2), (2, 48)] {
        for open in ["... { ", "user { "] {
            let inside =
                |next: &str| format!("{}{next}{}", open.repeat(levels), "}".repeat(levels));
            let mut forwards = Vec::new();
            for n in 0..fragments {
                let next =
                    if n + 1 < fragments { format!("...f{}", n + 1) } else { "id".to_owned() };
                forwards.push(format!("fragment f{n} on User {{ {} }} ", inside(&next)));
            }
            let query = "{ viewer { user { ...f0 } } } ";
            let refused = |text: String| {
                let text = text.chars().filter(|c| *c != '\n').collect::<String>();
                let limits = Limits { max_document: 1_000_000, ..limits() };
                let admitted = admit(&text, None, &limits);
                let steps = fragments * levels;
                assert_eq!(
                    admitted.is_err(),
                    steps > 120 || open != "... { ",
                    "{fragments} {levels}"
                );
            };
            refused(forwards.concat() + query);
            forwards.reverse();
            refused(query.to_owned() + &forwards.concat());
        }
    }
}

#[test]
fn a_schema_is_asked_about_itself_a_few_times() {
    let ask = |times: usize| {
        let one = |n| format!("a{n}: __schema {{ types {{ name }} }} ");
        format!("{{ {} }}", (0..times).map(one).collect::<String>())
    };
    assert!(verdict(&ask(4)).is_ok());
    refused(&ask(5), "QUERY_TOO_COMPLEX");
    assert!(verdict(&format!("{{ {} }}", "__typename ".repeat(20))).is_ok());
}

#[test]
fn a_subscription_has_its_field_at_its_root() {
    for inside in ["...f", "... { timelineEvents { __typename } }"] {
        let fragment = "fragment f on Subscription { timelineEvents { __typename } }";
        refused(
            &format!("subscription {{ {inside} }} {fragment}"),
            "GRAPHQL_VALIDATION_FAILED: Write",
        );
    }
    assert_eq!(
        verdict(
            "subscription { timelineEvents { ...f } } fragment f on TimelineEvent { __typename }"
        ),
        Ok(OperationType::Subscription)
    );
}

#[test]
fn cycles_are_refused_used_or_not() {
    refused(
        "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
        "GRAPHQL_VALIDATION_FAILED",
    );
    refused("{ viewer { email } } fragment a on Query { ...a }", "GRAPHQL_VALIDATION_FAILED");
}

#[test]
fn introspection_does_not_go_round_in_circles() {
    let once = "{ __type(name: \"Node\") { possibleTypes { interfaces { name } } } }";
    assert_eq!(verdict(once), Ok(OperationType::Query));
    let message = "QUERY_TOO_COMPLEX: The document has more levels of introspection";
    refused(&once.replace("name }", "possibleTypes { name } }"), message);
    let spread = "fragment f on __Type { fields { name } }";
    refused(&format!("{} {spread}", once.replace("name }", "...f }")), message);
}

#[test]
fn floods_are_refused() {
    let flood = |what: &str, times| format!("{{ {} }}", what.repeat(times));
    refused(&flood("a: viewer { email } ", 31), "QUERY_TOO_COMPLEX");
    refused(&flood("viewer { email } ", 21), "QUERY_TOO_COMPLEX");
    assert!(verdict(&format!("{{ {}: viewer {{ email }} }}", "a".repeat(128))).is_ok());
    refused(
        &format!("{{ {}: viewer {{ email }} }}", "a".repeat(129)),
        "QUERY_TOO_COMPLEX: The document has more bytes of an alias",
    );
    refused(&format!("{{ viewer {{ {} }} }}", "email ".repeat(1_000)), "QUERY_TOO_COMPLEX");
    refused(
        &format!("{{ viewer {} {{ email }} }}", "@include(if: true) ".repeat(51)),
        "QUERY_TOO_COMPLEX",
    );
    refused(
        &format!("{}{}", "{ a ".repeat(17), "}".repeat(17)),
        "QUERY_TOO_COMPLEX: The document has more levels than",
    );
    refused(
        &"query q { viewer { email } } ".repeat(65).replace("q {", "q{"),
        "GRAPHQL_PARSE_FAILED",
    );
    let many: String = (0..65).fold(String::new(), |mut text, n| {
        write!(text, "query q{n} {{ viewer {{ email }} }} ").unwrap();
        text
    });
    refused(&many, "QUERY_TOO_COMPLEX: The document has more definitions");
    refused(
        &format!("{{ viewer {{ email }} }} #{}", "x".repeat(16_384)),
        "QUERY_TOO_COMPLEX: The document has more bytes",
    );
}

#[test]
fn deep_brackets_never_reach_the_parser() {
    for bracket in ["[", "{", "(", "{a", "{a(b:[", "[{a:"] {
        let deep = bracket.repeat(16_000 / bracket.len());
        refused(&deep, "QUERY_TOO_COMPLEX: The document has more levels of brackets");
        refused(
            &format!("{{ nodes(ids: {deep}"),
            "QUERY_TOO_COMPLEX: The document has more levels of brackets",
        );
    }
}

#[test]
fn brackets_in_strings_and_comments_do_not_count() {
    let brackets = "[".repeat(200);
    for text in [
        format!("{{ user(by: {{username: \"{brackets}\\\"{brackets}\"}}) {{ id }} }}"),
        format!(
            "{{ user(by: {{username: \"\"\"{brackets}\\\"\"\"\" {brackets}\"\"\"}}) {{ id }} }}"
        ),
        format!("{{ viewer {{ email }} }} # {brackets}"),
    ] {
        assert_eq!(verdict(&text), Ok(OperationType::Query), "{text}");
    }
    assert_eq!(nesting("{ a(b: \"never ends [[["), 5);
    assert_eq!(nesting("\"\\"), 0);
}

/// Whatever quotes, escapes and line ends stand before them: brackets are counted that the parser goes into.
#[test]
fn no_quote_hides_brackets_from_the_count() {
    let deep = format!("{}{}", "[".repeat(MAX_NESTING + 1), "]".repeat(MAX_NESTING + 1));
    let pieces = ["\"", "\"\"\"", "\\", "\n", "#", "x", &deep];
    let (mut tried, mut read) = (0, 0);
    for number in 0..pieces.len().pow(5) {
        let part = |at: u32| pieces[number / pieces.len().pow(at) % pieces.len()];
        let parts: String = (0..5).map(part).collect();
        if !parts.contains('[') {
            continue;
        }
        let text = format!("{{ nodes(ids: [{parts}]) {{ id }} }}");
        tried += 1;
        let Ok(document) = super::read(&text, &limits()) else { continue };
        read += 1;
        let (_, operation) = document.operations.iter().next().unwrap();
        let Selection::Field(field) = &operation.node.selection_set.node.items[0].node else {
            unreachable!("{text}")
        };
        let mut values: Vec<_> = field.node.arguments.iter().map(|(_, v)| (&v.node, 0)).collect();
        while let Some((value, level)) = values.pop() {
            assert!(level < MAX_NESTING, "{text}");
            if let Value::List(all) = value {
                values.extend(all.iter().map(|value| (value, level + 1)));
            }
        }
    }
    assert!(read > 100 && read < tried, "{read} of {tried} were read");
}

#[test]
fn the_operation_is_the_selected_one() {
    let both = "query q { viewer { email } } mutation m { logout { changed } }";
    assert!(verdict(both).unwrap_err().starts_with("GRAPHQL_VALIDATION_FAILED"));
    let of = |name| admit(both, Some(name), &limits()).map(|admitted| admitted.operation.ty);
    assert_eq!(of("q").unwrap(), OperationType::Query);
    assert_eq!(of("m").unwrap(), OperationType::Mutation);
    assert!(of("x").is_err());
    assert!(admit("{ viewer { email } }", Some("x"), &limits()).is_err());
}
