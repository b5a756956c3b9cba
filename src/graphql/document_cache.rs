//! The cache of prepared documents.
//!
//! A prepared document is parsed, is within the limits, and has a response shape. Clients send the
//! same few documents again and again. Whether a document is valid depends on the schema and on
//! which variables are provided. The cache is therefore keyed by the text, the operation name and
//! the names of the provided variables. A document is cached after its first execution, when it is
//! known to be valid. The size of the cache is bounded in bytes, not in entries, because clients
//! choose the length of their documents.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use async_graphql::parser::types::{OperationType, Selection};
use async_graphql::{Name, ServerError, Variables};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::document_limits;
use super::document_limits::ParsedDocument;
use super::response_writer::{FieldTypes, ResponseShape};
use crate::config::Limits;

/// A document within the limits, with the operation that the request selects.
pub struct PreparedDocument {
    pub parsed: ParsedDocument,
    pub shape: ResponseShape,
    /// The cost of the operation, once computed and if no variable can change it.
    pub complexity: OnceLock<usize>,
    selects_stream_cursor: bool,
    is_validated: AtomicBool,
}

impl PreparedDocument {
    /// Whether an execution has shown that the document is valid.
    pub fn is_validated(&self) -> bool {
        self.is_validated.load(Ordering::Relaxed)
    }

    /// Whether the operation is a mutation with a string literal in its document.
    ///
    /// Such a document is not cached: it is not sent twice, and the literal may be a password.
    pub fn has_inline_strings(&self, key: &DocumentKey) -> bool {
        self.parsed.operation.ty == OperationType::Mutation && key.text.contains('"')
    }

    /// The schema's name of the operation's first field.
    pub fn first_field(&self) -> Option<&str> {
        let mut selection = &self.parsed.operation.selection_set.node;
        loop {
            selection = match &selection.items.first()?.node {
                Selection::Field(field) => return Some(&field.node.name.node),
                Selection::InlineFragment(fragment) => &fragment.node.selection_set.node,
                Selection::FragmentSpread(spread) => {
                    let fragments = &self.parsed.document.fragments;
                    &fragments.get(&spread.node.fragment_name.node)?.node.selection_set.node
                }
            }
        }
    }

    /// Whether the document may select `streamCursor`.
    ///
    /// Only the primary knows the value of this field.
    pub fn selects_stream_cursor(&self) -> bool {
        self.selects_stream_cursor
    }
}

/// The key of a prepared document in the cache.
///
/// Absent variables are removed from the document before it is executed, so the names of the
/// provided variables are part of the key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DocumentKey {
    text: String,
    operation: Option<String>,
    provided_variables: Vec<Name>,
}

impl DocumentKey {
    pub fn new(text: String, operation: Option<String>, variables: &Variables) -> Self {
        Self { text, operation, provided_variables: variables.keys().cloned().collect() }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value of the request parameter `operationName`.
    pub fn operation(&self) -> Option<&str> {
        self.operation.as_deref()
    }
}

/// Prepared documents, up to a weight in bytes.
///
/// Documents that are used often are evicted last.
pub struct DocumentCache {
    types: FieldTypes,
    cache: Cache<DocumentKey, Arc<PreparedDocument>, ByteWeighter>,
}

/// Estimates the memory of a document in bytes.
///
/// The syntax tree is estimated from the text, and the response shape from its fields. The names of
/// variables count as text, because a client may send any number of them.
#[derive(Clone)]
struct ByteWeighter;

impl ByteWeighter {
    const BYTES_PER_TEXT_BYTE: u64 = 32;
    const BYTES_PER_FIELD: u64 = 256;
}

impl Weighter<DocumentKey, Arc<PreparedDocument>> for ByteWeighter {
    fn weight(&self, key: &DocumentKey, prepared: &Arc<PreparedDocument>) -> u64 {
        let names: usize = key.provided_variables.iter().map(|name| name.len() + 1).sum();
        let text = (key.text.len() + names) as u64 * Self::BYTES_PER_TEXT_BYTE;
        text + prepared.shape.fields() as u64 * Self::BYTES_PER_FIELD
    }
}

impl DocumentCache {
    /// A cache of at most `bytes`; 0 caches nothing.
    pub fn new(types: FieldTypes, bytes: usize) -> Self {
        // An entry must fit into one shard, so there are only two.
        let options = OptionsBuilder::new()
            .estimated_items_capacity(bytes / 16_384)
            .weight_capacity(bytes as u64)
            .shards(2)
            .build();
        let hasher = DefaultHashBuilder::default();
        let cache = match options {
            Ok(options) => {
                Cache::with_options(options, ByteWeighter, hasher, DefaultLifecycle::default())
            }
            Err(_) => Cache::with_weighter(0, 0, ByteWeighter),
        };
        Self { types, cache }
    }

