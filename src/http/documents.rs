//! Documents that came before: parsed, measured and laid out once. Clients send the same few texts again and
//! again; whether one is good depends on the schema alone, and on which variables are there at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use async_graphql::parser::types::{OperationType, Selection};
use async_graphql::{Name, ServerError, Variables};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::guard::{self, Admitted};
use crate::config::Limits;
use crate::schema::{FieldTypes, Shape};

/// A document that may run, with the operation that the request selects.
pub struct Known {
    pub admitted: Admitted,
    pub shape: Shape,
    /// What it costs, where no variable changes that.
    pub price: OnceLock<usize>,
    goes_live: bool,
    proven: AtomicBool,
}

impl Known {
    /// Whether the document was found to be valid, and need not be validated again.
    pub fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// A mutation with texts in it comes once, and may say a password: it is not kept.
    pub fn is_secret(&self, key: &Key) -> bool {
        self.admitted.operation.ty == OperationType::Mutation && key.text.contains('"')
    }

    /// The field of the schema that it begins with.
    pub fn first_field(&self) -> Option<&str> {
        let mut selection = &self.admitted.operation.selection_set.node;
        loop {
            selection = match &selection.items.first()?.node {
                Selection::Field(field) => return Some(&field.node.name.node),
                Selection::InlineFragment(fragment) => &fragment.node.selection_set.node,
                Selection::FragmentSpread(spread) => {
                    let fragments = &self.admitted.document.fragments;
                    &fragments.get(&spread.node.fragment_name.node)?.node.selection_set.node
                }
            }
        }
    }

    /// Whether it may ask where the stream of events stands, which only the primary knows.
    pub fn goes_live(&self) -> bool {
        self.goes_live
    }
}

/// What a document is known by. Variables that are absent are taken out of it before it runs, so it is another
/// one without them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    text: String,
    operation: Option<String>,
    given: Vec<Name>,
}

impl Key {
    pub fn new(text: String, operation: Option<String>, given: &Variables) -> Self {
        Self { text, operation, given: given.keys().cloned().collect() }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn operation(&self) -> Option<&str> {
        self.operation.as_deref()
    }
}

/// Kept until they fill a number of bytes; those that come most stay.
pub struct Documents {
    types: FieldTypes,
    known: Cache<Key, Arc<Known>, Memory>,
}

/// About how much memory a document takes: its tree by its text, its layout by its fields. Names of variables
/// count as text, for a client may send any.
#[derive(Clone)]
struct Memory;

impl Memory {
    const BYTE: u64 = 32;
    const FIELD: u64 = 256;
}

impl Weighter<Key, Arc<Known>> for Memory {
    fn weight(&self, key: &Key, known: &Arc<Known>) -> u64 {
        let names: usize = key.given.iter().map(|name| name.len() + 1).sum();
        (key.text.len() + names) as u64 * Self::BYTE + known.shape.fields() as u64 * Self::FIELD
    }
}

impl Documents {
    pub fn new(types: FieldTypes, limits: &Limits) -> Self {
        let bytes = limits.max_known_documents;
        // In few parts, so that the largest document fits into one.
        let options = OptionsBuilder::new()
            .estimated_items_capacity(bytes / 16_384)
            .weight_capacity(bytes as u64)
            .shards(2)
            .build();
        let hasher = DefaultHashBuilder::default();
        let known = match options {
            Ok(options) => {
                Cache::with_options(options, Memory, hasher, DefaultLifecycle::default())
            }
            Err(_) => Cache::with_weighter(0, 0, Memory),
        };
        Self { types, known }
    }

    /// The document, and the operation in it that the key names.
    ///
    /// # Errors
    /// `GRAPHQL_PARSE_FAILED`, `GRAPHQL_VALIDATION_FAILED`, `QUERY_TOO_COMPLEX`.
    pub fn admit(&self, key: &Key, limits: &Limits) -> Result<Arc<Known>, ServerError> {
        if let Some(known) = self.known.get(key) {
            return Ok(known);
        }
        let admitted = guard::admit(&key.text, key.operation.as_deref(), limits)?;
        let shape = self.types.shape(&admitted.document, &admitted.operation);
        let goes_live = key.text.contains("streamCursor");
        let price = OnceLock::new();
        Ok(Arc::new(Known { admitted, shape, price, goes_live, proven: false.into() }))
    }

