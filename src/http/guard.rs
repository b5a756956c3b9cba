//! The document guard: what is refused before the GraphQL library sees it.
//!
//! The library follows fragment spreads without memory before it validates: a few hundred bytes of
//! fragments that each spread the next one twice keep it busy for minutes. So the parsed document is
//! measured here first, in linear time: each fragment once, its size multiplied by its spreads.

use std::collections::HashMap;

use async_graphql::Name;
use async_graphql::parser::types::{
    ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType, Selection,
    SelectionSet,
};
use async_graphql::parser::{Error as ParseError, parse_query};
use async_graphql::{Pos, Positioned, ServerError};

use crate::config::Limits;
use crate::schema::code;

/// Brackets of any kind inside each other: the parser needs stack for each.
const MAX_NESTING: usize = 96;

/// Fields, spreads and inline fragments inside each other, every spread written out: whoever walks them, walks them by
/// calling itself.
const MAX_STEPS: usize = 128;

/// Bytes of an alias: it comes again with each row of the list that it is in.
const MAX_ALIAS: usize = 128;

/// What a schema is asked about itself, side by side: each is as large as the schema.
const MAX_INTROSPECTIONS: usize = 4;

/// Variables of an operation: the library looks at each together with each of its uses.
const MAX_VARIABLES: usize = 100;

/// Lists of the schema inside each other: types lead back to each other, and each round multiplies
/// the answer, which no page size bounds.
const MAX_INTROSPECTION: usize = 2;
const INTROSPECTED_LISTS: [&str; 4] = ["fields", "inputFields", "interfaces", "possibleTypes"];

/// A document that may run, and the operation that the request selects in it.
pub struct Admitted {
    pub document: ExecutableDocument,
    pub operation: OperationDefinition,
}

/// A document, and the operation in it that has the name, or its only one.
///
/// # Errors
/// `GRAPHQL_PARSE_FAILED`, `GRAPHQL_VALIDATION_FAILED`, `QUERY_TOO_COMPLEX`.
pub fn admit(text: &str, name: Option<&str>, limits: &Limits) -> Result<Admitted, ServerError> {
    let document = read(text, limits)?;
    let operation = selected(&document, name)?.clone();
    Ok(Admitted { document, operation })
}

/// Parses and measures.
///
/// # Errors
/// `GRAPHQL_PARSE_FAILED`, `GRAPHQL_VALIDATION_FAILED`, `QUERY_TOO_COMPLEX`.
pub fn read(text: &str, limits: &Limits) -> Result<ExecutableDocument, ServerError> {
    within("bytes", text.len(), limits.max_document)?;
    within("levels of brackets", nesting(text), MAX_NESTING)?;
    let document = parse_query(text).map_err(parse_failed)?;
    let definitions = document.operations.iter().count() + document.fragments.len();
    within("definitions", definitions, limits.max_definitions)?;
    let mut measured = Measured::default();
    for (_, operation) in document.operations.iter() {
        let mut size = measure(&operation.node.selection_set.node, &document, &mut measured)?;
        size.direct(operation.node.directives.len());
        within("fields", size.fields, limits.max_fields)?;
        within("levels", size.depth, limits.max_depth)?;
        within("aliases", size.aliases, limits.max_aliases)?;
        within("directives", size.directives, limits.max_directives)?;
        within("steps inside each other", size.steps, MAX_STEPS)?;
        within("questions about the schema", size.introspections, MAX_INTROSPECTIONS)?;
        within("variables", operation.node.variable_definitions.len(), MAX_VARIABLES)?;
        within("fields at the root", size.top, limits.max_root_fields)?;
        if operation.node.ty == OperationType::Subscription {
            within("fields at the root of a subscription", size.top, 1)?;
            let is_field = |item: &Positioned<_>| matches!(item.node, Selection::Field(_));
            if !operation.node.selection_set.node.items.iter().all(is_field) {
                // The library would find nothing to subscribe to, and end the stream.
                let message = "Write the field of a subscription at its root, not in a fragment.";
                return Err(refuse(code::VALIDATION_FAILED, message.to_owned()));
            }
        }
    }
    // Fragments that no operation spreads are measured too: the library walks them as well.
    for name in document.fragments.keys() {
        let name = Positioned::new(name.clone(), Pos::default());
        let size = measure_fragment(&name, &document, &mut measured)?;
        within("fields", size.fields, limits.max_fields)?;
        within("levels", size.depth, limits.max_depth)?;
        within("steps inside each other", size.steps, MAX_STEPS)?;
    }
    Ok(document)
}

