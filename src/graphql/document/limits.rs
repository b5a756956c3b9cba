//! Limits of a document that are checked before it is validated.
//!
//! A few hundred bytes of fragments that each spread the next one twice expand to millions of
//! fields. Therefore the document is measured first, in linear time: each fragment is walked once,
//! and its size is added for each spread. The limits bound the time of the validation, of the
//! normal form and of the execution, and the depth of their recursion.

use std::collections::HashMap;

use apollo_compiler::Name;
use apollo_compiler::ast::{
    Definition, Document, FragmentDefinition, OperationType, Selection, Value,
};
use async_graphql::{Pos, ServerError};

use super::diagnostics::{invalid, too_many};
use super::source::Lines;
use crate::config::Limits;

/// Maximum depth of nested fields, spreads and inline fragments.
///
/// Every spread counts as if it were expanded. A walk of the selection recurses once for each
/// level.
const MAX_SELECTION_DEPTH: usize = 128;

/// Maximum size of all operations of a document, as a multiple of `--max-fields`.
///
/// The validation expands the fragments of each operation.
const TOTAL_FACTOR: usize = 2;

/// Maximum number of values in the arguments of a document.
///
/// Items of lists and fields of objects count. The validation copies the arguments of fields that
/// cannot be merged.
const MAX_VALUES: usize = 500;

/// What `--max-fields` counts.
const SELECTIONS: &str = "fields, fragment spreads and inline fragments";

/// Maximum length of an alias in bytes.
///
/// The response repeats an alias for each item of a list.
const MAX_ALIAS_BYTES: usize = 128;

/// Maximum weight of the introspection fields of an operation.
///
/// Tools send up to five `__type` fields in one operation.
const MAX_INTROSPECTION_WEIGHT: usize = 8;

/// The weights of the introspection fields.
///
/// The response to `__schema` is as large as the schema.
const INTROSPECTION_WEIGHTS: [(&str, usize); 2] = [("__schema", 2), ("__type", 1)];

/// Maximum depth of nested lists in an introspection.
///
/// The types of the schema refer to each other in cycles. Each level multiplies the response, and
/// no page size bounds it.
const MAX_INTROSPECTION_LIST_DEPTH: usize = 2;
const INTROSPECTION_LISTS: [&str; 4] = ["fields", "inputFields", "interfaces", "possibleTypes"];

/// Checks the length of a document's text.
///
/// # Errors
/// `QUERY_TOO_COMPLEX`.
pub fn check_length(text: &str, limits: &Limits) -> Result<(), ServerError> {
    check_limit("bytes", text.len(), limits.max_document_bytes)
}

/// The size of the largest operation of a document, spreads expanded.
#[derive(Default)]
pub struct DocumentSize {
    /// Number of fields, spreads and inline fragments.
    pub selections: usize,
    /// Number of values in arguments, items of lists and fields of objects included.
    pub values: usize,
}

/// Checks the size of each operation and of each fragment of a document.
///
/// Fragments that do not exist count as empty; the validation rejects them.
///
/// # Errors
/// `QUERY_TOO_COMPLEX`, with the name of the limit in its message. `GRAPHQL_VALIDATION_FAILED` when
/// fragments form a cycle or have the same name: they have no size, and their validation takes
/// exponential time.
pub fn check(
    document: &Document,
    limits: &Limits,
    lines: &Lines<'_>,
) -> Result<DocumentSize, ServerError> {
    check_limit("definitions", document.definitions.len(), limits.max_definitions)?;
    let mut largest = DocumentSize::default();
    let mut walk = FragmentWalk::new(document, lines)?;
    let mut selections = 0_usize;
    for definition in &document.definitions {
        match definition {
            Definition::OperationDefinition(operation) => {
                let mut stats = measure(&operation.selection_set, &mut walk)?;
                stats.add_directives(operation.directives.len());
                selections = selections.saturating_add(stats.selections);
                largest.selections = largest.selections.max(stats.selections);
                largest.values = largest.values.max(stats.values);
                check_selection(&stats, limits)?;
                check_limit("aliases", stats.aliases, limits.max_aliases)?;
                check_limit("directives", stats.directives, limits.max_directives)?;
                let weight = stats.introspection_weight;
                check_limit("introspection fields", weight, MAX_INTROSPECTION_WEIGHT)?;
                if operation.operation_type != OperationType::Subscription {
                    check_limit("root fields", stats.root_fields, limits.max_root_fields)?;
                }
            }
            // Fragments that no operation spreads are measured too: the validation walks them.
            Definition::FragmentDefinition(fragment) => {
                check_selection(&measure_fragment(&fragment.name, &mut walk)?, limits)?;
            }
            _ => {}
        }
    }
    let max_selections = limits.max_fields.saturating_mul(TOTAL_FACTOR);
    let unit = "fields, fragment spreads and inline fragments in all operations";
    check_limit(unit, selections, max_selections)?;
    check_limit("values in arguments", walk.values, MAX_VALUES)?;
    Ok(largest)
}

