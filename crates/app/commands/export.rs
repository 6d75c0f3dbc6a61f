//! `logrisk export`: a model for other programs.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use logrisk_score::archive::LabelRule;

use super::model::open_archive;

/// Write a model for other programs: as ONNX, or as Hugging Face's libraries lay it out.
///
/// The ONNX file has the inputs input_ids and attention_mask (int64, any batch and length) and the outputs logits (one for
/// each risk) and tag_logits. It reads text masked as ours is; `logrisk predict --preprocess` shows that.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("format").required(true),
    after_help = "\
Examples:
  logrisk export --onnx model.onnx                 the built-in model, and its tokenizer in tokenizer/ beside it
  logrisk export --model models/mine --onnx mine.onnx --tokenizer-dir mine-tokenizer
  logrisk export --onnx model.onnx --argmax-is-label   for readers that take the highest logit as the label
  logrisk export --safetensors for-transformers    BertModel.from_pretrained(\"for-transformers\")"
)]
pub struct ExportArgs {
    /// A model folder, .tar.zst, ONNX file or Hugging Face checkpoint instead of the built-in model
    #[arg(long, short, value_name = "PATH", env = "LOGRISK_MODEL")]
    model: Option<PathBuf>,

    /// The model's tokenizer, where it is elsewhere: a folder, tokenizer.json or vocab.txt
    #[arg(long, short, value_name = "PATH", env = "LOGRISK_TOKENIZER")]
    tokenizer: Option<PathBuf>,

    /// Write an ONNX file, and the tokenizer that its users need
    #[arg(long, value_name = "FILE", group = "format")]
    onnx: Option<PathBuf>,

    /// Where the tokenizer is written [default: the folder tokenizer beside the ONNX file]
    #[arg(long, value_name = "DIR", requires = "onnx")]
    tokenizer_dir: Option<PathBuf>,

    /// Where the label is not the risk with the highest logit, raise the label's logit just above it
    #[arg(long, requires = "onnx")]
    argmax_is_label: bool,

    /// Write a folder that Hugging Face transformers opens: safetensors in f32
    #[arg(long, value_name = "DIR", group = "format")]
    safetensors: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the model cannot be opened, or nothing can be written.
pub fn run(arguments: &ExportArgs) -> anyhow::Result<ExitCode> {
    let archive = open_archive(arguments.model.as_deref(), arguments.tokenizer.as_deref())?;
    let could_not_write = |path: &Path| format!("could not write {}", path.display());
    let mut written = Vec::new();
    if let Some(path) = &arguments.onnx {
        let folder = arguments.tokenizer_dir.clone().unwrap_or_else(|| path.with_file_name("tokenizer"));
        archive.write_onnx(path, arguments.argmax_is_label).with_context(|| could_not_write(path))?;
        archive.write_tokenizer(&folder).with_context(|| could_not_write(&folder))?;
        written.extend([path.clone(), folder]);
    }
    if let Some(folder) = &arguments.safetensors {
        archive.write_checkpoint(folder).with_context(|| could_not_write(folder))?;
        written.push(folder.clone());
    }
    let mut stdout = std::io::stdout();
    for path in written {
        match fs::metadata(&path) {
            Ok(about) if about.is_file() => {
                writeln!(stdout, "wrote {} ({:.1} MB)", path.display(), about.len() as f64 / 1e6)?;
            }
            _ => writeln!(stdout, "wrote {}", path.display())?,
        }
    }
    let by_mean = archive.description.label_rule == LabelRule::Expected;
    if arguments.onnx.is_some() && by_mean && !arguments.argmax_is_label {
        eprintln!(
            "the label is the risk nearest to the mean of the probabilities; for a reader that takes the highest logit, \
             such as the first seed's, export with --argmax-is-label"
        );
    }
    Ok(ExitCode::SUCCESS)
}
