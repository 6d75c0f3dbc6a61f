//! `logrisk run`: the data plane, from every source to every sink.

mod check;
mod figures;
mod observe;
mod open;
mod plane;
mod replay;
mod routes;
mod scoring;
mod settings;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::Args;
use logrisk_enrich::redact::{Redactions, Redactor};
use tokio_util::sync::CancellationToken;

use crate::{log, pipeline::Pipeline, system};

pub use plane::Plane;
pub use scoring::Scorer;
pub use settings::Settings;

/// Run the pipeline: from sources to sinks, losing nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  logrisk run -c logrisk.yaml               until SIGTERM or Ctrl-C
  logrisk check logrisk.yaml                whether it would start
  logrisk run -c config/examples/stdin.yaml < app.log | jq 'select(.risk_label >= 7)'

A source is told that a record is done only when every sink has it. What was read and not written is read again at the
next start, under the same ids. At the end, sinks may go on for `run.grace_secs`; what is not finished then is named.

Exit codes: 0 ended in order with everything written, 1 something failed or was left to the next start.")]
pub struct RunArgs {
    /// Settings as YAML; see config/examples
    #[arg(long, short, value_name = "FILE", env = "LOGRISK_CONFIG")]
    pub config: PathBuf,
}

pub fn run(arguments: &RunArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::of_file(&arguments.config)?;
    log::start(&settings.log.level, settings.log.format)?;
    let plane = Plane::of(&settings);
    let engine = settings.engine.arguments()?;
    system::prefer_small_pages();
    let redactor = Redactor::new(Redactions { secrets: true, personal: settings.run.redact_personal });
    let pipeline = system::load(|| engine.pipeline(Some(redactor), true))?;
    in_runtime(async move {
        let stop = CancellationToken::new();
        plane.run(Arc::new(Alone(Arc::new(pipeline))), engine.threads(), stop).await
    })
}

/// One pipeline for good.
struct Alone(Arc<Pipeline>);

impl Scorer for Alone {
    fn pipeline(&self) -> Option<Arc<Pipeline>> {
        Some(Arc::clone(&self.0))
    }
}

/// Send records again that sinks refused for good.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  logrisk replay-dead-letter -c logrisk.yaml --list    what was refused, and why
  logrisk replay-dead-letter -c logrisk.yaml           after the cause was mended

Records are scored anew and written under their old ids, each to the sink that refused it. What is refused again is kept
again. Exit codes: 0 nothing is left, 1 something failed or was refused again.")]
pub struct ReplayArgs {
    /// The settings that the records were refused under
    #[arg(long, short, value_name = "FILE", env = "LOGRISK_CONFIG")]
    pub config: PathBuf,

    /// Only say what there is
    #[arg(long)]
    pub list: bool,
}

pub fn replay(arguments: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::of_file(&arguments.config)?;
    let Some(folder) = &settings.run.dead_letter else {
        anyhow::bail!("the settings have no run.dead_letter, so there is no folder to look in");
    };
    let waiting = replay::waiting(folder)?;
    if arguments.list {
        for (sink, letters) in &waiting {
            for (reason, count) in &letters.reasons {
                println!("{sink}\t{count}\t{reason}");
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    log::start(&settings.log.level, settings.log.format)?;
    let mut planes = Vec::new();
    for (sink, letters) in waiting {
        planes.push(Plane::of_letters(&settings, &sink, letters.files)?);
    }
    let engine = settings.engine.arguments()?;
    for plane in planes {
        let redactor = Redactor::new(Redactions { secrets: true, personal: settings.run.redact_personal });
        let pipeline = engine.pipeline(Some(redactor), true)?;
        let scorer = Arc::new(Alone(Arc::new(pipeline)));
        let ended = in_runtime(plane.run(scorer, engine.threads(), CancellationToken::new()))?;
        if ended != ExitCode::SUCCESS {
            return Ok(ended);
        }
    }
    let left = replay::waiting(folder)?;
    Ok(if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether settings would start a data plane; each finding under its name.
///
/// # Errors
/// Settings that cannot be read, or are wrong, with line and column.
pub fn check(file: &Path, offline: bool) -> anyhow::Result<Vec<(String, anyhow::Result<String>)>> {
    let settings =
        if has_section(file, "serve") { Settings::beside_server(file)? } else { Settings::of_file(file)? };
    let mut findings = vec![("settings".to_owned(), Ok(format!("{} is valid", file.display())))];
    if !offline {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        findings.extend(runtime.block_on(Plane::of(&settings).check()));
    }
    let engine = settings.engine.arguments()?;
    let pipeline = engine.pipeline(None, false);
    findings.push(("engine".to_owned(), pipeline.map(|pipeline| pipeline.model.version().to_owned())));
    Ok(findings)
}

/// Whether a settings file describes a data plane: it has sources or sinks.
pub fn is_for_run(file: &Path) -> bool {
    has_section(file, "sources") || has_section(file, "sinks")
}

/// Whether a settings file has that section. A file that cannot be read has none; reading its settings says so.
pub fn has_section(file: &Path, name: &str) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))
}

/// Runs the data plane on a runtime of its own; what still runs afterwards ran past the grace period.
pub fn in_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("io")
        .build()
        .context("could not start the runtime")?;
    let ended = runtime.block_on(work);
    runtime.shutdown_background();
    ended
}
