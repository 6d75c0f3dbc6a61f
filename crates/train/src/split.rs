//! Labelled rows into train, validation and test parts, whole groups at a time.
//!
//! Never by line: the lines of one pattern are copies of each other, and a model that has seen one knows them all. A
//! group goes to one part: the rows of a pattern, by the text and by the column `pattern_id`, or those of a source. Where
//! sources share patterns, the later part gives up its rows of them. Large groups are placed first, each where most rows are still missing,
//! so parts come as near to their ratios as the groups allow.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use csv::ByteRecord;
use foldhash::HashMap;
use logrisk_base::PatternId;

use crate::dataset::{Canonical, io_error, random::Random};

/// What keeps rows together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// The pattern of the text, and the column `pattern_id` where there is one.
    Pattern,
    /// The column `source`.
    Source,
}

/// How to split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SplitOptions {
    /// What keeps rows together.
    pub by: GroupBy,
    /// Shares of train, validation and test; they sum to 1.
    pub ratios: [f64; 3],
    /// Decides between groups of equal size.
    pub seed: u64,
    /// Keeps the shares for each label, a group counting under its most frequent one.
    pub stratify: bool,
}

/// What is in the three parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// Rows in train, validation and test.
    pub rows: [usize; 3],
    /// Groups in train, validation and test.
    pub groups: [usize; 3],
    /// Rows left out, because another source has their pattern in an earlier part.
    pub left_out: usize,
}

