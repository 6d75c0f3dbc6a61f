//! The teachers of a training: models that are given, and an ensemble trained for it.
//!
//! Models that differ by their seed alone err differently; their mean is better than each, and one model that learns
//! from that mean keeps most of the gain at a fraction of the cost (Hinton et al. 2015).

use std::path::Path;

use anyhow::ensure;
use logrisk_base::MaskStyle;
use logrisk_score::{
    archive::{Archive, Description},
    encoder::{Isa, Precision},
    model::Model,
    weights::Storage,
};
use logrisk_train::{dataset::Dataset, distil::Distilled, example::Example, fine_tune::Options};

use super::{TrainArgs, Trained, fit, now, working_folder};

/// The teachers that the arguments name.
pub fn given(args: &TrainArgs) -> anyhow::Result<Vec<Model>> {
    let share = args.teacher_share;
    ensure!((0.0..=1.0).contains(&share), "--teacher-share is {share}; use a share between 0 and 1");
    args.teacher.iter().map(|path| open(path)).collect()
}

/// Trains the ensemble, each member in a folder of its own below the working folder; with `resume`, those that are
/// done are used as they are.
pub fn ensemble(
    args: &TrainArgs,
    dataset: &mut Distilled<Dataset>,
    validation: &[Example],
    options: &Options,
) -> anyhow::Result<Vec<Model>> {
    let working = working_folder(&args.output);
    let mut models = Vec::with_capacity(args.ensemble);
    for number in 1..=args.ensemble {
        let folder = working.join(format!("teacher-{number}"));
        let archive = folder.join("model");
        if !(options.resume && archive.join("manifest.json").is_file()) {
            eprintln!("teacher {number} of {}", args.ensemble);
            let options = Options {
                seed: options.seed + number as u64,
                resume: options.resume && begun(&folder),
                folder: Some(folder),
                ..options.clone()
            };
            let Trained { weights, tokenizer, .. } = fit(args, dataset, validation, &options)?;
            let version = format!("seed {}", options.seed);
            let description = Description { version, created: now(), ..Description::default() };
            Archive { weights, tokenizer, description, known: None }.write_folder(&archive, Storage::F16)?;
        }
        models.push(open(&archive)?);
    }
    Ok(models)
}

/// Whether a training in that folder can go on.
pub fn begun(folder: &Path) -> bool {
    folder.join("checkpoint.safetensors").is_file()
}

fn open(path: &Path) -> anyhow::Result<Model> {
    let model = Model::load(Archive::open(path)?, Precision::Int8, Isa::detect())?;
    ensure!(
        model.mask() == MaskStyle::Default,
        "teacher {} reads other masks than a training writes; name a model that `logrisk train` made",
        path.display()
    );
    Ok(model)
}
