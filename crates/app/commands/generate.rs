//! `logrisk generate`: synthetic log lines with known risks.

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, builder::PossibleValuesParser};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use logrisk_train::{
    dataset::{Format, io_error},
    generate::{GenerateOptions, Generator},
};

use crate::output::Output;

/// Write synthetic log lines in the formats of real programs.
///
/// The lines are made from built-in catalogues, so their risk is known. The same seed gives the same lines. A stack
/// trace is one record of several lines.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  logrisk generate --count 1000000 --output day.log         an ordinary day: mostly routine
  logrisk generate --count 11000 --balanced --labels -o labelled.csv
                                                            every risk 1,000 times, with labels to train on
  logrisk generate --count 100 --format klog                100 lines as Kubernetes components print them")]
pub struct GenerateArgs {
    /// How many records to write.
    #[arg(long, default_value_t = 10_000)]
    count: u64,
    /// Write every risk equally often; otherwise most lines are routine, as on an ordinary day.
    #[arg(long)]
    balanced: bool,
    /// Decides the lines.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Where to write; `-` is standard output.
    #[arg(long, short, default_value = "-", value_name = "FILE")]
    output: PathBuf,
    /// Write all lines in one format instead of many.
    #[arg(long, value_parser = format_names())]
    format: Option<String>,
    /// Write CSV with the columns text, risk_label and tag instead of bare lines.
    #[arg(long)]
    labels: bool,
}

fn format_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Format::NAMES.iter().map(|(name, _)| *name))
}

/// Runs the command.
///
/// # Errors
/// When the output cannot be written to.
pub fn run(args: &GenerateArgs) -> anyhow::Result<ExitCode> {
    let mut output = Output::create(&args.output)?;
    write(args, &mut output).with_context(|| format!("could not write {}", args.output.display()))?;
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn write(args: &GenerateArgs, output: &mut Output) -> io::Result<()> {
    let format = Format::NAMES
        .iter()
        .find(|(name, _)| args.format.as_deref() == Some(*name))
        .map(|(_, format)| *format);
    let options = GenerateOptions { balanced: args.balanced, seed: args.seed, format };
    let mut generator = Generator::new(options).map_err(io::Error::other)?;
    let to_stdout = args.output == Path::new("-");
    let mut output = BufWriter::with_capacity(1 << 18, output);
    let progress = progress(args.count, to_stdout);
    let mut line = String::new();
    if args.labels {
        let mut csv = csv::Writer::from_writer(output);
        csv.write_record(["text", "risk_label", "tag"]).map_err(io_error)?;
        for number in 0..args.count {
            line.clear();
            let (risk, tag) = generator.append(&mut line);
            let row = [line.as_str(), &risk.to_string(), tag.as_str()];
            csv.write_record(row).map_err(io_error)?;
            tick(&progress, number);
        }
        csv.flush()?;
    } else {
        for number in 0..args.count {
            line.clear();
            generator.append(&mut line);
            line.push('\n');
            output.write_all(line.as_bytes())?;
            tick(&progress, number);
        }
        output.flush()?;
    }
    progress.finish_and_clear();
    Ok(())
}

/// A bar with rate and time left on a terminal, unless the lines themselves go there.
fn progress(count: u64, to_stdout: bool) -> ProgressBar {
    let hidden = to_stdout && io::stdout().is_terminal();
    let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style =
        ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} records  {per_sec}  {eta} left");
    let bar = ProgressBar::with_draw_target(Some(count), target);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

/// Every 4,096 records: a tick costs more than a line.
fn tick(progress: &ProgressBar, number: u64) {
    if number % 4_096 == 4_095 {
        progress.inc(4_096);
    }
}
