//! Who is asking, and the proof: passwords, bearer tokens, and the viewer they lead to; where from, and how much of
//! it they may.

mod attempts;
mod client;
mod password;
mod presence;
mod rate;
mod session;
mod viewer;

pub use attempts::{Account, Attempt, Attempts};
pub use client::{Client, Network, Who};
pub use password::Passwords;
pub use presence::Presence;
pub use rate::{Balance, Rate};
pub use session::{SignedIn, open_session};
pub use viewer::Viewer;
