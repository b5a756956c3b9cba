//! How the objects of lists are answered. The library makes a task of each field and hands it to a scheduler
//! of the object's own; but most fields are stored values. Here each field is asked once, in the order of the
//! document, and only what has to wait is waited for, side by side.

use std::borrow::Cow;
use std::task::Poll;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::{ContainerType, resolve_container};
use async_graphql::{ContextSelectionSet, ObjectType, OutputType, Positioned, ServerResult, Value};
use futures_util::future::join_all;
use futures_util::poll;

/// The same object to clients.
pub struct Prompt<T>(pub T);

impl<T: ObjectType> OutputType for Prompt<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn qualified_type_name() -> String {
        T::qualified_type_name()
    }

    fn introspection_type_name(&self) -> Cow<'static, str> {
        self.0.introspection_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(
        &self,
        ctx: &ContextSelectionSet<'_>,
        _: &Positioned<Field>,
    ) -> ServerResult<Value> {
        let mut fields = Vec::with_capacity(ctx.item.node.items.len());
        let name = T::type_name();
        if !collect(ctx, &ctx.item.node, &name, &mut fields) {
            return resolve_container(ctx, &self.0).await;
        }
        let mut values = IndexMap::with_capacity(fields.len());
        let mut waiting = Vec::new();
        for field in fields {
            let key = &field.node.response_key().node;
            if field.node.name.node == "__typename" {
                values.insert(key.clone(), name.as_ref().into());
                continue;
            }
            let mut answer = Box::pin(answer(ctx, &self.0, field));
            match poll!(answer.as_mut()) {
                Poll::Ready(Ok(value)) => drop(values.insert(key.clone(), value)),
                Poll::Ready(Err(error)) => ctx.add_error(error),
                Poll::Pending => waiting.push(async move { (key, answer.await) }),
            }
        }
        for (key, answer) in join_all(waiting).await {
            match answer {
                Ok(value) => drop(values.insert(key.clone(), value)),
                Err(error) => ctx.add_error(error),
            }
        }
        Ok(if values.is_empty() { Value::Null } else { Value::Object(values) })
    }
}

async fn answer<T: ContainerType>(
    ctx: &ContextSelectionSet<'_>,
    object: &T,
    field: &Positioned<Field>,
) -> ServerResult<Value> {
    let ctx = ctx.with_field(field);
    Ok(object.resolve_field(&ctx).await?.unwrap_or_default())
}

/// The fields that are selected of an object of the type `name`. False when that takes more than to read on:
/// a fragment on another type, an object that is selected twice.
fn collect<'a>(
    ctx: &ContextSelectionSet<'a>,
    set: &'a SelectionSet,
    name: &str,
    fields: &mut Vec<&'a Positioned<Field>>,
) -> bool {
    set.items.iter().all(|item| {
        let (on, inside) = match &item.node {
            Selection::Field(field) => {
                let key = &field.node.response_key().node;
                let known = fields.iter().any(|known| known.node.response_key().node == *key);
                if !known {
                    fields.push(field);
                }
                return !known || field.node.selection_set.node.items.is_empty();
            }
            Selection::InlineFragment(fragment) => {
                let on = fragment.node.type_condition.as_ref();
                (on, &fragment.node.selection_set.node)
            }
            Selection::FragmentSpread(spread) => {
                match ctx.query_env.fragments.get(&spread.node.fragment_name.node) {
                    Some(Positioned { node: fragment, .. }) => {
                        (Some(&fragment.type_condition), &fragment.selection_set.node)
                    }
                    None => return false,
                }
            }
        };
        on.is_none_or(|on| on.node.on.node == *name) && collect(ctx, inside, name, fields)
    })
}
