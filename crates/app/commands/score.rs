//! `logrisk score`: every record of files or standard input with its risk.
//!
//! Threads take turns: one reads the next block, all score, and blocks leave in the order in which they came.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write as _},
    mem,
    num::NonZeroUsize,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use clap::{Args, value_parser};
use logrisk_base::{MaskStyle, Risk};
use logrisk_enrich::redact::{Redactions, Redactor};
use logrisk_score::{archive::Archive, cache::ScoreCache, encoder::Precision};

use super::model::{load_model, open_adapter, open_archive};
use crate::{
    assemble::Block,
    input::Feeder,
    pipeline::{Known, Pipeline, Worker},
    render::{Format, Style},
    terminal::Colour,
    top::Tally,
};

/// Patterns that `--top` lists when it is given no number.
const TOP: &str = "20";

/// Give every record of log files or standard input its risk.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  logrisk score --top app.log                     the riskiest patterns, with counts and a sample
  kubectl logs deploy/api -f | logrisk score --min-risk 5
  logrisk score --format json old.log.gz | jq 'select(.risk_label >= 7)'
  logrisk score --unsure --format table app.log   what the model cannot tell
  logrisk score --follow /var/log/syslog
  logrisk score --model model.onnx --tokenizer tokenizer/ app.log

Lines of one stack trace are one record. Compressed files (gzip, zstd) are recognised by their content.")]
pub struct ScoreArgs {
    /// Log files; `-` or none for standard input
    files: Vec<PathBuf>,

    /// How records are printed
    #[arg(long, short, value_enum, default_value_t = Format::Simple)]
    format: Format,

    /// Print only records at or above this risk
    #[arg(long, value_name = "RISK", default_value = "0", value_parser = parse_risk)]
    min_risk: Risk,

    /// Print the N riskiest patterns with counts and a sample, instead of records
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = TOP)]
    top: Option<usize>,

    /// Go on as the files grow, through rotation and truncation
    #[arg(long)]
    follow: bool,

    /// One answer a line: do not join stack traces into records
    #[arg(long)]
    no_join: bool,

    /// Ask the model for every record, also for patterns already scored
    #[arg(long)]
    no_cache: bool,

    /// Show secrets as they came
    #[arg(long)]
    no_redact: bool,

    /// Also take out personal data: e-mail addresses and card numbers
    #[arg(long)]
    redact_personal: bool,

    /// JSON and CSV also carry the eleven probabilities
    #[arg(long)]
    probabilities: bool,

    /// Print only records whose risk is unsure: where a person's time is well spent
    #[arg(long)]
    unsure: bool,

    /// JSON also says why: what decided, what each word adds, the nearest known patterns
    #[arg(long)]
    explain: bool,

    /// No summary on standard error
    #[arg(long, short)]
    quiet: bool,

    /// When to colour
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    color: Colour,

    #[command(flatten)]
    engine: EngineArgs,
}

/// What scores: shared by the commands that do.
#[derive(Debug, Clone, Args)]
pub struct EngineArgs {
    /// A built-in model (see `logrisk model list`), a model folder, .tar.zst, ONNX file or Hugging Face checkpoint;
    /// `default` if absent
    #[arg(long, short, value_name = "MODEL", env = "LOGRISK_MODEL")]
    pub model: Option<PathBuf>,

    /// The model's tokenizer, where it is elsewhere: a folder, tokenizer.json or vocab.txt
    #[arg(long, short, value_name = "PATH", env = "LOGRISK_TOKENIZER")]
    pub tokenizer: Option<PathBuf>,

    /// What `logrisk adapt` learnt from this site's corrections; belongs to one model
    #[arg(long, value_name = "FILE", env = "LOGRISK_ADAPTER")]
    pub adapter: Option<PathBuf>,

    /// Rules that tag lines, instead of the built-in ones
    #[arg(long, value_name = "FILE", env = "LOGRISK_RULES")]
    pub rules: Option<PathBuf>,

