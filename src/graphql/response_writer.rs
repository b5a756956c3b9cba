//! Writes the data of a response as JSON, as the GraphQL specification requires.
//!
//! The specification requires two things that async-graphql does not do. Fields must be in the
//! order of the document; async-graphql resolves the fields of an object concurrently and returns
//! them in the order in which they finish (async-graphql issue #612). An error in a non-null field
//! must propagate as null to the nearest nullable position; async-graphql omits the field.
//!
//! The [`ResponseShape`] of a document is computed once, from the types of the exported schema.
//! Each response is then written directly into bytes, without an intermediate tree.

use std::collections::HashMap;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
    Type, TypeKind, TypeSystemDefinition,
};
use async_graphql::{Name, PathSegment, Positioned, ServerError, Value};
use serde::Serialize;

/// The type of each field of each object type and interface, by the names of both.
pub struct FieldTypes(HashMap<String, HashMap<Name, Type>>);

impl FieldTypes {
    /// Reads the types from a schema in the Schema Definition Language.
    ///
    /// # Errors
    /// When the text cannot be parsed as a schema.
    pub fn from_sdl(sdl: &str) -> Result<Self, async_graphql::parser::Error> {
        let mut types = HashMap::new();
        for definition in parse_schema(sdl)?.definitions {
            let TypeSystemDefinition::Type(Positioned { node: definition, .. }) = definition else {
                continue;
            };
            let fields = match definition.kind {
                TypeKind::Object(object) => object.fields,
                TypeKind::Interface(interface) => interface.fields,
                _ => continue,
            };
            let fields = fields.into_iter().map(|field| (field.node.name.node, field.node.ty.node));
            types.insert(definition.name.node.to_string(), fields.collect());
        }
        Ok(Self(types))
    }

    /// The response shape of an operation, whose fragments must not form a cycle.
    pub fn shape(
        &self,
        document: &ExecutableDocument,
        operation: &OperationDefinition,
    ) -> ResponseShape {
        let root = match operation.ty {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        };
        ShapeBuilder { types: self, document }.object(root, &[&operation.selection_set.node])
    }
}

/// The fields of an object in the response, in the order of the document.
pub struct ResponseShape(Vec<Field>);

struct Field {
    /// The response key: the alias or the name.
    key: Name,
    /// The response key in JSON, with the colon.
    prefix: Vec<u8>,
    nullability: Nullability,
    /// The shape of the field's object, or of the objects in its list.
    below: ResponseShape,
}

/// Where a value of a type may be null.
struct Nullability {
    nullable: bool,
    /// Nullability of the items, if the type is a list.
    items: Option<Box<Nullability>>,
}

impl Nullability {
    /// The nullability of values whose type is not known.
    const UNKNOWN: Self = Self { nullable: true, items: None };
}

struct ShapeBuilder<'a> {
    types: &'a FieldTypes,
    document: &'a ExecutableDocument,
}

/// The type of each response key, and the selections below it.
type CollectedFields<'a> = IndexMap<&'a Name, (Option<&'a Type>, Vec<&'a SelectionSet>)>;

impl<'a> ShapeBuilder<'a> {
    fn object(&self, type_name: &'a str, sets: &[&'a SelectionSet]) -> ResponseShape {
        let mut fields = CollectedFields::new();
        for set in sets {
            self.collect_fields(set, type_name, &mut fields);
        }
        let field =
            |(key, (ty, below)): (&Name, (Option<&'a Type>, Vec<&'a SelectionSet>))| Field {
                key: key.clone(),
                prefix: format!("\"{key}\":").into_bytes(),
                nullability: ty.map_or(Nullability::UNKNOWN, nullability),
                below: self.object(ty.map_or("", type_name_of), &below),
            };
        ResponseShape(fields.into_iter().map(field).collect())
    }

    /// Collects a selection's fields, in the specification's `CollectFields` order.
    ///
    /// Fragments on all types are included. A field of a type that is not the object's type has no
    /// value in the data, and is then skipped by the writer.
    fn collect_fields(
        &self,
        set: &'a SelectionSet,
        type_name: &'a str,
        collected: &mut CollectedFields<'a>,
    ) {
        for item in &set.items {
            match &item.node {
                Selection::Field(Positioned { node: field, .. }) => {
                    let fields = self.types.0.get(type_name);
                    let ty = fields.and_then(|fields| fields.get(&field.name.node));
                    let key = &field.response_key().node;
                    let (collected_type, below) = collected.entry(key).or_default();
                    *collected_type = collected_type.or(ty);
                    below.push(&field.selection_set.node);
                }
                Selection::InlineFragment(Positioned { node: fragment, .. }) => {
                    let on = fragment.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                    let on = on.unwrap_or(type_name);
                    self.collect_fields(&fragment.selection_set.node, on, collected);
                }
                Selection::FragmentSpread(Positioned { node: spread, .. }) => {
                    let fragment = self.document.fragments.get(&spread.fragment_name.node);
                    if let Some(Positioned { node: fragment, .. }) = fragment {
                        let on = fragment.type_condition.node.on.node.as_str();
                        self.collect_fields(&fragment.selection_set.node, on, collected);
                    }
                }
            }
        }
    }
}

