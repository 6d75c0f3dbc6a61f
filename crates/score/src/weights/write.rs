//! Writes checkpoints that `transformers` opens with `AutoModel.from_pretrained`.

use std::collections::HashMap;

use half::{f16, slice::HalfFloatSliceExt};
use safetensors::{Dtype, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::{Weights, WeightsError, config};

/// The number format of weights on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// Two bytes a number: half the size, and exact enough to go on training from.
    #[default]
    F16,
    /// Four bytes a number: nothing is lost.
    F32,
}

/// As in BERT, so that whoever encodes pairs of texts finds a row for the second. All zeros: type 0 is in the positions.
pub(super) const TOKEN_TYPES: usize = 2;

impl Weights {
    /// The contents of config.json and model.safetensors. The same weights give the same bytes.
    ///
    /// # Errors
    /// [`WeightsError::NotFinite`] and [`WeightsError::Range`]: a broken model is not written.
    pub fn write(&self, storage: Storage) -> Result<(String, Vec<u8>), WeightsError> {
        let types = vec![0.0f32; TOKEN_TYPES * self.shape.hidden];
        let type_tensor = (
            "embeddings.token_type_embeddings.weight".to_owned(),
            types.as_slice(),
            vec![TOKEN_TYPES, self.shape.hidden],
        );
        let tensors =
            self.tensors().into_iter().map(|tensor| (tensor.name, tensor.values, tensor.dimensions));
        let mut encoded = Vec::new();
        for (name, values, dimensions) in tensors.chain([type_tensor]) {
            let bytes = encode(&name, values, storage)?;
            encoded.push((name, dimensions, bytes));
        }
        let dtype = if storage == Storage::F16 { Dtype::F16 } else { Dtype::F32 };
        let views = encoded
            .iter()
            .map(|(name, dimensions, bytes)| Ok((name, TensorView::new(dtype, dimensions.clone(), bytes)?)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(WeightsError::SafeTensors)?;
        // `transformers` refuses files that do not say which library's layout they have.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let file = safetensors::serialize(views, Some(metadata)).map_err(WeightsError::SafeTensors)?;
        let name = if storage == Storage::F16 { "float16" } else { "float32" };
        Ok((config::write(&self.shape, name), file))
    }
}

fn encode(name: &str, values: &[f32], storage: Storage) -> Result<Vec<u8>, WeightsError> {
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        let value = values.get(index).copied().unwrap_or(f32::NAN);
        return Err(WeightsError::NotFinite { name: name.to_owned(), index, value });
    }
    if storage == Storage::F32 {
        return Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect());
    }
    let mut halves = vec![f16::ZERO; values.len()];
    halves.convert_from_f32_slice(values);
    if let Some(index) = halves.iter().position(|half| !half.is_finite()) {
        let value = values.get(index).copied().unwrap_or(f32::NAN);
        return Err(WeightsError::Range { name: name.to_owned(), value });
    }
    Ok(halves.iter().flat_map(|half| half.to_le_bytes()).collect())
}
