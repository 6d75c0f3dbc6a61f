//! `logrisk rules`: test a rule file by its own examples, and show the rules that ship.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use logrisk_enrich::rules::{DEFAULT_RULES, Rules};

/// An example whose verdict is not the expected one.
const EXAMPLES_FAIL: u8 = 1;
/// A file that cannot be read or is no rule file.
const UNUSABLE_FILE: u8 = 2;

/// Test and show the rules that label lines.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  logrisk rules test                  check the rules that ship
  logrisk rules test my-rules.yaml    check your own; exit code 1 if an example fails, 2 if the file is invalid
  logrisk rules show > rules.yaml     begin with a copy of the rules that ship")]
pub struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Check every example of a rule file against its rules.
    ///
    /// Prints the examples that fail with what was expected and what came out. Exit code 0: all hold; 1: some fail;
    /// 2: the file cannot be read or is not valid.
    #[command(after_help = "Examples:
  logrisk rules test
  logrisk rules test my-rules.yaml")]
    Test {
        /// The rule file; the rules that ship if absent.
        file: Option<PathBuf>,
    },
    /// Print the rules that ship, as a file to copy or to extend.
    Show,
}

/// Runs the command.
///
/// # Errors
/// When standard output cannot be written to. A bad rule file is an exit code, with its message on standard error.
pub fn run(args: &RulesArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        RulesCommand::Test { file } => test(file.as_deref()),
        RulesCommand::Show => {
            write_all(DEFAULT_RULES.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn test(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let rules = match open_rules(file) {
        Ok(rules) => rules,
        Err(error) => {
            writeln!(io::stderr(), "error: {error:#}").context("could not write to standard error")?;
            return Ok(ExitCode::from(UNUSABLE_FILE));
        }
    };
    let report = rules.test();
    let mut text = String::new();
    for failure in &report.failures {
        text.push_str(&format!("{failure}\n"));
    }
    let (failed, examples) = (report.failures.len(), report.examples);
    text.push_str(&format!(
        "{} rules, {examples} examples: {} hold, {failed} fail\n",
        report.rules,
        examples - failed
    ));
    write_all(text.as_bytes())?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXAMPLES_FAIL) })
}

/// Opens a rule file, or the rules that ship.
pub fn open_rules(file: Option<&Path>) -> anyhow::Result<Rules> {
    let Some(path) = file else {
        return Rules::builtin().context("the rules that ship are not valid; please report this");
    };
    let name = path.display();
    let yaml = std::fs::read_to_string(path).with_context(|| format!("could not read rule file {name}"))?;
    Rules::from_yaml(&yaml).with_context(|| format!("rule file {name} is not valid"))
}

/// Writes to standard output. A reader that went away (`| head`) is no error.
fn write_all(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("could not write to standard output")
        }
        _ => Ok(()),
    }
}
