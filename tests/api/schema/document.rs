//! GraphQL documents generated from `schema.graphql`.
//!
//! A document takes the shortest path of fields to a type and selects everything in it. Arguments
//! are variables, whose values come from samples.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, Type, TypeDefinition, TypeKind,
};
use serde_json::{Map, Value, json};

use super::types;
use crate::support::actors::Actor;

/// Values for arguments and input fields.
///
/// The key is `field.argument` or `Input.field`, else the name of the argument, else that of its
/// type. Booleans, enums and input objects without a sample are generated.
pub type Samples = Map<String, Value>;

/// The types of `schema.graphql` by name.
pub struct Schema(pub BTreeMap<String, TypeDefinition>);

impl Schema {
    pub fn read() -> Self {
        Self(types().into_iter().map(|each| (each.name.node.to_string(), each)).collect())
    }

    pub fn kind(&self, name: &str) -> &TypeKind {
        self.0.get(name).map_or(&TypeKind::Scalar, |definition| &definition.kind)
    }

    /// The fields of an object or interface. Other types have none.
    pub fn fields(&self, name: &str) -> impl Iterator<Item = &FieldDefinition> {
        let fields = match self.kind(name) {
            TypeKind::Object(object) => object.fields.as_slice(),
            TypeKind::Interface(interface) => &interface.fields,
            _ => &[],
        };
        fields.iter().map(|field| &field.node)
    }

    fn is_leaf(&self, name: &str) -> bool {
        self.fields(name).next().is_none() && !matches!(self.kind(name), TypeKind::Union(_))
    }

    /// The object types that a value of the type `name` may have.
    pub fn possible_types(&self, name: &str) -> Vec<&str> {
        let objects = self.0.iter().filter(|(object_name, definition)| match &definition.kind {
            TypeKind::Object(object) => {
                *object_name == name || object.implements.iter().any(|each| each.node == name)
            }
            _ => false,
        });
        if let TypeKind::Union(union) = self.kind(name) {
            return union.members.iter().map(|member| member.node.as_str()).collect();
        }
        objects.map(|(object_name, _)| object_name.as_str()).collect()
    }

    /// The shortest path of fields from `root` to each object type.
    ///
    /// The paths lead through object types only.
    pub fn paths(&self, root: &'static str) -> Vec<(&str, Vec<&FieldDefinition>)> {
        let mut paths = vec![(root, Vec::new())];
        let mut index = 0;
        while let Some((name, path)) = paths.get(index).cloned() {
            for field in self.fields(name) {
                let (next, _) = self.0.get_key_value(base(&field.ty.node)).unzip();
                let next = next.map_or("", String::as_str);
                let is_new = paths.iter().all(|(reached, _)| *reached != next);
                if is_new && matches!(self.kind(next), TypeKind::Object(_)) {
                    paths.push((next, path.iter().copied().chain([field]).collect()));
                }
            }
            index += 1;
        }
        paths
    }
}

/// The name of a type without list and non-null wrappers.
pub fn base(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => base(item),
    }
}

/// A document under construction, whose arguments are all variables.
pub struct Document<'a> {
    schema: &'a Schema,
    samples: &'a Samples,
    declared: Vec<String>,
    variables: Map<String, Value>,
}

impl<'a> Document<'a> {
    pub fn new(schema: &'a Schema, samples: &'a Samples) -> Self {
        Self { schema, samples, declared: Vec::new(), variables: Map::new() }
    }

    /// A field with its required arguments and the given optional one.
    pub fn call(&mut self, field: &FieldDefinition, optional: Option<&str>) -> String {
        self.call_with(field, optional.as_slice())
    }

    /// A field with its required arguments and the given optional ones.
    pub fn call_with(&mut self, field: &FieldDefinition, optional: &[&str]) -> String {
        let mut arguments = String::new();
        for argument in field.arguments.iter().map(|argument| &argument.node) {
            let (name, ty) = (argument.name.node.as_str(), &argument.ty.node);
            if is_required(argument) || optional.contains(&name) {
                let variable = format!("v{}", self.declared.len());
                write!(arguments, "{name}: ${variable} ").unwrap();
                self.declared.push(format!("${variable}: {ty}"));
                self.variables.insert(variable, self.sample(field.name.node.as_str(), argument));
            }
        }
        let name = &field.name.node;
        if arguments.is_empty() { name.to_string() } else { format!("{name}({arguments})") }
    }

    /// The sample of an argument or input field of `parent`.
    fn sample(&self, parent: &str, value: &InputValueDefinition) -> Value {
        let (name, ty) = (value.name.node.as_str(), base(&value.ty.node));
        let keys = [format!("{parent}.{name}"), name.to_owned(), ty.to_owned()];
        if let Some(sample) = keys.iter().find_map(|key| self.samples.get(key)) {
            return sample.clone();
        }
        match self.schema.kind(ty) {
            TypeKind::InputObject(input) => {
                let fields = input.fields.iter().map(|field| &field.node);
                fields.map(|each| (each.name.node.to_string(), self.sample(ty, each))).collect()
            }
            TypeKind::Enum(values) => json!(values.values[0].node.value.node.as_str()),
            _ if ty == "Boolean" => json!(true),
            _ if ty == "String" => json!("a text"),
            _ => panic!("{parent}.{name} has no sample: add one in tests/api/schema/responses.rs"),
        }
    }

    /// A selection of everything in a type, down to `depth` levels of objects.
    pub fn selection(&mut self, name: &str, depth: usize) -> String {
        let schema = self.schema;
        if schema.is_leaf(name) {
            return String::new();
        }
        let mut selection = "{ __typename ".to_owned();
        for field in schema.fields(name) {
            let ty = base(&field.ty.node);
            if depth > 0 || schema.is_leaf(ty) {
                selection += &self.call(field, None);
                selection += &self.selection(ty, depth.saturating_sub(1));
                selection.push(' ');
            }
        }
        for object in schema.possible_types(name).into_iter().filter(|object| *object != name) {
            write!(
                selection,
                "... on {object} {} ",
                self.selection(object, depth.saturating_sub(1))
            )
            .unwrap();
        }
        selection + "}"
    }

    /// The text of the document, and its variables.
    pub fn finish(self, operation: &str, selection: &str) -> (String, Value) {
        let declared = match self.declared.join(", ") {
            declared if declared.is_empty() => declared,
            declared => format!("({declared})"),
        };
        let document = format!("{operation} {declared} {{ {selection} }}");
        (document, Value::Object(self.variables))
    }

    /// Executes the document, which must succeed, and returns its `data`.
    pub async fn run(self, actor: &Actor<'_>, operation: &str, selection: &str) -> Value {
        let (document, variables) = self.finish(operation, selection);
        actor.run(&document, variables).await
    }
}

/// Whether an argument or input field needs a value.
pub fn is_required(value: &InputValueDefinition) -> bool {
    !value.ty.node.nullable && value.default_value.is_none()
}
