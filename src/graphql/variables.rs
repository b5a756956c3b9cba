//! Coerces the variables of a request before its document is executed.
//!
//! This follows `CoerceVariableValues` of the GraphQL specification: defaults are filled in, a
//! missing value of a non-null variable is an error, and an argument whose variable is absent is
//! absent too. async-graphql treats an absent variable as null, so that `{displayName: $name}`
//! without `$name` would clear the name, and its `@skip` and `@include` ignore defaults. The types
//! of the values are left to its validation.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    BaseType, Directive, DocumentOperations, ExecutableDocument, OperationDefinition, Selection,
    SelectionSet,
};
use async_graphql::{Name, Positioned, ServerError, Variables};
use async_graphql_value::{ConstValue, Value};

use crate::schema::{code, with_code};

/// Coerces the variables of the operation that the request selects.
///
/// This is the operation `operation_name`, or the document's only operation if it is `None`. The
/// document must have it. Arguments with absent variables are removed from the document.
///
/// # Errors
/// `GRAPHQL_VALIDATION_FAILED` for a variable of a non-null type without a value.
pub fn coerce(
    document: &mut ExecutableDocument,
    operation_name: Option<&str>,
    mut values: Variables,
) -> Result<Variables, ServerError> {
    let mut absent = Vec::new();
    let operations = document.operations.iter();
    for operation in operations.filter(|(name, _)| is_selected(*name, operation_name)) {
        for Positioned { node: variable, pos } in &operation.1.node.variable_definitions {
            let (name, ty) = (&variable.name.node, &variable.var_type.node);
            match (values.get(name), &variable.default_value) {
                (Some(ConstValue::Null), _) | (None, None) if !ty.nullable => {
                    let message = format!("The variable ${name} of type {ty} must have a value.");
                    let mut error = with_code(code::VALIDATION_FAILED, message);
                    error.locations.push(*pos);
                    return Err(error);
                }
                (None, Some(default)) => drop(values.insert(name.clone(), default.node.clone())),
                (None, None) => absent.push(name.clone()),
                (Some(_), _) => {}
            }
        }
    }
    if !absent.is_empty() {
        remove_absent_arguments(document, operation_name, &absent);
    }
    Ok(values)
}

/// Whether each value is certainly of the type of its variable.
///
/// Without the schema, this is certain only for the built-in scalars `String`, `ID`, `Boolean` and
/// `Int`, and not for null.
pub fn need_no_coercion(operation: &OperationDefinition, values: &Variables) -> bool {
    operation.variable_definitions.iter().all(|Positioned { node: variable, .. }| {
        let BaseType::Named(ty) = &variable.var_type.node.base else { return false };
        match (values.get(&variable.name.node), ty.as_str()) {
            (None, _)
            | (Some(ConstValue::String(_)), "String" | "ID")
            | (Some(ConstValue::Boolean(_)), "Boolean") => true,
            (Some(ConstValue::Number(number)), "Int") => {
                number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
            }
            _ => false,
        }
    })
}

fn is_selected(name: Option<&Name>, operation_name: Option<&str>) -> bool {
    operation_name.is_none() || name.map(Name::as_str) == operation_name
}

/// Removes the uses of the `absent` variables from the selected operation.
///
/// What this operation does not need is removed from the document: the definitions of the removed
/// variables, the other operations, and the fragments that it does not spread.
fn remove_absent_arguments(
    document: &mut ExecutableDocument,
    operation_name: Option<&str>,
    absent: &[Name],
) {
    if let DocumentOperations::Multiple(operations) = &mut document.operations {
        operations.retain(|name, _| is_selected(Some(name), operation_name));
    }
    let operation = match &mut document.operations {
        DocumentOperations::Single(operation) => Some(operation),
        DocumentOperations::Multiple(operations) => operations.values_mut().next(),
    };
    let Some(Positioned { node: operation, .. }) = operation else { return };
    let mut walk = AbsentArguments { absent, removed: HashSet::new(), spreads: Vec::new() };
    walk.selection(&mut operation.selection_set.node);
    let mut fragments = HashMap::new();
    while let Some(name) = walk.spreads.pop() {
        if let Some(mut fragment) = document.fragments.remove(&name) {
            walk.selection(&mut fragment.node.selection_set.node);
            fragments.insert(name, fragment);
        }
    }
    document.fragments = fragments;
    // The definition of a variable that is never used stays, so that validation reports it.
    operation.variable_definitions.retain(|each| !walk.removed.contains(&each.node.name.node));
}

/// A walk that removes the uses of absent variables from selections.
struct AbsentArguments<'a> {
    absent: &'a [Name],
    /// The absent variables of which a use was removed.
    removed: HashSet<Name>,
    /// The fragments that were spread and are not walked yet.
    spreads: Vec<Name>,
}

impl AbsentArguments<'_> {
    fn selection(&mut self, selection: &mut SelectionSet) {
        for item in &mut selection.items {
            match &mut item.node {
                Selection::Field(Positioned { node: field, .. }) => {
                    self.arguments(&mut field.arguments);
                    self.directives(&mut field.directives);
                    self.selection(&mut field.selection_set.node);
                }
                Selection::InlineFragment(Positioned { node: fragment, .. }) => {
                    self.directives(&mut fragment.directives);
                    self.selection(&mut fragment.selection_set.node);
                }
                Selection::FragmentSpread(Positioned { node: spread, .. }) => {
                    self.directives(&mut spread.directives);
                    self.spreads.push(spread.fragment_name.node.clone());
                }
            }
        }
    }

    fn directives(&mut self, directives: &mut [Positioned<Directive>]) {
        for directive in directives {
            self.arguments(&mut directive.node.arguments);
        }
    }

    fn arguments(&mut self, arguments: &mut Vec<(Positioned<Name>, Positioned<Value>)>) {
        arguments.retain_mut(|(_, value)| self.is_present(&mut value.node));
    }

    /// Whether a value is present.
    ///
    /// Absent fields of an input object are removed from it.
    fn is_present(&mut self, value: &mut Value) -> bool {
        match value {
            Value::Variable(name) if self.absent.contains(name) => {
                self.removed.insert(name.clone());
                return false;
            }
            Value::Object(fields) => fields.retain(|_, value| self.is_present(value)),
            // An absent item of a list is null, as in graphql-js.
            Value::List(items) => {
                for item in items {
                    if !self.is_present(item) {
                        *item = Value::Null;
                    }
                }
            }
            _ => {}
        }
        true
    }
}