    /// Threads that score; one for each core if not given
    #[arg(long, value_name = "N", env = "LOGRISK_THREADS")]
    pub threads: Option<NonZeroUsize>,

    /// Numbers that the encoder computes with
    #[arg(long, value_name = "f32|bf16|int8", default_value = "int8", env = "LOGRISK_PRECISION")]
    pub precision: Precision,

    /// Tokens of a record that the model reads, head and tail of a longer one
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = value_parser!(u16).range(8..=512))]
    pub max_tokens: u16,

    /// Masks that make the pattern, if not those that the model was trained behind
    #[arg(long, value_name = "default|seed")]
    pub mask: Option<MaskStyle>,
}

impl EngineArgs {
    /// Opens model and rules.
    pub fn pipeline(&self, redactor: Option<Redactor>, cache: bool) -> anyhow::Result<Pipeline> {
        let archive = open_archive(self.model.as_deref(), self.tokenizer.as_deref())?;
        self.pipeline_of(archive, redactor, cache)
    }

    /// As [`Self::pipeline`], of an archive that is open already.
    pub fn pipeline_of(
        &self,
        archive: Archive,
        redactor: Option<Redactor>,
        cache: bool,
    ) -> anyhow::Result<Pipeline> {
        let adapter = open_adapter(self.adapter.as_deref(), &archive)?;
        let model = load_model(archive, adapter, self.precision)?.with_limit(usize::from(self.max_tokens));
        Ok(Pipeline {
            mask: self.mask.unwrap_or(model.mask()),
            rules: super::rules::open_rules(self.rules.as_deref())?,
            rules_file: self.rules.as_ref().map_or("built in".to_owned(), |path| path.display().to_string()),
            redactor,
            cache: cache.then(|| ScoreCache::new(ScoreCache::<Arc<Known>>::DEFAULT_BYTES, Known::BYTES)),
            explain: false,
            drift: None,
            model,
        })
    }

    /// As asked, else one for each core.
    pub fn threads(&self) -> usize {
        self.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
    }
}

/// Parses a risk argument.
pub fn parse_risk(text: &str) -> Result<Risk, String> {
    text.parse::<u8>()
        .map_err(|error| format!("a risk is a number from 0 to 10: {error}"))
        .and_then(|number| Risk::new(number).map_err(|error| error.to_string()))
}

pub fn run(arguments: &ScoreArgs) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    ensure!(
        !arguments.explain || arguments.format == Format::Json,
        "--explain needs --format json; for eyes there is `logrisk explain`"
    );
    let redactor = (!arguments.no_redact)
        .then(|| Redactor::new(Redactions { secrets: true, personal: arguments.redact_personal }));
    let mut pipeline = arguments.engine.pipeline(redactor, !arguments.no_cache)?;
    if arguments.explain {
        pipeline.explain = true;
        let bytes = ScoreCache::<Arc<Known>>::DEFAULT_BYTES;
        pipeline.cache = pipeline.cache.map(|_| ScoreCache::new(bytes, Known::BYTES_EXPLAINED));
    }
    let feeder = Feeder::new(&arguments.files, arguments.follow, !arguments.no_join)?;
    if arguments.files.is_empty() && io::stdin().is_terminal() {
        eprintln!("logrisk: reading lines from the terminal; end with Ctrl-D");
    }
    let style = Style {
        format: arguments.format,
        colour: arguments.color.for_stdout(),
        probabilities: arguments.probabilities,
        harmless: io::stdout().is_terminal(),
    };
    let run = Run {
        pipeline: &pipeline,
        arguments,
        style,
        feeder: Mutex::new((0, feeder)),
        departures: Departures::default(),
    };
    if let Some(header) = style.header()
        && arguments.top.is_none()
    {
        io::stdout().write_all(header.as_bytes())?;
    }

    let tally = run.all_threads(arguments.engine.threads())?;
    if let Some(limit) = arguments.top {
        io::stdout()
            .write_all(tally.top(limit, arguments.min_risk, arguments.unsure, style.colour).as_bytes())?;
    }
    let show_summary = arguments.top.is_some() || io::stdout().is_terminal();
    if show_summary && !arguments.quiet {
        eprint!("\n{}", tally.summary(began.elapsed(), style.colour));
    }
    let feeder = run.feeder.into_inner().unwrap_or_else(PoisonError::into_inner).1;
    for failure in feeder.failures() {
        eprintln!("logrisk: could not read {}: {}", failure.name, failure.cause);
    }
    Ok(if feeder.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the threads share.
struct Run<'a> {
    pipeline: &'a Pipeline,
    arguments: &'a ScoreArgs,
    style: Style,
    /// The number of the next block, and where it comes from.
    feeder: Mutex<(u64, Feeder)>,
    departures: Departures,
}