fn selected<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a OperationDefinition, ServerError> {
    let mut candidates = document
        .operations
        .iter()
        .filter(|(candidate, _)| name.is_none() || candidate.map(Name::as_str) == name);
    match (candidates.next(), candidates.next(), name) {
        (Some((_, operation)), None, _) => Ok(&operation.node),
        (Some(_), Some(_), _) => Err(unknown_operation(
            "The document has several operations: say which one to run in operationName.",
        )),
        (None, _, Some(name)) => {
            Err(unknown_operation(&format!("The document has no operation named {name:?}.")))
        }
        (None, _, None) => Err(unknown_operation("The document has no operation.")),
    }
}

/// What a selection comes to with every spread written out.
#[derive(Clone, Copy, Default)]
struct Size {
    /// Fields, spreads and inline fragments: every step of a walk.
    fields: usize,
    depth: usize,
    aliases: usize,
    directives: usize,
    /// Fields at its own top level.
    top: usize,
    /// Steps inside each other.
    steps: usize,
    /// Questions about the schema.
    introspections: usize,
    /// Fields inside each other that are lists where the schema is introspected.
    lists: usize,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.fields = self.fields.saturating_add(other.fields);
        self.depth = self.depth.max(other.depth);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
        self.top = self.top.saturating_add(other.top);
        self.steps = self.steps.max(other.steps);
        self.introspections = self.introspections.saturating_add(other.introspections);
        self.lists = self.lists.max(other.lists);
    }

    fn direct(&mut self, directives: usize) {
        self.directives = self.directives.saturating_add(directives);
    }

    /// One more step above this: a spread or an inline fragment with its directives.
    fn wrapped(mut self, directives: usize) -> Self {
        self.fields = self.fields.saturating_add(1);
        self.steps = self.steps.saturating_add(1);
        self.direct(directives);
        self
    }
}

/// The fragments that have been measured, and where the walk is.
#[derive(Default)]
struct Measured {
    /// `None` stands for one that is being measured: meeting it again is a cycle.
    fragments: HashMap<Name, Option<Size>>,
    /// The steps that the walk is inside of.
    inside: usize,
}

impl Measured {
    fn step_in(&mut self) -> Result<(), ServerError> {
        self.inside += 1;
        within("steps inside each other", self.inside, MAX_STEPS)
    }
}

fn measure(
    selection: &SelectionSet,
    document: &ExecutableDocument,
    measured: &mut Measured,
) -> Result<Size, ServerError> {
    measured.step_in()?;
    let mut size = Size::default();
    for item in &selection.items {
        match &item.node {
            Selection::Field(Positioned { node: field, .. }) => {
                let alias = field.alias.as_ref().map_or(0, |alias| alias.node.len());
                within("bytes of an alias", alias, MAX_ALIAS)?;
                let below = measure(&field.selection_set.node, document, measured)?;
                let name = field.name.node.as_str();
                let introspects = name.starts_with("__") && name != "__typename";
                if introspects {
                    within("levels of introspection", below.lists, MAX_INTROSPECTION)?;
                }
                let wrapped = below.wrapped(field.directives.len());
                size.add(Size {
                    depth: below.depth.saturating_add(1),
                    aliases: below.aliases.saturating_add(usize::from(field.alias.is_some())),
                    top: 1,
                    introspections: below.introspections.saturating_add(usize::from(introspects)),
                    lists: below.lists + usize::from(INTROSPECTED_LISTS.contains(&name)),
                    ..wrapped
                });
            }
            Selection::InlineFragment(Positioned { node: fragment, .. }) => {
                let inside = measure(&fragment.selection_set.node, document, measured)?;
                size.add(inside.wrapped(fragment.directives.len()));
            }
            Selection::FragmentSpread(Positioned { node: spread, .. }) => {
                let inside = measure_fragment(&spread.fragment_name, document, measured)?;
                size.add(inside.wrapped(spread.directives.len()));
            }
        }
    }
    measured.inside -= 1;
    Ok(size)
}