/// Data that cannot be split.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// The ratios are no shares of a whole.
    #[error("the ratios {}, {} and {} sum to {}; give shares that sum to 1", .0[0], .0[1], .0[2], .0.iter().sum::<f64>())]
    Ratios([f64; 3]),
    /// A needed column is missing.
    #[error("the input has no column {0}; its header is {1}")]
    MissingColumn(&'static str, String),
    /// Fewer groups than parts.
    #[error(
        "the input has {0} groups, too few for {1} parts; label more patterns, or give a part the ratio 0"
    )]
    TooFewGroups(usize, usize),
    /// A label that is none.
    #[error("line {line}, column {column}: {value:?} is no risk; give a whole number from 0 to 10")]
    Label {
        /// Of the input, from 1.
        line: u64,
        /// The column.
        column: String,
        /// The beginning of what it says.
        value: String,
    },
    /// A row cannot be read.
    #[error("the input is no CSV")]
    Csv(#[from] csv::Error),
    /// A part cannot be written.
    #[error("could not write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The names of the parts' files, in the order of the ratios.
pub const PART_NAMES: [&str; 3] = ["train.csv", "val.csv", "test.csv"];

/// Rows that stay together.
#[derive(Default)]
struct Group {
    rows: Vec<usize>,
    /// How often each label occurs.
    labels: HashMap<Vec<u8>, usize>,
}

impl Group {
    /// The most frequent label; of equals the first in byte order.
    fn label(&self) -> &[u8] {
        let most = self.labels.iter().max_by(|a, b| (a.1, b.0).cmp(&(b.1, a.0)));
        most.map_or(&[], |(label, _)| label)
    }
}

/// Splits a labelled CSV into `train.csv`, `val.csv` and `test.csv` in a folder, with the input's own columns. The
/// three appear together once all are written; an error leaves older ones as they were.
///
/// # Errors
/// [`SplitError`] for ratios, columns, rows, or a folder that cannot be written to.
pub fn split(input: impl io::Read, folder: &Path, options: SplitOptions) -> Result<Parts, SplitError> {
    let sum: f64 = options.ratios.iter().sum();
    if (sum - 1.0).abs() > 1e-6 || options.ratios.iter().any(|ratio| ratio.is_nan() || *ratio < 0.0) {
        return Err(SplitError::Ratios(options.ratios));
    }
    let mut csv = csv::Reader::from_reader(input);
    let mut header = csv.byte_headers()?.clone();
    if let Some(first) = header.get(0).and_then(|name| name.strip_prefix(b"\xef\xbb\xbf")) {
        header = std::iter::once(first).chain(header.iter().skip(1)).collect();
    }
    let rows = csv.into_byte_records().collect::<Result<Vec<_>, _>>()?;
    let columns = Columns::find(&header, options.by)?;
    columns.check_labels(&header, &rows)?;
    let patterns = columns.patterns(&rows);
    let groups = groups(&columns, &rows, &patterns, options);
    let wanted = options.ratios.iter().filter(|ratio| **ratio > 0.0).count();
    if groups.len() < wanted {
        return Err(SplitError::TooFewGroups(groups.len(), wanted));
    }
    let mut part_of = vec![0; rows.len()];
    let mut parts = Parts::default();
    for (group, part) in place(groups, options) {
        parts.groups[part] += 1;
        parts.rows[part] += group.rows.len();
        group.rows.into_iter().for_each(|row| part_of[row] = part);
    }
    if options.by == GroupBy::Source {
        leave_out(&patterns, &mut part_of, &mut parts);
    }
    write_parts(folder, &header, &rows, &part_of)?;
    Ok(parts)
}

/// The part of a row that is in none.
const NO_PART: usize = PART_NAMES.len();

/// Rows whose pattern is in an earlier part are in none: another source prints the same line.
fn leave_out(patterns: &[usize], part_of: &mut [usize], parts: &mut Parts) {
    let mut first: HashMap<usize, usize> = HashMap::default();
    for (&pattern, &part) in patterns.iter().zip(&*part_of) {
        first.entry(pattern).and_modify(|earliest| *earliest = part.min(*earliest)).or_insert(part);
    }
    for (pattern, part) in patterns.iter().zip(part_of) {
        if first.get(pattern).is_some_and(|earliest| earliest < part) {
            parts.rows[*part] -= 1;
            parts.left_out += 1;
            *part = NO_PART;
        }
    }
}

/// Where the columns are that matter here.
struct Columns {
    text: Option<usize>,
    pattern: Option<usize>,
    source: Option<usize>,
    label: usize,
}

impl Columns {
    fn find(header: &ByteRecord, by: GroupBy) -> Result<Self, SplitError> {
        let names: Vec<String> =
            header.iter().map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase()).collect();
        let find = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
        let missing = |wanted| SplitError::MissingColumn(wanted, names.join(", "));
        let columns = Self {
            text: find(&["text", "log", "message"]),
            pattern: find(&["pattern_id"]),
            source: find(&["source"]),
            label: find(&["label", "risk", "risk_label"])
                .ok_or_else(|| missing("label, risk or risk_label"))?,
        };
        match by {
            GroupBy::Source if columns.source.is_none() => Err(missing("source")),
            _ if columns.pattern.is_none() && columns.text.is_none() => Err(missing("pattern_id or text")),
            _ => Ok(columns),
        }
    }

    /// Before a part is written, not when a training reads it.
    fn check_labels(&self, header: &ByteRecord, rows: &[ByteRecord]) -> Result<(), SplitError> {
        for row in rows {
            let value = String::from_utf8_lossy(row.get(self.label).unwrap_or_default());
            let number = value.trim().parse::<f64>().ok().filter(|number| number.fract() == 0.0);
            if !number.is_some_and(|number| (0.0..=10.0).contains(&number)) {
                return Err(SplitError::Label {
                    line: row.position().map_or(0, csv::Position::line),
                    column: String::from_utf8_lossy(header.get(self.label).unwrap_or_default()).into_owned(),
                    value: value.chars().take(40).collect(),
                });
            }
        }
        Ok(())
    }

    /// A number for the pattern of each row. Rows are of one pattern by their text, or by their `pattern_id`: ids of another
    /// release may tell apart what is one now, and the other way round.
    fn patterns(&self, rows: &[ByteRecord]) -> Vec<usize> {
        let mut canonical = Canonical::new();
        let mut by_text: HashMap<PatternId, usize> = HashMap::default();
        let mut by_id: HashMap<Vec<u8>, usize> = HashMap::default();
        let mut union = Union::default();
        for (number, row) in rows.iter().enumerate() {
            union.push();
            if let Some(text) = self.text.and_then(|column| row.get(column)) {
                let pattern = PatternId::of(&canonical.text(&String::from_utf8_lossy(text)));
                union.join(*by_text.entry(pattern).or_insert(number), number);
            }
            let id = self.pattern.and_then(|column| row.get(column)).filter(|id| !id.is_empty());
            if let Some(id) = id {
                union.join(*by_id.entry(id.to_vec()).or_insert(number), number);
            }
        }
        (0..rows.len()).map(|row| union.root(row)).collect()
    }
}

/// Sets of rows, each known by its first.
#[derive(Default)]
struct Union(Vec<usize>);

impl Union {
    fn push(&mut self) {
        self.0.push(self.0.len());
    }

    fn root(&mut self, mut row: usize) -> usize {
        while self.0[row] != row {
            // Every other link is shortened on the way.
            self.0[row] = self.0[self.0[row]];
            row = self.0[row];
        }
        row
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.0[one.max(other)] = one.min(other);
    }
}

