//! Errors of the parser and of the validation, in the words of GraphQL tools.

use apollo_compiler::Schema;
use apollo_compiler::diagnostic::ToCliReport as _;
use apollo_compiler::validation::{DiagnosticData, DiagnosticList};
use async_graphql::{Pos, ServerError};

use super::source::{Lines, MAX_NESTING, MAX_VARIABLES, SourceError, SourceErrorKind};
use crate::schema::{code, with_code};

/// Maximum number of errors in the response to a document that is not valid.
pub const MAX_ERRORS: usize = 5;

/// Tokens in messages of the parser, and how a document spells them.
const TOKENS: [(&str, &str); 9] = [
    ("L_PAREN", "("),
    ("R_PAREN", ")"),
    ("L_BRACK", "["),
    ("R_BRACK", "]"),
    ("L_CURLY", "{"),
    ("R_CURLY", "}"),
    ("got EOF", "found the end of the document"),
    ("got ", "found "),
    ("a StringValue, Name or OperationDefinition", "a definition"),
];

/// The first syntax error. The parser's further errors are consequences of it.
pub fn syntax_error(errors: &DiagnosticList, lines: &Lines<'_>) -> ServerError {
    let Some(error) = errors.iter().next() else {
        return with_code(code::PARSE_FAILED, "Syntax error.".to_owned());
    };
    let message = error.error.to_string();
    let message = message.trim_start_matches("syntax error: ").trim_end_matches('.');
    let mut message = message.to_owned();
    for (token, spelling) in TOKENS {
        message = message.replace(token, spelling);
    }
    malformed(&message, lines.start_of(error.error.location()))
}

/// The error of a document that is refused before it is parsed.
pub fn source_error(error: &SourceError, lines: &Lines<'_>) -> ServerError {
    let message = match error.kind {
        SourceErrorKind::TooManyLevels => return too_many_levels(),
        SourceErrorKind::TooManyVariables => return too_many(MAX_VARIABLES, "variables"),
        SourceErrorKind::MissingColon => "expected : after a name".to_owned(),
        SourceErrorKind::UnterminatedString => "unterminated string".to_owned(),
        SourceErrorKind::UnexpectedCharacter(character) => {
            format!("Unexpected character \"{}\"", character.escape_debug())
        }
    };
    malformed(&message, lines.position(error.at))
}

/// The error of a document with more than [`MAX_NESTING`] levels of brackets.
pub fn too_many_levels() -> ServerError {
    too_many(MAX_NESTING, "levels of brackets")
}

/// The error of a document that has more than `max` of something.
pub fn too_many(max: usize, unit: &str) -> ServerError {
    with_code(code::QUERY_TOO_COMPLEX, format!("The document has more than {max} {unit}."))
}

/// A syntax error at a position.
fn malformed(message: &str, pos: Pos) -> ServerError {
    let Pos { line, column } = pos;
    let message = format!("Syntax error at line {line}, column {column}: {message}.");
    located(code::PARSE_FAILED, &message, Some(pos))
}

/// The first errors of the validation.
pub fn validation_errors(
    errors: &DiagnosticList,
    schema: &Schema,
    lines: &Lines<'_>,
) -> Vec<ServerError> {
    let errors = errors.iter().map(|diagnostic| diagnostic.error);
    errors.take(MAX_ERRORS).map(|error| validation_error(error, schema, lines)).collect()
}

/// The first errors of fields that cannot be merged because their arguments differ.
pub fn conflicts(errors: &DiagnosticList, schema: &Schema, lines: &Lines<'_>) -> Vec<ServerError> {
    let errors = errors.iter().map(|diagnostic| diagnostic.error);
    let is_conflict =
        |error: &&DiagnosticData| error.unstable_error_name() == Some("ConflictingFieldArgument");
    let conflicts = errors.filter(is_conflict).take(MAX_ERRORS);
    conflicts.map(|error| validation_error(error, schema, lines)).collect()
}

fn validation_error(error: &DiagnosticData, schema: &Schema, lines: &Lines<'_>) -> ServerError {
    let message = error.unstable_compat_message().unwrap_or_else(|| error.to_string());
    let message = corrected(error.unstable_error_name().unwrap_or_default(), message, schema);
    let pos = error.location().map(|span| lines.position(span.offset()));
    located(code::VALIDATION_FAILED, &message, pos)
}

/// A validation error at a position.
pub fn invalid(message: &str, pos: Pos) -> ServerError {
    located(code::VALIDATION_FAILED, message, Some(pos))
}

fn located(code: &'static str, message: &str, pos: Option<Pos>) -> ServerError {
    let mut error = with_code(code, message.to_owned());
    error.locations.extend(pos);
    error
}

/// Corrects messages in which apollo-compiler differs from graphql-js.
fn corrected(name: &str, message: String, schema: &Schema) -> String {
    let mut quoted = message.split('"').skip(1).step_by(2);
    match (name, quoted.next(), quoted.next()) {
        // The message names the parent type in place of the field's type.
        ("MissingSubselection", Some(field), Some(parent)) => {
            let definition = schema.type_field(parent, field);
            let ty = definition.map_or_else(|_| parent.to_owned(), |field| field.ty.to_string());
            format!(
                "Field \"{field}\" of type \"{ty}\" must have a selection of subfields. Did you \
                 mean \"{field} {{ ... }}\"?"
            )
        }
        // The message lacks a quote.
        ("ConflictingFieldType", ..) => message.replacen(" and \"", "\" and \"", 1),
        // A list is printed on several lines.
        _ if message.contains('\n') => message.split_whitespace().collect::<Vec<_>>().join(" "),
        _ if message.ends_with(['.', '?']) => message,
        _ => message + ".",
    }
}
