//! Reads Hugging Face checkpoints.

use half::{bf16, f16, slice::HalfFloatSliceExt};
use logrisk_base::Risk;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{
    Head, Shape, Weights, WeightsError, config,
    names::{Family, candidates},
};

impl Weights {
    /// Reads a checkpoint of BERT, MiniLM or DistilBERT from its two files. Pooler, language-model head and position ids are
    /// passed over. The heads are read if the first tensor of ours (or of the seed's, which has no tags) is there, or if a
    /// DistilBERT classifier has eleven classes.
    ///
    /// # Errors
    /// [`WeightsError`], naming the setting or the tensor that is missing, misshaped or not finite.
    pub fn read(config: &str, safetensors: &[u8]) -> Result<Self, WeightsError> {
        Self::read_shards(config, &[safetensors])
    }

    /// As [`Self::read`], from a checkpoint whose tensors lie in several files.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_shards(config: &str, shards: &[&[u8]]) -> Result<Self, WeightsError> {
        let (family, shape) = config::read(config)?;
        // Before room is made: a configuration may claim anything.
        let parameters = config::parameters(&shape);
        let bytes = shards.iter().map(|shard| shard.len()).sum();
        if parameters.saturating_mul(2) > bytes as u128 {
            return Err(WeightsError::TooShort { parameters, bytes });
        }
        let files: Vec<SafeTensors<'_>> = shards
            .iter()
            .map(|shard| SafeTensors::deserialize(shard))
            .collect::<Result<_, _>>()
            .map_err(WeightsError::SafeTensors)?;
        let tensor = |name: &str| files.iter().find_map(|file| file.tensor(name).ok());
        let find = |name: &str| candidates(family, name).iter().find_map(|name| tensor(name));
        // A DistilBERT that tells other things than risks is an encoder to us.
        let other_classes = tensor("pre_classifier.weight").is_some()
            && find("classifier.risk.weight").is_some_and(|risk| risk.shape().first() != Some(&Risk::COUNT));
        let dense = find("classifier.dense.weight").filter(|_| !other_classes);
        let mut weights = Self::zeros(shape.clone(), false);
        weights.head = dense.map(|dense| match *dense.shape() {
            [inner, hidden] if hidden == shape.hidden => Head::zeros_of(hidden, inner),
            // Refused below, with both shapes named.
            _ => Head::zeros(shape.hidden),
        });
        for tensor in weights.tensors_mut() {
            match find(&tensor.name) {
                Some(view) => read_tensor(&tensor.name, &view, &tensor.dimensions, tensor.values)?,
                // The seed's head knows no tags; with zeros all five are equally likely until it is fine-tuned.
                None if tensor.name.starts_with("classifier.tag.") => {}
                None => return Err(WeightsError::Missing { name: tensor.name, layers: shape.layers }),
            }
        }
        if family == Family::Bert {
            let name = "embeddings.token_type_embeddings.weight";
            let view = find(name)
                .ok_or_else(|| WeightsError::Missing { name: name.to_owned(), layers: shape.layers })?;
            fold_token_type(&mut weights, name, &view, &shape)?;
        }
        Ok(weights)
    }
}

/// Every line is of token type 0, so that its embedding is as good as part of each position's.
fn fold_token_type(
    weights: &mut Weights,
    name: &str,
    view: &TensorView<'_>,
    shape: &Shape,
) -> Result<(), WeightsError> {
    let types = view.shape().first().copied().unwrap_or(0).max(1);
    let mut values = vec![0.0; types.saturating_mul(shape.hidden).min(view.data().len())];
    read_tensor(name, view, &[types, shape.hidden], &mut values)?;
    for row in weights.embeddings.position.chunks_exact_mut(shape.hidden) {
        for (value, added) in row.iter_mut().zip(&values) {
            *value += added;
        }
    }
    Ok(())
}

fn read_tensor(
    name: &str,
    view: &TensorView<'_>,
    expected: &[usize],
    values: &mut [f32],
) -> Result<(), WeightsError> {
    if view.shape() != expected {
        let (found, expected) = (view.shape().to_vec(), expected.to_vec());
        return Err(WeightsError::Dimensions { name: name.to_owned(), found, expected });
    }
    let broken = match view.dtype() {
        Dtype::F32 => convert(view.data(), values, |numbers: &[[u8; 4]], values| {
            for (value, bytes) in values.iter_mut().zip(numbers) {
                *value = f32::from_le_bytes(*bytes);
            }
        }),
        Dtype::F16 => {
            convert(view.data(), values, |numbers, values| widen(numbers, values, f16::from_le_bytes))
        }
        Dtype::BF16 => {
            convert(view.data(), values, |numbers, values| widen(numbers, values, bf16::from_le_bytes))
        }
        other => {
            return Err(WeightsError::Dtype { name: name.to_owned(), found: format!("{other:?}") });
        }
    };
    match broken {
        None => Ok(()),
        Some((index, value)) => Err(WeightsError::NotFinite { name: name.to_owned(), index, value }),
    }
}

/// Numbers converted at a time: they are still in the L1 cache when they are checked.
const BLOCK: usize = 2048;

/// Place and value of the first number that is not finite, if there is one.
fn convert<const BYTES: usize>(
    bytes: &[u8],
    values: &mut [f32],
    convert: impl Fn(&[[u8; BYTES]], &mut [f32]),
) -> Option<(usize, f32)> {
    let (numbers, _) = bytes.as_chunks::<BYTES>();
    for (block, (numbers, values)) in numbers.chunks(BLOCK).zip(values.chunks_mut(BLOCK)).enumerate() {
        convert(numbers, values);
        let found = values.iter().copied().enumerate().find(|(_, value)| !value.is_finite());
        if let Some((index, value)) = found {
            return Some((block * BLOCK + index, value));
        }
    }
    None
}

/// By way of a copy, because the bytes of a file are not aligned and `half` converts eight numbers at a time from a slice.
fn widen<H: Copy + Default>(numbers: &[[u8; 2]], values: &mut [f32], from_bytes: impl Fn([u8; 2]) -> H)
where
    [H]: HalfFloatSliceExt,
{
    let mut halves = [H::default(); BLOCK];
    let length = numbers.len().min(values.len());
    let (Some(halves), Some(values)) = (halves.get_mut(..length), values.get_mut(..length)) else { return };
    for (half, bytes) in halves.iter_mut().zip(numbers) {
        *half = from_bytes(*bytes);
    }
    halves.convert_to_f32_slice(values);
}
