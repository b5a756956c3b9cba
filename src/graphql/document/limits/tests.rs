//! The limits of documents, and the attacks that each limit stops.

use std::fmt::Write as _;

use crate::config::Limits;
use crate::graphql::document::{DocumentSchema, ValidDocument, ValidOperation};
use crate::graphql::test_limits;
use crate::schema;
use crate::schema::code_of;

fn validate(document: &str, limits: &Limits) -> Result<ValidDocument, String> {
    let schema = DocumentSchema::from_sdl(&schema::sdl()).unwrap();
    schema.validate(document, limits).map_err(|errors| {
        let error = errors.first().unwrap();
        format!("{}: {}", code_of(error).unwrap(), error.message)
    })
}

fn check(document: &str) -> Result<(), String> {
    validate(document, &test_limits()).map(drop)
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
        assert_rejected(&bomb, "QUERY_TOO_COMPLEX");
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
                let limits = Limits { max_document_bytes: 1_000_000, ..test_limits() };
                let result = validate(&text, &limits);
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
fn introspection_fields_are_limited_by_their_weight() {
    let introspect = |field: &str, times: usize| {
        let field = |n| format!("a{n}: {field} ");
        format!("{{ {} }}", (0..times).map(field).collect::<String>())
    };
    let error = "QUERY_TOO_COMPLEX: The document has more than 8 introspection fields.";
    for (field, max) in [("__schema { types { name } }", 4), ("__type(name: \"User\") { name }", 8)]
    {
        assert_eq!(check(&introspect(field, max)), Ok(()));
        assert_rejected(&introspect(field, max + 1), error);
    }
    assert_eq!(check(&format!("{{ {} }}", "__typename ".repeat(20))), Ok(()));
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

/// The validation of such fragments takes exponential time.
#[test]
fn fragments_that_spread_each_other_in_many_ways_are_rejected() {
    let levels = 14;
    let mut text = String::from("{ viewer { user { ...f0 } } }");
    for level in 0..levels {
        let spreads = [1, 3, 5].map(|step| format!("...f{}", (level + step) % levels));
        let [a, b, c] = spreads;
        write!(text, " fragment f{level} on User {{ x {{ {a} {b} }} y {{ {c} {a} }} }}").unwrap();
    }
    assert_rejected(
        &text,
        "GRAPHQL_VALIDATION_FAILED: Cannot spread fragment \"f0\" within itself.",
    );
}

/// Otherwise one of them would be measured and another one validated.
#[test]
fn fragments_with_the_same_name_are_rejected() {
    let chain = (0..40).fold(String::new(), |mut chain, n| {
        let nested = format!("{}...f{}{}", "...{".repeat(60), n + 1, "}".repeat(60));
        write!(chain, "fragment f{n} on User {{ {nested} }} ").unwrap();
        chain
    });
    let error = "GRAPHQL_VALIDATION_FAILED: There can be only one fragment named \"f0\".";
    let text = format!("{{ viewer {{ user {{ ...f0 }} }} }} {chain} fragment f0 on User {{ id }}");
    assert_rejected(&text, error);
}

#[test]
fn size_of_all_operations_and_number_of_values_are_limited() {
    let operations = |number: usize| {
        let fields = "id ".repeat(900);
        let operation = |n| format!("query q{n} {{ viewer {{ user {{ ...f }} }} }} ");
        let operations = (0..number).map(operation).collect::<Vec<_>>().concat();
        format!("{operations} fragment f on User {{ {fields} }}")
    };
    assert_eq!(check(&operations(2)), Ok(()));
    assert_rejected(
        &operations(3),
        "QUERY_TOO_COMPLEX: The document has more than 2000 fields, fragment spreads and inline \
         fragments in all operations.",
    );
    let values = |number: usize| format!("{{ nodes(ids: [{}]) {{ id }} }}", "1 ".repeat(number));
    assert_eq!(check(&values(499)), Ok(()));
    let error = "QUERY_TOO_COMPLEX: The document has more than 500 values in arguments.";
    assert_rejected(&values(500), error);
    let field = values(450).replace("{ nodes", "nodes").replace("} }", "}");
    assert_rejected(&format!("{{ {field} ... {{ {field} }} }}"), error);
}

#[test]
fn depth_of_introspection_lists_is_limited() {
    let allowed = "{ __type(name: \"Node\") { possibleTypes { interfaces { name } } } }";
    assert_eq!(check(allowed), Ok(()));
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

/// The parser recurses for each level, so it must stop before the stack ends.
#[test]
fn deeply_nested_brackets_are_rejected() {
    for bracket in ["[", "{", "(", "{a", "{a(b:[", "[{a:", "{...", "{a(b:{c:"] {
        let deep = bracket.repeat(16_000 / bracket.len());
        for document in
            [deep.clone(), format!("{{ nodes(ids: {deep}"), format!("query ($a: {deep}")]
        {
            let error = check(&document).unwrap_err();
            let is_refused = ["QUERY_TOO_COMPLEX", "GRAPHQL_PARSE_FAILED"];
            assert!(is_refused.iter().any(|code| error.starts_with(code)), "{error}");
        }
    }
    let lists = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!("{{ nodes(ids: {open}1{close}) {{ id }} }}")
    };
    assert!(check(&lists(20)).unwrap_err().starts_with("GRAPHQL_VALIDATION_FAILED"));
    let error = "QUERY_TOO_COMPLEX: The document has more than 96 levels of brackets.";
    assert_rejected(&lists(200), error);
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
        assert_eq!(check(&text), Ok(()), "{text}");
    }
}

#[test]
fn operation_is_selected_by_name() {
    let select = |text: &str, name: Option<&str>| {
        let document = validate(text, &test_limits()).unwrap();
        ValidOperation::select(document, name).map_err(|error| error.message)
    };
    let two = "query q { viewer { email } } mutation m { logout { changed } }";
    for name in ["q", "m"] {
        assert!(select(two, Some(name)).is_ok());
    }
    for (text, name) in [(two, None), (two, Some("x")), ("{ viewer { email } }", Some("x"))] {
        assert!(select(text, name).is_err(), "{name:?} of {text}");
    }
}
