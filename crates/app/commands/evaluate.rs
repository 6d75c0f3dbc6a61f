//! `logrisk evaluate`: how good a model's answers are, beside baselines.

use std::{
    io::{self, Write},
    panic::resume_unwind,
    path::PathBuf,
    process::ExitCode,
    thread,
};

use clap::{Args, ValueEnum};
use logrisk_enrich::redact::{Redactions, Redactor};
use logrisk_train::{
    dataset::read_truths,
    evaluate::{Answer, Baseline, Bootstrap, Report, render_table},
};

use super::score::EngineArgs;
use crate::{
    assemble::Block,
    pipeline::{Pipeline, Worker},
};

/// Measure answers against labelled lines.
///
/// Reads CSV or JSON lines with a text (text, log, message) and a risk (label, risk, risk_label); lines that only say
/// whether they are risky at all (risky) count as traps. Every figure comes with the interval that holds 95 % of its
/// values on lines drawn anew.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  logrisk evaluate --data test.csv                          the built-in model
  logrisk evaluate --model runs/7 --data test.csv --baselines
  logrisk evaluate --data test.csv --format json > figures.json")]
pub struct EvaluateArgs {
    /// Labelled lines, CSV or JSON lines; `-` is standard input.
    #[arg(long, short, value_name = "FILE")]
    data: PathBuf,
    /// How to print the figures.
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    format: OutputFormat,
    /// Measure always-3, the first seed's rules and the rules that ship beside the model.
    #[arg(long)]
    baselines: bool,
    /// How often lines are drawn anew for the intervals; 0 for none. By default 1,000, fewer for many lines.
    #[arg(long, value_name = "ROUNDS")]
    bootstrap: Option<usize>,
    /// Decides those draws.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OutputFormat {
    /// Figures side by side and the confusion matrix.
    Table,
    /// An array with one object for each way of judging.
    Json,
}

/// Lines drawn for intervals, all rounds together, by default: a second or two of work.
const DRAWN_LINES: usize = 2_000_000;

/// Lines that the model reads at a time: enough for full batches, few enough to share among threads.
const LINES_AT_A_TIME: usize = 256;

/// Runs the command.
///
/// # Errors
/// When the data or the model cannot be read, or standard output cannot be written to.
pub fn run(args: &EvaluateArgs) -> anyhow::Result<ExitCode> {
    let truths = read_truths(&args.data)?;
    let lines: Vec<&str> = truths.iter().map(|truth| truth.text.as_str()).collect();
    let rounds = args.bootstrap.unwrap_or((DRAWN_LINES / truths.len().max(1)).clamp(20, 1_000));
    let bootstrap = Bootstrap { rounds, seed: args.seed };
    let mut judges = Vec::new();
    let redactor = Redactor::new(Redactions { secrets: true, personal: false });
    let pipeline = args.engine.pipeline(Some(redactor), false)?;
    let answers = judge(&pipeline, &lines, args.engine.threads());
    judges.push((pipeline.model.version().to_owned(), answers));
    if args.baselines {
        let rules = Box::new(super::rules::open_rules(None)?);
        for baseline in [Baseline::Rules(rules), Baseline::SeedRules, Baseline::AlwaysThree] {
            judges.push((baseline.name().to_owned(), baseline.judge(&lines)));
        }
    }
    let reports: Vec<Report> =
        judges.iter().map(|(name, answers)| Report::new(name, &truths, answers, bootstrap)).collect();
    let text = match args.format {
        OutputFormat::Table => render_table(&reports),
        OutputFormat::Json => serde_json::to_string_pretty(&reports)? + "\n",
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The model's answers, in the order of the lines.
fn judge(pipeline: &Pipeline, lines: &[&str], threads: usize) -> Vec<Answer> {
    let share = lines.len().div_ceil(threads.max(1)).max(1);
    let judge_share = |share: &[&str]| -> Vec<Answer> {
        let mut worker = Worker::default();
        let mut answers = Vec::with_capacity(share.len());
        for lines in share.chunks(LINES_AT_A_TIME) {
            let block = block(lines);
            let scored = pipeline.score(&block, &mut worker);
            answers.extend(scored.iter().map(|scored| {
                Answer::of_probabilities(&scored.known.assessment.probabilities, scored.known.label)
            }));
        }
        answers
    };
    thread::scope(|scope| {
        let workers: Vec<_> = lines.chunks(share).map(|share| scope.spawn(|| judge_share(share))).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// The lines as records, whatever they hold: a stack trace is one.
fn block(lines: &[&str]) -> Block {
    let mut block = Block { lines: lines.len() as u64, ..Block::default() };
    for line in lines {
        let begin = block.text.len();
        block.text.push_str(line);
        block.text.push('\n');
        block.records.push(begin..block.text.len());
    }
    block
}
