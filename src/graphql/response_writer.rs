//! Writes the data of a response as JSON, as the GraphQL specification requires.
//!
//! The specification requires two things that async-graphql does not do. Fields must be in the
//! order of the document; async-graphql resolves the fields of an object concurrently and returns
//! them in the order in which they finish (async-graphql issue #612). An error in a non-null field
//! must propagate as null to the nearest nullable position; async-graphql omits the field.
//!
//! The [`ResponseShape`] of an operation is computed once, with its normal form. Each response is
//! then written directly into bytes, without an intermediate tree.

use std::collections::HashSet;
use std::fmt::Write as _;

use apollo_compiler::ast::Type;
use async_graphql::indexmap::IndexMap;
use async_graphql::{Name, PathSegment, ServerError, Value};
use serde::Serialize;

/// The fields of an object in the response, in the order of the specification.
#[derive(PartialEq)]
pub enum ResponseShape {
    /// A value of a scalar or an enum.
    Leaf,
    Object(Vec<ResponseField>),
    /// The fields of each object type, by its name.
    ///
    /// The data has the name of the object's type under the key.
    Abstract(Name, Vec<(String, Vec<ResponseField>)>),
}

#[derive(PartialEq)]
pub struct ResponseField {
    /// The response key: the alias or the name.
    key: Name,
    /// The response key in JSON, with the colon.
    prefix: Vec<u8>,
    nullability: Nullability,
    /// The shape of the field's object, or of the objects in its list.
    below: ResponseShape,
}

impl ResponseField {
    pub fn new(key: Name, nullability: Nullability, below: ResponseShape) -> Self {
        let prefix = format!("\"{key}\":").into_bytes();
        Self { key, prefix, nullability, below }
    }
}

/// Where a value of a type may be null.
#[derive(PartialEq)]
pub struct Nullability {
    nullable: bool,
    /// Nullability of the items, if the type is a list.
    items: Option<Box<Nullability>>,
}

impl Nullability {
    /// The nullability of values whose type is not known.
    const UNKNOWN: Self = Self { nullable: true, items: None };

    pub fn of(ty: &Type) -> Self {
        let items = ty.is_list().then(|| Box::new(Self::of(ty.item_type())));
        Self { nullable: !ty.is_non_null(), items }
    }
}

impl ResponseShape {
    /// The fields of an object with this data.
    fn of(&self, data: &IndexMap<Name, Value>) -> &[ResponseField] {
        match self {
            Self::Leaf => &[],
            Self::Object(fields) => fields,
            Self::Abstract(key, types) => {
                let Some(Value::String(name)) = data.get(key) else { return &[] };
                types.iter().find(|(ty, _)| ty == name).map_or(&[], |(_, fields)| fields)
            }
        }
    }

    /// Whether errors make the value of the response's key `data` null.
    ///
    /// Fields that are not executed yet have neither a value nor an error.
    pub fn has_failed(&self, data: &IndexMap<Name, Value>, errors: &[ServerError]) -> bool {
        let ResponseShape::Object(fields) = self else { return false };
        let mut writer = ResponseWriter::new(errors);
        let has_error = |key: &Name| {
            let is_at = |error: &ServerError| matches!(error.path.first(), Some(PathSegment::Field(first)) if key == first);
            errors.iter().any(is_at)
        };
        let is_done =
            |field: &&ResponseField| data.contains_key(&field.key) || has_error(&field.key);
        fields.iter().filter(is_done).any(|field| {
            let value = data.get(&field.key).unwrap_or(&Value::Null);
            let depth = writer.enter(|path| push_field(path, &field.key));
            let is_written = writer.value(value, &field.nullability, &field.below);
            writer.path.truncate(depth);
            !is_written
        })
    }

    /// Writes the value of the response's key `data`.
    #[must_use]
    pub fn write(&self, data: &Value, errors: &[ServerError]) -> Vec<u8> {
        let mut writer = ResponseWriter::new(errors);
        // `data` is null when a non-null field at the root failed.
        let nullability = Nullability { nullable: true, items: None };
        writer.value(data, &nullability, self);
        writer.json
    }
}

struct ResponseWriter {
    json: Vec<u8>,
    /// The paths of the values with an error below them.
    failed_below: HashSet<String>,
    /// The path of the value that is being written; empty if there are no errors.
    path: String,
}

/// Adds a field to a path.
fn push_field(path: &mut String, key: &str) {
    path.push('/');
    path.push_str(key);
}

/// Adds an item of a list to a path. No field's name starts with a digit.
fn push_index(path: &mut String, index: usize) {
    let _ = write!(path, "/{index}");
}

fn failed_below(errors: &[ServerError]) -> HashSet<String> {
    let mut paths = HashSet::new();
    for error in errors {
        let mut path = String::new();
        for segment in &error.path {
            paths.insert(path.clone());
            match segment {
                PathSegment::Field(key) => push_field(&mut path, key),
                PathSegment::Index(index) => push_index(&mut path, *index),
            }
        }
    }
    paths
}

