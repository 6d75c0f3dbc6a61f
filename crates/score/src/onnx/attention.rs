//! Attention: from the context back to queries, keys and values, whichever way an exporter cuts, turns and scales them.
//!
//! Each tensor on the way is followed as the list of what its dimensions mean, so that a transposition that mixes up
//! heads and positions is refused and not read as weights.

use super::{
    OnnxError,
    blocks::is_near,
    graph::{Graph, int, ints, operator},
};
use crate::weights::Linear;

/// What a dimension counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    Batch,
    Position,
    Head,
    /// Numbers of one head.
    Width,
    /// Batch and head in one dimension.
    BatchHead,
    /// Head and its numbers in one dimension.
    Hidden,
}

use Axis::{Batch, BatchHead, Head, Hidden, Position, Width};

/// One way to get at a tensor from an earlier one.
enum Step<'a> {
    Reshape(&'a str),
    Transpose(&'a [i64]),
}

/// A value behind its reshapings, transpositions and scalings.
struct Unfolded<'a> {
    /// The last one first.
    steps: Vec<Step<'a>>,
    scale: f32,
    base: &'a str,
}

/// What a layer's attention is made of.
pub(super) struct Attention<'a> {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    /// Numbers of one head.
    pub(super) width: usize,
    /// What the three linear layers read.
    pub(super) input: &'a str,
}

/// Steps between the linear layer and the product; PyTorch makes up to five.
const LONGEST_PATH: usize = 16;

