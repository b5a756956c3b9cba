//! Mentions: users who are named in the texts of posts.

use serde_json::{Value, json};

use super::{Graph, name};

/// Maximum number of names that are looked up.
const MAX_NAMES: usize = 20;

/// A user who is named in a text, with the position in code points.
#[derive(Clone, Copy, Debug)]
pub struct Mention {
    pub user: usize,
    start: usize,
    length: usize,
}

/// The names in a text in lower case, each with the position of its `@`.
fn names(text: &str) -> Vec<(usize, String)> {
    let characters: Vec<char> = text.chars().collect();
    let mut names = vec![];
    for (start, character) in characters.iter().enumerate() {
        let is_inside = start > 0 && {
            let previous = characters[start - 1];
            previous.is_alphanumeric() || previous == '_' || previous == '@'
        };
        if *character != '@' || is_inside {
            continue;
        }
        let rest = characters[start + 1..].iter().copied();
        let name: String =
            rest.take_while(|next| next.is_ascii_alphanumeric() || *next == '_').collect();
        if (1..=30).contains(&name.len()) {
            names.push((start, name.to_ascii_lowercase()));
        }
    }
    names.truncate(MAX_NAMES);
    names
}

impl Graph {
    /// The users whom a text of an author mentions now.
    ///
    /// A block between the author and a user makes the name plain text.
    pub(super) fn mentions_in(&self, author: usize, text: &str) -> Vec<Mention> {
        let mention = |(start, written): (usize, String)| {
            let user = self.users.iter().copied().find(|user| name(*user) == written)?;
            let length = written.len() + 1;
            (!self.is_blocked(author, user)).then_some(Mention { user, start, length })
        };
        names(text).into_iter().filter_map(mention).collect()
    }

    /// The mentions of a post as the objects of the API.
    pub fn mentions_json(&self, post: usize) -> Vec<Value> {
        let mention = |mention: &Mention| {
            let Mention { user, start, length } = mention;
            json!({ "user": { "username": name(*user) }, "start": start, "length": length })
        };
        self.posts[post].mentions.iter().map(mention).collect()
    }
}
