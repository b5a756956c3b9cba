//! The normal form of an operation, which async-graphql executes.
//!
//! Each object has one field for each response key, in the order of the specification's
//! `CollectFields`. Fragments are resolved, `@skip` and `@include` are evaluated, and literals are
//! values. A selection on an interface or union has the fields that all its types share, and then a
//! fragment for each type with fields of its own.

use std::collections::HashMap;
use std::sync::OnceLock;

use apollo_compiler::executable::{self, Operation};
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection,
    SelectionSet, VariableDefinition,
};
use async_graphql::{Pos, Positioned, Variables};
use async_graphql_value::{ConstValue, Value};

use super::collect::{Builder, TYPE_KEY};
use super::validation::{DocumentSchema, ValidDocument};
use crate::graphql::response_writer::ResponseShape;

/// An operation in normal form, for certain values of `@skip` and `@include`.
pub struct NormalForm {
    pub ty: OperationType,
    variables: Vec<Positioned<VariableDefinition>>,
    selection: SelectionSet,
    pub shape: ResponseShape,
    /// The cost of the operation, once computed and if no variable can change it.
    pub complexity: OnceLock<usize>,
    /// Whether the operation selects `streamCursor`.
    ///
    /// Only the primary knows its value.
    pub selects_stream_cursor: bool,
}

impl NormalForm {
    /// Normalises an operation.
    ///
    /// `is_true` gives the value of a variable of `@skip` or `@include`.
    pub fn new(
        schema: &DocumentSchema,
        valid: &ValidDocument,
        operation: &Operation,
        is_true: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut builder = Builder::new(schema, valid, is_true);
        let (selection, shape) =
            builder.selection(&operation.selection_set.ty, &[&operation.selection_set]);
        let variables = operation.variables.iter().map(|each| builder.variable(each)).collect();
        let ty = match operation.operation_type {
            executable::OperationType::Query => OperationType::Query,
            executable::OperationType::Mutation => OperationType::Mutation,
            executable::OperationType::Subscription => OperationType::Subscription,
        };
        let selects_stream_cursor = builder.selects_stream_cursor;
        let complexity = OnceLock::new();
        Self { ty, variables, selection, shape, complexity, selects_stream_cursor }
    }

    /// The operation as a document. Arguments with absent variables are left out.
    pub fn document(&self, values: &Variables) -> ExecutableDocument {
        self.document_of(self.selection.clone(), &|name| values.contains_key(name))
    }

    /// The operation as a document of which only the cost is computed.
    ///
    /// Arguments whose variables are null are left out too. Null where it is not valid is an error
    /// of the field, and not of the computation. Fields that the client has not selected cost
    /// nothing.
    pub fn priced_document(&self, values: &Variables) -> ExecutableDocument {
        let is_given = |name: &str| !matches!(values.get(name), None | Some(ConstValue::Null));
        let mut selection = self.selection.clone();
        remove_hidden(&mut selection);
        self.document_of(selection, &is_given)
    }

    /// The documents that are executed one after the other.
    ///
    /// A mutation has one for each field, any other operation a single one.
    pub fn documents(&self, values: &Variables) -> Vec<ExecutableDocument> {
        if self.ty != OperationType::Mutation || self.selection.items.len() < 2 {
            return vec![self.document(values)];
        }
        let fields = self.selection.items.iter().cloned();
        let is_given = |name: &str| values.contains_key(name);
        let document = |field| self.document_of(SelectionSet { items: vec![field] }, &is_given);
        fields.map(document).collect()
    }

    fn document_of(
        &self,
        mut selection: SelectionSet,
        is_given: &dyn Fn(&str) -> bool,
    ) -> ExecutableDocument {
        if self.variables.iter().any(|variable| !is_given(&variable.node.name.node)) {
            remove_absent(&mut selection, is_given);
        }
        let operation = OperationDefinition {
            ty: self.ty,
            variable_definitions: self.variables.clone(),
            directives: vec![],
            selection_set: Positioned::new(selection, Pos::default()),
        };
        let operation = Positioned::new(operation, Pos::default());
        let operations = DocumentOperations::Single(operation);
        ExecutableDocument { operations, fragments: HashMap::new() }
    }

    pub fn has_variables(&self) -> bool {
        !self.variables.is_empty()
    }

    /// Number of fields on the first level.
    pub fn root_fields(&self) -> usize {
        self.selection.items.len()
    }

    /// The schema's name of the operation's first field.
    pub fn first_field(&self) -> Option<&str> {
        self.root_field_names().next()
    }

    /// Whether the operation selects the schema or a type of it.
    pub fn selects_introspection(&self) -> bool {
        self.root_field_names().any(|name| matches!(name, "__schema" | "__type"))
    }

    /// The schema's names of the fields on the first level.
    fn root_field_names(&self) -> impl Iterator<Item = &str> {
        self.selection.items.iter().filter_map(|item| match &item.node {
            Selection::Field(field) => Some(field.node.name.node.as_str()),
            _ => None,
        })
    }
}

/// Removes each `__typename` that the client has not selected.
fn remove_hidden(selection: &mut SelectionSet) {
    selection.items.retain_mut(|item| match &mut item.node {
        Selection::Field(field) => {
            remove_hidden(&mut field.node.selection_set.node);
            field.node.alias.as_ref().is_none_or(|alias| alias.node != TYPE_KEY)
        }
        Selection::InlineFragment(fragment) => {
            remove_hidden(&mut fragment.node.selection_set.node);
            true
        }
        Selection::FragmentSpread(_) => true,
    });
}

/// Removes arguments and input fields whose variables are not given.
///
/// In a list, such a variable is null.
fn remove_absent(selection: &mut SelectionSet, is_given: &dyn Fn(&str) -> bool) {
    for item in &mut selection.items {
        match &mut item.node {
            Selection::Field(field) => {
                let field = &mut field.node;
                field.arguments.retain_mut(|(_, value)| is_present(&mut value.node, is_given));
                remove_absent(&mut field.selection_set.node, is_given);
            }
            Selection::InlineFragment(fragment) => {
                remove_absent(&mut fragment.node.selection_set.node, is_given);
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn is_present(value: &mut Value, is_given: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::Variable(name) => return is_given(name),
        Value::Object(fields) => fields.retain(|_, value| is_present(value, is_given)),
        Value::List(items) => {
            for item in items {
                if !is_present(item, is_given) {
                    *item = Value::Null;
                }
            }
        }
        _ => {}
    }
    true
}

#[cfg(test)]
mod tests;
