//! Variables, before the document runs, as the specification coerces them: defaults filled in, what
//! is required and missing refused, and what is merely absent taken out of the document.
//!
//! The library takes an absent variable for null, so that `{displayName: $name}` without `$name`
//! would clear the name; and its `@skip` and `@include` know no defaults. Types are left to it.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    BaseType, Directive, DocumentOperations, ExecutableDocument, OperationDefinition, Selection,
    SelectionSet,
};
use async_graphql::{Name, Positioned, ServerError, Variables};
use async_graphql_value::{ConstValue, Value};

use super::guard::refuse;
use crate::schema::code;

/// Coerces the variables of the operation that `name` selects; the guard knows that it is there.
///
/// # Errors
/// `GRAPHQL_VALIDATION_FAILED` for a variable of a non-null type without a value.
pub fn coerce(
    document: &mut ExecutableDocument,
    name: Option<&str>,
    mut given: Variables,
) -> Result<Variables, ServerError> {
    let mut absent = Vec::new();
    for operation in document.operations.iter().filter(|(own, _)| is_selected(*own, name)) {
        for Positioned { node: variable, pos } in &operation.1.node.variable_definitions {
            let (own, ty) = (&variable.name.node, &variable.var_type.node);
            match (given.get(own), &variable.default_value) {
                (Some(ConstValue::Null), _) | (None, None) if !ty.nullable => {
                    let message = format!("The variable ${own} of type {ty} must have a value.");
                    let mut error = refuse(code::VALIDATION_FAILED, message);
                    error.locations.push(*pos);
                    return Err(error);
                }
                (None, Some(default)) => drop(given.insert(own.clone(), default.node.clone())),
                (None, None) => absent.push(own.clone()),
                (Some(_), _) => {}
            }
        }
    }
    if !absent.is_empty() {
        take_out(document, name, &absent);
    }
    Ok(given)
}

/// Whether each value can be seen to be of its variable's type without asking the schema.
pub fn are_plain(operation: &OperationDefinition, given: &Variables) -> bool {
    operation.variable_definitions.iter().all(|Positioned { node: variable, .. }| {
        let BaseType::Named(ty) = &variable.var_type.node.base else { return false };
        match (given.get(&variable.name.node), ty.as_str()) {
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

fn is_selected(own: Option<&Name>, name: Option<&str>) -> bool {
    name.is_none() || own.map(Name::as_str) == name
}

/// Leaves the selected operation with the fragments it needs, and no use of the `absent` variables.
fn take_out(document: &mut ExecutableDocument, name: Option<&str>, absent: &[Name]) {
    if let DocumentOperations::Multiple(operations) = &mut document.operations {
        operations.retain(|own, _| is_selected(Some(own), name));
    }
    let operation = match &mut document.operations {
        DocumentOperations::Single(operation) => Some(operation),
        DocumentOperations::Multiple(operations) => operations.values_mut().next(),
    };
    let Some(Positioned { node: operation, .. }) = operation else { return };
    let mut strip = Strip { absent, met: HashSet::new(), spreads: Vec::new() };
    strip.selection(&mut operation.selection_set.node);
    let mut needed = HashMap::new();
    while let Some(name) = strip.spreads.pop() {
        if let Some(mut fragment) = document.fragments.remove(&name) {
            strip.selection(&mut fragment.node.selection_set.node);
            needed.insert(name, fragment);
        }
    }
    document.fragments = needed;
    // What was never used stays, for the validation to say so.
    operation.variable_definitions.retain(|each| !strip.met.contains(&each.node.name.node));
}

struct Strip<'a> {
    absent: &'a [Name],
    /// Those of them that were met.
    met: HashSet<Name>,
    /// Fragments that were met.
    spreads: Vec<Name>,
}

impl Strip<'_> {
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
        arguments.retain_mut(|(_, value)| self.keeps(&mut value.node));
    }

    /// Whether there is a value; what is absent inside it goes.
    fn keeps(&mut self, value: &mut Value) -> bool {
        match value {
            Value::Variable(name) if self.absent.contains(name) => {
                self.met.insert(name.clone());
                return false;
            }
            Value::Object(fields) => fields.retain(|_, value| self.keeps(value)),
            // In a list there is no leaving out: absent is null there.
            Value::List(items) => {
                for item in items {
                    if !self.keeps(item) {
                        *item = Value::Null;
                    }
                }
            }
            _ => {}
        }
        true
    }
}
