//! Standard output of the commands.
//!
//! `println!` panics when the reader of a pipe has gone away, as `head` does. Here that is not an
//! error. Clippy rejects `println!` (`print_stdout`).

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _, stdout};

/// Writes a text to standard output.
///
/// # Errors
/// When the output cannot be written, except to a pipe that nothing reads from any more.
pub fn print(text: impl Display) -> io::Result<()> {
    let mut output = stdout().lock();
    match write!(output, "{text}").and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