    /// The cached document of `key`, or a new one, which is not cached yet.
    ///
    /// # Errors
    /// `GRAPHQL_PARSE_FAILED`, `GRAPHQL_VALIDATION_FAILED` or `QUERY_TOO_COMPLEX`, when a new
    /// document is malformed, exceeds a limit, or has no such operation.
    pub fn get_or_prepare(
        &self,
        key: &DocumentKey,
        limits: &Limits,
    ) -> Result<Arc<PreparedDocument>, ServerError> {
        if let Some(prepared) = self.cache.get(key) {
            return Ok(prepared);
        }
        let parsed =
            document_limits::parse_and_select(&key.text, key.operation.as_deref(), limits)?;
        let shape = self.types.shape(&parsed.document, &parsed.operation);
        Ok(Arc::new(PreparedDocument {
            parsed,
            shape,
            complexity: OnceLock::new(),
            selects_stream_cursor: key.text.contains("streamCursor"),
            is_validated: false.into(),
        }))
    }

    /// Marks a document as validated and caches it, unless it has inline strings.
    pub fn insert(&self, key: &DocumentKey, prepared: &Arc<PreparedDocument>) {
        let is_cacheable = !prepared.has_inline_strings(key);
        if is_cacheable && !prepared.is_validated.swap(true, Ordering::Relaxed) {
            self.cache.insert(key.clone(), Arc::clone(prepared));
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::GraphqlConfig;
    use crate::schema;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        limits: Limits,
        #[command(flatten)]
        graphql: GraphqlConfig,
    }

    fn cache(bytes: usize) -> (DocumentCache, Limits) {
        let limits = Options::parse_from(["test"]).limits;
        (DocumentCache::new(FieldTypes::from_sdl(&schema::sdl()).unwrap(), bytes), limits)
    }

    #[test]
    fn executed_documents_are_cached_by_text_operation_and_provided_variables() {
        let (documents, limits) = cache(1_000_000);
        let text = "query a { viewer { email } } query b { viewer { email } }";
        let key = |name: &str, variables: &Variables| {
            DocumentKey::new(text.to_owned(), Some(name.to_owned()), variables)
        };
        let prepare = |key: DocumentKey| documents.get_or_prepare(&key, &limits).unwrap();
        let none = Variables::default();
        let first = prepare(key("a", &none));
        assert!(!first.is_validated() && !prepare(key("a", &none)).is_validated());
        documents.insert(&key("a", &none), &first);
        assert!(prepare(key("a", &none)).is_validated());
        assert!(!prepare(key("b", &none)).is_validated(), "another operation of the same text");
        let variables = Variables::from_json(serde_json::json!({ "x": 1 }));
        let other = prepare(key("a", &variables));
        assert!(!other.is_validated(), "the same operation with other variables");
    }

    #[test]
    fn mutation_with_inline_strings_is_not_cached() {
        let (documents, limits) = cache(1_000_000);
        let text = "mutation { login(input: {username: \"a\", password: \"b\"}) { token } }";
        let key = DocumentKey::new(text.to_owned(), None, &Variables::default());
        let prepared = documents.get_or_prepare(&key, &limits).unwrap();
        documents.insert(&key, &prepared);
        assert_eq!(documents.cache.weight(), 0);
    }

    #[test]
    fn weight_stays_within_the_capacity() {
        for (bytes, fits) in [(1_000_000, true), (0, false)] {
            let (documents, limits) = cache(bytes);
            for n in 0..1_000 {
                let text = format!("{{ viewer {{ a{n}: email }} }}");
                let key = DocumentKey::new(text, None, &Variables::default());
                let prepared = documents.get_or_prepare(&key, &limits).unwrap();
                documents.insert(&key, &prepared);
                assert!(documents.cache.weight() <= bytes as u64);
            }
            assert_eq!(documents.cache.weight() > 0, fits);
        }
    }

    #[test]
    fn names_of_variables_add_to_the_weight() {
        let (documents, limits) = cache(1_000_000);
        let name = "x".repeat(60_000);
        let variables = Variables::from_json(serde_json::json!({ (name): 1 }));
        let key = DocumentKey::new("{ viewer { email } }".to_owned(), None, &variables);
        let prepared = documents.get_or_prepare(&key, &limits).unwrap();
        documents.insert(&key, &prepared);
        assert_eq!(documents.cache.weight(), 0, "heavier than one shard of the cache");
    }

    #[test]
    fn largest_document_fits_by_default() {
        let Options { limits, graphql } = Options::parse_from(["test"]);
        let types = FieldTypes::from_sdl(&schema::sdl()).unwrap();
        let documents = DocumentCache::new(types, graphql.document_cache_bytes);
        let text =
            format!("{{ viewer {{ email }} }} #{}", "x".repeat(limits.max_document_bytes - 30));
        let key = DocumentKey::new(text, None, &Variables::default());
        let prepared = documents.get_or_prepare(&key, &limits).unwrap();
        documents.insert(&key, &prepared);
        assert!(documents.get_or_prepare(&key, &limits).unwrap().is_validated());
    }
}
