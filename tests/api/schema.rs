//! The contract itself: `schema.graphql` is what the service says, and says what everything is for.
//! Whether the answers keep to it is checked in `answers`.

mod answers;
mod document;

use std::fs;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    FieldDefinition, InputValueDefinition, TypeDefinition, TypeKind, TypeSystemDefinition,
};
use async_graphql::{Name, Positioned};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");

/// The types that `schema.graphql` defines.
fn types() -> Vec<TypeDefinition> {
    let document = parse_schema(fs::read_to_string(FILE).unwrap()).unwrap();
    let definitions = document.definitions.into_iter().filter_map(|definition| match definition {
        TypeSystemDefinition::Type(definition) => Some(definition.node),
        _ => None,
    });
    definitions.collect()
}

#[test]
fn the_file_is_what_the_service_says() {
    let current = fs::read_to_string(FILE).unwrap() == rookery::schema::sdl();
    assert!(current, "schema.graphql is stale: run `cargo run -- schema > schema.graphql`");
}

/// Collects what has no description, or an empty one.
#[derive(Default)]
struct Undescribed(Vec<String>);

impl Undescribed {
    fn look(&mut self, what: &str, name: &Name, description: Option<&Positioned<String>>) {
        if description.is_none_or(|text| text.node.trim().is_empty()) {
            self.0.push(format!("{what}{name}"));
        }
    }

    fn values(&mut self, of: &str, values: &[Positioned<InputValueDefinition>]) {
        for Positioned { node, .. } in values {
            self.look(of, &node.name.node, node.description.as_ref());
        }
    }

    fn fields(&mut self, of: &str, fields: &[Positioned<FieldDefinition>]) {
        for Positioned { node, .. } in fields {
            self.look(of, &node.name.node, node.description.as_ref());
            self.values(&format!("{of}{}.", node.name.node), &node.arguments);
        }
    }
}

#[test]
fn everything_has_a_description() {
    let mut undescribed = Undescribed::default();
    for definition in types() {
        undescribed.look("", &definition.name.node, definition.description.as_ref());
        let of = format!("{}.", definition.name.node);
        match &definition.kind {
            TypeKind::Object(object) => undescribed.fields(&of, &object.fields),
            TypeKind::Interface(interface) => undescribed.fields(&of, &interface.fields),
            TypeKind::InputObject(input) => undescribed.values(&of, &input.fields),
            TypeKind::Enum(values) => values.values.iter().for_each(|value| {
                undescribed.look(&of, &value.node.value.node, value.node.description.as_ref());
            }),
            TypeKind::Scalar | TypeKind::Union(_) => {}
        }
    }
    assert_eq!(undescribed.0, Vec::<String>::new(), "say what these are for");
}
