//! Labelled lines of the user's own: CSV or JSON lines, as `logrisk label`, snapshots and corrections write them.
//!
//! | meaning | accepted column names |
//! |---|---|
//! | the line | `text`, `log`, `message` |
//! | its risk, 0 to 10 | `label`, `risk`, `risk_label` |
//! | optional | `tag`, `weight`, `pattern_id`, `source` |

use std::{
    borrow::Cow,
    fmt,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
    str::FromStr,
};

use foldhash::{HashMap, HashMapExt};
use logrisk_base::{Risk, Tag};
use serde::Deserialize;

use super::error::DatasetError;

pub(super) const TEXT: &[&str] = &["text", "log", "message"];
pub(super) const LABEL: &[&str] = &["label", "risk", "risk_label"];

/// What to do with a text that has two different labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conflicts {
    /// Keep the label with more weight; of equals the higher, since a missed risk costs more.
    #[default]
    Majority,
    /// Stop and name both lines.
    Error,
}

impl fmt::Display for Conflicts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Majority => "majority",
            Self::Error => "error",
        })
    }
}

impl FromStr for Conflicts {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Majority, Self::Error]
            .into_iter()
            .find(|each| each.to_string() == word)
            .ok_or_else(|| "use majority or error".to_owned())
    }
}

/// One labelled line.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledRow {
    /// The line, as the file has it.
    pub text: String,
    /// Its risk.
    pub risk: Risk,
    /// Its tag, if given.
    pub tag: Option<Tag>,
    /// How much it counts; 1 if not given.
    pub weight: f32,
    /// Its pattern, if given.
    pub pattern_id: Option<String>,
    /// Where it came from, if given.
    pub source: Option<String>,
    /// The line of the file where it begins, from 1.
    pub line: u64,
}

/// A file of labelled lines, each text once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labelled {
    /// The rows in the order of their first appearance.
    pub rows: Vec<LabelledRow>,
    /// Rows that the file has.
    pub read: usize,
    /// Rows that repeated a text with the same label: their weights were added.
    pub duplicates: usize,
    /// Texts with different labels: one label was kept.
    pub conflicts: usize,
}

/// Reads labelled lines to train on.
///
/// # Errors
/// [`DatasetError`] with line, column and remedy.
pub fn read(path: &Path, conflicts: Conflicts) -> Result<Labelled, DatasetError> {
    let mut rows = Vec::new();
    for_each_row(path, |row| {
        let (text, _) = row.require(TEXT, "text, log or message")?;
        let risk = row.risk()?.ok_or_else(|| row.missing("label, risk or risk_label"))?;
        rows.push(LabelledRow {
            text: text.into_owned(),
            risk,
            tag: row.tag()?,
            weight: row.weight()?,
            pattern_id: row.optional("pattern_id"),
            source: row.optional("source"),
            line: row.line,
        });
        Ok(())
    })?;
    if rows.is_empty() {
        return Err(DatasetError::Empty { path: path.to_owned() });
    }
    let read = rows.len();
    Ok(Labelled { read, ..merge(rows, conflicts, path)? })
}

/// The text of every row with its line, whatever else the row says.
pub(super) fn read_texts(path: &Path) -> Result<Vec<(u64, String)>, DatasetError> {
    let mut texts = Vec::new();
    for_each_row(path, |row| {
        let (text, _) = row.require(TEXT, "text, log or message")?;
        texts.push((row.line, text.into_owned()));
        Ok(())
    })?;
    Ok(texts)
}

impl Labelled {
    /// The same rows under other texts, such as their patterns, each of these once.
    ///
    /// # Errors
    /// [`DatasetError::Conflict`], if that was asked for.
    pub fn by_text(
        self,
        conflicts: Conflicts,
        path: &Path,
        mut text: impl FnMut(&str) -> String,
    ) -> Result<Self, DatasetError> {
        let rows = self.rows.into_iter().map(|row| LabelledRow { text: text(&row.text), ..row }).collect();
        let merged = merge(rows, conflicts, path)?;
        Ok(Self {
            read: self.read,
            duplicates: self.duplicates + merged.duplicates,
            conflicts: self.conflicts + merged.conflicts,
            ..merged
        })
    }
}

