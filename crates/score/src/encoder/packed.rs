//! A linear layer's weights, packed once in the order in which the kernels read them.

use super::{buffer::Aligned, isa::Precision, kernels::Kernels};
use crate::weights::Linear;
use half::bf16;

/// Panels of `Kernels::panel` outputs, each `steps` rows of one word an output; the last is filled up with zeros.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) precision: Precision,
    pub(super) words: Aligned<u32>,
    /// Words an input row has.
    pub(super) steps: usize,
    pub(super) outputs: usize,
    /// These three are as long as the panels are wide together.
    pub(super) bias: Aligned<f32>,
    /// int8: what one step of a weight is worth.
    pub(super) scale: Aligned<f32>,
    /// int8: the sum of the (rounded) weights, which the smallest input of a row is multiplied with.
    pub(super) sum: Aligned<f32>,
}

/// How many values of a precision one 32-bit word holds.
pub(super) fn values_per_word(precision: Precision) -> usize {
    match precision {
        Precision::F32 => 1,
        Precision::Bf16 => 2,
        Precision::Int8 => 4,
    }
}

impl Packed {
    /// Packs layers that share their input as one layer with all their outputs; each layer's weights and bias are
    /// multiplied with its factor.
    ///
    /// `typical`, if known, is a typical input: int8 weights are rounded so that their errors cancel on it.
    pub(super) fn new(
        kernels: &Kernels,
        precision: Precision,
        layers: &[(&Linear, f32)],
        typical: Option<&[f32]>,
    ) -> Self {
        let inputs = layers.first().map_or(0, |(layer, _)| layer.inputs);
        let outputs = layers.iter().map(|(layer, _)| layer.outputs).sum::<usize>();
        let (width, per_word) = (kernels.panel, values_per_word(precision));
        let steps = inputs / per_word;
        let columns = outputs.next_multiple_of(width);
        let mut packed = Self {
            precision,
            words: Aligned::zeros(columns * steps),
            steps,
            outputs,
            bias: Aligned::zeros(columns),
            scale: Aligned::zeros(columns),
            sum: Aligned::zeros(columns),
        };
        let words = packed.words.take(columns * steps);
        let bias = packed.bias.take(columns);
        let (scale, sum) = (packed.scale.take(columns), packed.sum.take(columns));
        let rows = layers.iter().flat_map(|&(layer, factor)| {
            layer.weight.chunks_exact(inputs.max(1)).zip(&layer.bias).map(move |row| (row, factor))
        });
        let mut rounding = Rounding::new(inputs, kernels.weight_limit, typical);
        for (output, ((row, row_bias), factor)) in rows.enumerate() {
            bias[output] = row_bias * factor;
            let to = words[output / width * width * steps + output % width..].iter_mut().step_by(width);
            match precision {
                Precision::F32 => to.zip(row).for_each(|(word, value)| *word = (value * factor).to_bits()),
                Precision::Bf16 => {
                    let half = |value: f32| u32::from(bf16::from_f32(value * factor).to_bits());
                    to.zip(row.chunks_exact(2))
                        .for_each(|(word, pair)| *word = half(pair[0]) | half(pair[1]) << 16);
                }
                Precision::Int8 => {
                    let step = rounding.round(row);
                    scale[output] = step * factor;
                    sum[output] = scale[output] * rounding.whole.iter().sum::<f32>();
                    for (word, values) in to.zip(rounding.whole.chunks_exact(4)) {
                        let bytes = [0, 1, 2, 3].map(|i| (values[i] as i8).cast_unsigned());
                        *word = u32::from_ne_bytes(bytes);
                    }
                }
            }
        }
        packed
    }
}

/// Rounds rows of weights to integers.
///
/// Each to the nearest would let the errors of a row add up on inputs that are much alike, and [CLS] rows are: they share
/// a few huge values. So weights are rounded in the order in which the typical input needs them, and what the product is
/// off by so far pushes each next weight by up to half a step the other way. Measured as in
/// [`Encodings`](super::kernels::Encodings): 20 % of the spread among lines become 8 %.
struct Rounding<'a> {
    limit: f32,
    typical: &'a [f32],
    /// Columns, the largest typical input first.
    order: Vec<usize>,
    /// The result: whole numbers.
    whole: Vec<f32>,
}

impl<'a> Rounding<'a> {
    fn new(inputs: usize, limit: i8, typical: Option<&'a [f32]>) -> Self {
        let typical = typical.filter(|typical| typical.len() == inputs).unwrap_or_default();
        let mut order: Vec<usize> = (0..typical.len()).collect();
        order.sort_by(|&a, &b| typical[b].abs().total_cmp(&typical[a].abs()));
        Self { limit: f32::from(limit), typical, order, whole: vec![0.0; inputs] }
    }

    /// Fills `whole` and returns what one step is worth.
    fn round(&mut self, row: &[f32]) -> f32 {
        let largest = row.iter().fold(0f32, |most, value| most.max(value.abs()));
        let inverse = if largest > 0.0 { self.limit / largest } else { 0.0 };
        for (whole, value) in self.whole.iter_mut().zip(row) {
            *whole = value * inverse;
        }
        let mut error = 0f32;
        for &column in &self.order {
            let (exact, input) = (self.whole[column], self.typical[column]);
            let push = if input.abs() > 1e-6 { (-error / input).clamp(-0.5, 0.5) } else { 0.0 };
            let whole = nearest((exact + push).clamp(-self.limit, self.limit));
            error += input * (whole - exact);
            self.whole[column] = whole;
        }
        if self.order.is_empty() {
            self.whole.iter_mut().for_each(|value| *value = nearest(*value));
        }
        largest / self.limit
    }
}

/// The nearest whole number of a small one; `round` is a call on CPUs that may lack the instruction.
fn nearest(value: f32) -> f32 {
    (value + super::portable::ROUNDER) - super::portable::ROUNDER
}
