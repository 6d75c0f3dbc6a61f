//! `logrisk completions`: a completion script for a shell.

use std::{io, process::ExitCode};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Print a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  logrisk completions bash > ~/.local/share/bash-completion/completions/logrisk
  logrisk completions zsh > \"${fpath[1]}/_logrisk\"
  logrisk completions fish > ~/.config/fish/completions/logrisk.fish")]
pub struct CompletionsArgs {
    shell: Shell,
}

pub fn run(arguments: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Cli::command(), "logrisk", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script)?;
    Ok(ExitCode::SUCCESS)
}
