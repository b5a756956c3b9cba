//! The limits of documents, and the attacks that each limit stops.

use std::fmt::Write as _;

use async_graphql::parser::types::{OperationType, Selection};
use async_graphql_value::Value;
use clap::{Args, Command, FromArgMatches as _};

use super::*;
use crate::schema::code_of;

fn limits() -> Limits {
    let command = Limits::augment_args(Command::new("test"));
    Limits::from_arg_matches(&command.get_matches_from(["test"])).unwrap()
}

fn check(document: &str) -> Result<OperationType, String> {
    match parse_and_select(document, None, &limits()) {
        Ok(parsed) => Ok(parsed.operation.ty),
        Err(error) => Err(code_of(&error).unwrap().to_owned() + ": " + &error.message),
    }
}

fn assert_rejected(document: &str, error: &str) {
    let result = check(document);
    assert!(result.as_ref().is_err_and(|actual| actual.starts_with(error)), "{result:?}");
}

#[test]
fn fragment_bombs_are_rejected_in_linear_time() {
    for (levels, spreads) in [(24, 2), (60, 2), (9, 10), (60, 60)] {
        let mut bomb = String::from("{ ...f0 }");
        for level in 0..levels {
            let next = format!(" ...f{}", level + 1).repeat(spreads);
            write!(bomb, " fragment f{level} on Query {{ {next} }}").unwrap();
        }
        write!(bomb, " fragment f{levels} on Query {{ viewer {{ email }} }}").unwrap();
        assert_rejected(&bomb, "QUERY_TOO_COMPLEX");
    }
}

#[test]
fn fragment_bombs_without_fields_are_rejected() {
    for leaf in ["...nope", "... { ...nope }", "... on User @include(if: true) { ...nope }"] {
        let mut bomb = String::new();
        for level in 0..28 {
            write!(bomb, "fragment f{level} on User {{ ...f{0} ...f{0} }} ", level + 1).unwrap();
        }
        write!(bomb, "fragment f28 on User {{ {leaf} }} {{ viewer {{ user {{ ...f0 }} }} }}")
            .unwrap();
        let error = "GRAPHQL_VALIDATION_FAILED: The fragment \"nope\" does not exist.";
        assert_rejected(&bomb, error);
        let empty = bomb.replace(leaf, "... { ...e }") + " fragment e on User { id }";
        assert_rejected(&empty, "QUERY_TOO_COMPLEX");
    }
}

/// Each fragment is shallow, but the expanded document is deeper than the stack.
#[test]
fn chains_of_fragments_are_limited_by_their_expanded_depth() {
    for (fragments, levels) in [(62, 20), (20, 48), (62, 2), (2, 48)] {
        for open in ["... { ", "user { "] {
            let nested =
                |next: &str| format!("{}{next}{}", open.repeat(levels), "}".repeat(levels));
            let mut chain = Vec::new();
            for n in 0..fragments {
                let next =
                    if n + 1 < fragments { format!("...f{}", n + 1) } else { "id".to_owned() };
                chain.push(format!("fragment f{n} on User {{ {} }} ", nested(&next)));
            }
            let query = "{ viewer { user { ...f0 } } } ";
            let assert_limited = |text: String| {
                let text = text.chars().filter(|c| *c != '\n').collect::<String>();
                let limits = Limits { max_document_bytes: 1_000_000, ..limits() };
                let result = parse_and_select(&text, None, &limits);
                let depth = fragments * levels;
                assert_eq!(
                    result.is_err(),
                    depth > 120 || open != "... { ",
                    "{fragments} fragments of {levels} levels"
                );
            };
            assert_limited(chain.concat() + query);
            chain.reverse();
            assert_limited(query.to_owned() + &chain.concat());
        }
    }
}

#[test]
fn number_of_introspection_fields_is_limited() {
    let introspect = |times: usize| {
        let field = |n| format!("a{n}: __schema {{ types {{ name }} }} ");
        format!("{{ {} }}", (0..times).map(field).collect::<String>())
    };
    assert!(check(&introspect(4)).is_ok());
    assert_rejected(
        &introspect(5),
        "QUERY_TOO_COMPLEX: The document has more than 4 introspection fields.",
    );
    assert!(check(&format!("{{ {} }}", "__typename ".repeat(20))).is_ok());
}

#[test]
fn root_field_of_a_subscription_must_not_be_in_a_fragment() {
    for root in ["...f", "... { timelineEvents { __typename } }"] {
        let fragment = "fragment f on Subscription { timelineEvents { __typename } }";
        assert_rejected(
            &format!("subscription {{ {root} }} {fragment}"),
            "GRAPHQL_VALIDATION_FAILED: The root field of a subscription",
        );
    }
    assert_eq!(
        check(
            "subscription { timelineEvents { ...f } } fragment f on TimelineEvent { __typename }"
        ),
        Ok(OperationType::Subscription)
    );
}

#[test]
fn fragment_cycles_are_rejected_even_if_unused() {
    assert_rejected(
        "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
        "GRAPHQL_VALIDATION_FAILED",
    );
    assert_rejected(
        "{ viewer { email } } fragment a on Query { ...a }",
        "GRAPHQL_VALIDATION_FAILED",
    );
}

#[test]
fn depth_of_introspection_lists_is_limited() {
    let allowed = "{ __type(name: \"Node\") { possibleTypes { interfaces { name } } } }";
    assert_eq!(check(allowed), Ok(OperationType::Query));
    let error =
        "QUERY_TOO_COMPLEX: The document has more than 2 levels of nested introspection lists.";
    assert_rejected(&allowed.replace("name }", "possibleTypes { name } }"), error);
    let fragment = "fragment f on __Type { fields { name } }";
    assert_rejected(&format!("{} {fragment}", allowed.replace("name }", "...f }")), error);
}

