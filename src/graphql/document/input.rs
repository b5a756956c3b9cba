//! Rules for input values that apollo-compiler does not check.
//!
//! These are unique input fields, `@oneOf` input objects, and the positions of variables inside of
//! lists and input objects. Of these positions, apollo-compiler checks only the named types.

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::{DirectiveList, Type, Value, VariableDefinition};
use apollo_compiler::executable::{Operation, Selection, SelectionSet};
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};
use async_graphql::ServerError;

use super::coercion::is_one_of;
use super::diagnostics::{MAX_ERRORS, invalid};
use super::source::Lines;

/// The first errors in the input values of a document that is otherwise valid.
pub fn check(
    schema: &Schema,
    document: &ExecutableDocument,
    lines: &Lines<'_>,
) -> Vec<ServerError> {
    let mut errors = Vec::new();
    for operation in document.operations.iter() {
        let variables = operation.variables.iter().map(|each| (&each.name, &**each)).collect();
        let walk = Walk { schema, document, lines, variables, visited: HashSet::new(), errors };
        errors = walk.operation(operation);
    }
    errors
}

/// A walk over the input values of an operation and of its fragments.
struct Walk<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    lines: &'a Lines<'a>,
    variables: HashMap<&'a Name, &'a VariableDefinition>,
    /// The fragments that were walked.
    visited: HashSet<&'a Name>,
    errors: Vec<ServerError>,
}

/// The type of a position, and whether the position has a default value.
#[derive(Clone, Copy)]
struct Position<'a> {
    ty: &'a Type,
    has_default: bool,
}

impl<'a> Walk<'a> {
    fn operation(mut self, operation: &'a Operation) -> Vec<ServerError> {
        self.directives(&operation.directives);
        for variable in &operation.variables {
            self.directives(&variable.directives);
            if let Some(default) = &variable.default_value {
                self.value(default, Position { ty: &variable.ty, has_default: false });
            }
        }
        self.selection(&operation.selection_set);
        self.errors
    }

    fn selection(&mut self, set: &'a SelectionSet) {
        for selection in &set.selections {
            self.directives(selection.directives());
            match selection {
                Selection::Field(field) => {
                    for argument in &field.arguments {
                        if let Some(definition) = field.definition.argument_by_name(&argument.name)
                        {
                            let has_default = definition.default_value.is_some();
                            self.value(
                                &argument.value,
                                Position { ty: &definition.ty, has_default },
                            );
                        }
                    }
                    self.selection(&field.selection_set);
                }
                Selection::InlineFragment(fragment) => self.selection(&fragment.selection_set),
                Selection::FragmentSpread(spread) => {
                    let fragment = self.document.fragments.get(&spread.fragment_name);
                    if let Some(fragment) = fragment
                        && self.visited.insert(&spread.fragment_name)
                    {
                        self.directives(&fragment.directives);
                        self.selection(&fragment.selection_set);
                    }
                }
            }
        }
    }

    fn directives(&mut self, directives: &'a DirectiveList) {
        for directive in directives {
            let Some(definition) = self.schema.directive_definitions.get(&directive.name) else {
                continue;
            };
            for argument in &directive.arguments {
                if let Some(definition) = definition.argument_by_name(&argument.name) {
                    let has_default = definition.default_value.is_some();
                    self.value(&argument.value, Position { ty: &definition.ty, has_default });
                }
            }
        }
    }

    fn value(&mut self, value: &'a Node<Value>, position: Position<'a>) {
        let item = Position { ty: position.ty.item_type(), has_default: false };
        match &**value {
            Value::Variable(name) => self.variable(name, value, position),
            Value::List(items) if position.ty.is_list() => {
                for each in items {
                    self.value(each, item);
                }
            }
            Value::Object(_) if position.ty.is_list() => self.value(value, item),
            Value::Object(fields) => self.object(fields, value, position),
            Value::List(_) => self.untyped(value),
            _ => {}
        }
    }

    /// A value of a scalar that the schema defines. Its objects have no types.
    fn untyped(&mut self, value: &'a Node<Value>) {
        match &**value {
            Value::List(items) => {
                for item in items {
                    self.untyped(item);
                }
            }
            Value::Object(fields) => {
                self.unique_names(fields);
                for (_, value) in fields {
                    self.untyped(value);
                }
            }
            _ => {}
        }
    }

    fn unique_names(&mut self, fields: &'a [(Name, Node<Value>)]) {
        let mut names = HashSet::new();
        for (name, value) in fields {
            if !names.insert(name) {
                let message = format!("There can be only one input field named \"{name}\".");
                self.reject(&message, value);
            }
        }
    }

    fn object(
        &mut self,
        fields: &'a [(Name, Node<Value>)],
        value: &'a Node<Value>,
        position: Position<'a>,
    ) {
        let Some(object) = self.schema.get_input_object(position.ty.inner_named_type()) else {
            return self.untyped(value);
        };
        self.unique_names(fields);
        for (name, value) in fields {
            if let Some(field) = object.fields.get(name) {
                let has_default = field.default_value.is_some();
                self.value(value, Position { ty: &field.ty, has_default });
            }
        }
        if is_one_of(object) {
            self.one_of(&object.name, fields, value);
        }
    }

    fn one_of(&mut self, ty: &Name, fields: &'a [(Name, Node<Value>)], value: &'a Node<Value>) {
        let [(name, field)] = fields else {
            let message = format!("OneOf Input Object \"{ty}\" must specify exactly one key.");
            return self.reject(&message, value);
        };
        match &**field {
            Value::Null => {
                self.reject(&format!("Field \"{ty}.{name}\" must be non-null."), field);
            }
            Value::Variable(name)
                if self.variables.get(name).is_some_and(|each| !each.ty.is_non_null()) =>
            {
                let message = format!(
                    "Variable \"${name}\" must be non-nullable to be used for OneOf Input Object \
                     \"{ty}\"."
                );
                self.reject(&message, field);
            }
            _ => {}
        }
    }

    /// The rule "All Variable Usages Are Allowed" of the specification.
    fn variable(&mut self, name: &'a Name, value: &'a Node<Value>, position: Position<'a>) {
        let Some(variable) = self.variables.get(name) else { return };
        let default = variable.default_value.as_ref();
        let has_default = position.has_default || default.is_some_and(|value| !value.is_null());
        let is_allowed = if position.ty.is_non_null() && !variable.ty.is_non_null() && has_default {
            variable.ty.is_assignable_to(&position.ty.clone().nullable())
        } else {
            variable.ty.is_assignable_to(position.ty)
        };
        if !is_allowed {
            let (from, to) = (&variable.ty, position.ty);
            let message = format!(
                "Variable \"${name}\" of type \"{from}\" used in position expecting type \"{to}\"."
            );
            self.reject(&message, value);
        }
    }

    fn reject(&mut self, message: &str, value: &Node<Value>) {
        if self.errors.len() >= MAX_ERRORS {
            return;
        }
        self.errors.push(invalid(message, self.lines.start_of(value.location())));
    }
}
