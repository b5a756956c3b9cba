//! What a document costs, before it runs. The library adds it up while it validates, and hands it to its extensions
//! alone; with one of these, it takes a slower path for each field that it answers. So the price is asked of a schema that
//! answers nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::{ServerError, ValidationResult, async_trait};

/// Where it is written down.
pub type Price = Arc<AtomicUsize>;

pub struct Pricing;

impl ExtensionFactory for Pricing {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for Pricing {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let found = next.run(ctx).await?;
        if let Some(price) = ctx.data_opt::<Price>() {
            price.store(found.complexity, Ordering::Relaxed);
        }
        // That is all there is to know.
        Err(vec![])
    }
}
