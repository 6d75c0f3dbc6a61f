//! One encoder layer, forward and backward, over the ragged rows of many lines.
//!
//! ```text
//! input ─┬─ query, key, value ─ attention ─ projection ─ dropout ─(+ input)─ norm ─┬─ feed-forward ─ dropout ─(+)─ norm ─► output
//!        └───────────────────────────────────────────────────────────────────────  └──────────────────────────┘
//! ```
//! In the last layer only the first row of each line ([CLS]) asks: nothing reads the other rows, so leaving them out
//! is exact, and saves about a fifth of a step of four layers.

use logrisk_score::weights::{Activation, Layer};

use super::{
    attention::Attention,
    elementwise::{Dropout, Normalised, activate, add, multiply},
    linear::Products,
};

/// What all layers of one pass have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// Where each line ends among the tokens.
    pub(super) ends: &'a [usize],
    pub(super) heads: usize,
    pub(super) hidden: usize,
    pub(super) epsilon: f32,
    pub(super) activation: Activation,
    /// On the outputs of attention and feed-forward.
    pub(super) dropout: Dropout,
    /// On the attention's probabilities.
    pub(super) attention_dropout: Dropout,
    /// Whether only [CLS] asks.
    pub(super) last: bool,
}

impl Context<'_> {
    fn attention(&self) -> Attention<'_> {
        Attention {
            ends: self.ends,
            heads: self.heads,
            hidden: self.hidden,
            first_only: self.last,
            dropout: self.attention_dropout,
        }
    }

    /// The first row of each line.
    pub(super) fn starts(&self) -> impl Iterator<Item = usize> {
        std::iter::once(0).chain(self.ends.iter().copied()).take(self.ends.len())
    }
}

/// What a layer's forward pass keeps for its backward pass.
#[derive(Debug, Default)]
pub(super) struct LayerState {
    /// The rows that ask; empty unless this is the last layer, since they are then the whole input.
    asking: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    probabilities: Vec<f32>,
    context: Vec<f32>,
    attention_norm: Normalised,
    attended: Vec<f32>,
    inner: Vec<f32>,
    slopes: Vec<f32>,
    output_norm: Normalised,
    /// The layer's result: `[tokens, hidden]`, or `[lines, hidden]` in the last layer.
    pub(super) output: Vec<f32>,
}

/// Buffers that one layer hands to the next.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) products: Products,
    rows: Vec<f32>,
    context: Vec<f32>,
    wide: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
}

impl LayerState {
    /// Fills the state from `input`, `[tokens, hidden]`.
    pub(super) fn forward(&mut self, layer: &Layer, input: &[f32], context: &Context, scratch: &mut Scratch) {
        let Scratch { products, rows: residual, .. } = scratch;
        self.asking.clear();
        if context.last {
            for row in context.starts() {
                self.asking.extend_from_slice(&input[row * context.hidden..][..context.hidden]);
            }
        }
        let asking = if context.last { &self.asking[..] } else { input };
        products.forward(&layer.query, asking, &mut self.query);
        products.forward(&layer.key, input, &mut self.key);
        products.forward(&layer.value, input, &mut self.value);
        context.attention().forward(
            &self.query,
            &self.key,
            &self.value,
            &mut self.probabilities,
            &mut self.context,
        );

        products.forward(&layer.attention_output, &self.context, residual);
        context.dropout.at(1).apply(residual, 0);
        add(residual, asking);
        self.attention_norm.forward(residual, &layer.attention_norm, context.epsilon, &mut self.attended);

        products.forward(&layer.intermediate, &self.attended, &mut self.inner);
        self.slopes.resize(self.inner.len(), 0.0);
        activate(context.activation, &mut self.inner, &mut self.slopes);
        products.forward(&layer.output, &self.inner, residual);
        context.dropout.at(2).apply(residual, 0);
        add(residual, &self.attended);
        self.output_norm.forward(residual, &layer.output_norm, context.epsilon, &mut self.output);
    }

    /// Turns `gradient` from that of the output into that of the input, and adds to the parameters' gradients in
    /// `total`. `input` is what [`Self::forward`] was given. Without `wants_input` the gradient is left undefined.
    pub(super) fn backward(
        &self,
        layer: &Layer,
        total: &mut Layer,
        input: &[f32],
        gradient: &mut Vec<f32>,
        context: &Context,
        scratch: &mut Scratch,
        wants_input: bool,
    ) {
        let Scratch { products, rows, context: context_gradient, wide, query, key, value } = scratch;

        self.output_norm.backward(gradient, &layer.output_norm, &mut total.output_norm);
        rows.clone_from(gradient);
        context.dropout.at(2).apply(rows, 0);
        products.add_weight_gradient(&mut total.output, rows, &self.inner);
        products.input_gradient(&layer.output, rows, wide);
        multiply(wide, &self.slopes);
        products.add_weight_gradient(&mut total.intermediate, wide, &self.attended);
        products.add_input_gradient(&layer.intermediate, wide, gradient);

        self.attention_norm.backward(gradient, &layer.attention_norm, &mut total.attention_norm);
        rows.clone_from(gradient);
        context.dropout.at(1).apply(rows, 0);
        products.add_weight_gradient(&mut total.attention_output, rows, &self.context);
        products.input_gradient(&layer.attention_output, rows, context_gradient);

        context.attention().backward(
            [&self.query, &self.key, &self.value],
            &self.probabilities,
            context_gradient,
            [query, key, value],
        );
        let asking = if context.last { &self.asking[..] } else { input };
        products.add_weight_gradient(&mut total.query, query, asking);
        products.add_weight_gradient(&mut total.key, key, input);
        products.add_weight_gradient(&mut total.value, value, input);
        if !wants_input {
            return;
        }
        products.add_input_gradient(&layer.query, query, gradient);
        if context.last {
            rows.clear();
            rows.resize(input.len(), 0.0);
            for (row, source) in context.starts().zip(gradient.chunks_exact(context.hidden)) {
                rows[row * context.hidden..][..context.hidden].copy_from_slice(source);
            }
            std::mem::swap(rows, gradient);
        }
        products.add_input_gradient(&layer.key, key, gradient);
        products.add_input_gradient(&layer.value, value, gradient);
    }
}
