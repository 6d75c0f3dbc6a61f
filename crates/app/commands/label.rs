//! `logrisk label`: weak labels by rules, as CSV to train on or to correct by hand.

use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
    slice,
};

use anyhow::Context;
use clap::Args;
use foldhash::{HashMap, HashMapExt};
use indicatif::{ProgressBar, ProgressStyle};
use logrisk_train::{
    dataset::io_error,
    label::{Labeller, WeakLabel},
};

use crate::{
    assemble::Block,
    input::{Failure, Feeder},
    output::Output,
};

/// Label log lines by rules, to have something to train on.
///
/// Writes CSV with the columns text, risk_label, tag, pattern_id, label_source; with --patterns one row for each
/// pattern, with its count and masked text. Stack traces are one row. Labels by rules are a beginning: correct the
/// wrong ones by hand and give those rows a weight.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  logrisk label -i app.log -o labelled.csv                  one row for each record
  kubectl logs deploy/shop | logrisk label --patterns       one row for each pattern, most frequent first
  logrisk label -i app.log --rules my-rules.yaml | head")]
pub struct LabelArgs {
    /// The log to label, .gz and .zst too; `-` is standard input.
    #[arg(long, short, default_value = "-", value_name = "FILE")]
    input: PathBuf,
    /// Where to write the CSV; `-` is standard output.
    #[arg(long, short, default_value = "-", value_name = "FILE")]
    output: PathBuf,
    /// A rule file; the rules that ship if absent.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// One row for each pattern, most frequent first, instead of one for each record.
    #[arg(long)]
    patterns: bool,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read or written, or the rule file is not valid.
pub fn run(args: &LabelArgs) -> anyhow::Result<ExitCode> {
    let mut labeller = Labeller::new(super::rules::open_rules(args.rules.as_deref())?);
    let mut feeder = Feeder::new(slice::from_ref(&args.input), false, true)?;
    let mut output = Output::create(&args.output)?;
    let mut csv = csv::Writer::from_writer(BufWriter::with_capacity(1 << 18, &mut output));
    let counts = if args.patterns {
        label_patterns(&mut feeder, &mut labeller, &mut csv)
    } else {
        label_records(&mut feeder, &mut labeller, &mut csv)
    };
    // Flushed already, or failed.
    drop(csv);
    match counts {
        Ok(counts) => {
            if let Some(Failure { name, cause }) = feeder.failures().first() {
                anyhow::bail!("could not read {name}: {cause}");
            }
            output.finish()?;
            // Standard error may be closed; the labels are what was asked for.
            _ = writeln!(io::stderr(), "{} records labelled, {} patterns", counts.records, counts.patterns);
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(error).with_context(|| format!("could not write {}", args.output.display())),
    }
}

#[derive(Debug, Default)]
struct Counts {
    records: u64,
    patterns: usize,
}

fn label_records(
    feeder: &mut Feeder,
    labeller: &mut Labeller,
    csv: &mut csv::Writer<impl Write>,
) -> io::Result<Counts> {
    csv.write_record(["text", "risk_label", "tag", "pattern_id", "label_source"]).map_err(io_error)?;
    let mut counts = Counts::default();
    let mut seen = foldhash::HashSet::default();
    for_each_record(feeder, labeller, |record, labeller| {
        let WeakLabel { pattern_id, risk, tag } = labeller.label(record);
        counts.records += 1;
        seen.insert(pattern_id);
        let (risk, pattern_id) = (risk.to_string(), pattern_id.to_string());
        csv.write_record([record, &risk, tag.as_str(), &pattern_id, "rule"]).map_err(io_error)
    })?;
    csv.flush()?;
    Ok(Counts { patterns: seen.len(), ..counts })
}

struct Pattern {
    sample: String,
    masked: String,
    label: WeakLabel,
    count: u64,
}

fn label_patterns(
    feeder: &mut Feeder,
    labeller: &mut Labeller,
    csv: &mut csv::Writer<impl Write>,
) -> io::Result<Counts> {
    let mut patterns: HashMap<_, Pattern> = HashMap::new();
    let mut records = 0;
    for_each_record(feeder, labeller, |record, labeller| {
        records += 1;
        let label = labeller.label(record);
        let pattern = patterns.entry(label.pattern_id).or_insert_with(|| Pattern {
            sample: record.to_owned(),
            masked: labeller.pattern().to_owned(),
            label,
            count: 0,
        });
        pattern.count += 1;
        Ok(())
    })?;
    let mut patterns: Vec<Pattern> = patterns.into_values().collect();
    patterns.sort_by(|one, other| (other.count, &one.masked).cmp(&(one.count, &other.masked)));
    csv.write_record(["text", "risk_label", "tag", "pattern_id", "label_source", "count", "pattern"])
        .map_err(io_error)?;
    for Pattern { sample, masked, label, count } in &patterns {
        let (risk, pattern_id, count) =
            (label.risk.to_string(), label.pattern_id.to_string(), count.to_string());
        csv.write_record([sample.as_str(), &risk, label.tag.as_str(), &pattern_id, "rule", &count, masked])
            .map_err(io_error)?;
    }
    csv.flush()?;
    Ok(Counts { records, patterns: patterns.len() })
}

/// Calls with every record: stack traces and torn lines joined, bad UTF-8 replaced, secrets redacted.
fn for_each_record(
    feeder: &mut Feeder,
    labeller: &mut Labeller,
    mut visit: impl FnMut(&str, &mut Labeller) -> io::Result<()>,
) -> io::Result<()> {
    let progress = progress();
    let mut used = Block::default();
    while let Some(block) = feeder.next_block(used) {
        for range in &block.records {
            let raw = block.text[range.clone()].trim_end_matches(['\n', '\r']);
            if !raw.trim().is_empty() {
                visit(&labeller.redact(raw), labeller)?;
            }
        }
        progress.inc(block.records.len() as u64);
        used = block;
    }
    progress.finish_and_clear();
    Ok(())
}

/// Records and rate on a terminal; how many there will be is not known.
fn progress() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {human_pos} records  {per_sec}");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
