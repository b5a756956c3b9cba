//! Limits of a document that are checked before async-graphql validates it.
//!
//! async-graphql expands fragment spreads without memoisation before it validates. A few hundred
//! bytes of fragments that each spread the next one twice keep it busy for minutes. Therefore the
//! document, parsed by async-graphql's parser, is measured here first, in linear time: each
//! fragment is walked once, and its size is added for each spread. Depth is limited in two steps,
//! because the parser and every walk recurse: the nesting of brackets before parsing, and the depth
//! of selections with expanded spreads while measuring.

use std::collections::HashMap;

use async_graphql::parser::types::{
    ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType, Selection,
    SelectionSet,
};
use async_graphql::parser::{Error as ParseError, parse_query};
use async_graphql::{Name, Pos, Positioned, ServerError};

use crate::config::Limits;
use crate::schema::{code, with_code};

/// Maximum depth of nested brackets of any kind.
///
/// The parser uses stack for each level.
const MAX_BRACKET_DEPTH: usize = 96;

/// Maximum depth of nested fields, spreads and inline fragments.
///
/// Every spread is expanded. A walk of the selection recurses once for each level.
const MAX_SELECTION_DEPTH: usize = 128;

/// What `--max-fields` counts.
const SELECTIONS: &str = "fields, fragment spreads and inline fragments";

/// Maximum length of an alias in bytes.
///
/// The response repeats an alias for each item of a list.
const MAX_ALIAS_BYTES: usize = 128;

/// Maximum number of introspection fields.
///
/// The response to each may be as large as the schema.
const MAX_INTROSPECTION_FIELDS: usize = 4;

/// Maximum number of variables of an operation.
///
/// The validation of async-graphql compares each variable with each use of a variable.
const MAX_VARIABLES: usize = 100;

/// Maximum depth of nested lists in an introspection.
///
/// The types of the schema refer to each other in cycles. Each level multiplies the response, and
/// no page size bounds it.
const MAX_INTROSPECTION_LIST_DEPTH: usize = 2;
const INTROSPECTION_LISTS: [&str; 4] = ["fields", "inputFields", "interfaces", "possibleTypes"];

/// A document within the limits, and the operation that the request selects.
pub struct ParsedDocument {
    pub document: ExecutableDocument,
    pub operation: OperationDefinition,
}

/// Parses a document, checks its limits and selects an operation.
///
/// This is the operation `name`, or the document's only operation if `name` is `None`.
///
/// # Errors
/// `GRAPHQL_PARSE_FAILED` or `QUERY_TOO_COMPLEX` as from [`parse_and_check`].
/// `GRAPHQL_VALIDATION_FAILED` also when the document has no such operation, or several and `name`
/// is `None`.
pub fn parse_and_select(
    text: &str,
    name: Option<&str>,
    limits: &Limits,
) -> Result<ParsedDocument, ServerError> {
    let document = parse_and_check(text, limits)?;
    let operation = select_operation(&document, name)?.clone();
    Ok(ParsedDocument { document, operation })
}