fn groups(columns: &Columns, rows: &[ByteRecord], patterns: &[usize], options: SplitOptions) -> Vec<Group> {
    let field = |row: &ByteRecord, column: usize| row.get(column).unwrap_or_default().to_vec();
    let mut index: HashMap<Vec<u8>, usize> = HashMap::default();
    let mut groups: Vec<Group> = Vec::new();
    for (number, (row, pattern)) in rows.iter().zip(patterns).enumerate() {
        let key = match (options.by, columns.source) {
            (GroupBy::Source, Some(source)) => field(row, source),
            _ => pattern.to_le_bytes().to_vec(),
        };
        let group = *index.entry(key).or_insert_with(|| {
            groups.push(Group::default());
            groups.len() - 1
        });
        groups[group].rows.push(number);
        *groups[group].labels.entry(field(row, columns.label)).or_default() += 1;
    }
    groups
}

/// Gives every group its part.
fn place(mut groups: Vec<Group>, options: SplitOptions) -> Vec<(Group, usize)> {
    Random::new(options.seed).shuffle(&mut groups);
    groups.sort_by_key(|group| std::cmp::Reverse(group.rows.len()));
    let mut strata: Vec<(Vec<u8>, Vec<Group>)> = Vec::new();
    for group in groups {
        let label = if options.stratify { group.label().to_vec() } else { Vec::new() };
        match strata.iter_mut().find(|(other, _)| *other == label) {
            Some((_, members)) => members.push(group),
            None => strata.push((label, vec![group])),
        }
    }
    strata.sort_by(|one, other| one.0.cmp(&other.0));
    let mut placed = Vec::new();
    // What a stratum leaves short, the next makes good: rare labels alone cannot fill three parts.
    let mut short = [0.0; 3];
    for (_, members) in strata {
        let total: usize = members.iter().map(|group| group.rows.len()).sum();
        short.iter_mut().zip(options.ratios).for_each(|(short, ratio)| *short += ratio * total as f64);
        for group in members {
            let part = (0..3)
                .filter(|&part| options.ratios[part] > 0.0)
                .max_by(|&a, &b| short[a].total_cmp(&short[b]).then(b.cmp(&a)))
                .unwrap_or(0);
            short[part] -= group.rows.len() as f64;
            placed.push((group, part));
        }
    }
    placed
}

fn write_parts(
    folder: &Path,
    header: &ByteRecord,
    rows: &[ByteRecord],
    part_of: &[usize],
) -> Result<(), SplitError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| SplitError::Write { path, source }
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let unfinished = PART_NAMES.map(|name| folder.join(format!(".{name}.unfinished")));
    let written = unfinished.iter().enumerate().try_for_each(|(part, path)| {
        let mine = rows.iter().zip(part_of).filter(|(_, of)| **of == part).map(|(row, _)| row);
        write_part(path, header, mine).map_err(failed(path))
    });
    if written.is_err() {
        // What is left behind is ours and useless; the error that matters is the first one.
        unfinished.iter().for_each(|path| _ = fs::remove_file(path));
        return written;
    }
    for (path, name) in unfinished.iter().zip(PART_NAMES) {
        fs::rename(path, folder.join(name)).map_err(failed(path))?;
    }
    Ok(())
}

