//! The cache of valid operations.
//!
//! Clients send the same few documents again and again. Whether a document is valid depends on the
//! schema alone, so the cache is keyed by the text and the operation name. An operation keeps its
//! normal forms, which depend on the values of the variables in `@skip` and `@include`. The size of
//! the cache is bounded in bytes, not in entries, because clients choose the length of their
//! documents.

use std::sync::Arc;

use async_graphql::ServerError;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::document::{DocumentSchema, ValidOperation};
use crate::config::Limits;

/// The key of an operation in the cache.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DocumentKey {
    text: String,
    operation: Option<String>,
}

impl DocumentKey {
    pub fn new(text: String, operation: Option<String>) -> Self {
        Self { text, operation }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn into_text(self) -> String {
        self.text
    }
}

/// Valid operations, up to a weight in bytes.
///
/// Operations that are used often are evicted last.
pub struct DocumentCache(Cache<DocumentKey, Arc<ValidOperation>, ByteWeighter>);

/// Estimates the memory of an operation in bytes.
///
/// The syntax tree is estimated from the text, each normal form from its fields and values.
#[derive(Clone)]
struct ByteWeighter;

impl ByteWeighter {
    /// An item of a list has 2 bytes of text and a node of about 100 bytes.
    const TREE_BYTES_PER_TEXT_BYTE: usize = 64;
    const NORMAL_FORM_BYTES_PER_FIELD: usize = 768;
    const NORMAL_FORM_BYTES_PER_VALUE: usize = 96;
    const BYTES_PER_ENTRY: usize = 1_024;
}

impl Weighter<DocumentKey, Arc<ValidOperation>> for ByteWeighter {
    fn weight(&self, key: &DocumentKey, operation: &Arc<ValidOperation>) -> u64 {
        let tree = key.text.len() * Self::TREE_BYTES_PER_TEXT_BYTE;
        let form = operation.size().selections * Self::NORMAL_FORM_BYTES_PER_FIELD
            + operation.size().values * Self::NORMAL_FORM_BYTES_PER_VALUE;
        (Self::BYTES_PER_ENTRY + tree + form * operation.max_forms()) as u64
    }
}

impl DocumentCache {
    /// A cache of at most `bytes`; 0 caches nothing.
    pub fn new(bytes: usize) -> Self {
        // An entry must fit into one shard, so there are only two.
        let options = OptionsBuilder::new()
            .estimated_items_capacity(bytes / 16_384)
            .weight_capacity(bytes as u64)
            .shards(2)
            .build();
        let hasher = DefaultHashBuilder::default();
        Self(match options {
            Ok(options) => {
                Cache::with_options(options, ByteWeighter, hasher, DefaultLifecycle::default())
            }
            Err(_) => Cache::with_weighter(0, 0, ByteWeighter),
        })
    }

    /// The cached operation of `key`, or a new one, which is then cached.
    ///
    /// An operation of a document with strings in a mutation is not cached.
    ///
    /// # Errors
    /// `GRAPHQL_PARSE_FAILED`, `GRAPHQL_VALIDATION_FAILED` or `QUERY_TOO_COMPLEX`, when a new
    /// document is malformed, is not valid, exceeds a limit, or has no such operation.
    pub fn get_or_validate(
        &self,
        key: &DocumentKey,
        schema: &DocumentSchema,
        limits: &Limits,
    ) -> Result<Arc<ValidOperation>, Vec<ServerError>> {
        if let Some(operation) = self.0.get(key) {
            return Ok(operation);
        }
        let document = schema.validate(&key.text, limits)?;
        let operation = ValidOperation::select(document, key.operation.as_deref());
        let operation = Arc::new(operation.map_err(|error| vec![error])?);
        if !operation.has_mutation_with_strings() {
            self.0.insert(key.clone(), Arc::clone(&operation));
        }
        Ok(operation)
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

    struct Fixture {
        cache: DocumentCache,
        schema: DocumentSchema,
        limits: Limits,
    }

    impl Fixture {
        fn new(bytes: Option<usize>) -> Self {
            let Options { limits, graphql } = Options::parse_from(["test"]);
            let cache = DocumentCache::new(bytes.unwrap_or(graphql.document_cache_bytes));
            Self { cache, schema: DocumentSchema::from_sdl(&schema::sdl()).unwrap(), limits }
        }

        fn get(&self, text: &str, name: Option<&str>) -> Arc<ValidOperation> {
            let key = DocumentKey::new(text.to_owned(), name.map(str::to_owned));
            self.cache.get_or_validate(&key, &self.schema, &self.limits).unwrap()
        }
    }

    #[test]
    fn operations_are_cached_by_text_and_name() {
        let fixture = Fixture::new(Some(1_000_000));
        let text = "query a { viewer { email } } query b { viewer { email } }";
        let first = fixture.get(text, Some("a"));
        assert!(Arc::ptr_eq(&first, &fixture.get(text, Some("a"))));
        assert!(!Arc::ptr_eq(&first, &fixture.get(text, Some("b"))));
    }

    #[test]
    fn documents_with_strings_in_any_mutation_are_not_cached() {
        let fixture = Fixture::new(Some(1_000_000));
        let mutation = "mutation b { login(input: {username: \"a\", password: \"b\"}) { token } }";
        fixture.get(mutation, None);
        fixture.get(&format!("query a {{ viewer {{ email }} }} {mutation}"), Some("a"));
        assert_eq!(fixture.cache.0.weight(), 0);
        fixture.get("{ user(by: {username: \"a\"}) { id } }", None);
        fixture.get("mutation { logout { changed } }", None);
        assert_eq!(fixture.cache.0.len(), 2);
    }

    #[test]
    fn weight_stays_within_the_capacity() {
        for (bytes, fits) in [(1_000_000, true), (0, false)] {
            let fixture = Fixture::new(Some(bytes));
            for n in 0..1_000 {
                fixture.get(&format!("{{ viewer {{ a{n}: email }} }}"), None);
                assert!(fixture.cache.0.weight() <= bytes as u64);
            }
            assert_eq!(fixture.cache.0.weight() > 0, fits);
        }
    }

    #[test]
    fn largest_document_fits_by_default() {
        let fixture = Fixture::new(None);
        let fields = "email ".repeat(990);
        let padding = "x".repeat(fixture.limits.max_document_bytes - fields.len() - 30);
        let text = format!("{{ viewer {{ {fields} }} }} #{padding}");
        assert!(Arc::ptr_eq(&fixture.get(&text, None), &fixture.get(&text, None)));
    }
}
