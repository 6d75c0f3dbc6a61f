//! `logrisk`: reads every log line and says which ones matter. One match over the commands.

#![expect(
    unreachable_pub,
    reason = "a binary exports nothing; `pub` marks what a module offers its siblings"
)]

mod assemble;
mod built_in;
mod commands;
mod drift;
mod input;
mod log;
mod output;
mod pipeline;
mod render;
mod settings;
mod system;
mod terminal;
mod top;
mod why;

use std::process::ExitCode;

use clap::Parser;

use commands::{Cli, Command};

/// Training allocates and frees large buffers from several threads; mimalloc measured faster than the system's there.
#[cfg(not(feature = "count-allocations"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The system's, counting.
#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Score(arguments) => commands::score::run(&arguments),
        Command::Explain(arguments) => commands::explain::run(&arguments),
        Command::Run(arguments) => commands::run::run(&arguments),
        Command::ReplayDeadLetter(arguments) => commands::run::replay(&arguments),
        Command::Serve(arguments) => commands::serve::run(&arguments),
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Predict(arguments) => commands::predict::run(&arguments),
        Command::Rules(arguments) => commands::rules::run(&arguments),
        Command::Generate(arguments) => commands::generate::run(&arguments),
        Command::Label(arguments) => commands::label::run(&arguments),
        Command::Split(arguments) => commands::split::run(&arguments),
        Command::Train(arguments) => commands::train::run(&arguments),
        Command::Calibrate(arguments) => commands::calibrate::run(&arguments),
        Command::Evaluate(arguments) => commands::evaluate::run(&arguments),
        Command::Adapt(arguments) => commands::adapt::run(&arguments),
        Command::Export(arguments) => commands::export::run(&arguments),
        Command::Model(arguments) => commands::model::run(&arguments),
        Command::Completions(arguments) => commands::completions::run(&arguments),
    };
    result.unwrap_or_else(|error| {
        if terminal::is_broken_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        terminal::print_error(&error);
        ExitCode::FAILURE
    })
}
