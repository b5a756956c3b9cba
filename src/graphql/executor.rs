//! Executes operations on the schema, or only computes their cost.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::{Request, Response, SDLExportOptions};
use futures_util::stream::{BoxStream, StreamExt as _};

use super::complexity::{ComplexityCell, ComplexityProbe};
use crate::events::EventHub;
use crate::loaders::poll_inline;
use crate::schema::{self, Executable, Query, SubgraphQuery};

/// The schema in the two forms that operations are executed on.
///
/// Both execute normal forms only, which are valid.
pub struct Executor {
    resolving: Variant,
    /// Resolves nothing.
    probe: Variant,
}

/// The schema, with or without the fields of Apollo Federation.
enum Variant {
    Standalone(Executable<Query>),
    Subgraph(Executable<SubgraphQuery>),
}

impl Executor {
    pub fn new(events: &EventHub, federation: bool) -> Self {
        if federation {
            let schema = schema::builder().data(events.clone());
            let probe = schema::builder().extension(ComplexityProbe);
            Self {
                resolving: Variant::Subgraph(schema.finish()),
                probe: Variant::Subgraph(probe.finish()),
            }
        } else {
            let schema = schema::builder().data(events.clone());
            let probe = schema::builder().extension(ComplexityProbe);
            Self {
                resolving: Variant::Standalone(schema.finish()),
                probe: Variant::Standalone(probe.finish()),
            }
        }
    }

    /// Executes a query or mutation.
    pub async fn execute(&self, request: Request) -> Response {
        match &self.resolving {
            Variant::Standalone(schema) => poll_inline(schema.execute(request)).await,
            Variant::Subgraph(schema) => poll_inline(schema.execute(request)).await,
        }
    }

    /// Executes a subscription: a response for each event.
    pub fn subscribe(&self, request: Request) -> BoxStream<'static, Response> {
        match &self.resolving {
            Variant::Standalone(schema) => schema.execute_stream(request).boxed(),
            Variant::Subgraph(schema) => schema.execute_stream(request).boxed(),
        }
    }

    /// The cost of a request. It is the largest number if it cannot be computed.
    pub async fn complexity(&self, request: Request) -> usize {
        let cell = ComplexityCell::new(AtomicUsize::new(usize::MAX));
        let request = request.data(ComplexityCell::clone(&cell));
        match &self.probe {
            Variant::Standalone(schema) => schema.execute(request).await,
            Variant::Subgraph(schema) => schema.execute(request).await,
        };
        cell.load(Ordering::Relaxed)
    }

    /// The schema in the Schema Definition Language, for the validation of documents.
    pub fn sdl(&self) -> String {
        let options = SDLExportOptions::new().include_specified_by();
        match &self.resolving {
            Variant::Standalone(schema) => schema.sdl_with_options(options),
            Variant::Subgraph(schema) => schema.sdl_with_options(options),
        }
    }
}
