//! What a training starts from: a base, or a new model of some shape.

use anyhow::{bail, ensure};
use logrisk_score::{
    tokenize::Tokenizer,
    weights::{Activation, Shape, Weights},
};
use logrisk_train::{
    example::Example,
    fine_tune::{fit_vocabulary, from_scratch, keep_layers},
};

use super::TrainArgs;
use crate::commands::model::open_archive;

/// Weights, tokeniser, and the name of what they come from.
pub fn starting_point(args: &TrainArgs, sample: &[Example]) -> anyhow::Result<(Weights, Tokenizer, String)> {
    let texts = sample.iter().map(|example| example.text.as_str());
    let Some(path) = &args.base else {
        let shape = shape_of(&args.shape)?;
        let (weights, tokenizer) = from_scratch(shape, texts, args.vocabulary.unwrap_or(8000), args.seed)?;
        return Ok((weights, tokenizer, "from scratch".to_owned()));
    };
    let base = open_archive(Some(path), None)?;
    let mut weights = base.weights;
    // A head of another shape than ours, such as a DistilBERT classifier's, makes room for a new one.
    weights.head.take_if(|head| head.dense.outputs != weights.shape.hidden / 2);
    if let Some(layers) = args.layers {
        ensure!(
            (1..=weights.layers.len()).contains(&layers),
            "--layers is {layers}, but {} has {}",
            path.display(),
            weights.layers.len()
        );
        keep_layers(&mut weights, layers);
    }
    let tokenizer = fit_vocabulary(&mut weights, &base.tokenizer, texts, args.vocabulary)?;
    Ok((weights, tokenizer, base.description.version))
}

fn shape_of(name: &str) -> anyhow::Result<Shape> {
    let (layers, hidden) = if name == "mini" {
        (4, 256)
    } else {
        let parts = name.split_once('x').map(|(layers, hidden)| (layers.parse(), hidden.parse()));
        match parts {
            Some((Ok(layers), Ok(hidden))) => (layers, hidden),
            _ => bail!("--shape is {name}; use mini, or layers and width such as 4x384"),
        }
    };
    ensure!(
        layers > 0 && hidden > 0 && hidden % 64 == 0,
        "--shape is {name}; it needs at least one layer, and a width that is a multiple of 64"
    );
    Ok(Shape {
        vocabulary: 0,
        hidden,
        layers,
        heads: hidden / 64,
        intermediate: 4 * hidden,
        positions: 512,
        norm_epsilon: 1e-12,
        activation: Activation::Gelu,
    })
}