/// The name of a type, without its list and non-null wrappers.
fn type_name_of(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(ty) => type_name_of(ty),
    }
}

fn nullability(ty: &Type) -> Nullability {
    let items = match &ty.base {
        BaseType::Named(_) => None,
        BaseType::List(ty) => Some(Box::new(nullability(ty))),
    };
    Nullability { nullable: ty.nullable, items }
}

impl ResponseShape {
    /// Number of fields on all levels.
    #[must_use]
    pub fn fields(&self) -> usize {
        self.0.iter().map(|field| 1 + field.below.fields()).sum()
    }

    /// Writes the value of the response's key `data`.
    #[must_use]
    pub fn write(&self, data: &Value, errors: &[ServerError]) -> Vec<u8> {
        let mut writer = ResponseWriter { json: Vec::with_capacity(4096), errors, path: vec![] };
        match data {
            Value::Object(fields) if writer.object(fields, self) => writer.json,
            // All fields were skipped. async-graphql returns null, which would mean an error.
            Value::Null if errors.is_empty() => b"{}".to_vec(),
            _ => b"null".to_vec(),
        }
    }
}

struct ResponseWriter<'a> {
    json: Vec<u8>,
    errors: &'a [ServerError],
    /// The path of the value that is being written; empty if there are no errors.
    path: Vec<PathSegment>,
}

