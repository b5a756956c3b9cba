//! An import file, line by line and in bounded memory, packed with gzip or not; and the list of
//! what is wrong with its lines, which makes an import take back whatever it has written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use flate2::bufread::MultiGzDecoder;
use indicatif::ProgressBar;

use crate::command::progress;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 128 * 1024;
/// A post of 5,000 characters, each written as two `\uXXXX`, has room to spare.
const LONGEST_LINE: usize = 256 * 1024;
const TOO_LONG: &str = "is longer than 256 KiB";
/// How many bad lines are told of by number.
const NAMED_PROBLEMS: usize = 10;

pub struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    number: u64,
}

/// A line without its end, or what keeps it from being text.
pub struct Line<'a> {
    pub number: u64,
    pub text: Result<&'a str, String>,
}

impl Lines {
    /// Progress counts the bytes of the file as it is on the disk.
    pub fn open(path: &Path, progress: &ProgressBar) -> Result<Self> {
        let cannot_read = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(cannot_read)?;
        progress::bytes(progress, file.metadata().with_context(cannot_read)?.len());
        let mut plain = BufReader::with_capacity(BUFFER, progress.wrap_read(file));
        let packed = plain.fill_buf().with_context(cannot_read)?.starts_with(&GZIP_MAGIC);
        let reader: Box<dyn BufRead + Send> = if packed {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        };
        Ok(Self { path: path.to_path_buf(), reader, line: Vec::new(), number: 0 })
    }

    /// The next line; `None` at the end of the file.
    pub fn read(&mut self) -> Result<Option<Line<'_>>> {
        self.number += 1;
        let number = self.number;
        let too_long = self
            .fill()
            .with_context(|| format!("cannot read line {number} of {}", self.path.display()))?;
        if self.line.is_empty() {
            return Ok(None);
        }
        if too_long {
            return Ok(Some(Line { number, text: Err(TOO_LONG.to_owned()) }));
        }
        let byte_order_mark = if number == 1 { "\u{feff}" } else { "" };
        let text = str::from_utf8(&self.line).map_err(|_| "is not UTF-8 text".to_owned());
        let text = text.map(|text| text.strip_prefix(byte_order_mark).unwrap_or(text));
        let text = text.map(|text| text.trim_end_matches(['\r', '\n']));
        Ok(Some(Line { number, text }))
    }

    /// Reads up to the end of the line, and says whether the line was too long to keep.
    fn fill(&mut self) -> std::io::Result<bool> {
        self.line.clear();
        let mut start = (&mut self.reader).take(LONGEST_LINE as u64);
        start.read_until(b'\n', &mut self.line)?;
        let cut = self.line.len() == LONGEST_LINE && !self.line.ends_with(b"\n");
        Ok(cut && self.reader.skip_until(b'\n')? > 0)
    }
}

/// What is wrong with a file: the first lines by number, the rest counted.
#[derive(Debug, Default)]
pub struct Problems {
    first: BTreeMap<u64, String>,
    count: usize,
}

impl Problems {
    pub fn add(&mut self, line: u64, what: impl Into<String>) {
        self.count += 1;
        self.first.insert(line, what.into());
        if self.first.len() > NAMED_PROBLEMS {
            self.first.pop_last();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// # Errors
    /// When there is a problem: names each of the first ones.
    pub fn check(self, path: &Path) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let mut text = format!("nothing was imported: {} has bad lines", path.display());
        for (line, what) in &self.first {
            write!(text, "\n  line {line} {what}")?;
        }
        match self.count - self.first.len() {
            0 => {}
            more => write!(text, "\n  and {more} more")?,
        }
        bail!(text)
    }
}
