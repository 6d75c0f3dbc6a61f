//! `logrisk calibrate`: sets a model's probabilities right on labelled lines.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, ensure};
use clap::Args;
use logrisk_base::MaskStyle;
use logrisk_enrich::mask::mask_seed_into;
use logrisk_score::{archive::Archive, weights::Storage};
use logrisk_train::{
    calibrate::{CalibrationFigures, FEWEST_TEXTS, JudgedText, calibrate, known},
    dataset::{Canonical, embedded_templates, read_truths, template_patterns},
};

use super::{
    model::open_archive,
    train::{now, refuse_occupied},
};

/// Set a model's probabilities right on labelled lines.
///
/// Fits a temperature and a bias for each risk, so that of the lines said to be at 7 or above with 30 %, 30 % are; and
/// the width from which an answer counts as unsure. The lines must be ones that the model was not trained on, as
/// frequent as they come: a collection of the worst lines makes a model that expects the worst. The weights stay.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  logrisk calibrate --data checked.csv --output models/ours      the built-in model, on lines that you labelled
  logrisk calibrate --model runs/7 --data held-out.csv --output runs/7-calibrated

Data is read as by `logrisk evaluate`: CSV or JSON lines with text (or log, message) and label (or risk, risk_label).
Fifty lines are the least; a few hundred are better.")]
pub struct CalibrateArgs {
    /// A model folder or .tar.zst instead of the built-in model
    #[arg(long, short, value_name = "PATH", env = "LOGRISK_MODEL")]
    model: Option<PathBuf>,
    /// Labelled lines, CSV or JSON lines; `-` is standard input
    #[arg(long, short, value_name = "FILE")]
    data: PathBuf,
    /// Where the calibrated archive is written
    #[arg(long, short, alias = "out", value_name = "DIR")]
    output: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When the model or the data cannot be read, there is too little of it, or the archive cannot be written.
pub fn run(args: &CalibrateArgs) -> anyhow::Result<ExitCode> {
    refuse_occupied(&args.output)?;
    let mut archive = open_archive(args.model.as_deref(), None)?;
    let texts = read_texts(args, archive.description.mask)?;
    let about = || format!("could not calibrate model {}", archive.description.version);
    let about = about();
    let figures = calibrate(&mut archive, &texts).context(about)?;
    if archive.known.is_none() && archive.description.mask == MaskStyle::Default {
        archive.known = Some(known(template_patterns(&embedded_templates()?)));
    }
    rename(&mut archive);
    archive.write_folder(&args.output, Storage::F16)?;
    eprintln!("{}; wrote {}", summary(&figures), args.output.display());
    Ok(ExitCode::SUCCESS)
}

/// The lines with a risk, as the model reads them. Equal texts are one family.
fn read_texts(args: &CalibrateArgs, mask: MaskStyle) -> anyhow::Result<Vec<JudgedText>> {
    let mut canonical = Canonical::new();
    let truths = read_truths(&args.data)?;
    let texts: Vec<JudgedText> = truths
        .into_iter()
        .filter_map(|truth| Some((truth.risk?, truth.text)))
        .map(|(risk, line)| {
            let mut text = String::new();
            match mask {
                MaskStyle::Default => _ = canonical.append(&line, true, &mut text),
                MaskStyle::Seed => mask_seed_into(&canonical.redact(&line), &mut text),
            }
            JudgedText { family: text.clone(), text, risk }
        })
        .collect();
    ensure!(
        texts.len() >= FEWEST_TEXTS,
        "{} has {} lines with a risk, too few to calibrate on; label at least {FEWEST_TEXTS}",
        args.data.display(),
        texts.len()
    );
    Ok(texts)
}

/// Answers change, so the name must: caches and metrics go by it.
fn rename(archive: &mut Archive) {
    const MARK: &str = "-calibrated-";
    let created = now();
    let version = &mut archive.description.version;
    version.truncate(version.find(MARK).unwrap_or(version.len()));
    version.push_str(MARK);
    version.push_str(&created.replace([':', '-'], ""));
    archive.description.created = created;
}

/// What was gained, in a line.
pub fn summary(figures: &CalibrationFigures) -> String {
    let CalibrationFigures { before, after, .. } = figures;
    format!(
        "calibrated on {} texts: calibration error of ≥ 7 {:.3} → {:.3}, log loss {:.3} → {:.3}, off by {:.2} → {:.2}; \
         the 80 % interval holds {:.0} %; {:.0} % unsure, off by {:.2}, the others by {:.2}",
        figures.texts,
        before.calibration_error_7,
        after.calibration_error_7,
        before.log_loss,
        after.log_loss,
        before.mae,
        after.mae,
        100.0 * figures.coverage,
        100.0 * figures.unsure,
        figures.unsure_mae,
        figures.sure_mae,
    )
}
