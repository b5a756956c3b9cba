//! LSN: PostgreSQL's log sequence number, a position in the write-ahead log (WAL).
//!
//! A replica that has replayed the WAL up to an LSN has every write that was committed before it.
//! Clients receive the LSN of their writes in the header `Rookery-LSN`, in PostgreSQL's notation.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// A position in the WAL of the primary, in bytes. 0 precedes every write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The LSN that a `bigint` column or expression holds.
    #[must_use]
    pub fn from_column(lsn: i64) -> Self {
        Self(lsn.cast_unsigned())
    }
}

/// PostgreSQL's notation: the upper and the lower 32 bits as hexadecimal numbers.
impl fmt::Display for Lsn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:X}/{:X}", self.0 >> 32, self.0 & u64::from(u32::MAX))
    }
}

impl FromStr for Lsn {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (high, low) = text.split_once('/').unwrap_or(("", ""));
        let half = |text| u32::from_str_radix(text, 16).map(u64::from);
        Ok(Self(half(high)? << 32 | half(low)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_text_round_trips_and_other_text_is_rejected() {
        for text in ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"] {
            assert_eq!(text.parse::<Lsn>().unwrap().to_string(), text);
        }
        assert!("16/B374D848".parse::<Lsn>().unwrap() < "17/0".parse().unwrap());
        for text in ["", "/", "1", "1/", "x/1", "100000000/0", "1/2/3", "-1/0"] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }
}
