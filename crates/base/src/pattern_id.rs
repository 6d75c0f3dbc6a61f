//! The name of a pattern: a stable digest of its masked text.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// XXH3-64 (seed 0) of the pattern's masked text, printed as 16 hexadecimal digits. The same text has the same id
/// on every machine and in every release that masks alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PatternId(u64);

/// Text that is no pattern's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no pattern id; ids are 16 hexadecimal digits")]
pub struct InvalidPatternId(pub String);

impl PatternId {
    /// The id of a masked text.
    #[must_use]
    pub fn of(masked: &str) -> Self {
        Self(xxh3_64(masked.as_bytes()))
    }

    /// The id of that digest, as [`Self::get`] gave it.
    #[must_use]
    pub const fn from_digest(digest: u64) -> Self {
        Self(digest)
    }

    /// The digest as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for PatternId {
    type Err = InvalidPatternId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits
            .then(|| u64::from_str_radix(text, 16).ok())
            .flatten()
            .map(Self)
            .ok_or_else(|| InvalidPatternId(text.to_owned()))
    }
}

impl TryFrom<String> for PatternId {
    type Error = InvalidPatternId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PatternId> for String {
    fn from(id: PatternId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for PatternId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_printed() {
        let id = PatternId::of("connection refused");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "12", "+000000000000001", "zzzzzzzzzzzzzzzz", "00000000000000001"] {
            assert!(wrong.parse::<PatternId>().is_err(), "{wrong}");
        }
    }
}
