//! A record: what somebody logged, where it came from, and a name that stays the same when it is sent again.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use logrisk_base::Level;
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::{Fields, Scored};

/// The name of a record, equal when its source sends it again: document ids are made of it, so that a redelivery
/// overwrites instead of doubling. Printed as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(u128);

impl RecordId {
    /// The id of what identifies a record, whatever that is for its source.
    #[must_use]
    pub fn of(identity: &[u8]) -> Self {
        Self(xxh3_128(identity))
    }

    /// The id of the record at a place of a stream.
    #[must_use]
    pub fn at(stream: Self, place: u64) -> Self {
        let mut bytes = [0; 24];
        let (name, number) = bytes.split_at_mut(16);
        name.copy_from_slice(&stream.0.to_le_bytes());
        number.copy_from_slice(&place.to_le_bytes());
        Self(xxh3_128_with_seed(&bytes, 1))
    }

    /// A number that is spread evenly over ids, for sampling that a redelivery repeats.
    #[must_use]
    pub const fn spread(self) -> u64 {
        self.0 as u64
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl std::str::FromStr for RecordId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// What all records of a stream share: of a file, a connection, a request.
#[derive(Debug)]
pub struct Origin {
    /// The name of the source in the settings.
    pub source: String,
    /// What is known of every record.
    pub fields: Fields,
    /// The fields as JSON members, each after a comma: written once, copied into every document.
    pub members: Vec<u8>,
}

impl Origin {
    /// An origin with these fields.
    #[must_use]
    pub fn new(source: &str, fields: Fields) -> Self {
        let mut members = Vec::new();
        fields.push_members(&Fields::default(), &mut members);
        Self { source: source.to_owned(), fields, members }
    }
}

/// One record, as its source hands it on.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its name.
    pub id: RecordId,
    /// When it was logged, if the source knows; the text may say it too.
    pub time: Option<Timestamp>,
    /// The level that the sender declared beside the text, which then need not say it.
    pub level: Option<Level>,
    /// What was logged, without the wrapper of a container runtime.
    pub body: String,
    /// What it shares with its neighbours.
    pub origin: Arc<Origin>,
    /// What is known of it alone.
    pub fields: Fields,
}

impl Record {
    /// About how many bytes it holds until the last sink lets go of it, with its verdict and what an allocator adds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Scored>() + 64 + self.body.len() + self.fields.bytes()
    }
}