/// Parses a document and checks its limits.
///
/// # Errors
/// `GRAPHQL_PARSE_FAILED` for a syntax error. `QUERY_TOO_COMPLEX` for a document over a limit.
/// `GRAPHQL_VALIDATION_FAILED` when its fragments form a cycle, when it spreads a fragment that
/// does not exist, or when the root field of a subscription is in a fragment.
pub fn parse_and_check(text: &str, limits: &Limits) -> Result<ExecutableDocument, ServerError> {
    check_limit("bytes", text.len(), limits.max_document_bytes)?;
    check_limit("levels of nested brackets", nesting(text), MAX_BRACKET_DEPTH)?;
    let document = parse_query(text).map_err(parse_failed)?;
    let definitions = document.operations.iter().count() + document.fragments.len();
    check_limit("definitions", definitions, limits.max_definitions)?;
    let mut walk = FragmentWalk::default();
    for (_, operation) in document.operations.iter() {
        let mut stats = measure(&operation.node.selection_set.node, &document, &mut walk)?;
        stats.add_directives(operation.node.directives.len());
        check_limit(SELECTIONS, stats.selections, limits.max_fields)?;
        check_limit("levels of nested fields", stats.depth, limits.max_depth)?;
        check_limit("aliases", stats.aliases, limits.max_aliases)?;
        check_limit("directives", stats.directives, limits.max_directives)?;
        check_limit("levels of nested selections", stats.selection_depth, MAX_SELECTION_DEPTH)?;
        check_limit("introspection fields", stats.introspections, MAX_INTROSPECTION_FIELDS)?;
        check_limit("variables", operation.node.variable_definitions.len(), MAX_VARIABLES)?;
        check_limit("root fields", stats.root_fields, limits.max_root_fields)?;
        if operation.node.ty == OperationType::Subscription {
            check_limit("root field in a subscription", stats.root_fields, 1)?;
            let is_field = |item: &Positioned<_>| matches!(item.node, Selection::Field(_));
            if !operation.node.selection_set.node.items.iter().all(is_field) {
                // async-graphql would find no field to subscribe to, and end the stream.
                let message = "The root field of a subscription must not be in a fragment.";
                return Err(with_code(code::VALIDATION_FAILED, message.to_owned()));
            }
        }
    }
    // Fragments that no operation spreads are measured too: async-graphql walks them as well.
    for name in document.fragments.keys() {
        let name = Positioned::new(name.clone(), Pos::default());
        let stats = measure_fragment(&name, &document, &mut walk)?;
        check_limit(SELECTIONS, stats.selections, limits.max_fields)?;
        check_limit("levels of nested fields", stats.depth, limits.max_depth)?;
        check_limit("levels of nested selections", stats.selection_depth, MAX_SELECTION_DEPTH)?;
    }
    Ok(document)
}

fn select_operation<'a>(
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
            "The document has several operations. Set 'operationName' to the one to execute.",
        )),
        (None, _, Some(name)) => {
            Err(unknown_operation(&format!("The document has no operation named {name:?}.")))
        }
        (None, _, None) => Err(unknown_operation("The document has no operation.")),
    }
}

/// The size of a selection with every spread expanded.
#[derive(Clone, Copy, Default)]
struct SelectionStats {
    /// Number of fields, spreads and inline fragments.
    selections: usize,
    /// Depth of nested fields.
    depth: usize,
    aliases: usize,
    directives: usize,
    /// Number of fields on the first level, fragments expanded.
    root_fields: usize,
    /// Depth of nested fields, spreads and inline fragments.
    selection_depth: usize,
    /// Number of introspection fields: `__schema` and `__type`.
    introspections: usize,
    /// Depth of nested lists of an introspection.
    list_depth: usize,
}

impl SelectionStats {
    /// Adds the next item of the same selection.
    fn add(&mut self, other: Self) {
        self.selections = self.selections.saturating_add(other.selections);
        self.depth = self.depth.max(other.depth);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
        self.root_fields = self.root_fields.saturating_add(other.root_fields);
        self.selection_depth = self.selection_depth.max(other.selection_depth);
        self.introspections = self.introspections.saturating_add(other.introspections);
        self.list_depth = self.list_depth.max(other.list_depth);
    }

    fn add_directives(&mut self, directives: usize) {
        self.directives = self.directives.saturating_add(directives);
    }

    /// The stats of an item that has this selection and `directives`.
    fn nested(mut self, directives: usize) -> Self {
        self.selections = self.selections.saturating_add(1);
        self.selection_depth = self.selection_depth.saturating_add(1);
        self.add_directives(directives);
        self
    }
}

/// The state of a walk over the selections of a document.
#[derive(Default)]
struct FragmentWalk {
    /// Stats of the fragments that the walk has met.
    ///
    /// `None` marks a fragment whose walk has begun and not ended: meeting it again is a cycle.
    fragments: HashMap<Name, Option<SelectionStats>>,
    /// Number of selections that the walk is inside of.
    selection_depth: usize,
}

impl FragmentWalk {
    fn enter(&mut self) -> Result<(), ServerError> {
        self.selection_depth += 1;
        check_limit("levels of nested selections", self.selection_depth, MAX_SELECTION_DEPTH)
    }

    fn leave(&mut self) {
        self.selection_depth -= 1;
    }
}