/// One row under its column names, whatever the file's shape.
pub(super) struct Row<'a> {
    path: &'a Path,
    pub(super) line: u64,
    get: &'a dyn Fn(&str) -> Option<Cow<'a, str>>,
}

impl<'a> Row<'a> {
    fn find(&self, names: &[&'static str]) -> Option<(Cow<'a, str>, &'static str)> {
        names.iter().find_map(|name| (self.get)(name).map(|value| (value, *name)))
    }

    pub(super) fn require(
        &self,
        names: &[&'static str],
        wanted: &str,
    ) -> Result<(Cow<'a, str>, &'static str), DatasetError> {
        let (value, name) = self.find(names).ok_or_else(|| self.missing(wanted))?;
        if value.trim().is_empty() {
            return Err(self.wrong(name, "is empty; give the line's text or delete the row"));
        }
        Ok((value, name))
    }

    pub(super) fn optional(&self, name: &str) -> Option<String> {
        (self.get)(name).filter(|value| !value.is_empty()).map(Cow::into_owned)
    }

    fn risk(&self) -> Result<Option<Risk>, DatasetError> {
        let Some((value, name)) = self.find(LABEL) else { return Ok(None) };
        if value.trim().is_empty() {
            return Err(self.wrong(name, "is empty; give a whole number from 0 to 10"));
        }
        self.risk_in(&value, name).map(Some)
    }

    /// The value of a column, read as a risk.
    pub(super) fn risk_in(&self, value: &str, name: &str) -> Result<Risk, DatasetError> {
        let number = value.trim().parse::<f64>().ok().filter(|number| number.fract() == 0.0);
        match number {
            Some(number) if (0.0..=10.0).contains(&number) => Ok(Risk::nearest(number as f32)),
            _ => Err(self
                .wrong(name, &format!("{:?} is no risk; give a whole number from 0 to 10", shorten(value)))),
        }
    }

    fn tag(&self) -> Result<Option<Tag>, DatasetError> {
        let tag = self.optional("tag").map(|word| word.trim().parse::<Tag>()).transpose();
        tag.map_err(|error| self.wrong("tag", &error.to_string()))
    }

    fn weight(&self) -> Result<f32, DatasetError> {
        let Some(value) = self.optional("weight") else { return Ok(1.0) };
        match value.trim().parse::<f32>() {
            Ok(weight) if weight > 0.0 && weight.is_finite() => Ok(weight),
            _ => {
                Err(self
                    .wrong("weight", &format!("{:?} is no weight; give a number above 0", shorten(&value))))
            }
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, DatasetError> {
        match self.optional(name).as_deref().map(str::trim) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => Err(self.wrong(name, &format!("{:?} is neither true nor false", shorten(other)))),
        }
    }

    pub(super) fn wrong(&self, column: &str, problem: &str) -> DatasetError {
        DatasetError::Value {
            path: self.path.to_owned(),
            line: self.line,
            column: column.to_owned(),
            problem: problem.to_owned(),
        }
    }

    pub(super) fn missing(&self, wanted: &str) -> DatasetError {
        let problem = format!("the row has none of {wanted}; add it or delete the row");
        DatasetError::Row { path: self.path.to_owned(), line: self.line, problem }
    }
}

/// The beginning of a value, for a message: a field may have a million characters.
pub(super) fn shorten(value: &str) -> String {
    value.chars().take(40).collect()
}

/// Calls with each row of a CSV file or, where its first character is `{`, of JSON lines.
pub(super) fn for_each_row(
    path: &Path,
    mut visit: impl FnMut(&Row<'_>) -> Result<(), DatasetError>,
) -> Result<(), DatasetError> {
    let failed = |source| DatasetError::Read { path: path.to_owned(), source };
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).map_err(failed)?)
    };
    let mut reader = BufReader::with_capacity(1 << 16, input);
    let start = reader.fill_buf().map_err(failed)?;
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        let problem = "the file is UTF-16; save it as UTF-8".to_owned();
        return Err(DatasetError::Row { path: path.to_owned(), line: 1, problem });
    }
    let mark = if start.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let json = start[mark..].trim_ascii_start().first() == Some(&b'{');
    reader.consume(mark);
    if json { for_each_json(reader, path, &mut visit) } else { for_each_csv(reader, path, &mut visit) }
}

