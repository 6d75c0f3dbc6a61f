//! Records that a sink refused for good, kept in a folder with the reason until a person has mended it and sends them
//! again with `logrisk replay-dead-letter`.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use logrisk_base::Level;
use logrisk_flow::{Event, Fields, Origin, Record};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Rejected;

/// What a file of letters is called in the end.
const SUFFIX: &str = "ndjson";

/// A folder of letters: each file holds the records of one refusal, one JSON object a line, and appears whole.
#[derive(Debug)]
pub struct DeadLetters {
    folder: PathBuf,
    number: AtomicU64,
}

/// One refused record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// The sink that refused it.
    pub sink: String,
    /// Why.
    pub reason: String,
    /// The record's id.
    pub id: String,
    /// When it was logged.
    #[serde(with = "time_text")]
    pub time: Timestamp,
    /// The level that its sender declared.
    pub level: Option<Level>,
    /// The source that it came from.
    pub source: String,
    /// Its text; secrets were taken out.
    pub body: String,
    /// What was known of it beside its text.
    pub fields: Map<String, Value>,
}

mod time_text {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl DeadLetters {
    /// Letters in that folder, which is made if it is missing.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), number: AtomicU64::new(0) })
    }

    /// Keeps refused records; when this returns they are on the disk.
    ///
    /// # Errors
    /// A disk that is full or away.
    pub async fn keep(&self, sink: &str, rejected: &[Rejected], events: &[Event<'_>]) -> io::Result<()> {
        let mut lines = Vec::new();
        for rejected in rejected {
            let Some(event) = events.get(rejected.index) else { continue };
            serde_json::to_writer(&mut lines, &Letter::new(sink, &rejected.reason, *event))?;
            lines.push(b'\n');
        }
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let name = format!("{sink}-{}-{number}", Timestamp::now().as_millisecond());
        tokio::task::block_in_place(|| self.write(&name, &lines))
    }

    fn write(&self, name: &str, lines: &[u8]) -> io::Result<()> {
        let temporary = self.folder.join(format!("{name}.new"));
        let mut file = File::create(&temporary)?;
        file.write_all(lines)?;
        file.sync_all()?;
        fs::rename(&temporary, self.folder.join(format!("{name}.{SUFFIX}")))?;
        File::open(&self.folder)?.sync_all()
    }

    /// The files of letters in a folder, the oldest first.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in folder.read_dir()? {
            let path = entry?.path();
            if path.extension().is_some_and(|own| own == SUFFIX) {
                files.push((fs::metadata(&path)?.modified()?, path));
            }
        }
        files.sort();
        Ok(files.into_iter().map(|(_, path)| path).collect())
    }

    /// The letters of one file.
    ///
    /// # Errors
    /// A file that cannot be read, with the line that is no letter.
    pub fn read(file: &Path) -> io::Result<Vec<Letter>> {
        let text = fs::read_to_string(file)?;
        let letters = text.lines().enumerate().map(|(index, line)| {
            serde_json::from_str(line).map_err(|error| {
                let message = format!("line {} is no dead letter: {error}", index + 1);
                io::Error::new(io::ErrorKind::InvalidData, message)
            })
        });
        letters.collect()
    }
}

impl Letter {
    fn new(sink: &str, reason: &str, event: Event<'_>) -> Self {
        let record = &event.scored.record;
        let fields = record.origin.fields.iter().chain(record.fields.iter());
        Self {
            sink: sink.to_owned(),
            reason: reason.to_owned(),
            id: record.id.to_string(),
            time: event.scored.time,
            level: record.level,
            source: record.origin.source.clone(),
            body: record.body.clone(),
            fields: fields.map(|(name, value)| (name.to_owned(), value.clone())).collect(),
        }
    }

    /// The record, to be sent again under its old id; `None` if that was changed by hand into something else.
    #[must_use]
    pub fn into_record(self) -> Option<Record> {
        Some(Record {
            id: self.id.parse().ok()?,
            time: Some(self.time),
            level: self.level,
            body: self.body,
            origin: Arc::new(Origin::new(&self.source, self.fields.into_iter().collect())),
            fields: Fields::default(),
        })
    }
}
