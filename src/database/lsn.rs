//! LSN: PostgreSQL's log sequence number, a place in the write-ahead log. A replica that has replayed the
//! log up to there has everything that was written before.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn(pub u64);

impl Lsn {
    /// As a column stores it.
    #[must_use]
    pub fn stored(lsn: i64) -> Self {
        Self(lsn.cast_unsigned())
    }
}

/// As PostgreSQL writes it: two hexadecimal numbers of 32 bits.
impl fmt::Display for Lsn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:X}/{:X}", self.0 >> 32, self.0 & u64::from(u32::MAX))
    }
}

impl FromStr for Lsn {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (high, low) = text.split_once('/').unwrap_or(("", ""));
        let part = |text| u32::from_str_radix(text, 16).map(u64::from);
        Ok(Self(part(high)? << 32 | part(low)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_it_writes_and_nothing_else() {
        for text in ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"] {
            assert_eq!(text.parse::<Lsn>().unwrap().to_string(), text);
        }
        assert!("16/B374D848".parse::<Lsn>().unwrap() < "17/0".parse().unwrap());
        for text in ["", "/", "1", "1/", "x/1", "100000000/0", "1/2/3", "-1/0"] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }
}
