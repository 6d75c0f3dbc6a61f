//! `logrisk split`: labelled rows into train, validation and test parts.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use logrisk_train::split::{GroupBy, PART_NAMES, SplitOptions, split};

/// Split labelled data into train.csv, val.csv and test.csv.
///
/// All rows of a pattern, or of a source, go to the same part, and no pattern is in two: lines of one pattern are copies of each other, and a
/// model that has seen one knows them all.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  logrisk split -i labelled.csv -o parts                    80 : 10 : 10 by pattern
  logrisk split -i labelled.csv -o parts --by source        test on software that training never saw
  logrisk split -i labelled.csv -o parts --stratify --train-ratio 0.7 --val-ratio 0.15 --test-ratio 0.15")]
pub struct SplitArgs {
    /// Labelled CSV: text, risk_label (or label, risk), and pattern_id or source; `-` is standard input.
    #[arg(long, short, default_value = "-", value_name = "FILE")]
    input: PathBuf,
    /// The folder for the three files; made if absent.
    #[arg(long, short, value_name = "FOLDER")]
    output: PathBuf,
    /// What keeps rows together.
    #[arg(long, value_enum, default_value_t = By::Pattern)]
    by: By,
    /// Share of rows to train on.
    #[arg(long, default_value_t = 0.8, value_name = "SHARE")]
    train_ratio: f64,
    /// Share of rows to stop training by.
    #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
    val_ratio: f64,
    /// Share of rows to judge by.
    #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
    test_ratio: f64,
    /// Decides between groups of equal size.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Keep the shares for every label.
    #[arg(long)]
    stratify: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    /// The pattern of the text, and the column pattern_id where there is one.
    Pattern,
    /// The column source.
    Source,
}

/// Runs the command.
///
/// # Errors
/// When the input cannot be read or split, or the folder cannot be written to.
pub fn run(args: &SplitArgs) -> anyhow::Result<ExitCode> {
    let name = args.input.display();
    let input: Box<dyn Read> = if args.input == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(&args.input).with_context(|| format!("could not read {name}"))?)
    };
    let options = SplitOptions {
        by: match args.by {
            By::Pattern => GroupBy::Pattern,
            By::Source => GroupBy::Source,
        },
        ratios: [args.train_ratio, args.val_ratio, args.test_ratio],
        seed: args.seed,
        stratify: args.stratify,
    };
    let parts = split(input, &args.output, options).with_context(|| format!("could not split {name}"))?;
    let mut report = String::new();
    for (part, file) in PART_NAMES.iter().enumerate() {
        let path = args.output.join(file);
        report.push_str(&format!(
            "{}: {} rows, {} groups\n",
            path.display(),
            parts.rows[part],
            parts.groups[part]
        ));
    }
    if parts.left_out > 0 {
        report.push_str(&format!(
            "{} rows are in no part: another source has their pattern in an earlier one\n",
            parts.left_out
        ));
    }
    // The files are written; a closed standard error changes nothing about that.
    _ = io::stderr().write_all(report.as_bytes());
    Ok(ExitCode::SUCCESS)
}
