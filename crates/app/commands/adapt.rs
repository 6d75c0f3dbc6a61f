//! `logrisk adapt`: a site's own corrections, learnt in seconds, kept beside the model.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use logrisk_base::MaskStyle;
use logrisk_score::{
    adapter::Adapter,
    encoder::{Isa, Precision},
    model::Model,
};
use logrisk_train::{
    adapt::{AdaptReport, Corrected, adapt},
    dataset::{Canonical, Conflicts, read_labelled},
};
use serde_json::json;

use super::model::open_archive;
use crate::output::Output;

/// Learn a site's corrections, in seconds, without training.
///
/// From a few dozen lines with the risks that they have at your site it makes a small file for --adapter. The model stays
/// as it is. Each corrected pattern gets its risk; like patterns move towards theirs, and lines far from all corrections do
/// not change. The figures are measured on patterns left out, and a sample of known lines bounds the harm elsewhere.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  logrisk adapt --labels site.csv --out site.adapter
  logrisk score --adapter site.adapter app.log
  logrisk adapt --labels site.csv --model mini --max-base-loss 0.05 --out site.adapter

The file of labels is CSV or JSON lines with `text` (or `log`, `message`) and `label` (or `risk`, `risk_label`),
and if you have it `weight`. The adapter works with the model that it was made for, and is refused with any other.")]
pub struct AdaptArgs {
    /// Lines with the risks that they should have; `-` is standard input
    #[arg(long, short, value_name = "FILE")]
    labels: PathBuf,
    /// Where the adapter is written
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// A built-in model (default), a model folder or a .tar.zst
    #[arg(long, short, value_name = "MODEL", env = "LOGRISK_MODEL")]
    model: Option<PathBuf>,
    /// By how much the mean absolute error on the sample of known lines may grow
    #[arg(long, default_value_t = 0.02, value_name = "RISK")]
    max_base_loss: f32,
    /// What to do with a pattern that has two labels
    #[arg(long, default_value_t = Conflicts::Majority, value_name = "majority|error")]
    conflicts: Conflicts,
    /// How to print the figures
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    format: OutputFormat,
    /// Numbers that the encoder computes with
    #[arg(long, value_name = "f32|bf16|int8", default_value = "int8", env = "LOGRISK_PRECISION")]
    precision: Precision,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OutputFormat {
    /// For people.
    Table,
    /// One object.
    Json,
}

/// Runs the command.
///
/// # Errors
/// When labels or model cannot be used, or the adapter cannot be written.
pub fn run(args: &AdaptArgs) -> anyhow::Result<ExitCode> {
    let archive = open_archive(args.model.as_deref(), None)?;
    let digest = archive.digest();
    let model = Model::load(archive, args.precision, Isa::detect())?;
    let site = read_corrections(&args.labels, args.conflicts, model.mask())?;
    let (adapter, report) = adapt(&model, digest, &site.corrections, args.max_base_loss)?;
    let bytes = adapter.to_json()?;
    let mut output = Output::create(&args.out)?;
    output.write_all(&bytes).with_context(|| format!("could not write {}", args.out.display()))?;
    output.finish()?;

    let text = match args.format {
        OutputFormat::Table => table(args, &site, &adapter, &report, bytes.len()),
        OutputFormat::Json => {
            let about = json!({
                "model": adapter.model,
                "adapter": adapter.name(),
                "rows": site.rows,
                "conflicts": site.conflicts,
                "bytes": bytes.len(),
                "scale": adapter.scale,
                "figures": report,
            });
            serde_json::to_string_pretty(&about)? + "\n"
        }
    };
    // Standard output may be the adapter itself.
    if args.out == Path::new("-") {
        io::stderr().write_all(text.as_bytes())?;
    } else {
        io::stdout().write_all(text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the file of labels holds.
struct SiteLabels {
    rows: usize,
    /// Patterns with two labels.
    conflicts: usize,
    corrections: Vec<Corrected>,
}

/// One row a pattern, masked on the path that scoring takes.
fn read_corrections(path: &Path, conflicts: Conflicts, style: MaskStyle) -> anyhow::Result<SiteLabels> {
    let mut canonical = Canonical::new();
    let labelled = read_labelled(path, conflicts)?;
    let rows = labelled.read;
    let labelled = labelled.by_text(conflicts, path, |text| canonical.styled(text, style))?;
    let corrections = labelled
        .rows
        .into_iter()
        .filter(|row| !row.text.trim().is_empty())
        .map(|row| Corrected { pattern: row.text, risk: row.risk, weight: row.weight })
        .collect();
    Ok(SiteLabels { rows, conflicts: labelled.conflicts, corrections })
}

fn table(
    args: &AdaptArgs,
    site: &SiteLabels,
    adapter: &Adapter,
    report: &AdaptReport,
    bytes: usize,
) -> String {
    let mut text = format!("{}: {} rows, {} patterns", args.labels.display(), site.rows, report.patterns);
    if site.conflicts > 0 {
        text += &format!(", {} of them with two labels: the majority was kept", site.conflicts);
    }
    text += "\n\n                                     before   after\non a pattern that was left out\n";
    text += &format!(
        "  mean absolute error                {:>6.2}  {:>6.2}\n",
        report.mae.before, report.mae.after
    );
    let percent = [report.within_one.before, report.within_one.after].map(|share| 100.0 * share);
    text += &format!("  within one                         {:>4.0} %  {:>4.0} %\n", percent[0], percent[1]);
    text += &format!("on {} known lines of other software\n", report.base_lines);
    text += &format!(
        "  mean absolute error                {:>6.2}  {:>6.2}   may grow by {}\n",
        report.base_mae.before, report.base_mae.after, report.max_base_loss
    );
    text += &format!(
        "  their scores moved by {:.2} on average, {} of them at all\n\n",
        report.base_moved, report.base_touched
    );
    if adapter.scale == 0.0 {
        text += "Nothing could be learnt beyond the corrected patterns themselves; those get their risks.\n";
    } else if adapter.scale < 1.0 {
        text += &format!("Scaled down to {:.0} % to stay within --max-base-loss.\n", 100.0 * adapter.scale);
    }
    let path = args.out.display();
    text + &format!(
        "Wrote {path} ({:.1} KB) for model {}; use it with --adapter {path}\n",
        bytes as f64 / 1000.0,
        adapter.model
    )
}
