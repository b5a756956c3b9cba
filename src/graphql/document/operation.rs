//! An operation of a valid document, with its normal forms.

use std::sync::Arc;

use apollo_compiler::Node;
use apollo_compiler::ast::Value;
use apollo_compiler::executable::{
    DirectiveList, Operation, OperationType, Selection, SelectionSet,
};
use async_graphql::{ServerError, Variables};
use async_graphql_value::ConstValue;
use parking_lot::Mutex;

use super::coercion;
use super::diagnostics::invalid;
use super::limits::DocumentSize;
use super::normal_form::NormalForm;
use super::source::Lines;
use super::validation::{DocumentSchema, ValidDocument};
use crate::schema::{code, with_code};

/// Maximum number of normal forms that are kept with an operation.
///
/// Each combination of the values of `@skip` and `@include` has its own.
const MAX_NORMAL_FORMS: usize = 8;

/// An operation of a valid document.
pub struct ValidOperation {
    document: ValidDocument,
    operation: Node<Operation>,
    /// The variables in conditions of `@skip` and `@include`.
    condition_variables: Vec<String>,
    /// The normal forms by the values of these variables, the newest last.
    forms: Mutex<Vec<(Vec<bool>, Arc<NormalForm>)>>,
}

impl ValidOperation {
    /// Selects the operation `name`, or the only operation of a document.
    ///
    /// # Errors
    /// `GRAPHQL_VALIDATION_FAILED` when there is no such operation, or several and `name` is
    /// `None`.
    pub fn select(document: ValidDocument, name: Option<&str>) -> Result<Self, ServerError> {
        let operations = &document.document.operations;
        let operation = match name {
            Some(name) => operations
                .named
                .get(name)
                .ok_or_else(|| unknown_operation(format!("Unknown operation named {name:?}."))),
            None if operations.len() > 1 => Err(unknown_operation(
                "Must provide operation name if query contains multiple operations.".to_owned(),
            )),
            None => operations
                .iter()
                .next()
                .ok_or_else(|| unknown_operation("The document has no operation.".to_owned())),
        };
        let operation = operation?.clone();
        let mut condition_variables = Vec::new();
        add_condition_variables(&operation.selection_set, &mut condition_variables);
        for fragment in document.document.fragments.values() {
            add_condition_variables(&fragment.selection_set, &mut condition_variables);
        }
        condition_variables
            .retain(|name| operation.variables.iter().any(|each| each.name == name.as_str()));
        Ok(Self { document, operation, condition_variables, forms: Mutex::default() })
    }

    /// Whether the document has a mutation with a string literal.
    ///
    /// Such a document is not cached, because the literal may be a password.
    pub fn has_mutation_with_strings(&self) -> bool {
        let is_mutation =
            |operation: &Node<Operation>| operation.operation_type == OperationType::Mutation;
        let document = &self.document;
        document.text.contains('"') && document.document.operations.iter().any(is_mutation)
    }

    /// The size of the document with every spread expanded.
    pub fn size(&self) -> &DocumentSize {
        &self.document.size
    }

    /// The largest number of normal forms that the operation keeps.
    pub fn max_forms(&self) -> usize {
        let doubled =
            self.condition_variables.iter().fold(1_usize, |forms, _| forms.saturating_mul(2));
        doubled.min(MAX_NORMAL_FORMS)
    }

    /// Coerces the values of the variables.
    ///
    /// # Errors
    /// `GRAPHQL_VALIDATION_FAILED` for each value that is missing or of another type, and for null
    /// as a condition of `@skip` or `@include`.
    pub fn coerce(
        &self,
        schema: &DocumentSchema,
        given: Variables,
    ) -> Result<Variables, Vec<ServerError>> {
        let (definitions, text) = (&self.operation.variables, &self.document.text);
        let variables = coercion::variables(&schema.schema, definitions, given, text)?;
        for definition in definitions {
            let name = definition.name.as_str();
            let is_condition = self.condition_variables.iter().any(|condition| condition == name);
            if is_condition && variables.get(name) == Some(&ConstValue::Null) {
                let message =
                    format!("Variable \"${name}\" of \"@skip\" or \"@include\" must not be null.");
                let pos = Lines::new(text).start_of(definition.location());
                return Err(vec![invalid(&message, pos)]);
            }
        }
        Ok(variables)
    }

    /// The normal form for the values of the variables.
    pub fn normal_form(&self, schema: &DocumentSchema, variables: &Variables) -> Arc<NormalForm> {
        let is_true = |name: &str| variables.get(name) == Some(&ConstValue::Boolean(true));
        let conditions =
            self.condition_variables.iter().map(|name| is_true(name)).collect::<Vec<_>>();
        let cached = |forms: &[(Vec<bool>, Arc<NormalForm>)]| {
            let (_, form) = forms.iter().find(|(key, _)| *key == conditions)?;
            Some(Arc::clone(form))
        };
        if let Some(form) = cached(&self.forms.lock()) {
            return form;
        }
        let form = NormalForm::new(schema, &self.document, &self.operation, &is_true);
        let form = Arc::new(form);
        let mut forms = self.forms.lock();
        if let Some(form) = cached(&forms) {
            return form;
        }
        if forms.len() == MAX_NORMAL_FORMS {
            forms.remove(0);
        }
        forms.push((conditions, Arc::clone(&form)));
        form
    }
}

fn add_condition_variables(set: &SelectionSet, names: &mut Vec<String>) {
    for selection in &set.selections {
        add_variables(selection.directives(), names);
        match selection {
            Selection::Field(field) => add_condition_variables(&field.selection_set, names),
            Selection::InlineFragment(fragment) => {
                add_condition_variables(&fragment.selection_set, names);
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn add_variables(directives: &DirectiveList, names: &mut Vec<String>) {
    for directive in directives.iter().filter(|each| each.name == "skip" || each.name == "include")
    {
        let condition = directive.specified_argument_by_name("if");
        if let Some(Value::Variable(name)) = condition.map(|condition| &**condition)
            && !names.iter().any(|other| name == other.as_str())
        {
            names.push(name.to_string());
        }
    }
}

fn unknown_operation(message: String) -> ServerError {
    with_code(code::VALIDATION_FAILED, message)
}
