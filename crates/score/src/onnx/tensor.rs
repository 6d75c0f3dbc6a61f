//! Stored tensors: bytes or typed fields, inside the file or beside it.

use std::io;

use half::{bf16, f16};

use super::{
    OnnxError,
    proto::{self, EXTERNAL, data_type},
};

/// Reads a file that lies beside the model, by its plain name.
pub(super) type Beside<'a> = &'a mut dyn FnMut(&str) -> io::Result<Vec<u8>>;

/// The numbers of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Numbers {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
}

/// A tensor whose numbers are as many as its dimensions say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Constant {
    pub(super) dimensions: Vec<usize>,
    pub(super) numbers: Numbers,
}

impl Constant {
    /// # Errors
    /// [`OnnxError::Tensor`] for formats other than floating point, integers and booleans, and for any other length
    /// than the dimensions ask for.
    pub(super) fn read(tensor: &proto::Tensor) -> Result<Self, OnnxError> {
        let refuse = |why: String| OnnxError::Tensor { name: tensor.name.clone(), why };
        let dimensions: Option<Vec<usize>> =
            tensor.dims.iter().map(|size| usize::try_from(*size).ok()).collect();
        let count = dimensions.iter().flatten().try_fold(1usize, |count, size| count.checked_mul(*size));
        let (Some(dimensions), Some(count)) = (dimensions, count) else {
            return Err(refuse(format!("claims the dimensions {:?}; the file is damaged", tensor.dims)));
        };
        let numbers = numbers(tensor).ok_or_else(|| {
            refuse(format!("has the number format {}, which is not read", tensor.data_type))
        })?;
        let found = match &numbers {
            Numbers::Floats(floats) => floats.len(),
            Numbers::Integers(integers) => integers.len(),
        };
        if found != count {
            return Err(refuse(format!(
                "holds {found} numbers, but its dimensions {dimensions:?} ask for {count}; export the model again"
            )));
        }
        Ok(Self { dimensions, numbers })
    }

    pub(super) fn of_floats(dimensions: Vec<usize>, floats: Vec<f32>) -> Self {
        Self { dimensions, numbers: Numbers::Floats(floats) }
    }

    pub(super) fn of_integers(integers: Vec<i64>) -> Self {
        Self { dimensions: vec![integers.len()], numbers: Numbers::Integers(integers) }
    }

    pub(super) fn floats(&self) -> Option<&[f32]> {
        match &self.numbers {
            Numbers::Floats(floats) => Some(floats),
            Numbers::Integers(_) => None,
        }
    }

    pub(super) fn integers(&self) -> Option<&[i64]> {
        match &self.numbers {
            Numbers::Integers(integers) => Some(integers),
            Numbers::Floats(_) => None,
        }
    }

    /// The one number, however many dimensions of size 1 it is wrapped in.
    pub(super) fn scalar(&self) -> Option<f32> {
        match &self.numbers {
            Numbers::Floats(floats) => floats.first().copied().filter(|_| floats.len() == 1),
            Numbers::Integers(integers) => {
                integers.first().map(|n| *n as f32).filter(|_| integers.len() == 1)
            }
        }
    }

    /// A matrix with its rows as columns.
    pub(super) fn transposed(&self) -> Option<Self> {
        let (&[rows, columns], floats) = (self.dimensions.as_slice(), self.floats()?) else { return None };
        Some(Self::of_floats(vec![columns, rows], transpose(floats, columns)))
    }
}

/// Turns rows of `columns` numbers into columns.
pub(super) fn transpose(matrix: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| matrix.iter().skip(column).step_by(columns).copied()).collect()
}

