//! The SDL compared with the released one.
//!
//! Nothing that clients use may be missing or different.

use std::collections::BTreeSet;
use std::fs;

use async_graphql::Positioned;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    ConstDirective, FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition,
};

const RELEASED: &str = ".ci/contract/released.graphql";

#[test]
fn nothing_of_the_released_sdl_is_missing_or_different() {
    let released = definitions(&fs::read_to_string(RELEASED).unwrap());
    let current = definitions(&fs::read_to_string("schema.graphql").unwrap());
    assert!(released.len() > 300, "only {} definitions were read", released.len());
    let missing = released.difference(&current);
    let missing: Vec<_> = missing.filter(|released| !is_optional_now(released, &current)).collect();
    assert!(missing.is_empty(), "missing or different since the release: {missing:#?}");
}

#[test]
fn a_changed_type_default_or_directive_is_a_difference() {
    let sdl = |field: &str| definitions(&format!("type Query {{ {field} }}"));
    let released = sdl("users(first: Int = 20): [String!]! @deprecated");
    for changed in [
        "users(first: Int = 20): [String]! @deprecated",
        "users(first: Int = 10): [String!]! @deprecated",
        "users(first: Int! = 20): [String!]! @deprecated",
        "users(first: Int = 20): [String!]!",
        "users: [String!]! @deprecated",
        "user(first: Int = 20): [String!]! @deprecated",
    ] {
        assert!(!released.is_subset(&sdl(changed)), "{changed}");
    }
    let described =
        "\"\"\"Users.\"\"\" users(\"How many.\" first: Int = 20): [String!]! @deprecated";
    assert_eq!(released, sdl(described), "descriptions make no difference");
}

/// Whether a field of an input type was required and is optional now.
///
/// What clients send is still valid.
fn is_optional_now(released: &str, current: &BTreeSet<String>) -> bool {
    let Some((owner, _)) = released.split_once('.') else { return false };
    let optional = released.strip_suffix('!');
    current.contains(&format!("input {owner}"))
        && optional.is_some_and(|optional| current.contains(optional))
}

#[test]
fn a_required_input_field_may_become_optional_and_no_other_field() {
    let sdl = |field: &str| definitions(&format!("input A {{ {field} }} type B {{ {field} }}"));
    let is_allowed = |field: &str| is_optional_now(field, &sdl("a: Int"));
    assert!(is_allowed("A.a: Int!"));
    for other in ["B.a: Int!", "A.a: Int", "A.a: [Int]", "A.b: Int!"] {
        assert!(!is_allowed(other), "{other}");
    }
}

/// Each type, field, argument and enum value as a text without descriptions.
fn definitions(sdl: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for definition in parse_schema(sdl).unwrap().definitions {
        let TypeSystemDefinition::Type(ty) = definition else {
            all.insert(format!("{definition:?}").split("pos: ").next().unwrap().to_owned());
            continue;
        };
        let (name, directives) = (ty.node.name.node, directives(&ty.node.directives));
        let (kind, implements, members) = match ty.node.kind {
            TypeKind::Scalar => ("scalar", vec![], vec![]),
            TypeKind::Object(object) => ("type", object.implements, fields(&object.fields)),
            TypeKind::Interface(it) => ("interface", it.implements, fields(&it.fields)),
            TypeKind::Union(union) => ("union", union.members, vec![]),
            TypeKind::Enum(values) => ("enum", vec![], {
                let values = values.values.iter().map(|value| &value.node);
                values
                    .map(|value| format!("{}{}", value.value, self::directives(&value.directives)))
                    .collect()
            }),
            TypeKind::InputObject(input) => {
                ("input", vec![], { input.fields.iter().map(input_value).collect() })
            }
        };
        all.insert(format!("{kind} {name}{directives}"));
        all.extend(implements.iter().map(|other| format!("{kind} {name}: {}", other.node)));
        all.extend(members.iter().map(|member| format!("{name}.{member}")));
    }
    all
}

/// Each field with its type, and each of its arguments.
fn fields(fields: &[Positioned<FieldDefinition>]) -> Vec<String> {
    let fields = fields.iter().map(|field| &field.node);
    fields
        .flat_map(|field| {
            let name = &field.name.node;
            let own = format!("{name}: {}{}", field.ty.node, directives(&field.directives));
            let arguments = field.arguments.iter().map(input_value);
            let arguments = arguments.map(move |argument| format!("{name}({argument})"));
            std::iter::once(own).chain(arguments).collect::<Vec<_>>()
        })
        .collect()
}

fn input_value(value: &Positioned<InputValueDefinition>) -> String {
    let value = &value.node;
    let default = value.default_value.as_ref().map(|default| format!(" = {}", default.node));
    let (name, ty) = (&value.name.node, &value.ty.node);
    format!("{name}: {ty}{}{}", default.unwrap_or_default(), directives(&value.directives))
}

fn directives(all: &[Positioned<ConstDirective>]) -> String {
    let texts = all.iter().map(|directive| {
        let arguments = directive.node.arguments.iter();
        let arguments = arguments.map(|(name, value)| format!("{}: {}", name.node, value.node));
        format!(" @{}({})", directive.node.name.node, arguments.collect::<Vec<_>>().join(", "))
    });
    texts.collect()
}
