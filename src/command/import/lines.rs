//! Reads an import file, plain or gzip, and collects the problems of its lines.
//!
//! Memory is bounded: a line that is too long is skipped, and only the first problems are kept. A
//! file is read to its end after a problem, so that one run reports all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use flate2::bufread::GzDecoder;
use indicatif::ProgressBar;

use crate::command::progress;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER_BYTES: usize = 128 * 1024;
/// Maximum length of a line, in bytes.
///
/// The longest post has 5,000 characters, each at most two `\uXXXX`.
const MAX_LINE_BYTES: usize = 256 * 1024;
const TOO_LONG: &str = "is longer than 256 KiB";
/// Maximum number of problems that are reported with their line.
const MAX_REPORTED_PROBLEMS: usize = 10;

/// The lines of a file.
pub struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    number: u64,
}

/// A line of a file.
pub struct Line<'a> {
    /// The number of the line, from 1.
    pub number: u64,
    /// The line without its line break, or the problem because of which it has no text.
    pub text: Result<&'a str, String>,
}

impl Lines {
    /// Opens a file. The progress is in bytes of the file, compressed or not.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(path: &Path, progress: &ProgressBar) -> Result<Self> {
        let cannot_read = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(cannot_read)?;
        progress::bytes(progress, file.metadata().with_context(cannot_read)?.len());
        let mut file = BufReader::with_capacity(BUFFER_BYTES, progress.wrap_read(file));
        let is_gzip = file.fill_buf().with_context(cannot_read)?.starts_with(&GZIP_MAGIC);
        let reader: Box<dyn BufRead + Send> = if is_gzip {
            let members = GzipMembers(Some(GzDecoder::new(file)));
            Box::new(BufReader::with_capacity(BUFFER_BYTES, members))
        } else {
            Box::new(file)
        };
        Ok(Self { path: path.to_path_buf(), reader, line: Vec::new(), number: 0 })
    }

    /// The next line; `None` at the end of the file.
    ///
    /// # Errors
    /// When the file cannot be read or decompressed.
    pub fn read(&mut self) -> Result<Option<Line<'_>>> {
        self.number += 1;
        let number = self.number;
        let is_too_long = self
            .read_line()
            .with_context(|| format!("cannot read line {number} of {}", self.path.display()))?;
        if self.line.is_empty() {
            return Ok(None);
        }
        if is_too_long {
            return Ok(Some(Line { number, text: Err(TOO_LONG.to_owned()) }));
        }
        let byte_order_mark = if number == 1 { "\u{feff}" } else { "" };
        let text = str::from_utf8(&self.line).map_err(|_| "is not UTF-8 text".to_owned());
        let text = text.map(|text| text.strip_prefix(byte_order_mark).unwrap_or(text));
        let text = text.map(|text| text.trim_end_matches(['\r', '\n']));
        Ok(Some(Line { number, text }))
    }

    /// Reads a line into `self.line`, and returns whether it was skipped as too long.
    fn read_line(&mut self) -> std::io::Result<bool> {
        self.line.clear();
        let mut start = (&mut self.reader).take(MAX_LINE_BYTES as u64);
        start.read_until(b'\n', &mut self.line)?;
        let is_cut = self.line.len() == MAX_LINE_BYTES && !self.line.ends_with(b"\n");
        Ok(is_cut && self.reader.skip_until(b'\n')? > 0)
    }
}

/// Decompresses the members of a gzip file one after the other.
///
/// Zeros after a member are ignored, as `gzip` does: tapes and some downloads are padded with them.
/// `None` is the end.
struct GzipMembers<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let Some(decoder) = &mut self.0 else { return Ok(0) };
            let length = decoder.read(buffer)?;
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            let Some(mut rest) = self.0.take().map(GzDecoder::into_inner) else { return Ok(0) };
            let has_more = loop {
                let bytes = rest.fill_buf()?;
                match bytes.iter().take_while(|byte| **byte == 0).count() {
                    0 => break !bytes.is_empty(),
                    zeros => rest.consume(zeros),
                }
            };
            self.0 = has_more.then(|| GzDecoder::new(rest));
        }
    }
}

/// The problems of a file: the first ones by line, and the number of all.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Problems {
    first: BTreeMap<u64, String>,
    count: usize,
}

impl Problems {
    /// Adds a problem of a line, as in "is not UTF-8 text".
    pub fn add(&mut self, line: u64, problem: impl Into<String>) {
        self.count += 1;
        self.first.insert(line, problem.into());
        if self.first.len() > MAX_REPORTED_PROBLEMS {
            self.first.pop_last();
        }
    }

    /// Number of lines with a problem.
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Fails if there are problems.
    ///
    /// # Errors
    /// A report of the problems, if there are any.
    pub fn check(self, path: &Path) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        bail!("nothing was imported: {} has invalid lines{self}", path.display())
    }
}

/// Each problem is on a new line.
impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, problem) in &self.first {
            write!(out, "\n  line {line} {problem}")?;
        }
        match self.count - self.first.len() {
            0 => Ok(()),
            more => write!(out, "\n  and {more} more"),
        }
    }
}