fn measure_fragment(
    name: &Positioned<Name>,
    document: &ExecutableDocument,
    measured: &mut Measured,
) -> Result<Size, ServerError> {
    let Positioned { node: name, pos } = name;
    let refused = |what: &str| {
        let mut error = refuse(code::VALIDATION_FAILED, format!("The fragment \"{name}\" {what}."));
        error.locations.extend((*pos != Pos::default()).then_some(*pos));
        error
    };
    match measured.fragments.get(name) {
        Some(Some(size)) => return Ok(*size),
        Some(None) => return Err(refused("spreads itself")),
        None => {}
    }
    let Some(Positioned { node: FragmentDefinition { selection_set, directives, .. }, .. }) =
        document.fragments.get(name)
    else {
        return Err(refused("does not exist"));
    };
    measured.fragments.insert(name.clone(), None);
    let mut size = measure(&selection_set.node, document, measured)?;
    size.direct(directives.len());
    measured.fragments.insert(name.clone(), Some(size));
    Ok(size)
}

/// The deepest nesting of brackets, strings and comments left out.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut blocks_end) = (0usize, 0, true);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = match c {
            '(' | '[' | '{' => {
                depth += 1;
                deepest = deepest.max(depth);
                1
            }
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                1
            }
            '#' => rest.find(['\n', '\r']).unwrap_or(rest.len()),
            '"' if rest.starts_with("\"\"\"") => {
                // One that does not end is to the parser an empty string with another behind it. Nor does any after it.
                let length = if blocks_end { block_length(rest) } else { None };
                blocks_end = length.is_some();
                length.unwrap_or(2)
            }
            '"' => string_length(rest),
            other => other.len_utf8(),
        };
        rest = rest.get(skip..).unwrap_or_default();
    }
    deepest
}

/// The length of the block string that `text` begins with, if it ends. It escapes nothing but its own end.
fn block_length(text: &str) -> Option<usize> {
    let mut from = 3;
    loop {
        let quotes = from + text.get(from..)?.find("\"\"\"")?;
        if !text[..quotes].ends_with('\\') {
            return Some(quotes + 3);
        }
        from = quotes + 3;
    }
}

/// The length of the string that `text` begins with; of its quote alone when it does not end on its line.
fn string_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return at + 1,
            '\n' | '\r' => break,
            // It escapes whatever follows.
            '\\' => drop(characters.next()),
            _ => {}
        }
    }
    1
}

fn within(what: &str, given: usize, max: usize) -> Result<(), ServerError> {
    if given <= max {
        return Ok(());
    }
    let message = format!("The document has more {what} than the {max} that are allowed.");
    Err(refuse(code::QUERY_TOO_COMPLEX, message))
}

fn unknown_operation(message: &str) -> ServerError {
    refuse(code::VALIDATION_FAILED, message.to_owned())
}

fn parse_failed(error: ParseError) -> ServerError {
    let mut error: ServerError = error.into();
    // The parser draws the line and an arrow; what it expected stands at the end.
    let expected = error.message.rsplit("= ").next().unwrap_or_default().trim().to_owned();
    error.message = match error.locations.first() {
        Some(Pos { line, column }) => {
            format!("Syntax error at line {line}, column {column}: {expected}.")
        }
        None => format!("Syntax error: {expected}."),
    };
    error.extensions.get_or_insert_default().set("code", code::PARSE_FAILED);
    error
}

pub fn refuse(code: &str, message: String) -> ServerError {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_default().set("code", code);
    error
}

#[cfg(test)]
mod tests;
