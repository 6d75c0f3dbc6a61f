//! Known patterns: texts whose risk a person gave, as vectors, so that a new text can be shown beside its like.
//!
//! A pattern is where the model's heads see it ([`crate::model::Model::features`]), less the mean of all (the vectors
//! share one direction that says nothing), at length 1, in eight bits. Likeness is the cosine. 20,000 patterns are 5 MB
//! and are searched in a few milliseconds; an index structure would gain nothing.

use std::{cmp::Ordering, ops::Range};

use logrisk_base::Risk;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::Serialize;

/// Patterns and where they lie. Made with [`crate::model::Model::know`].
#[derive(Debug, Clone, PartialEq)]
pub struct KnownPatterns {
    /// All texts, one after the other.
    text: String,
    /// Where each text ends.
    ends: Vec<u32>,
    risks: Vec<Risk>,
    /// What is taken off a vector before it is compared.
    center: Vec<f32>,
    /// A row of `center.len()` for each pattern.
    vectors: Vec<i8>,
}

/// A known pattern near a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Neighbour {
    /// The cosine: 1 is the same place, 0 is no likeness.
    pub similarity: f32,
    /// The risk that a person gave it.
    pub risk: Risk,
    /// Its masked text.
    pub pattern: String,
}

/// The tensors of the file.
mod tensor {
    pub(super) const TEXT: &str = "text";
    pub(super) const ENDS: &str = "ends";
    pub(super) const RISKS: &str = "risks";
    pub(super) const CENTER: &str = "center";
    pub(super) const VECTORS: &str = "vectors";
}