fn for_each_json(
    mut reader: impl BufRead,
    path: &Path,
    visit: &mut dyn FnMut(&Row<'_>) -> Result<(), DatasetError>,
) -> Result<(), DatasetError> {
    let mut buffer = Vec::new();
    for line in 1.. {
        buffer.clear();
        let read = reader.read_until(b'\n', &mut buffer);
        if read.map_err(|source| DatasetError::Read { path: path.to_owned(), source })? == 0 {
            break;
        }
        if buffer.trim_ascii().is_empty() {
            continue;
        }
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&buffer).map_err(|error| DatasetError::Row {
                path: path.to_owned(),
                line,
                problem: format!("is no JSON object: {error}; write one object a line"),
            })?;
        let get = |name: &str| match object.get(name)? {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(Cow::Borrowed(text.as_str())),
            other => Some(Cow::Owned(other.to_string())),
        };
        visit(&Row { path, line, get: &get })?;
    }
    Ok(())
}

fn for_each_csv(
    reader: impl BufRead,
    path: &Path,
    visit: &mut dyn FnMut(&Row<'_>) -> Result<(), DatasetError>,
) -> Result<(), DatasetError> {
    let mut csv = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
    let broken = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(source) => DatasetError::Read { path: path.to_owned(), source },
            kind => {
                DatasetError::Row { path: path.to_owned(), line, problem: format!("is no CSV row: {kind:?}") }
            }
        }
    };
    let header: Vec<String> = csv
        .byte_headers()
        .map_err(broken)?
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
        .collect();
    if header.iter().all(String::is_empty) {
        return Err(DatasetError::Empty { path: path.to_owned() });
    }
    if !header.iter().any(|name| TEXT.contains(&name.as_str())) {
        return Err(missing_column(path, "text, log or message", &header));
    }
    if !header.iter().any(|name| LABEL.contains(&name.as_str()) || name == "risky" || name == "y") {
        return Err(missing_column(path, "label, risk or risk_label", &header));
    }
    let mut record = csv::ByteRecord::new();
    while csv.read_byte_record(&mut record).map_err(broken)? {
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            let problem = format!(
                "the row has {} fields, the header {}; put texts with commas or newlines in double quotes",
                record.len(),
                header.len()
            );
            return Err(DatasetError::Row { path: path.to_owned(), line, problem });
        }
        let get = |name: &str| {
            let index = header.iter().position(|column| column == name)?;
            record.get(index).map(String::from_utf8_lossy)
        };
        visit(&Row { path, line, get: &get })?;
    }
    Ok(())
}

fn missing_column(path: &Path, wanted: &'static str, header: &[String]) -> DatasetError {
    let found = shorten(&header.join(", "));
    DatasetError::MissingColumn { path: path.to_owned(), wanted, found }
}

/// Brings each text to one row.
fn merge(rows: Vec<LabelledRow>, conflicts: Conflicts, path: &Path) -> Result<Labelled, DatasetError> {
    let mut groups: HashMap<String, usize> = HashMap::with_capacity(rows.len());
    let mut merged: Vec<(LabelledRow, [f32; Risk::COUNT])> = Vec::new();
    let (mut duplicates, mut conflicting) = (0, 0);
    for row in rows {
        let slot = usize::from(row.risk.get());
        let Some(&index) = groups.get(&row.text) else {
            let mut votes = [0.0; Risk::COUNT];
            votes[slot] = row.weight;
            groups.insert(row.text.clone(), merged.len());
            merged.push((row, votes));
            continue;
        };
        let (first, votes) = &mut merged[index];
        if votes[slot] > 0.0 {
            duplicates += 1;
        } else if conflicts == Conflicts::Error {
            return Err(DatasetError::Conflict {
                path: path.to_owned(),
                first: first.line,
                second: row.line,
                one: first.risk.get(),
                other: row.risk.get(),
            });
        } else {
            conflicting += usize::from(votes.iter().filter(|vote| **vote > 0.0).count() == 1);
        }
        votes[slot] += row.weight;
        first.tag = first.tag.or(row.tag);
    }
    let rows = merged.into_iter().map(|(row, votes)| decide(row, &votes)).collect();
    Ok(Labelled { rows, read: 0, duplicates, conflicts: conflicting })
}

