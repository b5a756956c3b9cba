//! The output types of texts.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, OutputType, Positioned, ServerResult, Value};

use super::context::RequestContext;

/// A text of any length in the response, of the GraphQL type `String`.
///
/// Resolving it reserves memory for it, and fails if the response or all responses together would
/// become too large. Resolvers return texts as this type or as [`ShortText`], so that the
/// reservation is not forgotten; a test of the structure ensures it.
pub struct Text<'a>(Cow<'a, str>);

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl OutputType for Text<'_> {
    fn type_name() -> Cow<'static, str> {
        <String as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <String as OutputType>::create_type_info(registry)
    }

    async fn resolve(
        &self,
        ctx: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        let request = ctx.data_unchecked::<Arc<RequestContext>>();
        match request.reserve_text(&self.0) {
            Ok(text) => Ok(Value::String(text.to_owned())),
            Err(error) => {
                let error: async_graphql::Error = error.into();
                Err(ctx.set_error_path(error.into_server_error(field.pos)))
            }
        }
    }
}

/// A short text in the response, of the GraphQL type `String`.
///
/// Examples are a name, a token and a cursor. Each has at most 256 bytes, except a stream cursor on
/// PostgreSQL, which grows by about 11 bytes for each transaction in progress. No memory is
/// reserved for short texts: the cost of the operation bounds their number.
pub struct ShortText<'a>(Cow<'a, str>);

impl<'a> From<&'a str> for ShortText<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for ShortText<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl OutputType for ShortText<'_> {
    fn type_name() -> Cow<'static, str> {
        <String as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <String as OutputType>::create_type_info(registry)
    }

    async fn resolve(
        &self,
        _: &ContextSelectionSet<'_>,
        _: &Positioned<Field>,
    ) -> ServerResult<Value> {
        Ok(Value::String(self.0.clone().into_owned()))
    }
}
