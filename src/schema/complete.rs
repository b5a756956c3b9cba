//! What the specification asks of an answer and the library leaves undone: fields in the order of the
//! document (it keeps them as they were finished), and a null that travels up to the nearest field that
//! may be null when a field that may not failed (it leaves the field out).
//!
//! Works on the finished answer, with the document and the types of the exported schema at hand.

use std::collections::HashMap;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
    Type, TypeKind, TypeSystemDefinition,
};
use async_graphql::{Name, PathSegment, Positioned, Response, ServerError, Value};

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

    /// Puts the data of an answer into the form that the specification asks for.
    pub fn complete(
        &self,
        document: &ExecutableDocument,
        operation: &OperationDefinition,
        answer: &mut Response,
    ) {
        let root = match operation.ty {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        };
        let errors = std::mem::take(&mut answer.errors);
        let mut walk = Walk { types: self, document, errors: &errors, path: vec![] };
        if let Value::Object(fields) = std::mem::take(&mut answer.data) {
            let sets = [&operation.selection_set.node];
            answer.data = walk.object(fields, root, &sets).unwrap_or_default();
        }
        answer.errors = errors;
    }
}

struct Walk<'a> {
    types: &'a FieldTypes,
    document: &'a ExecutableDocument,
    errors: &'a [ServerError],
    /// Where the walk stands; kept only while there are errors to compare it with.
    path: Vec<PathSegment>,
}

/// One entry of an object: the field behind the response key, and what is selected below it.
struct Entry<'a> {
    ty: Option<&'a Type>,
    below: Vec<&'a SelectionSet>,
}

impl<'a> Walk<'a> {
    /// `None` when the object cannot be, because a field that may not be null failed.
    fn object(
        &mut self,
        mut fields: IndexMap<Name, Value>,
        type_name: &'a str,
        sets: &[&'a SelectionSet],
    ) -> Option<Value> {
        let mut entries = IndexMap::new();
        for set in sets {
            self.collect(set, type_name, &mut entries);
        }
        let mut ordered = IndexMap::with_capacity(fields.len());
        for (key, entry) in entries {
            self.enter(|| PathSegment::Field(key.to_string()));
            match fields.swap_remove(key) {
                Some(value) => {
                    let value = self.value(value, entry.ty, &entry.below)?;
                    ordered.insert(key.clone(), value);
                }
                None if self.errors.iter().any(|error| error.path == self.path) => return None,
                None => {}
            }
            self.leave();
        }
        Some(Value::Object(ordered))
    }

    fn value(
        &mut self,
        value: Value,
        ty: Option<&'a Type>,
        below: &[&'a SelectionSet],
    ) -> Option<Value> {
        let nullable = ty.is_none_or(|ty| ty.nullable);
        let depth = self.path.len();
        let value = match (value, ty.map(|ty| &ty.base)) {
            (Value::Object(fields), Some(BaseType::Named(name))) => {
                self.object(fields, name, below)
            }
            (Value::Object(fields), _) => self.object(fields, "", below),
            (Value::List(items), base) => {
                let ty = match base {
                    Some(BaseType::List(ty)) => Some(&**ty),
                    _ => None,
                };
                self.list(items, ty, below)
            }
            // Nothing was selected, or all of it skipped: the library says null for an empty object.
            (Value::Null, _) if !nullable && !self.has_failed_below() => {
                Some(Value::Object(IndexMap::new()))
            }
            (Value::Null, _) if !nullable => None,
            (value, _) => Some(value),
        };
        self.path.truncate(depth);
        value.or(nullable.then_some(Value::Null))
    }

    fn list(
        &mut self,
        items: Vec<Value>,
        ty: Option<&'a Type>,
        below: &[&'a SelectionSet],
    ) -> Option<Value> {
        let mut completed = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            self.enter(|| PathSegment::Index(index));
            completed.push(self.value(item, ty, below)?);
            self.leave();
        }
        Some(Value::List(completed))
    }

    /// The entries of a selection in the order of the specification's `CollectFields`. Fragments on any
    /// type are followed: what does not apply to the object is not in its answer.
    fn collect(
        &self,
        set: &'a SelectionSet,
        type_name: &'a str,
        entries: &mut IndexMap<&'a Name, Entry<'a>>,
    ) {
        for item in &set.items {
            match &item.node {
                Selection::Field(Positioned { node: field, .. }) => {
                    let below = &field.selection_set.node;
                    let fields = self.types.0.get(type_name);
                    let ty = fields.and_then(|fields| fields.get(&field.name.node));
                    let entry = entries
                        .entry(&field.response_key().node)
                        .or_insert_with(|| Entry { ty, below: vec![] });
                    entry.ty = entry.ty.or(ty);
                    entry.below.push(below);
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
    use async_graphql::{ServerError, from_value, value};

    use super::*;

    const SDL: &str = "
        interface Node { id: ID! }
        type Query { me: User all: [User!]! some: [User] must: User! node: Node }
        type User implements Node { id: ID! name: String friends: [User!]! best: User rank: Int! }";

    fn complete(document: &str, data: Value, failed: &[&[&str]]) -> Value {
        let document = parse_query(document).unwrap();
        let mut answer = Response::new(data);
        for path in failed {
            let mut error = ServerError::new("failed", None);
            error.path = path
                .iter()
                .map(|segment| match segment.parse() {
                    Ok(index) => PathSegment::Index(index),
                    Err(_) => PathSegment::Field((*segment).to_owned()),
                })
                .collect();
            answer.errors.push(error);
        }
        let (_, operation) = document.operations.iter().next().unwrap();
        FieldTypes::of(SDL).unwrap().complete(&document, &operation.node, &mut answer);
        assert_eq!(answer.errors.len(), failed.len());
        answer.data
    }

    fn text(value: &Value) -> String {
        from_value::<serde_json::Value>(value.clone()).unwrap();
        serde_json::to_string(value).unwrap()
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
            text(&complete(document, data, &[])),
            r#"{"b":{"rank":1,"best":{"name":"y","id":"2"},"name":"x"},"a":{"id":"1"},"node":{"name":"x","id":"1"}}"#
        );
    }

    #[test]
    fn a_null_travels_to_where_it_may_be() {
        let cases: [(&str, Value, &[&[&str]], &str); 7] = [
            (
                "{ me { name rank } }",
                value!({ "me": { "name": "x" } }),
                &[&["me", "rank"]],
                r#"{"me":null}"#,
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
            assert_eq!(text(&complete(document, data, failed)), expected, "{document}");
        }
    }

    #[test]
    fn what_was_skipped_is_not_missed() {
        let document = "{ must { id @skip(if: true) } me { name rank @skip(if: true) } }";
        let data = value!({ "must": null, "me": { "name": "x" } });
        assert_eq!(text(&complete(document, data, &[])), r#"{"must":{},"me":{"name":"x"}}"#);
    }
}
