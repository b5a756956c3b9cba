//! `schema.graphql` equals the schema of the service and describes every element.
//!
//! `responses` checks that responses conform to it.

pub mod document;
mod responses;

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
fn schema_graphql_is_the_sdl_of_the_service() {
    let current = fs::read_to_string(FILE).unwrap() == rookery::schema::sdl();
    assert!(current, "schema.graphql is stale: run `cargo run -- schema > schema.graphql`");
}

/// Collects the names of elements without a description.
#[derive(Default)]
struct Undescribed(Vec<String>);

impl Undescribed {
    fn check(&mut self, parent: &str, name: &Name, description: Option<&Positioned<String>>) {
        if description.is_none_or(|text| text.node.trim().is_empty()) {
            self.0.push(format!("{parent}{name}"));
        }
    }

    fn check_values(&mut self, parent: &str, values: &[Positioned<InputValueDefinition>]) {
        for Positioned { node, .. } in values {
            self.check(parent, &node.name.node, node.description.as_ref());
        }
    }

    fn check_fields(&mut self, parent: &str, fields: &[Positioned<FieldDefinition>]) {
        for Positioned { node, .. } in fields {
            self.check(parent, &node.name.node, node.description.as_ref());
            self.check_values(&format!("{parent}{}.", node.name.node), &node.arguments);
        }
    }
}

#[test]
fn every_type_field_argument_and_enum_value_has_a_description() {
    let mut undescribed = Undescribed::default();
    for definition in types() {
        undescribed.check("", &definition.name.node, definition.description.as_ref());
        let parent = format!("{}.", definition.name.node);
        match &definition.kind {
            TypeKind::Object(object) => undescribed.check_fields(&parent, &object.fields),
            TypeKind::Interface(interface) => undescribed.check_fields(&parent, &interface.fields),
            TypeKind::InputObject(input) => undescribed.check_values(&parent, &input.fields),
            TypeKind::Enum(values) => values.values.iter().for_each(|value| {
                undescribed.check(&parent, &value.node.value.node, value.node.description.as_ref());
            }),
            TypeKind::Scalar | TypeKind::Union(_) => {}
        }
    }
    assert_eq!(undescribed.0, Vec::<String>::new(), "these have no description");
}