fn write_part<'a>(
    path: &Path,
    header: &ByteRecord,
    rows: impl Iterator<Item = &'a ByteRecord>,
) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(BufWriter::new(File::create(path)?));
    csv.write_byte_record(header).map_err(io_error)?;
    for row in rows {
        csv.write_byte_record(row).map_err(io_error)?;
    }
    let mut file = csv.into_inner().map_err(|error| io::Error::from(error.error().kind()))?;
    file.flush()?;
    file.get_ref().sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: SplitOptions =
        SplitOptions { by: GroupBy::Pattern, ratios: [0.8, 0.1, 0.1], seed: 42, stratify: false };

    fn run(input: &str, options: SplitOptions) -> (Result<Parts, SplitError>, [Vec<String>; 3]) {
        let folder = tempfile::tempdir().unwrap();
        let parts = split(input.as_bytes(), folder.path(), options);
        let read = |name| {
            let text = fs::read_to_string(folder.path().join(name)).unwrap_or_default();
            text.lines().skip(1).map(str::to_owned).collect()
        };
        assert!(
            fs::read_dir(folder.path())
                .unwrap()
                .all(|entry| { PART_NAMES.contains(&entry.unwrap().file_name().to_str().unwrap()) })
        );
        (parts, PART_NAMES.map(read))
    }

    fn input() -> String {
        let mut input = "text,label,source\n".to_owned();
        let words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"];
        for (word, label) in words
            .iter()
            .flat_map(|word| words.iter().map(move |other| format!("{word} {other}")))
            .zip((0..11).cycle())
        {
            for number in 1..=3 {
                input.push_str(&format!("\"{word} took {number}7 ms, done\",{label},{}\n", &word[..2]));
            }
        }
        input
    }

    #[test]
    fn no_pattern_is_in_two_parts_and_ratios_hold() {
        for stratify in [false, true] {
            let (parts, files) = run(&input(), SplitOptions { stratify, ..DEFAULT });
            let parts = parts.unwrap();
            assert_eq!(parts.rows.iter().sum::<usize>(), 300);
            for (rows, expected) in parts.rows.into_iter().zip([240, 30, 30]) {
                assert!(rows.abs_diff(expected) <= 6, "{parts:?}");
            }
            let words = |rows: &[String]| -> std::collections::BTreeSet<String> {
                rows.iter().map(|row| row.split(" took").next().unwrap().to_owned()).collect()
            };
            let [train, validation, test] = files.map(|rows| words(&rows));
            assert!(
                train.is_disjoint(&validation) && train.is_disjoint(&test) && validation.is_disjoint(&test)
            );
        }
    }

    #[test]
    fn sources_stay_together() {
        let (parts, files) = run(&input(), SplitOptions { by: GroupBy::Source, ..DEFAULT });
        parts.unwrap();
        let of = |rows: &[String]| -> std::collections::BTreeSet<String> {
            rows.iter().map(|row| row.rsplit(',').next().unwrap().to_owned()).collect()
        };
        let [train, validation, test] = files.map(|rows| of(&rows));
        assert!(train.is_disjoint(&validation) && train.is_disjoint(&test) && validation.is_disjoint(&test));
    }

    #[test]
    fn ids_of_another_release_leak_nothing() {
        // Every text twice, under an old id and a new one.
        let mut input = "text,label,pattern_id\n".to_owned();
        for number in 0..200 {
            let words = ["alpha", "beta", "gamma", "delta", "epsilon"];
            let text = format!("{} {} {}", words[number % 5], words[number / 5 % 5], words[number / 25 % 5]);
            input.push_str(&format!("{text},{},{:x}\n", number % 11, number));
        }
        let (parts, [train, validation, test]) = run(&input, DEFAULT);
        assert_eq!(parts.unwrap().rows.iter().sum::<usize>(), 200);
        let texts = |rows: &[String]| -> std::collections::BTreeSet<String> {
            rows.iter().map(|row| row.split(',').next().unwrap().to_owned()).collect()
        };
        let (train, validation, test) = (texts(&train), texts(&validation), texts(&test));
        assert!(train.is_disjoint(&validation) && train.is_disjoint(&test) && validation.is_disjoint(&test));
    }

    #[test]
    fn sources_that_print_the_same_line_do_not_leak_it() {
        let mut input = "text,label,source\n".to_owned();
        for source in 0..40 {
            input.push_str(&format!(
                "started,2,s{source}\nspecial {} failed,6,s{source}\n",
                "x".repeat(source)
            ));
        }
        let (parts, files) = run(&input, SplitOptions { by: GroupBy::Source, ..DEFAULT });
        let parts = parts.unwrap();
        assert!(parts.left_out > 4 && parts.rows.iter().sum::<usize>() + parts.left_out == 80, "{parts:?}");
        assert_eq!(files.iter().filter(|rows| rows.iter().any(|row| row.starts_with("started"))).count(), 1);
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(run(&input(), DEFAULT).1, run(&input(), DEFAULT).1);
        assert_ne!(run(&input(), DEFAULT).1, run(&input(), SplitOptions { seed: 43, ..DEFAULT }).1);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |input: &str, options| run(input, options).0.unwrap_err().to_string();
        let ratios = SplitOptions { ratios: [0.8, 0.1, 0.2], ..DEFAULT };
        assert!(error("text,label\na,1\n", ratios).contains("give shares that sum to 1"));
        assert!(
            error("line,label\na,1\n", DEFAULT)
                .contains("no column pattern_id or text; its header is line, label")
        );
        assert!(error("text\na\n", DEFAULT).contains("no column label"));
        assert!(error("text,label\na,1\nb,2\n", DEFAULT).contains("2 groups, too few for 3 parts"));
        assert!(
            error("text,Label\na,1\nb,11\n", DEFAULT).contains("line 3, column Label: \"11\" is no risk")
        );
        let by_source = SplitOptions { by: GroupBy::Source, ..DEFAULT };
        assert!(error("text,label\na,1\n", by_source).contains("no column source"));
    }
}
