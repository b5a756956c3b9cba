//! Parses and validates documents against the schema.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use anyhow::{Result, anyhow};
use apollo_compiler::ast::{self, Definition, Document, FieldDefinition, Selection};
use apollo_compiler::diagnostic::Diagnostic;
use apollo_compiler::executable::Operation;
use apollo_compiler::parser::Parser;
use apollo_compiler::schema::{ComponentOrigin, ExtendedType};
use apollo_compiler::validation::{DiagnosticData, Valid, WithErrors};
use apollo_compiler::{ExecutableDocument, Name, Node, Schema, name, ty};
use async_graphql::ServerError;

use super::limits::DocumentSize;
use super::source::{self, Lines, MAX_NESTING};
use super::{diagnostics, input, limits};
use crate::config::Limits;
use crate::schema::{code, with_code};

/// The schema against which documents are validated.
pub struct DocumentSchema {
    pub schema: Valid<Schema>,
    /// The object types of each interface and union.
    possible_types: HashMap<Name, Vec<Name>>,
}

/// A document whose operations may all be executed.
pub struct ValidDocument {
    /// The text as the parser read it. Positions refer to it.
    pub text: String,
    pub document: Valid<ExecutableDocument>,
    pub size: DocumentSize,
}

impl DocumentSchema {
    /// Reads a schema in the Schema Definition Language.
    ///
    /// # Errors
    /// When the text is not a valid schema.
    pub fn from_sdl(sdl: &str) -> Result<Self> {
        let mut schema =
            Schema::parse(sdl, "schema.graphql").map_err(|error| anyhow!("{error}"))?;
        // apollo-compiler's introspection schema lacks this field of the 2025 edition.
        if let Some(ExtendedType::Object(object)) = schema.types.get_mut("__Type") {
            let is_one_of = FieldDefinition {
                description: None,
                name: name!("isOneOf"),
                arguments: vec![],
                ty: ty!(Boolean),
                directives: ast::DirectiveList::default(),
            };
            let field = Node::new(is_one_of).to_component(ComponentOrigin::Definition);
            object.make_mut().fields.insert(name!("isOneOf"), field);
        }
        let schema = schema.validate().map_err(|error| anyhow!("{error}"))?;
        let possible_types = possible_types(&schema);
        Ok(Self { schema, possible_types })
    }

    /// The object types that a value of the type `ty` may have.
    pub fn possible_types<'a>(&'a self, ty: &'a Name) -> &'a [Name] {
        self.possible_types.get(ty).map_or(std::slice::from_ref(ty), Vec::as_slice)
    }

    /// Whether the fields of a fragment on the type `condition` apply to an object.
    pub fn applies(&self, condition: &Name, object: &Name) -> bool {
        condition == object || self.schema.is_subtype(condition, object)
    }

    /// Parses and validates a document.
    ///
    /// # Errors
    /// `GRAPHQL_PARSE_FAILED` for a syntax error, `QUERY_TOO_COMPLEX` for a document over a limit,
    /// and `GRAPHQL_VALIDATION_FAILED` for each of the first validation errors.
    pub fn validate(&self, text: &str, limits: &Limits) -> Result<ValidDocument, Vec<ServerError>> {
        limits::check_length(text, limits).map_err(|error| vec![error])?;
        let text = source::prepare(text)
            .map_err(|error| vec![diagnostics::source_error(&error, &Lines::new(text))])?;
        let text = text.into_owned();
        let lines = Lines::new(&text);
        let mut parser = Parser::new().recursion_limit(MAX_NESTING);
        let parsed = parser.parse_ast(text.as_str(), "");
        if parser.recursion_reached() > MAX_NESTING {
            return Err(vec![diagnostics::too_many_levels()]);
        }
        let syntax =
            parsed.map_err(|error| vec![diagnostics::syntax_error(&error.errors, &lines)])?;
        if syntax.definitions.is_empty() {
            let message = "Syntax error: the document is empty.".to_owned();
            return Err(vec![with_code(code::PARSE_FAILED, message)]);
        }
        let size = limits::check(&syntax, limits, &lines).map_err(|error| vec![error])?;
        let document = match syntax.to_executable_validate(&self.schema) {
            Ok(document) => document,
            Err(error) if is_one_field_each(&error) => Valid::assume_valid(error.partial),
            Err(error) => {
                let errors = diagnostics::validation_errors(&error.errors, &self.schema, &lines);
                // apollo-compiler's messages about variables of another type name no type.
                let (wrong, mut errors): (Vec<_>, Vec<_>) =
                    errors.into_iter().partition(|error| error.message.contains(" value: $"));
                if !wrong.is_empty() {
                    errors.extend(input::check(&self.schema, &error.partial, &lines));
                }
                errors.truncate(diagnostics::MAX_ERRORS);
                return Err(if errors.is_empty() { wrong } else { errors });
            }
        };
        let mut errors = input::check(&self.schema, &document, &lines);
        errors.extend(self.conflicting_lists(&syntax, &lines));
        errors.truncate(diagnostics::MAX_ERRORS);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(ValidDocument { text, document, size })
    }

