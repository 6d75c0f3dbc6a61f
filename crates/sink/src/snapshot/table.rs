//! From events to rows, and from a journal of rows to CSV.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    io::{self, BufRead as _, BufReader, BufWriter, Write},
    path::Path,
};

use crate::document::time_text;
use logrisk_flow::Event;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A row, in the order of the columns. `message` and `risk` are names that training reads, too.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    timestamp: String,
    message: String,
    pattern: String,
    tag: String,
    risk: u8,
    risk_score: f32,
    label_source: String,
    model_version: String,
    pattern_id: String,
    /// Records that the row stands for.
    count: u64,
    source: String,
    namespace: String,
    pod: String,
    container: String,
}

/// What is said of a CSV file beside it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Manifest {
    file: String,
    sha256: String,
    rows: u64,
    /// Records that the rows stand for.
    lines: u64,
    /// The first and the last time.
    pub(super) from: String,
    to: String,
    model_versions: BTreeSet<String>,
}

impl Manifest {
    /// The manifest of the file of that name.
    pub(super) fn of(mut self, file: &str) -> Self {
        file.clone_into(&mut self.file);
        self
    }
}

/// Rows as JSON lines: one for each event, or one for each pattern among them.
pub(super) fn rows(events: &[Event<'_>], every_line: bool) -> Vec<u8> {
    let mut rows: Vec<Row> = Vec::new();
    let mut places = HashMap::new();
    for event in events {
        let place = *places.entry(event.scored.verdict.pattern).or_insert(rows.len());
        match rows.get_mut(place).filter(|_| !every_line) {
            Some(row) => row.count += u64::from(event.sample_rate),
            None => rows.push(Row::of(*event)),
        }
    }
    let mut lines = Vec::new();
    for row in rows {
        // Memory does not fail to be written, and a row has no keys that JSON refuses.
        _ = serde_json::to_writer(&mut lines, &row);
        lines.push(b'\n');
    }
    lines
}

impl Row {
    fn of(event: Event<'_>) -> Self {
        let (record, verdict) = (&event.scored.record, &event.scored.verdict);
        let field = |name: &str| {
            let value = record.fields.get(name).or_else(|| record.origin.fields.get(name));
            value.and_then(|value| value.as_str()).unwrap_or_default().to_owned()
        };
        Self {
            timestamp: time_text(event.scored.time),
            message: record.body.clone(),
            pattern: verdict.masked.to_string(),
            tag: verdict.tag.to_string(),
            risk: verdict.risk.get(),
            risk_score: verdict.score,
            label_source: verdict.label_source.to_owned(),
            model_version: verdict.model.to_string(),
            pattern_id: verdict.pattern.to_string(),
            count: u64::from(event.sample_rate),
            source: record.origin.source.clone(),
            namespace: field("kubernetes.namespace"),
            pod: field("kubernetes.pod.name"),
            container: field("kubernetes.container.name"),
        }
    }
}

/// Makes CSV of a journal: row by row, or with the rows of a pattern that several writes left brought together.
pub(super) fn build(journal: &Path, csv: &Path, every_line: bool) -> io::Result<Manifest> {
    let mut table = Table::create(csv)?;
    let mut patterns: Vec<Row> = Vec::new();
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    for line in BufReader::new(File::open(journal)?).lines() {
        let row: Row = serde_json::from_str(&line?)?;
        if every_line {
            table.push(&row)?;
            continue;
        }
        let place =
            *places.entry((row.pattern_id.clone(), row.model_version.clone())).or_insert(patterns.len());
        match patterns.get_mut(place) {
            Some(first) => first.count += row.count,
            None => patterns.push(row),
        }
    }
    for row in &patterns {
        table.push(row)?;
    }
    table.finish()
}

/// A CSV file in the making.
struct Table {
    writer: csv::Writer<Hashed>,
    manifest: Manifest,
}

impl Table {
    fn create(path: &Path) -> io::Result<Self> {
        let hashed = Hashed { file: BufWriter::new(File::create(path)?), digest: Sha256::new() };
        Ok(Self { writer: csv::Writer::from_writer(hashed), manifest: Manifest::default() })
    }

    fn push(&mut self, row: &Row) -> io::Result<()> {
        let manifest = &mut self.manifest;
        manifest.rows += 1;
        manifest.lines += row.count;
        // Times are written alike, so that they sort as text.
        if manifest.from.is_empty() || row.timestamp < manifest.from {
            manifest.from.clone_from(&row.timestamp);
        }
        if row.timestamp > manifest.to {
            manifest.to.clone_from(&row.timestamp);
        }
        if !manifest.model_versions.contains(&row.model_version) {
            manifest.model_versions.insert(row.model_version.clone());
        }
        self.writer.serialize(row).map_err(io::Error::other)
    }

    fn finish(self) -> io::Result<Manifest> {
        let Self { writer, mut manifest } = self;
        let mut hashed = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        hashed.flush()?;
        manifest.sha256 = hashed.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(manifest)
    }
}

/// Hashes what it writes.
struct Hashed {
    file: BufWriter<File>,
    digest: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.digest.update(bytes.get(..length).unwrap_or_default());
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
