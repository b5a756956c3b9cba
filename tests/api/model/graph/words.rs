//! Search for posts by their words, and for users by the words of their names.
//!
//! The texts of the test are ASCII and emoji, so words are compared without case only.

use std::cmp::Reverse;

use super::{Graph, name};

/// The words of a text in lower case.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|character: char| !character.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Words that follow each other.
#[derive(Debug)]
pub struct Term {
    text: String,
    is_prefix: bool,
}

impl Term {
    /// A term with at least one word.
    ///
    /// The last word is the beginning of one if `is_prefix`.
    pub fn new(text: &str, is_prefix: bool) -> Self {
        Self { text: text.to_owned(), is_prefix }
    }

    fn is_in(&self, found: &[String]) -> bool {
        let wanted = words(&self.text);
        found.windows(wanted.len()).any(|window| {
            window.iter().zip(&wanted).enumerate().all(|(index, (found, wanted))| {
                let is_last = index + 1 == window.len();
                if self.is_prefix && is_last {
                    found.starts_with(wanted.as_str())
                } else {
                    found == wanted
                }
            })
        })
    }
}

/// A query, whose terms a post must all have.
#[derive(Debug)]
pub struct Query(pub Vec<Term>);

impl Query {
    /// The query as a client writes it.
    pub fn text(&self) -> String {
        let terms = self.0.iter().map(|Term { text, is_prefix }| {
            let quoted = if text.contains(' ') { format!("\"{text}\"") } else { text.clone() };
            if *is_prefix { quoted + "*" } else { quoted }
        });
        terms.collect::<Vec<_>>().join(" ")
    }
}

impl Graph {
    /// The posts with all terms that a viewer may see, newest first.
    ///
    /// With an author, only the posts of this user.
    pub fn posts_found(
        &self,
        query: &Query,
        viewer: Option<usize>,
        author: Option<usize>,
    ) -> Vec<usize> {
        self.posts_with(|post| {
            let words = words(&post.body);
            author.is_none_or(|author| author == post.author)
                && self.may_see(viewer, post.author)
                && query.0.iter().all(|term| term.is_in(&words))
        })
    }

    /// The users whose names a query finds, the best first.
    pub fn users_found(&self, query: &str) -> Vec<usize> {
        let wanted = query.trim_start_matches('@').to_lowercase();
        let terms: Vec<Term> = query.split_whitespace().map(|word| Term::new(word, true)).collect();
        // The user with this name, then names that begin with it, then names with the words.
        let rank = |user: usize| {
            let name = name(user);
            if name == wanted {
                return Some(0);
            }
            let has_words = || terms.iter().all(|term| term.is_in(&words(&name)));
            if name.starts_with(&wanted) { Some(1) } else { has_words().then_some(2) }
        };
        let users = self.users.iter().copied();
        let mut found: Vec<(u8, usize)> =
            users.filter_map(|user| Some((rank(user)?, user))).collect();
        found.sort_by_key(|(rank, user)| (*rank, Reverse(self.follows.before(*user).len()), *user));
        found.into_iter().map(|(_, user)| user).collect()
    }
}
