//! What a user searches for: the terms of a query.
//!
//! The text of a query is never syntax of a database. It is separated into words as the indexed
//! texts are, and the expression of an engine is built from these words.

use crate::database::Engine;
use crate::error::Error;
use crate::words::words;

/// Maximum length of a query in characters.
pub const MAX_LENGTH: i32 = 200;
/// Minimum length in characters of a prefix in a search for posts.
///
/// A shorter one would match more posts than an index can merge.
const MIN_PREFIX: usize = 2;
/// Quotes around a phrase. Some keyboards write curly ones.
const QUOTES: [char; 3] = ['"', '\u{201c}', '\u{201d}'];

/// A query: a text must match all of its terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery {
    pub terms: Vec<Term>,
}

/// Words that follow each other in a text. A single word is the usual case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// At least one word.
    pub words: Vec<String>,
    /// Whether the last word is the beginning of a word.
    pub is_prefix: bool,
}

impl Term {
    /// The term of a text, if it has words.
    fn new(text: &str, is_prefix: bool) -> Option<Self> {
        let words = words(text);
        (!words.is_empty()).then_some(Self { words, is_prefix })
    }
}

impl SearchQuery {
    /// The query of a search for posts.
    ///
    /// Text in quotes is a term, and so is each text between spaces. A term that a `*` follows is a
    /// prefix. A missing quote at the end is added.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the text is too long.
    pub fn parse(text: &str) -> Result<Self, Error> {
        check_length(text)?;
        let parts: Vec<&str> = text.split(QUOTES).collect();
        let mut terms = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            if index % 2 == 1 {
                let is_prefix = parts.get(index + 1).is_some_and(|next| next.starts_with('*'));
                terms.extend(Term::new(part, is_prefix));
            } else {
                let chunks = part.split_whitespace();
                terms.extend(chunks.filter_map(|chunk| Term::new(chunk, chunk.ends_with('*'))));
            }
        }
        for term in &mut terms {
            let length = term.words.last().map_or(0, |word| word.chars().count());
            term.is_prefix &= length >= MIN_PREFIX;
        }
        Ok(Self { terms })
    }

    /// The query of a search for users, in which each term is a prefix.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the text is too long.
    pub fn parse_names(text: &str) -> Result<Self, Error> {
        check_length(text)?;
        let terms = text.split_whitespace().filter_map(|chunk| Term::new(chunk, true)).collect();
        Ok(Self { terms })
    }

    /// Whether the query has no words, and therefore no results.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The query as an engine's expression: `MATCH` of FTS5, or a `tsquery`.
    ///
    /// Words have neither quotes nor backslashes, so they can be quoted as they are.
    #[must_use]
    pub fn expression(&self, engine: Engine) -> String {
        let terms = self.terms.iter().map(|Term { words, is_prefix }| match engine {
            Engine::Sqlite => {
                format!("\"{}\"{}", words.join(" "), if *is_prefix { "*" } else { "" })
            }
            Engine::Postgres => {
                let prefix = if *is_prefix { ":*" } else { "" };
                format!("('{}'{prefix})", words.join("' <-> '"))
            }
        });
        let and = match engine {
            Engine::Sqlite => " AND ",
            Engine::Postgres => " & ",
        };
        terms.collect::<Vec<_>>().join(and)
    }

    /// Whether a text matches the query, as an index decides it.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let words = words(text);
        self.terms.iter().all(|term| {
            let length = term.words.len();
            words.windows(length).any(|found| {
                let mut pairs = found.iter().zip(&term.words).enumerate();
                pairs.all(|(index, (found, word))| {
                    let is_prefix = term.is_prefix && index + 1 == length;
                    if is_prefix { found.starts_with(&**word) } else { found == word }
                })
            })
        })
    }
}

fn check_length(text: &str) -> Result<(), Error> {
    let length = text.chars().count();
    if i32::try_from(length).is_ok_and(|length| length <= MAX_LENGTH) {
        return Ok(());
    }
    Err(Error::OutOfRange { argument: "query", min: 0, max: MAX_LENGTH })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(words: &str, is_prefix: bool) -> Term {
        Term { words: words.split(' ').map(str::to_owned).collect(), is_prefix }
    }

    #[test]
    fn query_is_words_phrases_and_prefixes() {
        for (text, expected) in [
            ("  Rust   lang ", vec![term("rust", false), term("lang", false)]),
            ("\"in the end\" x", vec![term("in the end", false), term("x", false)]),
            ("“in the end”", vec![term("in the end", false)]),
            ("e-mail @john", vec![term("e mail", false), term("john", false)]),
            ("data* d* \"a bo\"*", vec![term("data", true), term("d", false), term("a bo", true)]),
            ("\"no end", vec![term("no end", false)]),
            ("* ** \"\" - ( ) ^ : % _ \\ ' \0", vec![]),
            ("東京 -x", vec![term("東 京", false), term("x", false)]),
        ] {
            assert_eq!(SearchQuery::parse(text), Ok(SearchQuery { terms: expected }), "{text}");
        }
        assert!(SearchQuery::parse(&"é".repeat(200)).is_ok());
        let too_long = Err(Error::OutOfRange { argument: "query", min: 0, max: 200 });
        assert_eq!(SearchQuery::parse(&"é".repeat(201)), too_long);
        assert_eq!(SearchQuery::parse_names(&"é".repeat(201)), too_long);
    }

    #[test]
    fn expression_quotes_all_words() {
        let query = SearchQuery::parse("NEAR(a, b) OR* \"x' y\\ z\"*").unwrap();
        let (sqlite, postgres) = (Engine::Sqlite, Engine::Postgres);
        assert_eq!(query.expression(sqlite), r#""near a" AND "b" AND "or"* AND "x y z""#);
        assert_eq!(
            query.expression(postgres),
            "('near' <-> 'a') & ('b') & ('or':*) & ('x' <-> 'y' <-> 'z')"
        );
    }

    #[test]
    fn texts_match_all_terms() {
        let text = "The quick brown fox, the lazy dog";
        for (query, is_match) in [
            ("fox quick", true),
            ("fox cat", false),
            ("\"quick brown\"", true),
            ("\"brown quick\"", false),
            ("\"the lazy\"", true),
            ("laz*", true),
            ("laz", false),
            ("\"brown fo\"*", true),
            ("\"bro fox\"*", false),
        ] {
            assert_eq!(SearchQuery::parse(query).unwrap().matches(text), is_match, "{query}");
        }
    }
}
