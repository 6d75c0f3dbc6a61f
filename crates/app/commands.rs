//! The commands, one file each, and the arguments that they share.

pub mod completions;
pub mod evaluate;
pub mod generate;
pub mod label;
pub mod model;
pub mod predict;
pub mod rules;
pub mod score;
pub mod split;
pub mod train;

use clap::{Parser, Subcommand};

/// Point it at your logs: it says which lines matter.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 110,
    after_help = "\
Examples:
  logrisk score --top app.log               the riskiest patterns of a file
  kubectl logs deploy/api | logrisk score   every line with its risk
  logrisk score --min-risk 7 --format json /var/log/syslog

Exit codes: 0 done, 1 something failed (said on standard error), 2 wrong usage."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What `logrisk` can do.
#[expect(clippy::large_enum_variant, reason = "there is one value in a run")]
#[derive(Debug, Subcommand)]
pub enum Command {
    Score(score::ScoreArgs),
    Predict(predict::PredictArgs),
    Rules(rules::RulesArgs),
    Generate(generate::GenerateArgs),
    Label(label::LabelArgs),
    Split(split::SplitArgs),
    Train(train::TrainArgs),
    Evaluate(evaluate::EvaluateArgs),
    Model(model::ModelArgs),
    Completions(completions::CompletionsArgs),
}
