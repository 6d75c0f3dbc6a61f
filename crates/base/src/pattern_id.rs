//! The name of a pattern: a stable digest of its masked text.

use std::fmt;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

/// XXH3-64 (seed 0) of the pattern's masked text, printed as 16 hexadecimal digits. The same text has the same id
/// on every machine and in every release that masks alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct PatternId(u64);

impl PatternId {
    /// The id of a masked text.
    #[must_use]
    pub fn of(masked: &str) -> Self {
        Self(xxh3_64(masked.as_bytes()))
    }

    /// The digest as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
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