    /// Conflicts between fields whose arguments differ in the length of a list only.
    ///
    /// apollo-compiler takes a list and its beginning for the same value when it looks for fields
    /// that cannot be merged. It looks again, at a document with a different name for each list.
    fn conflicting_lists(&self, document: &Document, lines: &Lines<'_>) -> Vec<ServerError> {
        let mut document = document.clone();
        let mut lists = 0;
        for definition in &mut document.definitions {
            match definition {
                Definition::OperationDefinition(operation) => {
                    replace_lists(&mut operation.make_mut().selection_set, &mut lists);
                }
                Definition::FragmentDefinition(fragment) => {
                    replace_lists(&mut fragment.make_mut().selection_set, &mut lists);
                }
                _ => {}
            }
        }
        if lists < 2 {
            return vec![];
        }
        let Err(error) = document.to_executable_validate(&self.schema) else { return vec![] };
        diagnostics::conflicts(&error.errors, &self.schema, lines)
    }
}

/// Whether all errors are that a subscription selects the same field several times.
///
/// apollo-compiler counts the selections of a root field, the specification its response keys.
fn is_one_field_each(error: &WithErrors<ExecutableDocument>) -> bool {
    let name = |error: Diagnostic<'_, DiagnosticData>| error.error.unstable_error_name();
    let document = &error.partial;
    let is_one_field = |operation: &Node<Operation>| {
        let keys = operation.root_fields(document).map(|field| field.response_key());
        !operation.is_subscription() || keys.collect::<HashSet<_>>().len() == 1
    };
    error.errors.iter().map(name).all(|name| name == Some("SubscriptionUsesMultipleFields"))
        && document.operations.iter().all(is_one_field)
}

fn possible_types(schema: &Schema) -> HashMap<Name, Vec<Name>> {
    let implementers = schema.implementers_map();
    let objects = |ty: &ExtendedType| -> Option<Vec<Name>> {
        match ty {
            ExtendedType::Interface(interface) => {
                let implementers = implementers.get(&interface.name);
                let objects = implementers.map(|each| each.objects.iter().cloned().collect());
                Some(objects.unwrap_or_default())
            }
            ExtendedType::Union(union) => {
                Some(union.members.iter().map(|member| member.name.clone()).collect())
            }
            _ => None,
        }
    };
    let types = schema.types.iter();
    types.filter_map(|(name, ty)| Some((name.clone(), objects(ty)?))).collect()
}

/// Replaces each list in arguments by a name that depends on the list. Counts them.
fn replace_lists(selections: &mut [Selection], lists: &mut usize) {
    for selection in selections {
        match selection {
            Selection::Field(field) => {
                let has_list =
                    field.arguments.iter().any(|argument| contains_list(&argument.value));
                if !has_list && field.selection_set.is_empty() {
                    continue;
                }
                let field = field.make_mut();
                if has_list {
                    for argument in &mut field.arguments {
                        replace_list(&mut argument.make_mut().value, lists);
                    }
                }
                replace_lists(&mut field.selection_set, lists);
            }
            Selection::InlineFragment(fragment) => {
                replace_lists(&mut fragment.make_mut().selection_set, lists);
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn contains_list(value: &ast::Value) -> bool {
    match value {
        ast::Value::List(_) => true,
        ast::Value::Object(fields) => fields.iter().any(|(_, value)| contains_list(value)),
        _ => false,
    }
}

fn replace_list(value: &mut Node<ast::Value>, lists: &mut usize) {
    match value.make_mut() {
        ast::Value::Object(fields) => {
            for (_, value) in fields {
                replace_list(value, lists);
            }
        }
        list @ ast::Value::List(_) => {
            *lists += 1;
            let mut hash = DefaultHasher::new();
            list.to_string().hash(&mut hash);
            let mut text = String::from("list_");
            let _ = write!(text, "{:x}", hash.finish());
            if let Ok(name) = Name::new(&text) {
                *list = ast::Value::Enum(name);
            }
        }
        _ => {}
    }
}