fn check_selection(stats: &SelectionStats, limits: &Limits) -> Result<(), ServerError> {
    check_limit(SELECTIONS, stats.selections, limits.max_fields)?;
    check_limit("levels of nested fields", stats.depth, limits.max_depth)?;
    check_limit("levels of nested selections", stats.selection_depth, MAX_SELECTION_DEPTH)
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
    /// Number of values in arguments of fields.
    values: usize,
    /// Number of fields on the first level, fragments expanded.
    root_fields: usize,
    /// Depth of nested fields, spreads and inline fragments.
    selection_depth: usize,
    introspection_weight: usize,
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
        self.values = self.values.saturating_add(other.values);
        self.root_fields = self.root_fields.saturating_add(other.root_fields);
        self.selection_depth = self.selection_depth.max(other.selection_depth);
        let weight = self.introspection_weight;
        self.introspection_weight = weight.saturating_add(other.introspection_weight);
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
struct FragmentWalk<'a> {
    definitions: HashMap<&'a Name, &'a FragmentDefinition>,
    /// Stats of the fragments that the walk has met.
    ///
    /// `None` marks a fragment whose walk has begun and not ended: meeting it again is a cycle.
    fragments: HashMap<&'a Name, Option<SelectionStats>>,
    /// Number of selections that the walk is inside of.
    selection_depth: usize,
    /// Number of values in the arguments of the document.
    values: usize,
    lines: &'a Lines<'a>,
}

impl<'a> FragmentWalk<'a> {
    fn new(document: &'a Document, lines: &'a Lines<'a>) -> Result<Self, ServerError> {
        let mut definitions = HashMap::new();
        for definition in &document.definitions {
            let Some(fragment) = definition.as_fragment_definition() else { continue };
            let name = &fragment.name;
            if definitions.insert(name, &**fragment).is_some() {
                let message = format!("There can be only one fragment named \"{name}\".");
                return Err(invalid(&message, position(name, lines)));
            }
        }
        let fragments = HashMap::new();
        Ok(Self { definitions, fragments, selection_depth: 0, values: 0, lines })
    }

    fn enter(&mut self) -> Result<(), ServerError> {
        self.selection_depth += 1;
        check_limit("levels of nested selections", self.selection_depth, MAX_SELECTION_DEPTH)
    }

    fn leave(&mut self) {
        self.selection_depth -= 1;
    }
}

fn measure<'a>(
    selections: &'a [Selection],
    walk: &mut FragmentWalk<'a>,
) -> Result<SelectionStats, ServerError> {
    walk.enter()?;
    let mut stats = SelectionStats::default();
    for item in selections {
        match item {
            Selection::Field(field) => {
                let alias = field.alias.as_ref().map_or(0, |alias| str::len(alias));
                check_limit("bytes in an alias", alias, MAX_ALIAS_BYTES)?;
                let below = measure(&field.selection_set, walk)?;
                let name = field.name.as_str();
                let weight = INTROSPECTION_WEIGHTS.iter().find(|(field, _)| *field == name);
                let weight = weight.map_or(0, |(_, weight)| *weight);
                if weight > 0 {
                    let max = MAX_INTROSPECTION_LIST_DEPTH;
                    check_limit("levels of nested introspection lists", below.list_depth, max)?;
                }
                let nested = below.nested(field.directives.len());
                let values = field.arguments.iter().map(|each| count_values(&each.value)).sum();
                walk.values = walk.values.saturating_add(values);
                stats.add(SelectionStats {
                    values: below.values.saturating_add(values),
                    depth: below.depth.saturating_add(1),
                    aliases: below.aliases.saturating_add(usize::from(field.alias.is_some())),
                    root_fields: 1,
                    introspection_weight: below.introspection_weight.saturating_add(weight),
                    list_depth: below.list_depth + usize::from(INTROSPECTION_LISTS.contains(&name)),
                    ..nested
                });
            }
            Selection::InlineFragment(fragment) => {
                let below = measure(&fragment.selection_set, walk)?;
                stats.add(below.nested(fragment.directives.len()));
            }
            Selection::FragmentSpread(spread) => {
                let below = measure_fragment(&spread.fragment_name, walk)?;
                stats.add(below.nested(spread.directives.len()));
            }
        }
    }
    walk.leave();
    Ok(stats)
}

fn measure_fragment<'a>(
    name: &'a Name,
    walk: &mut FragmentWalk<'a>,
) -> Result<SelectionStats, ServerError> {
    match walk.fragments.get(name) {
        Some(Some(stats)) => return Ok(*stats),
        Some(None) => {
            let message = format!("Cannot spread fragment \"{name}\" within itself.");
            return Err(invalid(&message, position(name, walk.lines)));
        }
        None => {}
    }
    let Some(fragment) = walk.definitions.get(name).copied() else {
        return Ok(SelectionStats::default());
    };
    walk.fragments.insert(name, None);
    let mut stats = measure(&fragment.selection_set, walk)?;
    stats.add_directives(fragment.directives.len());
    walk.fragments.insert(name, Some(stats));
    Ok(stats)
}

fn position(name: &Name, lines: &Lines<'_>) -> Pos {
    lines.start_of(name.location())
}

fn count_values(value: &Value) -> usize {
    let below = match value {
        Value::List(items) => items.iter().map(|item| count_values(item)).sum(),
        Value::Object(fields) => fields.iter().map(|(_, value)| count_values(value)).sum(),
        _ => 0,
    };
    1 + below
}

fn check_limit(unit: &str, count: usize, max: usize) -> Result<(), ServerError> {
    if count <= max { Ok(()) } else { Err(too_many(max, unit)) }
}

#[cfg(test)]
mod tests;
