//! Eager polling of an object's fields, unrelated to eager loading of relations.
//!
//! async-graphql resolves the fields of every object through a `FuturesUnordered` with a task per
//! field, although most fields of list entries, and of single objects such as `Post.author`, are
//! stored values that are ready at the first poll. It also returns the fields in the order of their
//! completion, not of the document (<https://github.com/async-graphql/async-graphql/issues/612>,
//! open since 2021). [`Eager`] is therefore written by hand: it polls each field once, in the order
//! of the document, and joins only the fields that are pending. These come last in the result; the
//! response writer (`src/graphql/response_writer.rs`) restores the order of the document for all
//! objects.
//!
//! The fields bypass the extensions and the custom directives of async-graphql; the schema that
//! executes operations has neither. `@skip` and `@include` are not evaluated here: the normal form
//! of an operation has no skipped fields.

use std::borrow::Cow;
use std::task::Poll;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{Field, Selection};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::ContainerType;
use async_graphql::{ContextSelectionSet, ObjectType, OutputType, Positioned, ServerResult, Value};
use futures_util::future::{BoxFuture, join_all};
use futures_util::poll;

/// An object whose fields are polled once before any is awaited.
///
/// Its GraphQL type is that of `T`.
pub struct Eager<T>(pub T);

impl<T: ObjectType> OutputType for Eager<T> {
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
        let name = T::type_name();
        // A selection on an object has fields only, because operations are in normal form.
        let fields = ctx.item.node.items.iter().filter_map(as_field);
        let mut values = IndexMap::with_capacity(ctx.item.node.items.len());
        let mut pending = Vec::new();
        for field in fields {
            let key = &field.node.response_key().node;
            if field.node.name.node == "__typename" {
                values.insert(key.clone(), name.as_ref().into());
                continue;
            }
            let mut resolution = resolve_field(ctx, &self.0, field);
            match poll!(resolution.as_mut()) {
                Poll::Ready(Ok(value)) => drop(values.insert(key.clone(), value)),
                Poll::Ready(Err(error)) => ctx.add_error(error),
                Poll::Pending => pending.push(async move { (key, resolution.await) }),
            }
        }
        for (key, result) in join_all(pending).await {
            match result {
                Ok(value) => drop(values.insert(key.clone(), value)),
                Err(error) => ctx.add_error(error),
            }
        }
        // Null if every field failed, as from `resolve_container`. The errors are in the response.
        Ok(if values.is_empty() { Value::Null } else { Value::Object(values) })
    }
}

/// Resolves a field of an object.
///
/// The future has no type of its own. Otherwise the type of a field of the object's own type, such
/// as `Post.inReplyTo`, would contain itself.
fn resolve_field<'a, T: ContainerType>(
    ctx: &'a ContextSelectionSet<'a>,
    object: &'a T,
    field: &'a Positioned<Field>,
) -> BoxFuture<'a, ServerResult<Value>> {
    Box::pin(async move {
        let ctx = ctx.with_field(field);
        Ok(object.resolve_field(&ctx).await?.unwrap_or_default())
    })
}

fn as_field(item: &Positioned<Selection>) -> Option<&Positioned<Field>> {
    match &item.node {
        Selection::Field(field) => Some(field),
        _ => None,
    }
}
