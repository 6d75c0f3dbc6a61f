//! Records as bytes: a checksum, then JSON.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use logrisk_base::Level;
use logrisk_flow::{Fields, Origin, Record};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::store::Entries;

/// Most bytes of an entry's records. A page of redb is a power of two: this leaves little of 64 KiB unused.
const ENTRY: usize = 48 << 10;

/// Some records, packed.
pub(super) struct Entry {
    pub(super) bytes: Vec<u8>,
    pub(super) records: u64,
}

/// Records of one origin.
#[derive(Serialize, Deserialize)]
struct Group<'a> {
    #[serde(borrow)]
    fields: Vec<Field<'a>>,
    #[serde(borrow)]
    records: Vec<Kept<'a>>,
}

type Field<'a> = (Cow<'a, str>, Cow<'a, Value>);

#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    /// Seconds and nanoseconds since 1970.
    time: Option<(i64, i32)>,
    level: Option<Level>,
    #[serde(borrow)]
    body: Cow<'a, str>,
    #[serde(borrow)]
    fields: Vec<Field<'a>>,
}

/// Packs records into entries, in order.
pub(super) fn encode(records: &[Record]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = records;
    while let Some(first) = rest.first() {
        let mut bytes = 0;
        let fits = |record: &&Record| {
            bytes += record.bytes();
            Arc::ptr_eq(&record.origin, &first.origin) && bytes <= ENTRY
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (group, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        let group =
            Group { fields: borrowed(&first.origin.fields), records: group.iter().map(Kept::of).collect() };
        let mut packed = vec![0; 8];
        // Memory does not fail to be written, and no map here has keys that JSON refuses.
        _ = serde_json::to_writer(&mut packed, &group);
        if let Some((sum, json)) = packed.split_first_chunk_mut() {
            *sum = xxh3_64(json).to_le_bytes();
        }
        entries.push(Entry { bytes: packed, records: count as u64 });
        rest = after;
    }
    entries
}

/// The records of some entries of that source, and how many entries are damaged.
pub(super) fn decode(source: &str, entries: &Entries) -> (Vec<Record>, usize) {
    let (mut records, mut damaged) = (Vec::new(), 0);
    let mut origin: Option<Arc<Origin>> = None;
    for (_, bytes) in entries {
        let group = bytes
            .split_first_chunk()
            .filter(|(sum, json)| u64::from_le_bytes(**sum) == xxh3_64(json))
            .and_then(|(_, json)| serde_json::from_slice::<Group<'_>>(json).ok());
        let Some(Group { fields, records: kept }) = group else {
            damaged += 1;
            continue;
        };
        let fields = owned(fields);
        let origin = match &origin {
            Some(last) if last.fields == fields => Arc::clone(last),
            _ => Arc::clone(origin.insert(Arc::new(Origin::new(source, fields)))),
        };
        for record in kept {
            match record.into_record(&origin) {
                Some(record) => records.push(record),
                None => damaged += 1,
            }
        }
    }
    (records, damaged)
}

impl<'a> Kept<'a> {
    fn of(record: &'a Record) -> Self {
        Self {
            id: record.id.to_string().into(),
            time: record.time.map(|time| (time.as_second(), time.subsec_nanosecond())),
            level: record.level,
            body: Cow::Borrowed(&record.body),
            fields: borrowed(&record.fields),
        }
    }

    fn into_record(self, origin: &Arc<Origin>) -> Option<Record> {
        let time = self.time.and_then(|(second, nanosecond)| Timestamp::new(second, nanosecond).ok());
        Some(Record {
            id: self.id.parse().ok()?,
            time,
            level: self.level,
            body: self.body.into_owned(),
            origin: Arc::clone(origin),
            fields: owned(self.fields),
        })
    }
}

fn borrowed(fields: &Fields) -> Vec<Field<'_>> {
    fields.iter().map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))).collect()
}

fn owned(fields: Vec<Field<'_>>) -> Fields {
    fields.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}
