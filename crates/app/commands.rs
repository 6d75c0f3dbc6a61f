//! The commands, one file each, and the arguments that they share.

pub mod adapt;
pub mod calibrate;
pub mod check;
pub mod completions;
pub mod evaluate;
pub mod explain;
pub mod export;
pub mod generate;
pub mod label;
pub mod model;
mod model_list;
pub mod predict;
pub mod rules;
pub mod run;
pub mod score;
pub mod serve;
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
  logrisk explain 'ERROR connection refused'  why a line has its risk
  logrisk score --min-risk 7 --format json /var/log/syslog

Exit codes: 0 done, 1 something failed (said on standard error), 2 wrong usage."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What `logrisk` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    Score(score::ScoreArgs),
    Explain(explain::ExplainArgs),
    Run(run::RunArgs),
    ReplayDeadLetter(run::ReplayArgs),
    Serve(Box<serve::ServeArgs>),
    Check(check::CheckArgs),
    Predict(predict::PredictArgs),
    Rules(rules::RulesArgs),
    Generate(generate::GenerateArgs),
    Label(label::LabelArgs),
    Split(split::SplitArgs),
    Train(Box<train::TrainArgs>),
    Calibrate(calibrate::CalibrateArgs),
    Evaluate(evaluate::EvaluateArgs),
    Adapt(adapt::AdaptArgs),
    Export(export::ExportArgs),
    Model(model::ModelArgs),
    Completions(completions::CompletionsArgs),
}
