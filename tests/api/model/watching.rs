//! Clients that keep a timeline or a list of notifications by events.

mod inbox;
mod watcher;

use serde_json::Value;

pub use self::inbox::{Inbox, SavedInbox};
pub use self::watcher::{SavedTimeline, Watcher};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// The position of a new entry in a list whose newest entry is the first.
fn position_at<'a>(time: &str, mut times: impl Iterator<Item = &'a str>) -> Option<usize> {
    times.position(|other| other <= time)
}
