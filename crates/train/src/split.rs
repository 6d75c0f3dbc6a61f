//! Labelled rows into train, validation and test parts, whole groups at a time.
//!
//! Never by line: the lines of one pattern are copies of each other, and a model that has seen one knows them all. A
//! group (pattern or source) goes to one part. Large groups are placed first, each where most rows are still missing,
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
    /// The column `pattern_id`, or where it is absent the pattern of the text.
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
    let groups = groups(&header, &rows, options)?;
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
    write_parts(folder, &header, &rows, &part_of)?;
    Ok(parts)
}

fn groups(header: &ByteRecord, rows: &[ByteRecord], options: SplitOptions) -> Result<Vec<Group>, SplitError> {
    let find =
        |names: &[&str]| header.iter().position(|name| names.iter().any(|wanted| name == wanted.as_bytes()));
    let missing = |wanted| {
        let names: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
        SplitError::MissingColumn(wanted, names.join(", "))
    };
    let text = find(&["text", "log", "message"]);
    let pattern = find(&["pattern_id"]);
    let source = find(&["source"]);
    let label = find(&["label", "risk", "risk_label"]).ok_or_else(|| missing("label, risk or risk_label"))?;
    match options.by {
        GroupBy::Source if source.is_none() => return Err(missing("source")),
        GroupBy::Pattern if pattern.is_none() && text.is_none() => return Err(missing("pattern_id or text")),
        _ => {}
    }
    let field =
        |row: &ByteRecord, column: Option<usize>| column.and_then(|c| row.get(c)).unwrap_or(b"").to_vec();
    let mut canonical = Canonical::new();
    let mut index: HashMap<Vec<u8>, usize> = HashMap::default();
    let mut groups: Vec<Group> = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let key = match (options.by, pattern) {
            (GroupBy::Source, _) => field(row, source),
            (GroupBy::Pattern, Some(_)) => field(row, pattern),
            (GroupBy::Pattern, None) => {
                let masked = canonical.text(&String::from_utf8_lossy(&field(row, text)));
                PatternId::of(&masked).to_string().into_bytes()
            }
        };
        let group = *index.entry(key).or_insert_with(|| {
            groups.push(Group::default());
            groups.len() - 1
        });
        groups[group].rows.push(number);
        *groups[group].labels.entry(field(row, Some(label))).or_default() += 1;
    }
    Ok(groups)
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
        let by_source = SplitOptions { by: GroupBy::Source, ..DEFAULT };
        assert!(error("text,label\na,1\n", by_source).contains("no column source"));
    }
}