/// Lets blocks leave in order. Whoever brings the next one also writes those that waited for it, so that a thread that is
/// done early goes on instead of waiting for its turn.
#[derive(Default)]
struct Departures {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// The number of the block that leaves next.
    next: u64,
    /// Blocks that came before their turn.
    ready: BTreeMap<u64, String>,
    /// Nothing can be written any more.
    failed: bool,
}

/// Blocks that may wait for an earlier one; a thread further ahead pauses, which bounds memory.
const AHEAD: u64 = 8;

impl Run<'_> {
    fn all_threads(&self, threads: usize) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| self.one_thread())).collect();
            let mut outcome = self.one_thread();
            for other in others {
                let other =
                    other.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a scoring thread panicked")));
                outcome = match (outcome, other) {
                    (Ok(mut mine), Ok(theirs)) => {
                        mine.merge(theirs);
                        Ok(mine)
                    }
                    (Err(error), _) | (_, Err(error)) => Err(error),
                };
            }
            tally = outcome?;
            anyhow::Ok(())
        })?;
        Ok(tally)
    }

    fn one_thread(&self) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        let mut worker = Worker::default();
        let mut out = String::new();
        let mut used = Block::default();
        while let Some((number, block)) = self.next_block(used) {
            let scored = self.pipeline.score(&block, &mut worker);
            out.clear();
            for scored in &scored {
                tally.count(scored);
                let wanted = scored.known.label >= self.arguments.min_risk
                    && (scored.known.unsure || !self.arguments.unsure);
                if self.arguments.top.is_none() && wanted {
                    self.style.push(scored, self.pipeline.model.version(), &mut out);
                }
            }
            tally.lines += block.lines;
            drop(scored);
            match self.departures.leave(number, mem::take(&mut out)) {
                Ok(spare) => out = spare,
                Err(error) => {
                    self.stop();
                    return Err(error).context("could not write the output");
                }
            }
            used = block;
        }
        Ok(tally)
    }

    fn next_block(&self, used: Block) -> Option<(u64, Block)> {
        let mut feeder = self.feeder.lock().unwrap_or_else(PoisonError::into_inner);
        let block = feeder.1.next_block(used)?;
        feeder.0 += 1;
        Some((feeder.0 - 1, block))
    }

    /// After an error no thread begins another block.
    fn stop(&self) {
        self.feeder.lock().unwrap_or_else(PoisonError::into_inner).1.stop();
    }
}

impl Departures {
    /// Writes the block, or leaves it to the thread that brings what is missing before it. Gives back an empty buffer.
    fn leave(&self, number: u64, text: String) -> io::Result<String> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = self
            .changed
            .wait_while(waiting, |waiting| !waiting.failed && number >= waiting.next + AHEAD)
            .unwrap_or_else(PoisonError::into_inner);
        waiting.ready.insert(number, text);
        let mut spare = String::new();
        loop {
            let next = waiting.next;
            let Some(text) = waiting.ready.remove(&next) else { break };
            waiting.next += 1;
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
            if !waiting.failed && written.is_err() {
                waiting.failed = true;
                self.changed.notify_all();
                return written.map(|()| spare);
            }
            spare = text;
        }
        self.changed.notify_all();
        spare.clear();
        Ok(spare)
    }
}