fn decide(mut row: LabelledRow, votes: &[f32; Risk::COUNT]) -> LabelledRow {
    for risk in Risk::all() {
        let (vote, best) = (votes[usize::from(risk.get())], votes[usize::from(row.risk.get())]);
        if vote > best || (vote == best && risk > row.risk) {
            row.risk = risk;
        }
    }
    row.weight = votes[usize::from(row.risk.get())];
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    fn rows(content: &str) -> Vec<(String, u8)> {
        let labelled = read(file(content.as_bytes()).path(), Conflicts::Majority).unwrap();
        labelled.rows.into_iter().map(|row| (row.text, row.risk.get())).collect()
    }

    fn error(content: &[u8]) -> String {
        read(file(content).path(), Conflicts::Error).unwrap_err().to_string()
    }

    #[test]
    fn shapes() {
        let expected = vec![("a, b".to_owned(), 7), ("c".to_owned(), 2)];
        let cases = [
            "text,label\n\"a, b\",7\nc,2\n",
            "log,risk_label\r\n\"a, b\",7\r\nc,2\r\n",
            "\u{feff}Message,Risk,tag\n\"a, b\",7,ERROR\nc,2.0,\n",
            "{\"text\":\"a, b\",\"label\":7}\n\n{\"log\":\"c\",\"risk\":\"2\"}\n",
        ];
        for case in cases {
            assert_eq!(rows(case), expected, "{case}");
        }
    }

    #[test]
    fn quotes_hold_newlines_and_lines_stay_right() {
        assert_eq!(rows("text,label\n\"a\nb\",1\nc,2\n")[0].0, "a\nb");
        assert!(error(b"text,label\n\"a\nb\",1\nc,12\n").contains("line 4, column label: \"12\" is no risk"));
    }

    #[test]
    fn a_million_characters_are_a_field() {
        let long = "x".repeat(1_000_000);
        assert_eq!(rows(&format!("text,label\n{long},1\ny,2\n"))[0].0.len(), 1_000_000);
        assert!(error(format!("text,label\na,{long}\n").as_bytes()).len() < 300);
    }

    #[test]
    fn mistakes_name_line_column_and_remedy() {
        let cases: [(&[u8], &str); 12] = [
            (
                b"text,label\na,11\n",
                "line 2, column label: \"11\" is no risk; give a whole number from 0 to 10",
            ),
            (b"text,label\na,-1\n", "is no risk"),
            (b"text,label\na,2.5\n", "is no risk"),
            (b"text,label\na,NaN\n", "is no risk"),
            (b"text,label\na,\n", "column label: is empty"),
            (b"text,label\n,3\n", "line 2, column text: is empty"),
            (b"line,label\na,3\n", "has no column text, log or message; its header names line, label"),
            (b"text,class\na,3\n", "has no column label, risk or risk_label"),
            (b"text,label\na,b,3\n", "line 2: the row has 3 fields, the header 2"),
            (b"text,label,tag\na,3,BAD\n", "column tag: tag \"BAD\" is unknown"),
            (b"{\"text\":\"a\"}\n", "line 1: the row has none of label"),
            (b"\xff\xfet\0", "save it as UTF-8"),
        ];
        for (content, expected) in cases {
            let message = error(content);
            assert!(message.contains(expected), "{message} lacks {expected}");
        }
        for empty in [&b""[..], b"\n", b"text,label\n"] {
            assert!(error(empty).contains("holds no rows"), "{}", error(empty));
        }
        assert!(error(b"text,label,weight\na,3,-1\n").contains("give a number above 0"));
        assert!(error(b"{\"text\":\"a\",\"risk\":1}\nnonsense\n").contains("line 2: is no JSON object"));
    }

    #[test]
    fn duplicates_and_conflicts_are_counted() {
        let content = b"text,label,weight\na,3,1\na,3,1\nb,2,1\nb,7,1\nc,1,1\nc,4,5\nc,1,1\n";
        let labelled = read(file(content).path(), Conflicts::Majority).unwrap();
        let found: Vec<_> =
            labelled.rows.iter().map(|row| (row.text.as_str(), row.risk.get(), row.weight)).collect();
        assert_eq!(found, [("a", 3, 2.0), ("b", 7, 1.0), ("c", 4, 5.0)]);
        assert_eq!((labelled.duplicates, labelled.conflicts), (2, 2));
        assert!(error(content).contains("lines 4 and 5 give the same text the risks 2 and 7"));
    }
}
