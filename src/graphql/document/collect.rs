//! Collects the fields of an operation in the order of the specification.
//!
//! The result is a selection for async-graphql, and the shape of the response.

use std::collections::HashSet;

use apollo_compiler::collections::IndexMap;
use apollo_compiler::executable::{self, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{ExecutableDocument, Name as ApolloName, Node, ast};
use async_graphql::parser::types::{
    BaseType, Field, InlineFragment, Selection, SelectionSet as Selected, Type, TypeCondition,
    VariableDefinition,
};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::Value;

use super::coercion;
use super::source::Lines;
use super::validation::{DocumentSchema, ValidDocument};
use crate::graphql::response_writer::{Nullability, ResponseField, ResponseShape};

/// The response key of a `__typename` that the client has not selected.
///
/// It is no GraphQL name, so no client can select it. It is never part of a response.
pub const TYPE_KEY: &str = "$type";

/// Builds a selection in normal form from the selections of a document.
pub struct Builder<'a> {
    schema: &'a DocumentSchema,
    document: &'a ExecutableDocument,
    lines: Lines<'a>,
    /// The value of a variable of `@skip` or `@include`.
    is_true: &'a dyn Fn(&str) -> bool,
    /// Whether a field `streamCursor` was selected.
    pub selects_stream_cursor: bool,
}

/// The fields of each response key, each with the type that its selection is on.
type Collected<'a> = IndexMap<&'a ApolloName, Vec<(&'a ApolloName, &'a Node<executable::Field>)>>;

impl<'a> Builder<'a> {
    pub fn new(
        schema: &'a DocumentSchema,
        valid: &'a ValidDocument,
        is_true: &'a dyn Fn(&str) -> bool,
    ) -> Self {
        let lines = Lines::new(&valid.text);
        Self { schema, document: &valid.document, lines, is_true, selects_stream_cursor: false }
    }