/// `None` for a number format that weights and indices do not come in.
fn numbers(tensor: &proto::Tensor) -> Option<Numbers> {
    let raw = &tensor.raw_data;
    if raw.is_empty() {
        let bits = || tensor.int32_data.iter().map(|bits| *bits as u16);
        return Some(match tensor.data_type {
            data_type::FLOAT => Numbers::Floats(tensor.float_data.clone()),
            data_type::DOUBLE => Numbers::Floats(tensor.double_data.iter().map(|n| *n as f32).collect()),
            data_type::FLOAT16 => Numbers::Floats(bits().map(|n| f16::from_bits(n).to_f32()).collect()),
            data_type::BFLOAT16 => Numbers::Floats(bits().map(|n| bf16::from_bits(n).to_f32()).collect()),
            data_type::INT64 => Numbers::Integers(tensor.int64_data.clone()),
            data_type::INT32 | data_type::BOOL => {
                Numbers::Integers(tensor.int32_data.iter().map(|n| i64::from(*n)).collect())
            }
            _ => return None,
        });
    }
    Some(match tensor.data_type {
        data_type::FLOAT => Numbers::Floats(each(raw, f32::from_le_bytes)),
        data_type::DOUBLE => Numbers::Floats(each(raw, |bytes| f64::from_le_bytes(bytes) as f32)),
        data_type::FLOAT16 => Numbers::Floats(each(raw, |bytes| f16::from_le_bytes(bytes).to_f32())),
        data_type::BFLOAT16 => Numbers::Floats(each(raw, |bytes| bf16::from_le_bytes(bytes).to_f32())),
        data_type::INT64 => Numbers::Integers(each(raw, i64::from_le_bytes)),
        data_type::INT32 => Numbers::Integers(each(raw, |bytes| i64::from(i32::from_le_bytes(bytes)))),
        data_type::BOOL => Numbers::Integers(raw.iter().map(|byte| i64::from(*byte)).collect()),
        _ => return None,
    })
}

fn each<const BYTES: usize, T>(raw: &[u8], number: impl Fn([u8; BYTES]) -> T) -> Vec<T> {
    let (numbers, _) = raw.as_chunks::<BYTES>();
    numbers.iter().map(|bytes| number(*bytes)).collect()
}

/// Brings the data that lie beside the file into it, as if they had been there.
///
/// # Errors
/// [`OnnxError::Tensor`] where a file is missing or too short, or where its name would leave the folder.
pub(super) fn fetch_external(tensors: &mut [proto::Tensor], beside: Beside<'_>) -> Result<(), OnnxError> {
    let mut open: Option<(String, Vec<u8>)> = None;
    for tensor in tensors.iter_mut().filter(|tensor| tensor.data_location == EXTERNAL) {
        let refuse = |why: String| OnnxError::Tensor { name: tensor.name.clone(), why };
        let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key);
        let number = |key: &str| -> Result<Option<usize>, OnnxError> {
            let Some(entry) = entry(key) else { return Ok(None) };
            let number = entry.value.parse();
            number
                .map(Some)
                .map_err(|_| refuse(format!("lies outside the file at the {key} {:?}", entry.value)))
        };
        let location = entry("location").map(|entry| entry.value.clone()).unwrap_or_default();
        let plain =
            !location.is_empty() && !location.contains(['/', '\\', ':']) && !location.starts_with('.');
        if !plain {
            return Err(refuse(format!(
                "lies in {location:?}; only a file in the model's own folder is read"
            )));
        }
        if open.as_ref().is_none_or(|(name, _)| *name != location) {
            let bytes = beside(&location)
                .map_err(|error| refuse(format!("lies in {location}, which could not be read ({error})")))?;
            open = Some((location.clone(), bytes));
        }
        let bytes = open.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        let offset = number("offset")?.unwrap_or(0);
        let rest = bytes.get(offset..);
        let data = match number("length")? {
            Some(length) => rest.and_then(|rest| rest.get(..length)),
            None => rest,
        };
        let Some(data) = data else {
            return Err(refuse(format!(
                "reaches beyond the end of {location}; do the two files belong together?"
            )));
        };
        tensor.raw_data = data.to_vec();
    }
    Ok(())
}