#[test]
fn floods_are_rejected() {
    let flood = |what: &str, times| format!("{{ {} }}", what.repeat(times));
    assert_rejected(
        &flood("a: viewer { email } ", 31),
        "QUERY_TOO_COMPLEX: The document has more than 30 aliases.",
    );
    assert_rejected(
        &flood("viewer { email } ", 21),
        "QUERY_TOO_COMPLEX: The document has more than 20 root fields.",
    );
    assert!(check(&format!("{{ {}: viewer {{ email }} }}", "a".repeat(128))).is_ok());
    assert_rejected(
        &format!("{{ {}: viewer {{ email }} }}", "a".repeat(129)),
        "QUERY_TOO_COMPLEX: The document has more than 128 bytes in an alias.",
    );
    assert_rejected(
        &format!("{{ viewer {{ {} }} }}", "email ".repeat(1_000)),
        "QUERY_TOO_COMPLEX: The document has more than 1000 fields, fragment spreads and inline \
         fragments.",
    );
    assert_rejected(
        &format!("{{ viewer {} {{ email }} }}", "@include(if: true) ".repeat(51)),
        "QUERY_TOO_COMPLEX: The document has more than 50 directives.",
    );
    assert_rejected(
        &format!("{}{}", "{ a ".repeat(17), "}".repeat(17)),
        "QUERY_TOO_COMPLEX: The document has more than 16 levels of nested fields.",
    );
    assert_rejected(
        &"query q { viewer { email } } ".repeat(65).replace("q {", "q{"),
        "GRAPHQL_PARSE_FAILED",
    );
    let many: String = (0..65).fold(String::new(), |mut text, n| {
        write!(text, "query q{n} {{ viewer {{ email }} }} ").unwrap();
        text
    });
    assert_rejected(&many, "QUERY_TOO_COMPLEX: The document has more than 64 definitions.");
    assert_rejected(
        &format!("{{ viewer {{ email }} }} #{}", "x".repeat(16_384)),
        "QUERY_TOO_COMPLEX: The document has more than 16384 bytes.",
    );
}

#[test]
fn deeply_nested_brackets_are_rejected_before_parsing() {
    let error = "QUERY_TOO_COMPLEX: The document has more than 96 levels of nested brackets.";
    for bracket in ["[", "{", "(", "{a", "{a(b:[", "[{a:"] {
        let deep = bracket.repeat(16_000 / bracket.len());
        assert_rejected(&deep, error);
        assert_rejected(&format!("{{ nodes(ids: {deep}"), error);
    }
}

#[test]
fn brackets_in_strings_and_comments_are_not_counted() {
    let brackets = "[".repeat(200);
    for text in [
        format!("{{ user(by: {{username: \"{brackets}\\\"{brackets}\"}}) {{ id }} }}"),
        format!(
            "{{ user(by: {{username: \"\"\"{brackets}\\\"\"\"\" {brackets}\"\"\"}}) {{ id }} }}"
        ),
        format!("{{ viewer {{ email }} }} # {brackets}"),
    ] {
        assert_eq!(check(&text), Ok(OperationType::Query), "{text}");
    }
    assert_eq!(nesting("{ a(b: \"unterminated [[["), 5);
    assert_eq!(nesting("\"\\"), 0);
}

/// Compares the count of brackets with the parser.
///
/// Each sequence of five pieces that may confuse the count is tried.
#[test]
fn no_quote_hides_brackets_from_the_count() {
    let deep =
        format!("{}{}", "[".repeat(MAX_BRACKET_DEPTH + 1), "]".repeat(MAX_BRACKET_DEPTH + 1));
    let pieces = ["\"", "\"\"\"", "\\", "\n", "#", "x", &deep];
    let (mut tried, mut parsed) = (0, 0);
    for number in 0..pieces.len().pow(5) {
        let piece = |at: u32| pieces[number / pieces.len().pow(at) % pieces.len()];
        let sequence: String = (0..5).map(piece).collect();
        if !sequence.contains('[') {
            continue;
        }
        let text = format!("{{ nodes(ids: [{sequence}]) {{ id }} }}");
        tried += 1;
        let Ok(document) = parse_and_check(&text, &limits()) else { continue };
        parsed += 1;
        let (_, operation) = document.operations.iter().next().unwrap();
        let Selection::Field(field) = &operation.node.selection_set.node.items[0].node else {
            unreachable!("{text}")
        };
        let mut values: Vec<_> = field.node.arguments.iter().map(|(_, v)| (&v.node, 0)).collect();
        while let Some((value, level)) = values.pop() {
            assert!(level < MAX_BRACKET_DEPTH, "{text}");
            if let Value::List(items) = value {
                values.extend(items.iter().map(|value| (value, level + 1)));
            }
        }
    }
    assert!(parsed > 100 && parsed < tried, "{parsed} of {tried} were parsed");
}

#[test]
fn operation_is_selected_by_name() {
    let two = "query q { viewer { email } } mutation m { logout { changed } }";
    assert!(check(two).unwrap_err().starts_with("GRAPHQL_VALIDATION_FAILED"));
    let select =
        |name| parse_and_select(two, Some(name), &limits()).map(|parsed| parsed.operation.ty);
    assert_eq!(select("q").unwrap(), OperationType::Query);
    assert_eq!(select("m").unwrap(), OperationType::Mutation);
    assert!(select("x").is_err());
    assert!(parse_and_select("{ viewer { email } }", Some("x"), &limits()).is_err());
}
