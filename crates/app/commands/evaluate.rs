//! `logrisk evaluate`: how good a model's answers are, beside baselines.

use std::{
    fs::{self, File},
    io::{self, Write},
    num::NonZeroUsize,
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use logrisk_enrich::redact::{Redactions, Redactor};
use logrisk_train::{
    dataset::read_truths,
    evaluate::{
        Answer, Baseline, Bootstrap, By, Judge, Learned, Options, Report, Requirement, Verdict, compare,
        learning_examples, render_html, render_table,
    },
};

use super::score::EngineArgs;
use crate::{
    assemble::Block,
    pipeline::{Pipeline, Scored, Worker},
    terminal,
};

/// Measure answers against labelled lines.
///
/// Reads CSV or JSON lines with a text (text, log, message) and a risk (label, risk, risk_label); lines that only say
/// whether they are risky at all (risky) count as traps, lines with the level that a developer chose (y, 0 to 4) show
/// whether errors score higher. Two lines of one `pair` are right when the riskier one scores higher; `lo` and `hi`, or
/// `or`, say what else a careful reader may answer. Every figure comes with the interval that holds 95 % of its values on
/// lines drawn anew.
///
/// Exit codes: 0 done, 1 a required figure was not reached, 2 the data or the model cannot be used.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  logrisk evaluate --data test.csv                          the built-in model
  logrisk evaluate --model runs/7 --data test.csv --baselines --by software,level
  logrisk evaluate --data test.csv --baselines-from config/recipe.yaml --format html --output report.html
  logrisk evaluate --data test.csv --require 'auroc_5>=0.95' --require 'within_1.low>=0.85'
  logrisk evaluate --data test.csv --format json > figures.json")]
pub struct EvaluateArgs {
    /// Labelled lines, CSV or JSON lines; `-` is standard input; of a recipe (.yaml) what it keeps aside.
    #[arg(long, short, value_name = "FILE")]
    data: PathBuf,
    /// How to print the figures.
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    format: OutputFormat,
    /// Where to write, instead of standard output; a file appears whole or not at all.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also measure groups of lines: by software, format, language, level (present or absent) or kind.
    #[arg(long, value_name = "GROUPS", value_delimiter = ',')]
    by: Vec<By>,
    /// Groups with fewer lines become one, `other`.
    #[arg(long, value_name = "LINES", default_value = "20")]
    smallest_group: NonZeroUsize,
    /// Measure always-3, the first seed's rules and the rules that ship beside the model.
    #[arg(long)]
    baselines: bool,
    /// The same, and TF-IDF with logistic and with ridge regression, which learn from this: a recipe (.yaml), best the one
    /// that the model was trained with, or labelled lines.
    #[arg(long, value_name = "FILE")]
    baselines_from: Option<PathBuf>,
    /// A figure that the model must reach, such as `within_1>=0.85` or `mae<=1.2`; `.low` and `.high` after the name are
    /// the ends of its interval. Names are the keys of the JSON output. May be repeated.
    #[arg(long, value_name = "FIGURE>=NUMBER")]
    require: Vec<Requirement>,
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
    /// Figures side by side, groups and the confusion matrix.
    Table,
    /// An array with one object for each way of judging.
    Json,
    /// One page with plots that needs nothing else.
    Html,
}

/// A required figure was not reached.
const NOT_REACHED: u8 = 1;
/// Nothing could be measured.
const UNUSABLE: u8 = 2;

/// Lines drawn for intervals, all rounds together, by default: a second or two of work.
const DRAWN_LINES: usize = 2_000_000;

/// Lines that the model reads at a time: enough for full batches, few enough to share among threads.
const LINES_AT_A_TIME: usize = 256;

/// Runs the command. What goes wrong is an exit code of its own, with its message on standard error, so that CI can tell
/// a model that is not good enough from a run that measured nothing.
///
/// # Errors
/// When the reader of standard output went away.
pub fn run(args: &EvaluateArgs) -> anyhow::Result<ExitCode> {
    match measure(args) {
        Ok(reports) => Ok(check(&args.require, &reports)),
        Err(error) if terminal::is_broken_pipe(&error) => Err(error),
        Err(error) => {
            terminal::print_error(&error);
            Ok(ExitCode::from(UNUSABLE))
        }
    }
}

/// Measures and writes the reports; the model's comes first.
fn measure(args: &EvaluateArgs) -> anyhow::Result<Vec<Report>> {
    let truths = read_truths(&args.data)?;
    let lines: Vec<&str> = truths.iter().map(|truth| truth.text.as_str()).collect();
    let redactor = Redactor::new(Redactions { secrets: true, personal: false });
    let pipeline = args.engine.pipeline(Some(redactor), false)?;
    let answers = judge(&pipeline, &lines, args.engine.threads());
    let mut judges = vec![Judge { name: pipeline.model.version().to_owned(), answers }];
    if let Some(path) = &args.baselines_from {
        judges.extend(Learned::fit(&learning_examples(path)?).judges(&lines));
    }
    if args.baselines || args.baselines_from.is_some() {
        let rules = Box::new(super::rules::open_rules(None)?);
        for baseline in [Baseline::Rules(rules), Baseline::SeedRules, Baseline::AlwaysThree] {
            judges.push(Judge { name: baseline.name().to_owned(), answers: baseline.judge(&lines) });
        }
    }
    let rounds = args.bootstrap.unwrap_or((DRAWN_LINES / truths.len().max(1)).clamp(20, 1_000));
    let options = Options {
        bootstrap: Bootstrap { rounds, seed: args.seed },
        by: args.by.clone(),
        smallest_group: args.smallest_group.get(),
    };
    let reports = compare(&truths, &judges, &options);
    let text = match args.format {
        OutputFormat::Table => render_table(&reports),
        OutputFormat::Json => serde_json::to_string_pretty(&reports)? + "\n",
        OutputFormat::Html => {
            let name = args.data.file_name().unwrap_or(args.data.as_os_str()).to_string_lossy();
            render_html(&reports, if name == "-" { "standard input" } else { &name })
        }
    };
    match &args.output {
        Some(path) => {
            write_whole(path, text.as_bytes())
                .with_context(|| format!("could not write {}", path.display()))?;
        }
        None => io::stdout().lock().write_all(text.as_bytes()).context("could not write the output")?,
    }
    Ok(reports)
}

/// Names the requirements that the model does not meet.
fn check(requirements: &[Requirement], reports: &[Report]) -> ExitCode {
    let mut reached = true;
    for requirement in requirements {
        match reports.first().map_or(Verdict::Unknown, |report| requirement.check(report)) {
            Verdict::Holds => continue,
            Verdict::Fails(found) => eprintln!("logrisk: required {requirement}, found {found:.4}"),
            Verdict::Unknown => {
                eprintln!("logrisk: required {requirement}, but the data has no lines to measure it on");
            }
        }
        reached = false;
    }
    if reached { ExitCode::SUCCESS } else { ExitCode::from(NOT_REACHED) }
}

/// Writes beside the file and renames, so that no reader ever finds half of it.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    let unfinished = path.with_file_name(name);
    let written = File::create(&unfinished)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // Left behind it would be ours and useless; the error that matters is the first one.
        _ = fs::remove_file(&unfinished);
    }
    written
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
            answers.extend(scored.iter().map(|Scored { known, .. }| {
                let (low, high) = known.interval;
                Answer {
                    score: known.score,
                    interval: Some((f32::from(low.get()), f32::from(high.get()))),
                    unsure: Some(known.unsure),
                    ..Answer::of_probabilities(&known.assessment.probabilities, known.label)
                }
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