impl ResponseWriter {
    fn new(errors: &[ServerError]) -> Self {
        let failed_below = failed_below(errors);
        Self { json: Vec::with_capacity(4096), failed_below, path: String::new() }
    }

    /// Writes an object, or returns false if a failed non-null field makes it null.
    fn object(&mut self, fields: &IndexMap<Name, Value>, shape: &ResponseShape) -> bool {
        self.json.push(b'{');
        for (index, field) in shape.of(fields).iter().enumerate() {
            // Usually the fields are in order already.
            let next = fields.get_index(index).filter(|(key, _)| **key == field.key);
            let value = next.map(|(_, value)| value).or_else(|| fields.get(&field.key));
            let depth = self.enter(|path| push_field(path, &field.key));
            if index > 0 {
                self.json.push(b',');
            }
            self.json.extend_from_slice(&field.prefix);
            // A field without a value has failed.
            let value = value.unwrap_or(&Value::Null);
            if !self.value(value, &field.nullability, &field.below) {
                return false;
            }
            self.path.truncate(depth);
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
            // All fields of the object failed, for which async-graphql returns null.
            Value::Null
                if !matches!(below, ResponseShape::Leaf)
                    && nullability.items.is_none()
                    && self.failed_below.contains(&self.path) =>
            {
                self.object(&IndexMap::new(), below)
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
            let depth = self.enter(|path| push_index(path, index));
            if !self.value(item, nullability, below) {
                return false;
            }
            self.path.truncate(depth);
        }
        self.json.push(b']');
        true
    }

    fn scalar(&mut self, value: &Value) -> bool {
        value.serialize(&mut serde_json::Serializer::new(&mut self.json)).is_ok()
    }

    /// Adds a segment to the path, and returns the length before.
    fn enter(&mut self, push: impl FnOnce(&mut String)) -> usize {
        let depth = self.path.len();
        if !self.failed_below.is_empty() {
            push(&mut self.path);
        }
        depth
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::{Variables, value};

    use super::*;
    use crate::graphql::document::{DocumentSchema, ValidOperation};
    use crate::graphql::test_limits;

    const SDL: &str = "
        interface Node { id: ID! }
        type Query { me: User all: [User!]! some: [User] must: User! node: Node }
        type User implements Node { id: ID! name: String friends: [User!]! best: User rank: Int! }
        type Page implements Node { id: ID! text: String }";

    /// Writes `data` as the response to `document`, with errors at the `failed` paths.
    fn write(document: &str, data: &Value, failed: &[&[&str]]) -> String {
        let schema = DocumentSchema::from_sdl(SDL).unwrap();
        let document = schema.validate(document, &test_limits()).unwrap();
        let operation = ValidOperation::select(document, None).unwrap();
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
        let form = operation.normal_form(&schema, &Variables::default());
        String::from_utf8(form.shape.write(data, &errors)).unwrap()
    }

    #[test]
    fn fields_are_in_the_order_of_the_document() {
        let document =
            "{ b: me { ...f name } a: me { id } b: me { rank } node { ... on User { name } id } }
            fragment f on User { rank best { name id } }";
        let data = value!({
            "a": { "id": "1" },
            "node": { "id": "1", "$type": "User", "name": "x" },
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
        let cases: [(&str, Value, &[&[&str]], &str); 12] = [
            (
                "{ me { best { name } } }",
                value!({ "me": { "best": null } }),
                &[&["me", "best"]],
                r#"{"me":{"best":null}}"#,
            ),
            (
                "{ some { id } }",
                value!({ "some": null }),
                &[&["some", "0", "id"]],
                r#"{"some":null}"#,
            ),
            (
                "{ me { name } }",
                value!({ "me": null }),
                &[&["me", "name"]],
                r#"{"me":{"name":null}}"#,
            ),
            ("{ me { name } }", value!(null), &[&["me"]], r#"{"me":null}"#),
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
                value!({ "node": { "id": "1", "$type": "User" } }),
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
    fn object_without_fields_is_not_null() {
        let document = "{ must { id @skip(if: true) } me { name rank @skip(if: true) } }";
        let data = value!({ "must": { "$type": "User" }, "me": { "name": "x" } });
        assert_eq!(write(document, &data, &[]), r#"{"must":{},"me":{"name":"x"}}"#);
        let data = value!({ "node": { "$type": "Page" } });
        assert_eq!(write("{ node { ... on User { id } } }", &data, &[]), r#"{"node":{}}"#);
    }

    #[test]
    fn fields_are_those_of_the_type_of_the_object() {
        let document =
            "{ node { __typename ... on Page { x: text id } ... on User { id x: name } } }";
        for (ty, expected) in [
            ("User", r#"{"node":{"__typename":"User","id":"1","x":"2"}}"#),
            ("Page", r#"{"node":{"__typename":"Page","x":"2","id":"1"}}"#),
        ] {
            let data = value!({ "node": { "id": "1", "x": "2", "__typename": ty } });
            assert_eq!(write(document, &data, &[]), expected);
        }
    }
}
