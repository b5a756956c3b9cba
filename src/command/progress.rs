//! The progress bar of commands: position, rate and time left, in bytes or in rows.

use indicatif::{ProgressBar, ProgressStyle};

const BYTES: &str = "{bar:32} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, \
                     {eta} left  {msg}";
const ROWS: &str = "{bar:32} {human_pos} of {human_len}, {per_sec:0}, {eta} left  {msg}";

/// Starts a progress bar of `total` bytes.
pub fn bytes(progress: &ProgressBar, total: u64) {
    start(progress, BYTES, total);
}

/// Starts a progress bar of `total` rows or checks.
pub fn rows(progress: &ProgressBar, total: u64) {
    start(progress, ROWS, total);
}

fn start(progress: &ProgressBar, template: &str, total: u64) {
    let style = ProgressStyle::with_template(template);
    progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    progress.set_length(total);
    progress.set_position(0);
}
