//! The log of logrisk itself. It goes to standard error; standard output belongs to results.

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// Starts the log: `level` is a level, or parts as `logrisk_web=debug`.
///
/// # Errors
/// A level that is none.
pub fn start(level: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(level)
        .with_context(|| format!("log level {level:?} is not valid; try info, or logrisk_web=debug"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Text => {
            let colour = std::env::var_os("NO_COLOR").is_none() && io::stderr().is_terminal();
            log.with_ansi(colour).try_init()
        }
    }
    .map_err(|error| anyhow::anyhow!("could not start the log: {error}"))
}