impl KnownPatterns {
    /// Patterns with a row of `width` numbers each in `rows`.
    pub(crate) fn new(patterns: &[(String, Risk)], rows: &[f32], width: usize) -> Self {
        let mut center = vec![0.0; width];
        for row in rows.chunks_exact(width.max(1)) {
            center.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / patterns.len() as f32);
        }
        let mut known = Self {
            text: String::new(),
            ends: Vec::with_capacity(patterns.len()),
            risks: Vec::with_capacity(patterns.len()),
            vectors: Vec::with_capacity(rows.len()),
            center,
        };
        for ((text, risk), row) in patterns.iter().zip(rows.chunks_exact(width.max(1))) {
            known.text.push_str(text);
            known.ends.push(known.text.len() as u32);
            known.risks.push(*risk);
            let row = known.centered(row);
            let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            // The length does not matter to a cosine, so each row uses all eight bits.
            let scale = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            known.vectors.extend(row.iter().map(|value| (value * scale).round() as i8));
        }
        known
    }

    /// How many patterns there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.risks.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.risks.is_empty()
    }

    /// How many numbers a vector has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.center.len()
    }

    /// The patterns nearest to a text's features, nearest first; none for a vector of another width.
    #[must_use]
    pub fn nearest(&self, vector: &[f32], count: usize) -> Vec<Neighbour> {
        if vector.len() != self.width() || vector.is_empty() {
            return Vec::new();
        }
        let vector = self.centered(vector);
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        let mut nearest: Vec<(f32, usize)> = Vec::with_capacity(count + 1);
        for (index, row) in self.vectors.chunks_exact(self.width()).enumerate() {
            let (mut product, mut square) = (0.0, 0i32);
            for (value, &other) in vector.iter().zip(row) {
                product += value * f32::from(other);
                square += i32::from(other) * i32::from(other);
            }
            let similarity = product / (length * (square as f32).sqrt()).max(f32::MIN_POSITIVE);
            let place = nearest.partition_point(|(other, _)| other.total_cmp(&similarity) != Ordering::Less);
            if place < count {
                nearest.insert(place, (similarity, index));
                nearest.truncate(count);
            }
        }
        nearest.into_iter().filter_map(|(similarity, index)| self.neighbour(similarity, index)).collect()
    }

    fn neighbour(&self, similarity: f32, index: usize) -> Option<Neighbour> {
        let pattern = self.text.get(self.range(index)?)?.to_owned();
        Some(Neighbour { similarity, risk: *self.risks.get(index)?, pattern })
    }

    fn range(&self, index: usize) -> Option<Range<usize>> {
        let start = index.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        Some(start as usize..*self.ends.get(index)? as usize)
    }

    fn centered(&self, vector: &[f32]) -> Vec<f32> {
        vector.iter().zip(&self.center).map(|(value, mean)| value - mean).collect()
    }

    /// As a safetensors file.
    pub(crate) fn write(&self) -> Result<Vec<u8>, safetensors::SafeTensorError> {
        let ends: Vec<u8> = self.ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        let risks: Vec<u8> = self.risks.iter().map(|risk| risk.get()).collect();
        let center: Vec<u8> = self.center.iter().flat_map(|value| value.to_le_bytes()).collect();
        let vectors: Vec<u8> = self.vectors.iter().map(|value| value.cast_unsigned()).collect();
        let (count, width) = (self.len(), self.width());
        let tensors = [
            (tensor::TEXT, TensorView::new(Dtype::U8, vec![self.text.len()], self.text.as_bytes())?),
            (tensor::ENDS, TensorView::new(Dtype::U32, vec![count], &ends)?),
            (tensor::RISKS, TensorView::new(Dtype::U8, vec![count], &risks)?),
            (tensor::CENTER, TensorView::new(Dtype::F32, vec![width], &center)?),
            (tensor::VECTORS, TensorView::new(Dtype::I8, vec![count, width], &vectors)?),
        ];
        safetensors::serialize(tensors, None)
    }

    /// Reads what [`Self::write`] wrote, for an encoder of that width. Says what is wrong with anything else.
    pub(crate) fn read(bytes: &[u8], width: usize) -> Result<Self, String> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| format!("cannot be read ({error})"))?;
        let find = |name: &str, dtype: Dtype| {
            let view = file.tensor(name).map_err(|_| format!("has no tensor {name}"))?;
            if view.dtype() == dtype { Ok(view) } else { Err(format!("has another type for {name}")) }
        };
        let (text, ends) = (find(tensor::TEXT, Dtype::U8)?, find(tensor::ENDS, Dtype::U32)?);
        let (risks, center) = (find(tensor::RISKS, Dtype::U8)?, find(tensor::CENTER, Dtype::F32)?);
        let vectors = find(tensor::VECTORS, Dtype::I8)?;
        let text = String::from_utf8(text.data().to_vec()).map_err(|_| "has a text that is not UTF-8")?;
        let ends: Vec<u32> =
            ends.data().as_chunks::<4>().0.iter().map(|it| u32::from_le_bytes(*it)).collect();
        let risks: Result<Vec<Risk>, _> = risks.data().iter().map(|risk| Risk::new(*risk)).collect();
        let risks = risks.map_err(|error| format!("has a pattern whose {error}"))?;
        let center: Vec<f32> =
            center.data().as_chunks::<4>().0.iter().map(|it| f32::from_le_bytes(*it)).collect();
        if center.len() != width || center.iter().any(|value| !value.is_finite()) {
            return Err(format!("was made for vectors of {}, not {width}, or is not finite", center.len()));
        }
        if ends.len() != risks.len() || vectors.shape() != [risks.len(), width] {
            return Err("has tensors of different lengths".to_owned());
        }
        let apart = ends.is_sorted() && ends.iter().all(|end| text.is_char_boundary(*end as usize));
        if !apart || ends.last().map_or(0, |end| *end as usize) != text.len() {
            return Err("has texts that do not follow one another".to_owned());
        }
        let vectors = vectors.data().iter().map(|byte| byte.cast_signed()).collect();
        Ok(Self { text, ends, risks, center, vectors })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> KnownPatterns {
        let risk = |value| Risk::new(value).unwrap();
        let patterns =
            [("disk é full".to_owned(), risk(8)), (String::new(), risk(0)), ("started".to_owned(), risk(2))];
        KnownPatterns::new(&patterns, &[1.0, 0.0, 0.1, 0.0, 1.0, 0.1, 0.0, -1.0, 0.1], 3)
    }

    #[test]
    fn the_nearest_come_first() {
        let found = known().nearest(&[0.9, 0.1, 0.0], 2);
        assert_eq!((found[0].pattern.as_str(), found[0].risk.get()), ("disk é full", 8));
        assert!(found[0].similarity > 0.9 && found[1].similarity < found[0].similarity, "{found:?}");
        assert_eq!(known().nearest(&[1.0], 3), []);
        assert_eq!(known().nearest(&[0.0; 3], 9).len(), 3);
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let bytes = known().write().unwrap();
        assert_eq!(KnownPatterns::read(&bytes, 3).unwrap(), known());
    }

    #[test]
    fn a_file_that_does_not_fit_is_refused() {
        let bytes = known().write().unwrap();
        assert!(KnownPatterns::read(&bytes, 4).unwrap_err().contains("vectors of 3, not 4"));
        assert!(KnownPatterns::read(&bytes[..bytes.len() - 1], 3).unwrap_err().contains("cannot be read"));
        assert!(KnownPatterns::read(b"", 3).is_err());
        let mut torn = known();
        torn.ends[0] = 6;
        assert!(KnownPatterns::read(&torn.write().unwrap(), 3).unwrap_err().contains("follow one another"));
        torn.ends[0] = 400;
        assert!(KnownPatterns::read(&torn.write().unwrap(), 3).unwrap_err().contains("follow one another"));
        let mut broken = known();
        broken.center[1] = f32::NAN;
        assert!(KnownPatterns::read(&broken.write().unwrap(), 3).unwrap_err().contains("not finite"));
    }

    #[test]
    fn no_patterns_are_a_file_too() {
        let none = KnownPatterns::new(&[], &[], 3);
        assert!(none.is_empty());
        assert_eq!(KnownPatterns::read(&none.write().unwrap(), 3).unwrap().nearest(&[1.0, 0.0, 0.0], 3), []);
    }
}