impl<'a> Graph<'a> {
    /// Reads the attention that ends in `context`, `[batch, position, hidden]`.
    ///
    /// # Errors
    /// [`OnnxError`], naming the node where it is not attention as BERT has it.
    pub(super) fn attention(&self, context: &'a str) -> Result<Attention<'a>, OnnxError> {
        let expected = "softmax(queries · keys / √width + mask) · values";
        let whole = self.unfold(context, expected)?;
        let product = self.expect(whole.base, &["MatMul"], expected)?;
        let [shares, values] = product.input.as_slice() else {
            return Err(self.refuse(whole.base, expected));
        };
        let scores = self.softmax(shares)?;
        let scores = self.unmasked(scores)?;
        let scaled = self.unfold(scores, expected)?;
        let product = self.expect(scaled.base, &["MatMul"], expected)?;
        let [queries, keys] = product.input.as_slice() else {
            return Err(self.refuse(scaled.base, expected));
        };
        let mut width = None;
        let (query, query_axes, query_scale, input) = self.projection(queries, "the queries", &mut width)?;
        let (key, key_axes, key_scale, key_input) = self.projection(keys, "the keys", &mut width)?;
        let (value, value_axes, value_scale, value_input) =
            self.projection(values, "the values", &mut width)?;
        let Some(width) = width else {
            return Err(self.refuse(queries, "the queries cut into heads by a Reshape"));
        };
        if input != key_input || input != value_input {
            return Err(self.refuse(whole.base, "queries, keys and values of the same input"));
        }
        let in_order = match query_axes[..] {
            [Batch, Head, Position, Width] => {
                key_axes == [Batch, Head, Width, Position] && value_axes == query_axes
            }
            [BatchHead, Position, Width] => {
                key_axes == [BatchHead, Width, Position] && value_axes == query_axes
            }
            _ => false,
        };
        // The reshapes of the scores, if there are any, only put batch and heads together or apart.
        let turned = scaled.steps.iter().any(|step| matches!(step, Step::Transpose(_)));
        if !in_order || turned {
            return Err(self.refuse(
                scaled.base,
                "queries as [batch, head, position, width] and keys as [batch, head, width, position]",
            ));
        }
        let scale = scaled.scale * query_scale * key_scale;
        if !is_near(Some(scale * (width as f32).sqrt()), 1.0) {
            return Err(self.refuse(scaled.base, &format!("scores scaled by 1/√{width}, not by {scale}")));
        }
        if !is_near(Some(whole.scale * value_scale), 1.0) {
            return Err(self.refuse(whole.base, "values that are not scaled"));
        }
        let axes = self.axes(&whole.steps, value_axes, value.outputs, &mut Some(width));
        if !matches!(axes.as_deref(), Some([Batch, Position, Hidden])) {
            return Err(self.refuse(context, "heads put together again, [batch, position, hidden]"));
        }
        Ok(Attention { query, key, value, width, input })
    }

    /// What the softmax over keys reads. Newer exporters put 0 where a line has no token at all.
    fn softmax(&self, shares: &'a str) -> Result<&'a str, OnnxError> {
        let expected = "a Softmax over the last dimension";
        let mut value = self.origin(shares);
        if let Some(node) = self.maker(value).filter(|node| operator(node) == "Where")
            && let [condition, zero, rest] = node.input.as_slice()
            && let Some(test) = self.maker(self.origin(condition))
            && operator(test) == "IsNaN"
            && self.number(zero, 0) == Some(0.0)
        {
            value = self.origin(rest);
        }
        let node = self.expect(value, &["Softmax"], expected)?;
        let axis = int(node, "axis").unwrap_or(if self.opset < 13 { 1 } else { -1 });
        match node.input.first() {
            Some(input) if matches!(axis, -1 | 3) => Ok(input),
            _ => Err(self.refuse(value, expected)),
        }
    }

    /// The scores before padding is masked: `scores + mask`, or `where(mask, scores, lowest)`.
    fn unmasked(&self, masked: &'a str) -> Result<&'a str, OnnxError> {
        let expected = "the scores with attention_mask's padding added or put in by Where";
        let node = self.expect(masked, &["Add", "Where"], expected)?;
        let mut scores = None;
        let mut is_masked = false;
        for input in &node.input {
            if self.is_scores(input) {
                scores = Some(input.as_str());
            } else {
                is_masked |= self.is_of_mask(input);
            }
        }
        match scores {
            Some(scores) if is_masked => Ok(scores),
            _ => Err(self.refuse(masked, expected)),
        }
    }

    /// Whether a value is a product of two computed ones.
    fn is_scores(&self, value: &'a str) -> bool {
        let Ok(unfolded) = self.unfold(value, "") else { return false };
        self.maker(unfolded.base).is_some_and(|node| {
            operator(node) == "MatMul" && node.input.iter().all(|input| !self.is_constant(input))
        })
    }

    /// Whether of all inputs a value depends on the mask, and on no other but for their sizes.
    fn is_of_mask(&self, value: &'a str) -> bool {
        let mut seen = std::collections::HashSet::new();
        let mut open = vec![value];
        let mut found = false;
        while let Some(value) = open.pop() {
            if value.is_empty() || !seen.insert(value) {
                continue;
            }
            match self.maker(value) {
                Some(node) if operator(node) == "Shape" => {}
                Some(node) => open.extend(node.input.iter().map(String::as_str)),
                None if self.input(value).is_some() && !value.contains("mask") => return false,
                None => found |= self.input(value).is_some(),
            }
        }
        found
    }

    /// One of the three linear layers, its dimensions as they enter the product, its scale, and what it reads.
    fn projection(
        &self,
        value: &'a str,
        place: &str,
        width: &mut Option<usize>,
    ) -> Result<(Linear, Vec<Axis>, f32, &'a str), OnnxError> {
        let unfolded = self.unfold(value, place)?;
        let (linear, input) = self.linear(unfolded.base, place)?;
        let axes = self.axes(&unfolded.steps, vec![Batch, Position, Hidden], linear.outputs, width);
        let axes = axes.ok_or_else(|| {
            self.refuse(value, &format!("{place} cut into heads of one known width by Reshape and Transpose"))
        })?;
        Ok((linear, axes, unfolded.scale, self.origin(input)))
    }

    /// Goes back over reshapings, transpositions and products with numbers.
    fn unfold(&self, value: &'a str, expected: &str) -> Result<Unfolded<'a>, OnnxError> {
        let mut unfolded = Unfolded { steps: Vec::new(), scale: 1.0, base: self.origin(value) };
        for _ in 0..LONGEST_PATH {
            let Some(node) = self.maker(unfolded.base) else { return Ok(unfolded) };
            let next = match (operator(node), node.input.as_slice()) {
                ("Reshape", [input, shape]) => {
                    unfolded.steps.push(Step::Reshape(shape));
                    input
                }
                ("Transpose", [input]) => {
                    let order = ints(node, "perm").ok_or_else(|| self.refuse(unfolded.base, expected))?;
                    unfolded.steps.push(Step::Transpose(order));
                    input
                }
                ("Mul", [a, b]) => match (self.number(b, 0), self.number(a, 0)) {
                    (Some(factor), _) => {
                        unfolded.scale *= factor;
                        a
                    }
                    (None, Some(factor)) => {
                        unfolded.scale *= factor;
                        b
                    }
                    (None, None) => return Ok(unfolded),
                },
                ("Div", [a, b]) => match self.number(b, 0) {
                    Some(divisor) => {
                        unfolded.scale /= divisor;
                        a
                    }
                    None => return Ok(unfolded),
                },
                _ => return Ok(unfolded),
            };
            unfolded.base = self.origin(next);
        }
        Err(self.refuse(value, expected))
    }

    /// What the dimensions mean after the steps; `None` where that cannot be told. Learns the width of a head from the
    /// first Reshape that cuts the hidden vector, and holds the others to it.
    fn axes(
        &self,
        steps: &[Step<'a>],
        start: Vec<Axis>,
        hidden: usize,
        width: &mut Option<usize>,
    ) -> Option<Vec<Axis>> {
        let mut axes = start;
        for step in steps.iter().rev() {
            axes = match step {
                Step::Transpose(order) => {
                    if order.len() != axes.len() {
                        return None;
                    }
                    order
                        .iter()
                        .map(|axis| axes.get(usize::try_from(*axis).ok()?).copied())
                        .collect::<Option<_>>()?
                }
                Step::Reshape(shape) => {
                    let shape = self.integers(shape, 0)?;
                    match (axes.as_slice(), shape.len()) {
                        ([Batch, Position, Hidden], 4) => {
                            let (&last, &heads) = (shape.last()?, shape.get(2)?);
                            let positive = |size: Option<i64>| {
                                size.filter(|size| *size > 0).and_then(|size| usize::try_from(size).ok())
                            };
                            let found = match (positive(last), positive(heads)) {
                                (Some(width), _) => width,
                                (None, Some(heads)) => hidden.checked_div(heads)?,
                                (None, None) => return None,
                            };
                            let agrees = width.is_none_or(|width| width == found);
                            if !agrees || found == 0 || !hidden.is_multiple_of(found) {
                                return None;
                            }
                            *width = Some(found);
                            vec![Batch, Position, Head, Width]
                        }
                        ([Batch, Position, Head, Width], 3) => vec![Batch, Position, Hidden],
                        ([Batch, Head, a, b], 3) => vec![BatchHead, *a, *b],
                        ([BatchHead, a, b], 4) => vec![Batch, Head, *a, *b],
                        (same, rank) if same.len() == rank => same.to_vec(),
                        _ => return None,
                    }
                }
            };
        }
        Some(axes)
    }
}
