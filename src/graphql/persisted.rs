//! Documents that clients send by id instead of by text.
//!
//! Trusted documents are read at start from a file that the build of a client has written. With
//! `--require-trusted-documents` all other documents are rejected. Automatic persisted queries are
//! documents that a client has sent once with their SHA-256 hash, as in Apollo's protocol. They are
//! cached by their hash, up to a number of bytes.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, ensure};
use async_graphql::ServerError;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::document::DocumentSchema;
use super::parameters::GraphQLParams;
use crate::config::{GraphqlConfig, Limits};
use crate::schema::{code, with_code};

/// Prefix of an id that is a hash. It may be omitted.
const HASH_PREFIX: &str = "sha256:";

/// Size ratio of the document cache to the cache of automatic persisted queries.
const CACHE_RATIO: usize = 8;

/// The trusted documents, and the cache of automatic persisted queries.
pub struct PersistedDocuments {
    /// Texts of the trusted documents by id.
    trusted: HashMap<String, Arc<str>>,
    /// Name of an operation of each trusted document, by text; empty if anonymous.
    operation_names: HashMap<Arc<str>, String>,
    require_trusted: bool,
    /// Texts by their SHA-256 hash in lowercase hexadecimal.
    automatic: Cache<String, Arc<str>, ByteWeighter>,
}

/// Estimates the memory of an automatic persisted query in bytes.
#[derive(Clone)]
struct ByteWeighter;

impl Weighter<String, Arc<str>> for ByteWeighter {
    fn weight(&self, hash: &String, text: &Arc<str>) -> u64 {
        (hash.len() + text.len()) as u64 + 128
    }
}

/// The formats of the file of trusted documents.
///
/// `ById` is the format of `graphql-codegen` and `relay-compiler`, `Apollo` is Apollo's manifest.
#[derive(Deserialize)]
#[serde(untagged)]
enum Manifest {
    Apollo { operations: Vec<ApolloOperation> },
    ById(HashMap<String, String>),
}

#[derive(Deserialize)]
struct ApolloOperation {
    id: String,
    body: String,
}

impl PersistedDocuments {
    /// Reads the trusted documents from the configured file.
    ///
    /// # Errors
    /// When the file cannot be read, when one of its documents is not valid or exceeds a limit, or
    /// when trusted documents are required and there is no file.
    pub fn new(config: &GraphqlConfig, schema: &DocumentSchema, limits: &Limits) -> Result<Self> {
        let file = Some(&config.trusted_documents).filter(|file| !file.is_empty()).map(Path::new);
        let require_trusted = config.require_trusted_documents;
        ensure!(
            file.is_some() || !require_trusted,
            "--require-trusted-documents requires --trusted-documents"
        );
        let bytes = config.document_cache_bytes / CACHE_RATIO;
        let (mut trusted, mut operation_names) = (HashMap::new(), HashMap::new());
        if let Some(file) = file {
            let cannot_read = || format!("cannot read the trusted documents in {}", file.display());
            let text = std::fs::read_to_string(file).with_context(cannot_read)?;
            let manifest: Manifest = serde_json::from_str(&text)
                .context("expected a JSON object of documents by id, or Apollo's manifest")
                .with_context(cannot_read)?;
            let documents = match manifest {
                Manifest::ById(documents) => documents,
                Manifest::Apollo { operations } => {
                    operations.into_iter().map(|operation| (operation.id, operation.body)).collect()
                }
            };
            for (id, text) in documents {
                let document = schema.validate(&text, limits).map_err(|errors| {
                    let message = errors.first().map_or("", |error| &error.message);
                    anyhow!("document {id} in {} is not valid: {message}", file.display())
                })?;
                let id = id.strip_prefix(HASH_PREFIX).map(str::to_owned).unwrap_or(id);
                let text: Arc<str> = text.into();
                let name = document.document.operations.named.keys().next();
                let name = name.map(ToString::to_string).unwrap_or_default();
                operation_names.insert(text.clone(), name);
                trusted.insert(id, text);
            }
        }
        let automatic = Cache::with_weighter(bytes / 1_024, bytes as u64, ByteWeighter);
        Ok(Self { trusted, operation_names, require_trusted, automatic })
    }

    /// The text of the document of a request, and whether the request registers it.
    ///
    /// A request with a text and its hash registers the text as an automatic persisted query.
    ///
    /// # Errors
    /// `PERSISTED_QUERY_NOT_FOUND` when there is no text and the id is unknown; `BAD_REQUEST` when
    /// the hash is not that of the text; `DOCUMENT_NOT_TRUSTED` when trusted documents are required
    /// and this is not one of them.
    pub fn text(&self, params: &mut GraphQLParams) -> Result<(String, bool), ServerError> {
        let text = params.query.take();
        let Some(id) = params.document_id_or_hash() else {
            return Ok((self.ensure_trusted(text.unwrap_or_default())?, false));
        };
        let id = id.strip_prefix(HASH_PREFIX).unwrap_or(id);
        // The id decides, not the text: a client may print the document differently than its build.
        if let Some(trusted) = self.trusted.get(id) {
            return Ok((trusted.as_ref().to_owned(), false));
        }
        let id = id.to_ascii_lowercase();
        let Some(text) = text else {
            let registered = self.automatic.get(&id).filter(|_| !self.require_trusted);
            let registered = registered.map(|text| (text.as_ref().to_owned(), false));
            // Apollo's clients look for exactly this message, and then send the text.
            let message = "PersistedQueryNotFound".to_owned();
            return registered.ok_or_else(|| with_code(code::PERSISTED_QUERY_NOT_FOUND, message));
        };
        if hash(&text) != id {
            let message = "The hash is not the SHA-256 hash of the document.";
            return Err(with_code(code::BAD_REQUEST, message.to_owned()));
        }
        Ok((self.ensure_trusted(text)?, true))
    }

    /// The name of a trusted document's first named operation.
    pub fn name_of(&self, text: &str) -> Option<&str> {
        self.operation_names.get(text).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Registers an automatic persisted query.
    pub fn insert(&self, text: &str) {
        self.automatic.insert(hash(text), text.into());
    }

    fn ensure_trusted(&self, text: String) -> Result<String, ServerError> {
        if self.require_trusted && !self.operation_names.contains_key(text.as_str()) {
            let message = "This server executes trusted documents only.";
            return Err(with_code(code::DOCUMENT_NOT_TRUSTED, message.to_owned()));
        }
        Ok(text)
    }
}

/// The SHA-256 hash of a text in lowercase hexadecimal.
fn hash(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
