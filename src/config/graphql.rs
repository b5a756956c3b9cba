//! Options of the GraphQL layer.

use clap::Args;
use clap::builder::FalseyValueParser;

/// Documents and the schema.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "GraphQL")]
pub struct GraphqlConfig {
    /// File of trusted documents, which clients may send by id
    ///
    /// It is a JSON object of documents by id, as graphql-codegen and relay-compiler write it, or
    /// Apollo's manifest.
    #[arg(long, env = "ROOKERY_TRUSTED_DOCUMENTS", default_value = "", value_name = "FILE")]
    pub trusted_documents: String,

    /// Reject all documents that are not in --trusted-documents
    #[arg(long, env = "ROOKERY_REQUIRE_TRUSTED_DOCUMENTS", value_parser = FalseyValueParser::new())]
    pub require_trusted_documents: bool,

    /// Approximate size of the prepared document cache in bytes; 0 disables it
    #[arg(
        long,
        env = "ROOKERY_DOCUMENT_CACHE_BYTES",
        default_value_t = 16_777_216,
        value_name = "BYTES"
    )]
    pub document_cache_bytes: usize,

    /// Serve the schema as a subgraph of Apollo Federation 2
    ///
    /// It adds `_service` and `_entities`. Only enable this when the router is the sole client of
    /// the server.
    #[arg(long, env = "ROOKERY_FEDERATION", value_parser = FalseyValueParser::new())]
    pub federation: bool,

    /// Reject `__schema` and `__type` of anonymous clients
    ///
    /// They fail with `UNAUTHENTICATED`. `__typename` is not affected.
    #[arg(long, env = "ROOKERY_NO_ANONYMOUS_INTROSPECTION",
          value_parser = FalseyValueParser::new())]
    pub no_anonymous_introspection: bool,
}
