//! What a valid document may cost, and codes for what is not valid: both known once the library has
//! checked the document against the schema, and before anything runs.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::{ErrorExtensionValues, ServerError, ValidationResult};

use super::error::code;

/// Refuses documents that cost more than `max_complexity`.
pub struct Limit {
    pub max_complexity: usize,
}

impl ExtensionFactory for Limit {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self { max_complexity: self.max_complexity })
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for Limit {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let coded = |mut error: ServerError, code: &str| {
            error.extensions.get_or_insert_default().set("code", code);
            error
        };
        let result = next.run(ctx).await.map_err(|errors| {
            errors
                .into_iter()
                .map(|error| coded(error, code::VALIDATION_FAILED))
                .collect::<Vec<_>>()
        })?;
        if result.complexity > self.max_complexity {
            let (cost, max) = (result.complexity, self.max_complexity);
            let message = format!(
                "The query costs {cost}, more than {max}. Ask for smaller pages or fewer levels."
            );
            let mut error = coded(ServerError::new(message, None), code::QUERY_TOO_COMPLEX);
            let mut figures = ErrorExtensionValues::default();
            figures.set("cost", cost);
            figures.set("max", max);
            figures.set("code", code::QUERY_TOO_COMPLEX);
            error.extensions = Some(figures);
            return Err(vec![error]);
        }
        Ok(result)
    }
}
