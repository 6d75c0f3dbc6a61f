//! `logrisk model`: what the built-in model and others say of themselves.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use logrisk_score::{
    archive::{Archive, Manifest},
    encoder::{Isa, Precision},
    model::Model,
    tokenize::Tokenizer,
};

/// The files of the model that ships, and where they are in the repository.
macro_rules! built_in {
    ($($file:literal),*) => {
        [$(($file, include_bytes!(concat!("../../../models/default/", $file)).as_slice())),*]
    };
}
const BUILT_IN: [(&str, &[u8]); 4] =
    built_in!("manifest.json", "config.json", "tokenizer.json", "model.safetensors");

/// Show and check models.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  logrisk model show                    the model built into this binary
  logrisk model show models/mine        another one
  logrisk model verify mine.tar.zst     check every file's digest, shape and numbers
  logrisk model pack models/mine mine.tar.zst")]
pub struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Debug, Subcommand)]
enum ModelCommand {
    /// Print a model's manifest: version, training, data, figures
    Show {
        /// A model folder or .tar.zst; the built-in model if absent
        model: Option<PathBuf>,
    },
    /// Check a model whole: digests, shapes, numbers
    Verify {
        /// A model folder or .tar.zst
        model: PathBuf,
    },
    /// Write a model folder as one .tar.zst
    Pack {
        /// A model folder
        model: PathBuf,
        /// The file to write
        output: PathBuf,
    },
}

pub fn run(arguments: &ModelArgs) -> anyhow::Result<ExitCode> {
    let text = match &arguments.command {
        ModelCommand::Show { model: Some(path) } => {
            serde_json::to_string_pretty(&Archive::verify(path).with_context(|| could_not_open(path))?)?
        }
        ModelCommand::Show { model: None } => {
            let manifest: Manifest = serde_json::from_slice(BUILT_IN[0].1)?;
            serde_json::to_string_pretty(&manifest)?
        }
        ModelCommand::Verify { model } => {
            let manifest = Archive::verify(model).with_context(|| could_not_open(model))?;
            format!("{} is whole: model {}", model.display(), manifest.description.version)
        }
        ModelCommand::Pack { model, output } => {
            let archive = Archive::open(model).with_context(|| could_not_open(model))?;
            archive
                .write_tar_zst(output, logrisk_score::weights::Storage::F16)
                .with_context(|| format!("could not write {}", output.display()))?;
            format!("wrote {}", output.display())
        }
    };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

/// Opens the archive at a path, or the built-in one.
pub fn open_archive(path: Option<&Path>) -> anyhow::Result<Archive> {
    match path {
        Some(path) => Archive::open(path).with_context(|| could_not_open(path)),
        None => Archive::open_members(&BUILT_IN).context("the built-in model is broken; please report this"),
    }
}

/// Loads a model for this processor.
pub fn open_model(path: Option<&Path>, precision: Precision, max_tokens: u16) -> anyhow::Result<Model> {
    let model = Model::load(open_archive(path)?, precision, Isa::detect())?;
    Ok(model.with_limit(usize::from(max_tokens)))
}

/// Loads a model with a tokeniser of its own place: a folder, tokenizer.json or vocab.txt.
pub fn open_model_with_tokenizer(
    model: &Path,
    tokenizer: &Path,
    precision: Precision,
) -> anyhow::Result<Model> {
    let mut archive = open_archive(Some(model))?;
    archive.tokenizer = open_tokenizer(tokenizer)
        .with_context(|| format!("could not open tokenizer {}", tokenizer.display()))?;
    anyhow::ensure!(
        archive.tokenizer.len() <= archive.weights.shape.vocabulary,
        "tokenizer {} has {} tokens and model {} only {}; are they of one training?",
        tokenizer.display(),
        archive.tokenizer.len(),
        model.display(),
        archive.weights.shape.vocabulary,
    );
    Ok(Model::load(archive, precision, Isa::detect())?)
}

fn open_tokenizer(path: &Path) -> anyhow::Result<Tokenizer> {
    let file = |name: &str| {
        let candidate = path.join(name);
        candidate.is_file().then_some(candidate)
    };
    let file = if path.is_dir() {
        file("tokenizer.json")
            .or_else(|| file("vocab.txt"))
            .context("the folder has neither tokenizer.json nor vocab.txt")?
    } else {
        path.to_owned()
    };
    let text = std::fs::read_to_string(&file)?;
    Ok(if file.extension().is_some_and(|extension| extension == "txt") {
        Tokenizer::from_vocabulary_file(&text, None)?
    } else {
        Tokenizer::from_json(&text)?
    })
}

fn could_not_open(path: &Path) -> String {
    format!("could not open model {}", path.display())
}
