//! An answer as JSON, as the specification has it: fields in the order of the document (the library keeps
//! them as they were finished), and a null that travels up to the nearest field that may be null when a
//! field that may not failed (the library leaves the field out).
//!
//! What a document may answer is laid out once, with the types of the exported schema at hand: its
//! [`Shape`]. Each answer is then written straight into bytes.

use std::collections::HashMap;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
    Type, TypeKind, TypeSystemDefinition,
};
use async_graphql::{Name, PathSegment, Positioned, ServerError, Value};
use serde::Serialize;

/// The type of each field of each object and interface.
pub struct FieldTypes(HashMap<String, HashMap<Name, Type>>);

impl FieldTypes {
    /// # Errors
    /// When the text is not a schema.
    pub fn of(sdl: &str) -> Result<Self, async_graphql::parser::Error> {
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

    /// What the answer to an operation looks like. The document's spreads make no circle.
    pub fn shape(&self, document: &ExecutableDocument, operation: &OperationDefinition) -> Shape {
        let root = match operation.ty {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        };
        Layout { types: self, document }.object(root, &[&operation.selection_set.node])
    }
}

/// The fields of an object, in the order of their document.
pub struct Shape(Vec<Field>);

struct Field {
    /// The response key.
    key: Name,
    /// The key and its colon in JSON.
    prefix: Vec<u8>,
    kind: Kind,
    /// Of the object, or of the objects in the list.
    below: Shape,
}

/// Which nulls there may be.
struct Kind {
    nullable: bool,
    /// Of the items, if it is a list.
    items: Option<Box<Kind>>,
}

struct Layout<'a> {
    types: &'a FieldTypes,
    document: &'a ExecutableDocument,
}

/// A response key's type, and what is selected below it.
type Entries<'a> = IndexMap<&'a Name, (Option<&'a Type>, Vec<&'a SelectionSet>)>;

impl<'a> Layout<'a> {
    fn object(&self, type_name: &'a str, sets: &[&'a SelectionSet]) -> Shape {
        let mut entries = Entries::new();
        for set in sets {
            self.collect(set, type_name, &mut entries);
        }
        let field =
            |(key, (ty, below)): (&Name, (Option<&'a Type>, Vec<&'a SelectionSet>))| Field {
                key: key.clone(),
                prefix: format!("\"{key}\":").into_bytes(),
                kind: ty.map_or(Kind { nullable: true, items: None }, kind),
                below: self.object(ty.map_or("", named), &below),
            };
        Shape(entries.into_iter().map(field).collect())
    }

    /// The entries of a selection in the order of the specification's `CollectFields`. Fragments on any
    /// type are followed: what does not apply to the object is not in its answer.
    fn collect(&self, set: &'a SelectionSet, type_name: &'a str, entries: &mut Entries<'a>) {
        for item in &set.items {
            match &item.node {
                Selection::Field(Positioned { node: field, .. }) => {
                    let fields = self.types.0.get(type_name);
                    let ty = fields.and_then(|fields| fields.get(&field.name.node));
                    let (known, below) = entries.entry(&field.response_key().node).or_default();
                    *known = known.or(ty);
                    below.push(&field.selection_set.node);
                }
                Selection::InlineFragment(Positioned { node: fragment, .. }) => {
                    let on = fragment.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                    let on = on.unwrap_or(type_name);
                    self.collect(&fragment.selection_set.node, on, entries);
                }
                Selection::FragmentSpread(Positioned { node: spread, .. }) => {
                    let fragment = self.document.fragments.get(&spread.fragment_name.node);
                    if let Some(Positioned { node: fragment, .. }) = fragment {
                        let on = fragment.type_condition.node.on.node.as_str();
                        self.collect(&fragment.selection_set.node, on, entries);
                    }
                }
            }
        }
    }
}

fn named(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(ty) => named(ty),
    }
}

fn kind(ty: &Type) -> Kind {
    let items = match &ty.base {
        BaseType::Named(_) => None,
        BaseType::List(ty) => Some(Box::new(kind(ty))),
    };
    Kind { nullable: ty.nullable, items }
}

impl Shape {
    /// How many fields there are, on all levels.
    #[must_use]
    pub fn fields(&self) -> usize {
        self.0.iter().map(|field| 1 + field.below.fields()).sum()
    }

