//! `logrisk predict`: the first seed's command line, arguments and output kept as they were.
//!
//! New work uses `logrisk score`. A difference from the seed: `--preprocess` masks as the model was trained, with the
//! seed's own masks for the seed's models.

use std::{fs, io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use logrisk_base::{MaskStyle, Risk};
use logrisk_enrich::{
    mask::{mask_into, mask_seed_into},
    parse::{parse, unwrap},
};
use logrisk_score::{
    encoder::Precision,
    model::{Assessment, Model, ModelScratch},
};
use serde::Serialize;

use crate::output::Output;

use super::{
    model::{load_model, open_adapter, open_archive},
    score::parse_risk,
};

/// Tokens of a line that the seed reads.
const SEED_TOKENS: usize = 128;

/// Characters of a line that `--format simple` shows.
const SHOWN: usize = 80;

/// Score lines as the first seed's scripts/predict.py did.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  logrisk predict -m models/default -t models/default -i logs.txt --preprocess --format simple
  logrisk predict -m models/v1/model.onnx -t models/v1/tokenizer -i logs.txt --preprocess
  logrisk predict -m models/default -t models/default -i 'ERROR kernel panic - not syncing' --preprocess")]
pub struct PredictArgs {
    /// ONNX file, model folder or .tar.zst
    #[arg(long, short)]
    model: PathBuf,

    /// Tokenizer: a folder, tokenizer.json or vocab.txt
    #[arg(long, short)]
    tokenizer: PathBuf,

    /// What `logrisk adapt` learnt from this site's corrections; belongs to one model
    #[arg(long, value_name = "FILE", env = "LOGRISK_ADAPTER")]
    adapter: Option<PathBuf>,

    /// A file with one line a record, or the line itself
    #[arg(long, short)]
    input: String,

    /// Write there instead of to standard output
    #[arg(long, short)]
    output: Option<PathBuf>,

    /// Accepted and ignored: batches are filled by tokens
    #[arg(long, default_value_t = 32)]
    batch_size: usize,

    /// Accepted and ignored: `logrisk score` uses threads
    #[arg(long, default_value_t = 4)]
    threads: usize,

    /// Mask variable parts before scoring
    #[arg(long)]
    preprocess: bool,

    /// Leave the probabilities out
    #[arg(long)]
    no_probs: bool,

    /// Only lines at or above this risk
    #[arg(long, value_name = "RISK", value_parser = parse_risk)]
    threshold: Option<Risk>,

    /// How results are printed
    #[arg(long, value_enum, default_value_t = PredictFormat::Json)]
    format: PredictFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PredictFormat {
    Json,
    Csv,
    Simple,
}

#[derive(Debug, Serialize)]
struct Prediction {
    risk_label: Risk,
    risk_score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    probabilities: Option<[f32; Risk::COUNT]>,
    log: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    preprocessed: Option<String>,
}

pub fn run(arguments: &PredictArgs) -> anyhow::Result<ExitCode> {
    let archive = open_archive(Some(&arguments.model), Some(&arguments.tokenizer))?;
    let adapter = open_adapter(arguments.adapter.as_deref(), &archive)?;
    let model = load_model(archive, adapter, Precision::Int8)?.with_limit(SEED_TOKENS);
    let logs: Vec<String> = match fs::read(&arguments.input) {
        Ok(bytes) => String::from_utf8_lossy(&bytes)
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect(),
        // As in the seed, what is no file is the line itself.
        Err(_) => vec![arguments.input.clone()],
    };

    let texts: Vec<String> = logs
        .iter()
        .map(|log| if arguments.preprocess { masked(log, model.mask()) } else { log.clone() })
        .collect();
    let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut assessments = Vec::new();
    model.assess(&borrowed, &mut ModelScratch::default(), &mut assessments);

    let predictions: Vec<Prediction> = logs
        .into_iter()
        .zip(texts)
        .zip(&assessments)
        .map(|((log, text), assessment)| prediction(arguments, &model, log, text, assessment))
        .filter(|prediction| arguments.threshold.is_none_or(|threshold| prediction.risk_label >= threshold))
        .collect();
    let text = rendered(arguments.format, &predictions)?;
    match &arguments.output {
        Some(path) => {
            let mut output = Output::create(path)?;
            output
                .write_all(text.as_bytes())
                .with_context(|| format!("could not write {}", path.display()))?;
            output.finish()?;
            eprintln!("Results saved to {}", path.display());
        }
        None => std::io::stdout().write_all(text.as_bytes())?,
    }

    if !predictions.is_empty() {
        let total = predictions.len();
        let sum: u32 = predictions.iter().map(|prediction| u32::from(prediction.risk_label.get())).sum();
        let high = predictions.iter().filter(|prediction| prediction.risk_label.get() >= 7).count();
        eprintln!(
            "\nSummary:\n  Total: {total}\n  Avg risk: {:.2}\n  High risk (>=7): {high}",
            f64::from(sum) / total as f64
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn masked(log: &str, mask: MaskStyle) -> String {
    let mut text = String::new();
    match mask {
        MaskStyle::Seed => mask_seed_into(log, &mut text),
        MaskStyle::Default => mask_into(&parse(&unwrap(log).content), &mut text),
    }
    text
}

fn prediction(
    arguments: &PredictArgs,
    model: &Model,
    log: String,
    text: String,
    assessment: &Assessment,
) -> Prediction {
    Prediction {
        risk_label: model.label(assessment),
        risk_score: (f64::from(assessment.expected()) * 1000.0).round() / 1000.0,
        probabilities: (!arguments.no_probs).then_some(assessment.probabilities),
        log,
        preprocessed: arguments.preprocess.then_some(text),
    }
}

fn rendered(format: PredictFormat, predictions: &[Prediction]) -> anyhow::Result<String> {
    match format {
        PredictFormat::Json => Ok(serde_json::to_string_pretty(predictions)? + "\n"),
        PredictFormat::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["log", "risk_label", "risk_score"])?;
            for prediction in predictions {
                let (label, score) = (prediction.risk_label.to_string(), prediction.risk_score.to_string());
                writer.write_record([&prediction.log, &label, &score])?;
            }
            Ok(String::from_utf8(writer.into_inner()?)?)
        }
        PredictFormat::Simple => Ok(predictions
            .iter()
            .map(|prediction| {
                let shown: String = prediction.log.chars().take(SHOWN).collect();
                format!("[{}] {shown}\n", prediction.risk_label)
            })
            .collect()),
    }
}
