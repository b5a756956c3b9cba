//! Documents and their normal forms.

use async_graphql::parser::types::{Selection, SelectionSet};
use serde_json::{Value, json};

use crate::graphql::document::{DocumentSchema, ValidOperation};
use crate::graphql::test_limits;

const SDL: &str = "
    type Query { me: User node: Node named: Named either: Either
        users(ids: [ID!], n: Int! = 3, by: By): [User!]! }
    input By { id: ID name: String }
    interface Node { id: ID! }
    interface Named implements Node { id: ID! name: String }
    union Either = User | Page
    type User implements Node & Named { id: ID! name: String! friend: User node: Node }
    type Page implements Node { id: ID! text: String }";

/// The normal form of a document as text.
fn normalise(document: &str, variables: Value) -> String {
    let schema = DocumentSchema::from_sdl(SDL).unwrap();
    let document = schema.validate(document, &test_limits()).unwrap();
    let operation = ValidOperation::select(document, None).unwrap();
    let variables = serde_json::from_value(variables).unwrap();
    let values = operation.coerce(&schema, variables).unwrap();
    let form = operation.normal_form(&schema, &values).document(&values);
    let (_, operation) = form.operations.iter().next().unwrap();
    print(&operation.node.selection_set.node)
}

fn print(set: &SelectionSet) -> String {
    let item = |selection: &Selection| match selection {
        Selection::Field(field) => {
            let field = &field.node;
            let alias = field.alias.as_ref().map(|alias| format!("{alias}: ")).unwrap_or_default();
            let arguments = field.arguments.iter().map(|(name, value)| format!("{name}: {value}"));
            let arguments = arguments.collect::<Vec<_>>().join(", ");
            let arguments = if arguments.is_empty() { arguments } else { format!("({arguments})") };
            let below = &field.selection_set.node;
            let below =
                if below.items.is_empty() { String::new() } else { format!(" {}", print(below)) };
            format!("{alias}{}{arguments}{below}", field.name)
        }
        Selection::InlineFragment(fragment) => {
            let condition = fragment.node.type_condition.as_ref().unwrap();
            format!("... on {} {}", condition.node.on, print(&fragment.node.selection_set.node))
        }
        Selection::FragmentSpread(spread) => unreachable!("{spread:?}"),
    };
    let items = set.items.iter().map(|selection| item(&selection.node));
    format!("{{ {} }}", items.collect::<Vec<_>>().join(" "))
}

#[test]
fn fields_are_merged_by_response_key() {
    for (document, expected) in [
        ("{ me { id } ... on Query { me { name id } } }", "{ me { id name } }"),
        ("{ a: me { id } me { id } a: me { name } }", "{ a: me { id name } me { id } }"),
        (
            "{ ...f me { friend { id } } } fragment f on Query { me { friend { ...g } } }
             fragment g on User { name ...h } fragment h on Node { id }",
            "{ me { friend { name id } } }",
        ),
        ("{ me { id @skip(if: true) name } }", "{ me { name } }"),
        ("{ me { id @skip(if: true) } }", "{ me { $type: __typename } }"),
        (
            "{ me { a: id b: name @include(if: false) ... @skip(if: false) { id } } }",
            "{ me { a: id id } }",
        ),
    ] {
        assert_eq!(normalise(document, json!({})), expected, "{document}");
    }
}

#[test]
fn selections_on_interfaces_and_unions_have_common_fields_and_a_fragment_for_each_type() {
    for (document, expected) in [
        ("{ node { id } }", "{ node { id } }"),
        ("{ node { ... on Node { id } __typename } }", "{ node { id __typename } }"),
        (
            "{ node { id ... on User { name } } }",
            "{ node { id ... on User { name } $type: __typename } }",
        ),
        (
            "{ node { t: __typename ... on User { name id } ... on Page { id text } } }",
            "{ node { t: __typename ... on User { name id } ... on Page { id text } } }",
        ),
        (
            "{ node { ... on User { node { ... on Page { text } } } id } }",
            "{ node { id ... on User { node { ... on Page { text } $type: __typename } } \
             $type: __typename } }",
        ),
        ("{ either { ... on Node { id } } }", "{ either { ... on Node { id } } }"),
        ("{ either { ... on Either { __typename } } }", "{ either { __typename } }"),
        ("{ either { ... on Page { text @skip(if: true) } } }", "{ either { $type: __typename } }"),
        ("{ named { name } }", "{ named { name } }"),
        (
            "{ named { ... on User { friend { id } } } }",
            "{ named { ... on User { friend { id } } } }",
        ),
        (
            "{ node { ... on Named { name } id } }",
            "{ node { id ... on User { name } $type: __typename } }",
        ),
    ] {
        assert_eq!(normalise(document, json!({})), expected, "{document}");
    }
}

#[test]
fn literals_are_values_and_arguments_of_absent_variables_are_left_out() {
    let document = "query ($n: Int = 4, $ids: [ID!], $name: String, $never: ID) {
        users(n: $n, ids: $ids, by: {id: $never, name: $name}) { id } }";
    for (document, variables, expected) in [
        ("{ users(ids: 1) { id } }", json!({}), "{ users(ids: [\"1\"]) { id } }"),
        (
            "{ users(ids: [1, \"b\"], by: {name: \"\"\"a\n  b\"\"\"}) { id } }",
            json!({}),
            "{ users(ids: [\"1\", \"b\"], by: {name: \"a\\nb\"}) { id } }",
        ),
        (document, json!({}), "{ users(n: $n, by: {}) { id } }"),
        (
            document,
            json!({ "ids": null, "name": null }),
            "{ users(n: $n, ids: $ids, by: {name: $name}) { id } }",
        ),
    ] {
        assert_eq!(normalise(document, variables), expected, "{document}");
    }
}
