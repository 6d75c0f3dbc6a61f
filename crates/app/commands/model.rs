//! `logrisk model`: what the built-in model and others say of themselves.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use logrisk_score::{
    adapter::Adapter,
    archive::{Archive, Manifest},
    encoder::{Isa, Precision},
    model::Model,
    tokenize::Tokenizer,
};

use super::model_list::{ListFormat, list};
use crate::built_in::{BUILT_IN, BuiltIn};

/// List, show, check and pack models.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  logrisk model list                    the models inside this binary
  logrisk model show                    what the default one says of itself
  logrisk model show models/mine        another one
  logrisk model verify mine.tar.zst     check every file's digest, shape and numbers
  logrisk model pack models/mine mine.tar.zst
  logrisk model pack seed/model.onnx seed.tar.zst --tokenizer seed/tokenizer")]
pub struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Debug, Subcommand)]
enum ModelCommand {
    /// List the built-in models, and others beside them: shape, size, figures
    List {
        /// Model folders or .tar.zst to list too
        models: Vec<PathBuf>,
        /// How to print them
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// Print a model's manifest: version, training, data, figures
    Show {
        /// A built-in model, a model folder or a .tar.zst; `default` if absent
        model: Option<PathBuf>,
    },
    /// Check a model whole: digests, shapes, numbers
    Verify {
        /// A model folder or .tar.zst
        model: PathBuf,
    },
    /// Write a model as one .tar.zst
    Pack {
        /// A model folder, a Hugging Face checkpoint or an ONNX file
        model: PathBuf,
        /// The file to write
        output: PathBuf,
        /// Tokenizer of an ONNX file: a folder, tokenizer.json or vocab.txt
        #[arg(long, short, value_name = "PATH")]
        tokenizer: Option<PathBuf>,
    },
}

pub fn run(arguments: &ModelArgs) -> anyhow::Result<ExitCode> {
    let text = match &arguments.command {
        ModelCommand::List { models, format } => list(models, *format)?,
        ModelCommand::Show { model } => serde_json::to_string_pretty(&open(model.as_deref())?.1)?,
        ModelCommand::Verify { model } => {
            let manifest = Archive::verify(model).with_context(|| could_not_open(model))?;
            format!("{} is whole: model {}", model.display(), manifest.description.version)
        }
        ModelCommand::Pack { model, output, tokenizer } => {
            open_archive(Some(model), tokenizer.as_deref())?
                .write_tar_zst(output, logrisk_score::weights::Storage::F16)
                .with_context(|| format!("could not write {}", output.display()))?;
            format!("wrote {}", output.display())
        }
    };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

/// What the built-in model says of itself.
pub fn built_in_manifest() -> Option<Manifest> {
    serde_json::from_slice(BUILT_IN.first()?.files[0].1).ok()
}

/// Opens a model of any kind: a built-in one by its name (the default one where none is named; a folder of the same name is
/// meant by `./default`), an archive, a Hugging Face checkpoint, or an ONNX file (or a folder with one). A tokeniser
/// replaces the model's own; an ONNX file without one finds it beside itself.
pub fn open_archive(model: Option<&Path>, tokenizer: Option<&Path>) -> anyhow::Result<Archive> {
    let path = model.filter(|path| path.to_str().and_then(BuiltIn::named).is_none());
    if let Some((path, file)) = path.and_then(|path| Some((path, onnx_file(path)?))) {
        let beside = || tokenizer_beside(&file);
        let tokenizer = tokenizer.map(Path::to_owned).or_else(beside).with_context(|| {
            format!("{} has no tokenizer beside it; name its folder with --tokenizer", file.display())
        })?;
        let tokenizer = open_tokenizer(&tokenizer)?;
        return Archive::open_onnx(&file, tokenizer).with_context(|| could_not_open(path));
    }
    let archive = match path {
        Some(path) if path.is_dir() && !path.join("manifest.json").is_file() => {
            Archive::open_checkpoint(path).with_context(|| could_not_open(path))?
        }
        _ => open(model)?.0,
    };
    with_tokenizer(archive, tokenizer)
}

/// Opens a built-in model by its name, or the archive at a path, with its manifest.
pub(super) fn open(model: Option<&Path>) -> anyhow::Result<(Archive, Manifest)> {
    let built_in = match model {
        None => BUILT_IN.first(),
        Some(path) => path.to_str().and_then(BuiltIn::named),
    };
    match (built_in, model) {
        (Some(built_in), _) => {
            Archive::open_members(built_in.files).context("the built-in model is broken; please report this")
        }
        (None, Some(path)) if path.exists() => {
            Archive::open_with_manifest(path).with_context(|| could_not_open(path))
        }
        (None, path) => {
            let names: Vec<_> = BUILT_IN.iter().map(|model| model.name).collect();
            bail!(
                "{} is neither a built-in model ({}) nor a model folder, .tar.zst or ONNX file",
                path.unwrap_or(Path::new("")).display(),
                names.join(", ")
            )
        }
    }
}

/// The ONNX file that a path names: itself, or the one in a folder as Optimum leaves it.
fn onnx_file(path: &Path) -> Option<PathBuf> {
    let is_onnx = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
    if is_onnx && !path.is_dir() {
        return Some(path.to_owned());
    }
    let other = ["manifest.json", "model.safetensors"].iter().any(|file| path.join(file).is_file());
    let inside = path.join("model.onnx");
    (!other && inside.is_file()).then_some(inside)
}

/// In the file's own folder, or in the folder `tokenizer` there.
fn tokenizer_beside(file: &Path) -> Option<PathBuf> {
    let candidates = [file.with_file_name("tokenizer"), file.with_file_name("")];
    candidates.into_iter().find(|folder| TOKENIZER_FILES.iter().any(|file| folder.join(file).is_file()))
}

/// The likelier one to be complete first.
const TOKENIZER_FILES: [&str; 2] = ["tokenizer.json", "vocab.txt"];

fn with_tokenizer(mut archive: Archive, path: Option<&Path>) -> anyhow::Result<Archive> {
    let Some(path) = path else { return Ok(archive) };
    archive.tokenizer = open_tokenizer(path)?;
    anyhow::ensure!(
        archive.tokenizer.len() <= archive.weights.shape.vocabulary,
        "tokenizer {} has {} tokens and the model only {}; are they of one training?",
        path.display(),
        archive.tokenizer.len(),
        archive.weights.shape.vocabulary,
    );
    archive.weights.keep_tokens(archive.tokenizer.len());
    Ok(archive)
}

/// Opens an adapter that belongs to a model.
pub fn open_adapter(path: Option<&Path>, archive: &Archive) -> anyhow::Result<Option<Adapter>> {
    let Some(path) = path else { return Ok(None) };
    let adapter = Adapter::open(path)?;
    adapter.check(archive).with_context(|| format!("could not use adapter {}", path.display()))?;
    Ok(Some(adapter))
}

/// Loads a model for this processor.
pub fn load_model(archive: Archive, adapter: Option<Adapter>, precision: Precision) -> anyhow::Result<Model> {
    let model = Model::load(archive, precision, Isa::detect())?;
    Ok(match adapter {
        Some(adapter) => model.with_adapter(adapter),
        None => model,
    })
}

/// A folder, tokenizer.json or vocab.txt.
fn open_tokenizer(path: &Path) -> anyhow::Result<Tokenizer> {
    read_tokenizer(path).with_context(|| format!("could not open tokenizer {}", path.display()))
}

fn read_tokenizer(path: &Path) -> anyhow::Result<Tokenizer> {
    let file = if path.is_dir() {
        let inside = TOKENIZER_FILES.iter().map(|file| path.join(file)).find(|file| file.is_file());
        inside.context("the folder has neither tokenizer.json nor vocab.txt")?
    } else {
        path.to_owned()
    };
    let text = std::fs::read_to_string(&file)?;
    if file.extension().is_some_and(|extension| extension == "txt") {
        let settings = std::fs::read_to_string(file.with_file_name("tokenizer_config.json")).ok();
        return Ok(Tokenizer::from_vocabulary_file(&text, settings.as_deref())?);
    }
    Ok(Tokenizer::from_json(&text)?)
}

fn could_not_open(path: &Path) -> String {
    format!("could not open model {}", path.display())
}
