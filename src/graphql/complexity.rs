//! An extension of async-graphql that reads the complexity of a document.
//!
//! async-graphql computes the complexity while it validates, and passes it to extensions only. A
//! schema with an extension resolves each field on a slower path. Therefore the extension belongs
//! to a schema of its own, on which nothing is resolved: the probe of
//! [`Executor::complexity`](super::Executor::complexity).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::{ServerError, ValidationResult, async_trait};

/// Request data that receives the complexity.
pub type ComplexityCell = Arc<AtomicUsize>;

/// Stores the complexity of a valid document in the request's [`ComplexityCell`].
pub struct ComplexityProbe;

impl ExtensionFactory for ComplexityProbe {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for ComplexityProbe {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let result = next.run(ctx).await?;
        if let Some(cell) = ctx.data_opt::<ComplexityCell>() {
            cell.store(result.complexity, Ordering::Relaxed);
        }
        // An error ends the request before its execution.
        Err(vec![])
    }
}