    /// The document turned out to be valid: it is kept, unless it is secret.
    pub fn keep(&self, key: &Key, known: &Arc<Known>) {
        if !known.is_secret(key) && !known.proven.swap(true, Ordering::Relaxed) {
            self.known.insert(key.clone(), Arc::clone(known));
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::schema;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        limits: Limits,
    }

    fn documents(bytes: &str) -> (Documents, Limits) {
        let limits = Options::parse_from(["test", "--max-known-documents", bytes]).limits;
        (Documents::new(FieldTypes::of(&schema::sdl()).unwrap(), &limits), limits)
    }

    #[test]
    fn what_was_valid_is_kept_and_what_was_not_is_not() {
        let (documents, limits) = documents("1000000");
        let none = Variables::default();
        let both = "query a { viewer { email } } query b { viewer { email } }";
        let key = |name: &str| Key::new(both.to_owned(), Some(name.to_owned()), &none);
        let admit = |name: &str| documents.admit(&key(name), &limits).unwrap();
        let first = admit("a");
        assert!(!first.is_proven() && !admit("a").is_proven());
        documents.keep(&key("a"), &first);
        assert!(admit("a").is_proven());
        assert!(!admit("b").is_proven(), "another operation of the same text");
        let given = Variables::from_json(serde_json::json!({ "x": 1 }));
        let other = documents
            .admit(&Key::new(both.to_owned(), Some("a".to_owned()), &given), &limits)
            .unwrap();
        assert!(!other.is_proven(), "with other variables it is another document");
    }

    #[test]
    fn a_mutation_with_texts_is_not_kept() {
        let (documents, limits) = documents("1000000");
        let secret = "mutation { login(input: {username: \"a\", password: \"b\"}) { token } }";
        let key = Key::new(secret.to_owned(), None, &Variables::default());
        let known = documents.admit(&key, &limits).unwrap();
        documents.keep(&key, &known);
        assert_eq!(documents.known.weight(), 0);
    }

    #[test]
    fn it_keeps_no_more_than_its_bytes() {
        for (bytes, fits) in [("1000000", true), ("0", false)] {
            let (documents, limits) = documents(bytes);
            for n in 0..1_000 {
                let text = format!("{{ viewer {{ a{n}: email }} }}");
                let key = Key::new(text, None, &Variables::default());
                let known = documents.admit(&key, &limits).unwrap();
                documents.keep(&key, &known);
                assert!(documents.known.weight() <= limits.max_known_documents as u64);
            }
            assert_eq!(documents.known.weight() > 0, fits);
        }
    }

    #[test]
    fn names_of_variables_count_too() {
        let (documents, limits) = documents("1000000");
        let long = "x".repeat(60_000);
        let given = Variables::from_json(serde_json::json!({ (long): 1 }));
        let key = Key::new("{ viewer { email } }".to_owned(), None, &given);
        let known = documents.admit(&key, &limits).unwrap();
        documents.keep(&key, &known);
        assert_eq!(documents.known.weight(), 0, "more than its part of the cache");
    }

    #[test]
    fn the_largest_document_fits_by_default() {
        let limits = Options::parse_from(["test"]).limits;
        let documents = Documents::new(FieldTypes::of(&schema::sdl()).unwrap(), &limits);
        let text = format!("{{ viewer {{ email }} }} #{}", "x".repeat(limits.max_document - 30));
        let key = Key::new(text, None, &Variables::default());
        let known = documents.admit(&key, &limits).unwrap();
        documents.keep(&key, &known);
        assert!(documents.admit(&key, &limits).unwrap().is_proven());
    }
}