impl ResponseWriter<'_> {
    /// Writes an object, or returns false if a failed non-null field makes it null.
    fn object(&mut self, fields: &IndexMap<Name, Value>, shape: &ResponseShape) -> bool {
        self.json.push(b'{');
        let mut written = 0;
        for field in &shape.0 {
            // Usually the fields are in order already.
            let next = fields.get_index(written).filter(|(key, _)| **key == field.key);
            let value = next.map(|(_, value)| value).or_else(|| fields.get(&field.key));
            self.enter(|| PathSegment::Field(field.key.to_string()));
            let has_failed = || self.errors.iter().any(|error| error.path == self.path);
            // A field without a value has failed, was skipped, or is of another type.
            if value.is_some() || has_failed() {
                if written > 0 {
                    self.json.push(b',');
                }
                written += 1;
                self.json.extend_from_slice(&field.prefix);
                let value = value.unwrap_or(&Value::Null);
                if !self.value(value, &field.nullability, &field.below) {
                    return false;
                }
            }
            self.leave();
        }
        self.json.push(b'}');
        true
    }

    /// Writes a value or null, or returns false if the value is null but must not be.
    fn value(&mut self, value: &Value, nullability: &Nullability, below: &ResponseShape) -> bool {
        let (start, depth) = (self.json.len(), self.path.len());
        let is_written = match value {
            Value::Object(fields) => self.object(fields, below),
            Value::List(items) => self.list(items, nullability.items.as_deref(), below),
            // All fields of the object were skipped, for which async-graphql returns null.
            Value::Null if !nullability.nullable && !self.has_failed_below() => {
                self.json.extend_from_slice(b"{}");
                true
            }
            Value::Null => false,
            value => self.scalar(value),
        };
        if !is_written {
            self.json.truncate(start);
            self.path.truncate(depth);
            if nullability.nullable {
                self.json.extend_from_slice(b"null");
            }
        }
        is_written || nullability.nullable
    }

    /// Writes a list, or returns false if a failed non-null item makes it null.
    fn list(
        &mut self,
        items: &[Value],
        nullability: Option<&Nullability>,
        below: &ResponseShape,
    ) -> bool {
        let nullability = nullability.unwrap_or(&Nullability::UNKNOWN);
        self.json.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.json.push(b',');
            }
            self.enter(|| PathSegment::Index(index));
            if !self.value(item, nullability, below) {
                return false;
            }
            self.leave();
        }
        self.json.push(b']');
        true
    }

    fn scalar(&mut self, value: &Value) -> bool {
        value.serialize(&mut serde_json::Serializer::new(&mut self.json)).is_ok()
    }

    fn has_failed_below(&self) -> bool {
        self.errors.iter().any(|error| error.path.starts_with(&self.path))
    }

    fn enter(&mut self, segment: impl FnOnce() -> PathSegment) {
        if !self.errors.is_empty() {
            self.path.push(segment());
        }
    }

    fn leave(&mut self) {
        self.path.pop();
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use async_graphql::value;

    use super::*;

    const SDL: &str = "
        interface Node { id: ID! }
        type Query { me: User all: [User!]! some: [User] must: User! node: Node }
        type User implements Node { id: ID! name: String friends: [User!]! best: User rank: Int! }";

    /// Writes `data` as the response to `document`, with errors at the `failed` paths.
    fn write(document: &str, data: &Value, failed: &[&[&str]]) -> String {
        let document = parse_query(document).unwrap();
        let mut errors = vec![];
        for path in failed {
            let mut error = ServerError::new("failed", None);
            error.path = path
                .iter()
                .map(|segment| match segment.parse() {
                    Ok(index) => PathSegment::Index(index),
                    Err(_) => PathSegment::Field((*segment).to_owned()),
                })
                .collect();
            errors.push(error);
        }
        let (_, operation) = document.operations.iter().next().unwrap();
        let shape = FieldTypes::from_sdl(SDL).unwrap().shape(&document, &operation.node);
        String::from_utf8(shape.write(data, &errors)).unwrap()
    }

    #[test]
    fn fields_are_in_the_order_of_the_document() {
        let document =
            "{ b: me { ...f name } a: me { id } b: me { rank } node { ... on User { name } id } }
            fragment f on User { rank best { name id } }";
        let data = value!({
            "a": { "id": "1" },
            "node": { "id": "1", "name": "x" },
            "b": { "name": "x", "best": { "id": "2", "name": "y" }, "rank": 1 },
        });
        assert_eq!(
            write(document, &data, &[]),
            concat!(
                r#"{"b":{"rank":1,"best":{"name":"y","id":"2"},"name":"x"},"a":{"id":"1"},"#,
                r#""node":{"name":"x","id":"1"}}"#
            )
        );
    }

    #[test]
    fn null_propagates_to_the_nearest_nullable_position() {
        let cases: [(&str, Value, &[&[&str]], &str); 8] = [
            (
                "{ me { name rank } }",
                value!({ "me": { "name": "x" } }),
                &[&["me", "rank"]],
                r#"{"me":null}"#,
            ),
            (
                "{ some { name } me { name rank best { id } } }",
                value!({ "me": { "rank": 1 } }),
                &[&["some"], &["me", "name"], &["me", "best"]],
                r#"{"some":null,"me":{"name":null,"rank":1,"best":null}}"#,
            ),
            ("{ must { rank } }", value!({ "must": null }), &[&["must", "rank"]], "null"),
            (
                "{ all { id rank } me { id } }",
                value!({ "me": { "id": "1" }, "all": [{ "id": "1", "rank": 1 }, { "id": "2" }] }),
                &[&["all", "1", "rank"]],
                "null",
            ),
            (
                "{ some { r: rank id } me { id } }",
                value!({ "some": [{ "id": "1", "r": 1 }, { "id": "2" }], "me": { "id": "1" } }),
                &[&["some", "1", "r"]],
                r#"{"some":[{"r":1,"id":"1"},null],"me":{"id":"1"}}"#,
            ),
            (
                "{ me { id best { id friends { rank } } } }",
                value!({ "me": { "best": { "id": "2", "friends": [null] }, "id": "1" } }),
                &[&["me", "best", "friends", "0", "rank"]],
                r#"{"me":{"id":"1","best":null}}"#,
            ),
            (
                "{ node { id ... on User { rank } } }",
                value!({ "node": { "id": "1" } }),
                &[&["node", "rank"]],
                r#"{"node":null}"#,
            ),
            (
                "{ me { name } }",
                value!({ "me": { "name": null } }),
                &[&["me", "name"]],
                r#"{"me":{"name":null}}"#,
            ),
        ];
        for (document, data, failed, expected) in cases {
            assert_eq!(write(document, &data, failed), expected, "{document}");
        }
    }

    #[test]
    fn skipped_fields_are_not_errors() {
        let document = "{ must { id @skip(if: true) } me { name rank @skip(if: true) } }";
        let data = value!({ "must": null, "me": { "name": "x" } });
        assert_eq!(write(document, &data, &[]), r#"{"must":{},"me":{"name":"x"}}"#);
    }
}
