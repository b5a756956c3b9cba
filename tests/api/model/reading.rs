//! Everything that a viewer can read, compared with the model.

mod lists;
mod post;
mod profile;
mod timeline;

use serde_json::{Value, json};

use super::graph::name;
use crate::support::actors::Actor;

pub use self::lists::{Search, check_lists};
pub use self::post::check_nodes;
pub use self::profile::check_profile;
pub use self::timeline::check_timeline;

/// A viewer of a user.
pub struct Reader<'a> {
    /// What the viewer is to the user.
    pub kind: &'static str,
    /// `None` for an anonymous client.
    pub user: Option<usize>,
    pub client: Actor<'a>,
}

impl Reader<'_> {
    /// Compares what the viewer has read. A failure names the field that differs.
    fn check(&self, what: &str, actual: &Value, expected: &Value) {
        let context = format!("{what}, read by {} {}", self.kind, self.client.username);
        assert_same(&context, actual, expected);
    }
}

/// Panics with the path of the first difference, if there is one.
pub fn assert_same(context: &str, actual: &Value, expected: &Value) {
    if let Some(difference) = difference("", actual, expected) {
        panic!("{context}{difference}");
    }
}

/// The first difference of two values, with its path.
fn difference(path: &str, actual: &Value, expected: &Value) -> Option<String> {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) if actual.len() == expected.len() => {
            actual.iter().find_map(|(name, value)| {
                let expected = expected.get(name).unwrap_or(&Value::Null);
                difference(&format!("{path}.{name}"), value, expected)
            })
        }
        (Value::Array(actual), Value::Array(expected)) if actual.len() == expected.len() => {
            let mut pairs = actual.iter().zip(expected).enumerate();
            pairs.find_map(|(index, (actual, expected))| {
                difference(&format!("{path}[{index}]"), actual, expected)
            })
        }
        _ if actual == expected => None,
        _ => Some(format!("{path}:\n  actual {actual}\nexpected {expected}")),
    }
}

/// The list of users in a connection without cursors.
fn users(users: &[usize]) -> Value {
    json!({ "totalCount": users.len(), "nodes": user_nodes(users) })
}

fn user_nodes(users: &[usize]) -> Vec<Value> {
    users.iter().map(|user| json!({ "username": name(*user) })).collect()
}