fn measure(
    selection: &SelectionSet,
    document: &ExecutableDocument,
    walk: &mut FragmentWalk,
) -> Result<SelectionStats, ServerError> {
    walk.enter()?;
    let mut stats = SelectionStats::default();
    for item in &selection.items {
        match &item.node {
            Selection::Field(Positioned { node: field, .. }) => {
                let alias = field.alias.as_ref().map_or(0, |alias| alias.node.len());
                check_limit("bytes in an alias", alias, MAX_ALIAS_BYTES)?;
                let below = measure(&field.selection_set.node, document, walk)?;
                let name = field.name.node.as_str();
                let introspects = name.starts_with("__") && name != "__typename";
                if introspects {
                    let max = MAX_INTROSPECTION_LIST_DEPTH;
                    check_limit("levels of nested introspection lists", below.list_depth, max)?;
                }
                let nested = below.nested(field.directives.len());
                stats.add(SelectionStats {
                    depth: below.depth.saturating_add(1),
                    aliases: below.aliases.saturating_add(usize::from(field.alias.is_some())),
                    root_fields: 1,
                    introspections: below.introspections.saturating_add(usize::from(introspects)),
                    list_depth: below.list_depth + usize::from(INTROSPECTION_LISTS.contains(&name)),
                    ..nested
                });
            }
            Selection::InlineFragment(Positioned { node: fragment, .. }) => {
                let below = measure(&fragment.selection_set.node, document, walk)?;
                stats.add(below.nested(fragment.directives.len()));
            }
            Selection::FragmentSpread(Positioned { node: spread, .. }) => {
                let below = measure_fragment(&spread.fragment_name, document, walk)?;
                stats.add(below.nested(spread.directives.len()));
            }
        }
    }
    walk.leave();
    Ok(stats)
}

fn measure_fragment(
    name: &Positioned<Name>,
    document: &ExecutableDocument,
    walk: &mut FragmentWalk,
) -> Result<SelectionStats, ServerError> {
    let Positioned { node: name, pos } = name;
    let invalid = |problem: &str| {
        let mut error =
            with_code(code::VALIDATION_FAILED, format!("The fragment \"{name}\" {problem}."));
        error.locations.extend((*pos != Pos::default()).then_some(*pos));
        error
    };
    match walk.fragments.get(name) {
        Some(Some(stats)) => return Ok(*stats),
        Some(None) => return Err(invalid("spreads itself")),
        None => {}
    }
    let Some(Positioned { node: FragmentDefinition { selection_set, directives, .. }, .. }) =
        document.fragments.get(name)
    else {
        return Err(invalid("does not exist"));
    };
    walk.fragments.insert(name.clone(), None);
    let mut stats = measure(&selection_set.node, document, walk)?;
    stats.add_directives(directives.len());
    walk.fragments.insert(name.clone(), Some(stats));
    Ok(stats)
}

/// The deepest nesting of brackets in a text, except in its strings and comments.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut may_have_block_string) = (0usize, 0, true);
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
                // The parser reads an unterminated block string as an empty string, followed by a
                // quote. If this one is unterminated, so are all later ones.
                let length = if may_have_block_string { block_length(rest) } else { None };
                may_have_block_string = length.is_some();
                length.unwrap_or(2)
            }
            '"' => string_length(rest),
            other => other.len_utf8(),
        };
        rest = rest.get(skip..).unwrap_or_default();
    }
    deepest
}

/// The length in bytes of the block string that `text` starts with.
///
/// `None` means that it is unterminated. Its only escape sequence is that of its end, `\"""`.
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

/// The length in bytes of the string that `text` starts with.
///
/// It is 1, for the quote, if the line or the text ends before the string does.
fn string_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return at + 1,
            '\n' | '\r' => break,
            // A backslash escapes any character.
            '\\' => drop(characters.next()),
            _ => {}
        }
    }
    1
}

fn check_limit(unit: &str, count: usize, max: usize) -> Result<(), ServerError> {
    if count <= max {
        return Ok(());
    }
    let message = format!("The document has more than {max} {unit}.");
    Err(with_code(code::QUERY_TOO_COMPLEX, message))
}

fn unknown_operation(message: &str) -> ServerError {
    with_code(code::VALIDATION_FAILED, message.to_owned())
}

fn parse_failed(error: ParseError) -> ServerError {
    let mut error: ServerError = error.into();
    // The parser's message is a drawing of the line with an arrow. What it expected is at the end.
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

#[cfg(test)]
mod tests;
