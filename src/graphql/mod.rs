//! From a GraphQL document to its response, whatever the transport.
//!
//! A transport creates an [`Arrival`] and takes it through the stages of `admission`; the last
//! stage, an [`AdmittedOperation`], is the only thing that can be executed. Nothing here knows
//! HTTP.

mod admission;
mod authentication;
mod complexity;
mod document;
mod document_cache;
mod engine;
mod event_executor;
mod execute;
mod executor;
pub mod isolation;
mod operation_record;
mod parameters;
mod persisted;
mod response;
mod response_writer;
mod subscription;

pub use admission::{AdmittedOperation, Arrival, Checked, Operation, Permitted, Requester};
pub use engine::GraphqlEngine;
pub use execute::{Executed, with_deadline};
pub use executor::Executor;
pub use parameters::GraphQLParams;
pub use persisted::PersistedDocuments;
pub use response::{EncodedResponse, ExecutionResponse, encode_errors, truncate_errors};

/// The default limits of documents.
#[cfg(test)]
fn test_limits() -> crate::config::Limits {
    use clap::{Args as _, Command, FromArgMatches as _};

    let command = crate::config::Limits::augment_args(Command::new("test"));
    crate::config::Limits::from_arg_matches(&command.get_matches_from(["test"])).unwrap()
}