    /// A selection on the type `ty` from all selections of a field.
    pub fn selection(
        &mut self,
        ty: &'a ApolloName,
        sets: &[&'a SelectionSet],
    ) -> (Selected, ResponseShape) {
        let schema = self.schema;
        let types = schema.possible_types(ty);
        let collected: Vec<_> = types.iter().map(|object| self.collect(object, sets)).collect();
        let (Some(object), Some(fields)) = (types.first(), collected.first()) else {
            return (Selected { items: vec![type_field()] }, ResponseShape::Object(vec![]));
        };
        if object != ty {
            return self.abstract_selection(ty, types, &collected);
        }
        let mut items = Vec::with_capacity(fields.len());
        let mut shape = Vec::with_capacity(fields.len());
        for (key, fields) in fields {
            let (item, field) = self.field(object, key, fields);
            items.push(item);
            shape.push(field);
        }
        if items.is_empty() {
            items.push(type_field());
        }
        (Selected { items }, ResponseShape::Object(shape))
    }

    /// A selection on an interface or union.
    fn abstract_selection(
        &mut self,
        ty: &'a ApolloName,
        types: &'a [ApolloName],
        collected: &[Collected<'a>],
    ) -> (Selected, ResponseShape) {
        let first = &collected[0];
        let is_common = |key: &ApolloName| self.is_common(key, types, collected);
        let mut items = Vec::new();
        let mut type_key = None;
        let common: Vec<_> = first.keys().copied().filter(|key| is_common(key)).collect();
        for (key, fields) in first.iter().filter(|(key, _)| common.contains(key)) {
            let (item, _) = self.field(&types[0], key, fields);
            let (on, field) = fields[0];
            if field.name == "__typename" {
                type_key = Some(Name::new(key));
                items.push(item);
            } else if on == ty {
                items.push(item);
            } else {
                items.push(fragment(on, vec![item]));
            }
        }
        let mut shapes = Vec::with_capacity(types.len());
        for (object, fields) in types.iter().zip(collected) {
            let (mut own, mut shape) = (Vec::new(), Vec::with_capacity(fields.len()));
            for (key, fields) in fields {
                let (item, field) = self.field(object, key, fields);
                shape.push(field);
                if !common.contains(key) {
                    own.push(item);
                }
            }
            if !own.is_empty() {
                items.push(fragment(object, own));
            }
            shapes.push((object.to_string(), shape));
        }
        let is_uniform = shapes.iter().all(|(_, shape)| *shape == shapes[0].1);
        if (is_uniform && items.is_empty()) || (!is_uniform && type_key.is_none()) {
            items.push(type_field());
        }
        let shape = if is_uniform {
            ResponseShape::Object(shapes.swap_remove(0).1)
        } else {
            ResponseShape::Abstract(type_key.unwrap_or_else(|| Name::new(TYPE_KEY)), shapes)
        };
        (Selected { items }, shape)
    }

    /// Whether all types have the same field of this response key, of the same type.
    fn is_common(
        &self,
        key: &ApolloName,
        types: &[ApolloName],
        collected: &[Collected<'a>],
    ) -> bool {
        let fields = |index: usize| collected[index].get(key).map_or(&[][..], Vec::as_slice);
        let ty = |index: usize| {
            let name = &fields(index).first()?.1.name;
            let definition = self.schema.schema.type_field(&types[index], name).ok()?;
            Some(definition.ty.inner_named_type())
        };
        (1..types.len()).all(|index| {
            let pairs = || fields(index).iter().zip(fields(0));
            fields(index).len() == fields(0).len()
                && pairs().all(|((_, field), (_, first))| field.ptr_eq(first))
                && ty(index) == ty(0)
        })
    }

    /// The algorithm `CollectFields` of the specification.
    fn collect(&self, object: &'a ApolloName, sets: &[&'a SelectionSet]) -> Collected<'a> {
        let (mut collected, mut visited) = (Collected::default(), HashSet::new());
        for set in sets {
            self.collect_set(object, set, &mut visited, &mut collected);
        }
        collected
    }

    fn collect_set(
        &self,
        object: &'a ApolloName,
        set: &'a SelectionSet,
        visited: &mut HashSet<&'a ApolloName>,
        collected: &mut Collected<'a>,
    ) {
        for selection in &set.selections {
            if !self.is_included(selection.directives()) {
                continue;
            }
            let set = match selection {
                executable::Selection::Field(field) => {
                    collected.entry(field.response_key()).or_default().push((&set.ty, field));
                    continue;
                }
                executable::Selection::FragmentSpread(spread) => {
                    let fragment = self.document.fragments.get(&spread.fragment_name);
                    match fragment.filter(|_| visited.insert(&spread.fragment_name)) {
                        Some(fragment) => &fragment.selection_set,
                        None => continue,
                    }
                }
                executable::Selection::InlineFragment(fragment) => &fragment.selection_set,
            };
            if self.schema.applies(&set.ty, object) {
                self.collect_set(object, set, visited, collected);
            }
        }
    }

    fn is_included(&self, directives: &ast::DirectiveList) -> bool {
        directives.iter().all(|directive| {
            let condition = directive.specified_argument_by_name("if");
            let condition = match condition.map(|condition| &**condition) {
                Some(ast::Value::Boolean(value)) => *value,
                Some(ast::Value::Variable(name)) => (self.is_true)(name),
                _ => return true,
            };
            match directive.name.as_str() {
                "skip" => !condition,
                "include" => condition,
                _ => true,
            }
        })
    }

    /// One field in place of all `fields` with the same response key.
    fn field(
        &mut self,
        object: &'a ApolloName,
        key: &'a ApolloName,
        fields: &[(&'a ApolloName, &'a Node<executable::Field>)],
    ) -> (Positioned<Selection>, ResponseField) {
        let field = fields[0].1;
        self.selects_stream_cursor |= field.name == "streamCursor";
        let schema = self.schema;
        // The object's field may have a narrower type than that of its interface.
        let definition = schema.schema.type_field(object, &field.name);
        let ty = definition.map_or(&field.definition.ty, |definition| &definition.ty);
        let is_leaf =
            schema.schema.types.get(ty.inner_named_type()).is_none_or(ExtendedType::is_leaf);
        let (selected, below) = if is_leaf {
            (Selected::default(), ResponseShape::Leaf)
        } else {
            let sets: Vec<_> = fields.iter().map(|(_, field)| &field.selection_set).collect();
            self.selection(ty.inner_named_type(), &sets)
        };
        let pos = self.lines.start_of(field.location());
        let name = Name::new(&field.name);
        let key = Name::new(key);
        let shape = ResponseField::new(key.clone(), Nullability::of(ty), below);
        let field = Field {
            alias: (key != name).then_some(Positioned::new(key, pos)),
            name: Positioned::new(name, pos),
            arguments: field
                .arguments
                .iter()
                .filter_map(|argument| self.argument(field, argument))
                .collect(),
            directives: vec![],
            selection_set: Positioned::new(selected, pos),
        };
        (Positioned::new(Selection::Field(Positioned::new(field, pos)), pos), shape)
    }

    fn argument(
        &self,
        field: &executable::Field,
        argument: &Node<ast::Argument>,
    ) -> Option<(Positioned<Name>, Positioned<Value>)> {
        let definition = field.definition.argument_by_name(&argument.name)?;
        let value = coercion::literal(&self.schema.schema, &argument.value, &definition.ty);
        let pos = self.lines.start_of(argument.location());
        Some((Positioned::new(Name::new(&argument.name), pos), Positioned::new(value, pos)))
    }

    /// The definition of a variable, from which async-graphql only takes the name.
    pub fn variable(
        &self,
        variable: &Node<ast::VariableDefinition>,
    ) -> Positioned<VariableDefinition> {
        let pos = self.lines.start_of(variable.location());
        // Only the name is used: the values are coerced already.
        let any = BaseType::Named(Name::new("String"));
        Positioned::new(
            VariableDefinition {
                name: Positioned::new(Name::new(&variable.name), pos),
                var_type: Positioned::new(Type { base: any, nullable: true }, pos),
                directives: vec![],
                default_value: None,
            },
            pos,
        )
    }
}

/// A field that is always there, and not part of the response.
fn type_field() -> Positioned<Selection> {
    let pos = Pos::default();
    let field = Field {
        alias: Some(Positioned::new(Name::new(TYPE_KEY), pos)),
        name: Positioned::new(Name::new("__typename"), pos),
        arguments: vec![],
        directives: vec![],
        selection_set: Positioned::default(),
    };
    Positioned::new(Selection::Field(Positioned::new(field, pos)), pos)
}

fn fragment(on: &ApolloName, items: Vec<Positioned<Selection>>) -> Positioned<Selection> {
    let pos = items.first().map_or(Pos::default(), |item| item.pos);
    let condition = TypeCondition { on: Positioned::new(Name::new(on), pos) };
    let fragment = InlineFragment {
        type_condition: Some(Positioned::new(condition, pos)),
        directives: vec![],
        selection_set: Positioned::new(Selected { items }, pos),
    };
    Positioned::new(Selection::InlineFragment(Positioned::new(fragment, pos)), pos)
}
