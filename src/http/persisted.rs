//! Documents that clients name in place of sending them: those that the operator trusts, from a file that the
//! client's build has written; and those that clients have sent once with their hash (automatic persisted queries).

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

use super::guard::{self, refuse};
use super::parameters::Parameters;
use crate::config::Limits;
use crate::schema::code;

/// Of an id that is a hash; it may be left out.
const PREFIX: &str = "sha256:";

/// The part of the memory for documents that is for texts by their hash.
const PART: usize = 8;

pub struct Persisted {
    /// By their ids.
    trusted: HashMap<String, Arc<str>>,
    /// The names of their operations, by the texts.
    names: HashMap<Arc<str>, String>,
    only_trusted: bool,
    /// By the SHA-256 of the text, in hexadecimal.
    sent: Cache<String, Arc<str>, Memory>,
}

#[derive(Clone)]
struct Memory;

impl Weighter<String, Arc<str>> for Memory {
    fn weight(&self, hash: &String, text: &Arc<str>) -> u64 {
        (hash.len() + text.len()) as u64 + 128
    }
}

/// What `graphql-codegen` and `relay-compiler` write, and what Apollo's tools do.
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

impl Persisted {
    /// With the documents in the file, and others too unless `only_trusted`.
    ///
    /// # Errors
    /// When the file cannot be read, or one of its documents cannot, or goes beyond the limits; when there is no
    /// file, and nothing else is to run.
    pub fn new(file: Option<&Path>, only_trusted: bool, limits: &Limits) -> Result<Self> {
        ensure!(
            file.is_some() || !only_trusted,
            "--only-trusted needs a file of --trusted-documents"
        );
        let bytes = limits.max_known_documents / PART;
        let (mut trusted, mut names) = (HashMap::new(), HashMap::new());
        if let Some(file) = file {
            let what = || format!("cannot read the trusted documents in {}", file.display());
            let text = std::fs::read_to_string(file).with_context(what)?;
            let manifest: Manifest = serde_json::from_str(&text)
                .context("neither an object of texts by id, nor a manifest with operations")
                .with_context(what)?;
            let documents = match manifest {
                Manifest::ById(documents) => documents,
                Manifest::Apollo { operations } => {
                    operations.into_iter().map(|one| (one.id, one.body)).collect()
                }
            };
            for (id, text) in documents {
                let document = guard::read(&text, limits)
                    .map_err(|error| anyhow!("document {id}: {}", error.message))
                    .with_context(what)?;
                let id = id.strip_prefix(PREFIX).map(str::to_owned).unwrap_or(id);
                let text: Arc<str> = text.into();
                let name = document.operations.iter().find_map(|(name, _)| name);
                names.insert(text.clone(), name.map(ToString::to_string).unwrap_or_default());
                trusted.insert(id, text);
            }
        }
        let sent = Cache::with_weighter(bytes / 1_024, bytes as u64, Memory);
        Ok(Self { trusted, names, only_trusted, sent })
    }

    /// The text of the document that a request sends or names, and whether it is sent to be kept.
    ///
    /// # Errors
    /// `PERSISTED_QUERY_NOT_FOUND`, `DOCUMENT_NOT_TRUSTED`; `BAD_REQUEST` when the hash is another document's.
    pub fn text(&self, parameters: &mut Parameters) -> Result<(String, bool), ServerError> {
        let sent = parameters.query.take();
        let Some(id) = parameters.id() else {
            return Ok((self.admit(sent.unwrap_or_default())?, false));
        };
        let id = id.strip_prefix(PREFIX).unwrap_or(id);
        // A client may print a trusted document in another way than its build did.
        if let Some(text) = self.trusted.get(id) {
            return Ok((text.as_ref().to_owned(), false));
        }
        let id = id.to_ascii_lowercase();
        let Some(text) = sent else {
            let text = self.sent.get(&id).filter(|_| !self.only_trusted);
            let text = text.map(|text| (text.as_ref().to_owned(), false));
            // Apollo's clients look for just this word, and send the text along.
            let unknown = "PersistedQueryNotFound".to_owned();
            return text.ok_or_else(|| refuse(code::PERSISTED_QUERY_NOT_FOUND, unknown));
        };
        if hash(&text) != id {
            let message = "The hash is not that of the document.";
            return Err(refuse(code::BAD_REQUEST, message.to_owned()));
        }
        Ok((self.admit(text)?, true))
    }

    /// The documents of the file, by their ids.
    pub fn trusted(&self) -> impl Iterator<Item = (&str, &str)> {
        self.trusted.iter().map(|(id, text)| (id.as_str(), &**text))
    }

    /// The name of a trusted document's operation.
    pub fn name_of(&self, text: &str) -> Option<&str> {
        self.names.get(text).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The next request may name this document by its hash.
    pub fn keep(&self, text: &str) {
        self.sent.insert(hash(text), text.into());
    }

    fn admit(&self, text: String) -> Result<String, ServerError> {
        if self.only_trusted && !self.names.contains_key(text.as_str()) {
            let message = "Only documents that the operator trusts run here.";
            return Err(refuse(code::DOCUMENT_NOT_TRUSTED, message.to_owned()));
        }
        Ok(text)
    }
}

fn hash(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
