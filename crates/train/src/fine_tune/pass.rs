//! The whole model, forward and backward, over one ragged chunk of lines.

use logrisk_score::{
    encoder::{Tokens, gemm::Factors},
    weights::{Head, Weights},
};

use super::{
    elementwise::{Dropout, Normalised, add, multiply},
    layer::{Context, LayerState, Scratch},
};

/// The dropout of one pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropouts {
    /// After the embeddings, attention, feed-forward, and around the head's dense layer.
    pub(super) hidden: Dropout,
    /// On the attention's probabilities.
    pub(super) attention: Dropout,
}

impl Dropouts {
    /// As when the model is used.
    pub(super) const OFF: Self = Self { hidden: Dropout::OFF, attention: Dropout::OFF };
}

/// Saved activations and scratch of one thread; reused from chunk to chunk, so that nothing is allocated in the long run.
#[derive(Debug, Default)]
pub(super) struct Pass {
    embedding_norm: Normalised,
    embedded: Vec<f32>,
    layers: Vec<LayerState>,
    /// `[lines, hidden]`, [CLS] after dropout.
    first: Vec<f32>,
    /// `[lines, hidden / 2]`, after ReLU and dropout.
    dense: Vec<f32>,
    /// Zero where ReLU was, one elsewhere.
    dense_slopes: Vec<f32>,
    /// `[lines, 11]`.
    pub(super) risk_logits: Vec<f32>,
    /// `[lines, 5]`.
    pub(super) tag_logits: Vec<f32>,
    gradient: Vec<f32>,
    dense_gradient: Vec<f32>,
    scratch: Scratch,
}

/// The place numbers of dropout masks outside the layers.
const EMBEDDING: u64 = 1 << 32;
const FIRST: u64 = 2 << 32;
const DENSE: u64 = 3 << 32;

fn context<'a>(weights: &Weights, tokens: &'a Tokens, dropouts: Dropouts, index: usize) -> Context<'a> {
    let shape = &weights.shape;
    let place = (index as u64 + 1) << 8;
    Context {
        ends: &tokens.ends,
        heads: shape.heads,
        hidden: shape.hidden,
        epsilon: shape.norm_epsilon,
        activation: shape.activation,
        dropout: dropouts.hidden.at(place),
        attention_dropout: dropouts.attention.at(place),
        last: index + 1 == shape.layers,
    }
}

/// Position of every token in its line.
fn positions(tokens: &Tokens) -> impl Iterator<Item = usize> {
    let mut start = 0;
    tokens.ends.iter().flat_map(move |&end| {
        let length = end - start;
        start = end;
        0..length
    })
}

impl Pass {
    /// A pass whose matrix products round their factors so.
    pub(super) fn new(factors: Factors) -> Self {
        let mut pass = Self::default();
        pass.scratch.products.round_factors(factors);
        pass
    }

    /// Computes `risk_logits` and `tag_logits`, one row a line.
    ///
    /// Ids must be below the vocabulary, lines between 1 and `positions` tokens long, and there must be a layer.
    pub(super) fn forward(&mut self, weights: &Weights, head: &Head, tokens: &Tokens, dropouts: Dropouts) {
        let width = weights.shape.hidden;
        let rows = &mut self.gradient;
        rows.clear();
        for (&id, position) in tokens.ids.iter().zip(positions(tokens)) {
            let start = rows.len();
            rows.extend_from_slice(&weights.embeddings.word[id as usize * width..][..width]);
            add(&mut rows[start..], &weights.embeddings.position[position * width..][..width]);
        }
        self.embedding_norm.forward(
            rows,
            &weights.embeddings.norm,
            weights.shape.norm_epsilon,
            &mut self.embedded,
        );
        dropouts.hidden.at(EMBEDDING).apply(&mut self.embedded, 0);

        self.layers.resize_with(weights.layers.len(), LayerState::default);
        let mut input = &self.embedded;
        for (index, (layer, state)) in weights.layers.iter().zip(&mut self.layers).enumerate() {
            state.forward(layer, input, &context(weights, tokens, dropouts, index), &mut self.scratch);
            input = &state.output;
        }

        self.first.clone_from(input);
        dropouts.hidden.at(FIRST).apply(&mut self.first, 0);
        self.scratch.products.forward(&head.dense, &self.first, &mut self.dense);
        self.dense_slopes.clear();
        self.dense_slopes.extend(self.dense.iter().map(|&x| if x > 0.0 { 1.0 } else { 0.0 }));
        dropouts.hidden.at(DENSE).apply(&mut self.dense_slopes, 0);
        multiply(&mut self.dense, &self.dense_slopes);
        self.scratch.products.forward(&head.risk, &self.dense, &mut self.risk_logits);
        self.scratch.products.forward(&head.tag, &self.dense, &mut self.tag_logits);
    }

    /// From the gradients of the logits to those of all parameters, which are added to `total`. Those of the word
    /// embeddings are appended to `words` instead, one row a token: they touch few rows of a large table.
    /// Without `words` all embeddings are taken as frozen.
    ///
    /// Must follow [`Self::forward`] with the same weights, tokens and dropouts.
    pub(super) fn backward(
        &mut self,
        weights: &Weights,
        tokens: &Tokens,
        dropouts: Dropouts,
        [risk, tag]: [&[f32]; 2],
        total: &mut Weights,
        words: Option<&mut Vec<f32>>,
    ) {
        let (Some(head), Some(head_total)) = (&weights.head, &mut total.head) else { return };
        self.scratch.products.add_weight_gradient(&mut head_total.risk, risk, &self.dense);
        self.scratch.products.add_weight_gradient(&mut head_total.tag, tag, &self.dense);
        self.scratch.products.input_gradient(&head.risk, risk, &mut self.dense_gradient);
        self.scratch.products.add_input_gradient(&head.tag, tag, &mut self.dense_gradient);
        multiply(&mut self.dense_gradient, &self.dense_slopes);
        self.scratch.products.add_weight_gradient(&mut head_total.dense, &self.dense_gradient, &self.first);
        self.scratch.products.input_gradient(&head.dense, &self.dense_gradient, &mut self.gradient);
        dropouts.hidden.at(FIRST).apply(&mut self.gradient, 0);

        for (index, layer) in weights.layers.iter().enumerate().rev() {
            let input = if index == 0 { &self.embedded } else { &self.layers[index - 1].output };
            self.layers[index].backward(
                layer,
                &mut total.layers[index],
                input,
                &mut self.gradient,
                &context(weights, tokens, dropouts, index),
                &mut self.scratch,
                index > 0 || words.is_some(),
            );
        }

        let Some(words) = words else { return };
        let width = weights.shape.hidden;
        dropouts.hidden.at(EMBEDDING).apply(&mut self.gradient, 0);
        self.embedding_norm.backward(
            &mut self.gradient,
            &weights.embeddings.norm,
            &mut total.embeddings.norm,
        );
        for (position, row) in positions(tokens).zip(self.gradient.chunks_exact(width)) {
            add(&mut total.embeddings.position[position * width..][..width], row);
        }
        words.extend_from_slice(&self.gradient);
    }
}
