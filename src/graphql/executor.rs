//! Executes documents on the schema, or only computes their cost.
//!
//! A document that is known to be valid is executed without full validation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::{Request, Response, SDLExportOptions, ServerError, ValidationMode};
use futures_util::stream::{BoxStream, StreamExt as _};

use super::complexity::{ComplexityCell, ComplexityProbe};
use super::response_writer::FieldTypes;
use crate::domain::Services;
use crate::events::EventHub;
use crate::loaders::poll_inline;
use crate::schema::{self, Executable, Query, SubgraphQuery};

/// The schema in the three forms that documents are executed on.
pub struct Executor {
    strict: Variant,
    /// For documents that are known to be valid, with variables of the right types.
    validated: Variant,
    /// Resolves nothing.
    probe: Variant,
}

/// The schema, with or without the fields of Apollo Federation.
enum Variant {
    Standalone(Executable<Query>),
    Subgraph(Executable<SubgraphQuery>),
}

impl Executor {
    pub fn new(services: Services, events: &EventHub, federation: bool) -> Self {
        let services = Arc::new(services);
        let resolving = |mode| {
            let (services, events) = (Arc::clone(&services), events.clone());
            if federation {
                let schema = schema::builder().data(services).data(events);
                Variant::Subgraph(schema.validation_mode(mode).finish())
            } else {
                let schema = schema::builder().data(services).data(events);
                Variant::Standalone(schema.validation_mode(mode).finish())
            }
        };
        let mode = ValidationMode::Fast;
        let probe = if federation {
            let schema = schema::builder().extension(ComplexityProbe);
            Variant::Subgraph(schema.validation_mode(mode).finish())
        } else {
            let schema = schema::builder().extension(ComplexityProbe);
            Variant::Standalone(schema.validation_mode(mode).finish())
        };
        Self {
            strict: resolving(ValidationMode::Strict),
            validated: resolving(ValidationMode::Fast),
            probe,
        }
    }

    /// Executes a query or mutation.
    ///
    /// With `is_validated`, its document is not fully validated again.
    pub async fn execute(&self, request: Request, is_validated: bool) -> Response {
        match self.variant(is_validated) {
            Variant::Standalone(schema) => poll_inline(schema.execute(request)).await,
            Variant::Subgraph(schema) => poll_inline(schema.execute(request)).await,
        }
    }

    /// Executes a subscription: a response for each event.
    pub fn subscribe(&self, request: Request, is_validated: bool) -> BoxStream<'static, Response> {
        match self.variant(is_validated) {
            Variant::Standalone(schema) => schema.execute_stream(request).boxed(),
            Variant::Subgraph(schema) => schema.execute_stream(request).boxed(),
        }
    }

    /// The cost of a request, or `None` if the request is not valid.
    pub async fn complexity(&self, request: Request) -> Option<usize> {
        let cell = ComplexityCell::new(AtomicUsize::new(usize::MAX));
        let request = request.data(ComplexityCell::clone(&cell));
        match &self.probe {
            Variant::Standalone(schema) => schema.execute(request).await,
            Variant::Subgraph(schema) => schema.execute(request).await,
        };
        Some(cell.load(Ordering::Relaxed)).filter(|cost| *cost < usize::MAX)
    }

    /// The type of each field.
    ///
    /// # Errors
    /// When the exported SDL cannot be parsed, which is a bug.
    pub fn field_types(&self) -> Result<FieldTypes, async_graphql::parser::Error> {
        let options = SDLExportOptions::new();
        FieldTypes::from_sdl(&match &self.strict {
            Variant::Standalone(schema) => schema.sdl_with_options(options),
            Variant::Subgraph(schema) => schema.sdl_with_options(options),
        })
    }

    /// The first validation error of a document, if any. Nothing is executed.
    pub async fn validate(&self, document: &str) -> Option<ServerError> {
        // async-graphql looks for the operation only after it has validated the document.
        const UNKNOWN_OPERATION: &str = "";
        let request = Request::new(document).operation_name(UNKNOWN_OPERATION);
        let response = self.execute(request, false).await;
        response.errors.into_iter().find(|error| !error.message.starts_with("Unknown operation"))
    }

    fn variant(&self, is_validated: bool) -> &Variant {
        if is_validated { &self.validated } else { &self.strict }
    }
}