    /// The data of an answer in the form that the specification asks for.
    #[must_use]
    pub fn write(&self, data: &Value, errors: &[ServerError]) -> Vec<u8> {
        let mut pen = Pen { json: Vec::with_capacity(4096), errors, path: vec![] };
        match data {
            Value::Object(fields) if pen.object(fields, self) => pen.json,
            // Everything was skipped: an empty object, while null would mean that something failed.
            Value::Null if errors.is_empty() => b"{}".to_vec(),
            _ => b"null".to_vec(),
        }
    }
}

struct Pen<'a> {
    json: Vec<u8>,
    errors: &'a [ServerError],
    /// Where the pen stands; kept only while there are errors to compare it with.
    path: Vec<PathSegment>,
}

impl Pen<'_> {
    /// False when the object cannot be, because a field that may not be null failed.
    fn object(&mut self, fields: &IndexMap<Name, Value>, shape: &Shape) -> bool {
        self.json.push(b'{');
        let mut written = 0;
        for field in &shape.0 {
            // Most often they are in order.
            let next = fields.get_index(written).filter(|(key, _)| **key == field.key);
            let value = next.map(|(_, value)| value).or_else(|| fields.get(&field.key));
            self.enter(|| PathSegment::Field(field.key.to_string()));
            let has_failed = || self.errors.iter().any(|error| error.path == self.path);
            // Without a value it failed, or it belongs to another type.
            if value.is_some() || has_failed() {
                if written > 0 {
                    self.json.push(b',');
                }
                written += 1;
                self.json.extend_from_slice(&field.prefix);
                if !self.value(value.unwrap_or(&Value::Null), &field.kind, &field.below) {
                    return false;
                }
            }
            self.leave();
        }
        self.json.push(b'}');
        true
    }

    fn value(&mut self, value: &Value, kind: &Kind, below: &Shape) -> bool {
        let (start, depth) = (self.json.len(), self.path.len());
        let is_there = match value {
            Value::Object(fields) => self.object(fields, below),
            Value::List(items) => self.list(items, kind.items.as_deref(), below),
            // Nothing was selected, or all of it skipped: the library says null for an empty object.
            Value::Null if !kind.nullable && !self.has_failed_below() => {
                self.json.extend_from_slice(b"{}");
                true
            }
            Value::Null => false,
            value => self.scalar(value),
        };
        if !is_there {
            self.json.truncate(start);
            self.path.truncate(depth);
            if kind.nullable {
                self.json.extend_from_slice(b"null");
            }
        }
        is_there || kind.nullable
    }

    fn list(&mut self, items: &[Value], kind: Option<&Kind>, below: &Shape) -> bool {
        let kind = kind.unwrap_or(&Kind { nullable: true, items: None });
        self.json.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.json.push(b',');
            }
            self.enter(|| PathSegment::Index(index));
            if !self.value(item, kind, below) {
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

    fn complete(document: &str, data: &Value, failed: &[&[&str]]) -> String {
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
        let shape = FieldTypes::of(SDL).unwrap().shape(&document, &operation.node);
        String::from_utf8(shape.write(data, &errors)).unwrap()
    }

    #[test]
    fn fields_come_in_the_order_of_the_document() {
        let document =
            "{ b: me { ...f name } a: me { id } b: me { rank } node { ... on User { name } id } }
            fragment f on User { rank best { name id } }";
        let data = value!({
            "a": { "id": "1" },
            "node": { "id": "1", "name": "x" },
            "b": { "name": "x", "best": { "id": "2", "name": "y" }, "rank": 1 },
        });
        assert_eq!(
            complete(document, &data, &[]),
            r#"{"b":{"rank":1,"best":{"name":"y","id":"2"},"name":"x"},"a":{"id":"1"},"node":{"name":"x","id":"1"}}"#
        );
    }

    #[test]
    fn a_null_travels_to_where_it_may_be() {
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
            assert_eq!(complete(document, &data, failed), expected, "{document}");
        }
    }

    #[test]
    fn what_was_skipped_is_not_missed() {
        let document = "{ must { id @skip(if: true) } me { name rank @skip(if: true) } }";
        let data = value!({ "must": null, "me": { "name": "x" } });
        assert_eq!(complete(document, &data, &[]), r#"{"must":{},"me":{"name":"x"}}"#);
    }
}
