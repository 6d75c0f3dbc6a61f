//! The parameters of a model as plain f32 tensors: what archives are read into, kernels pack from, and training updates.
//!
//! All matrices are row-major `[outputs, inputs]`, as PyTorch's `nn.Linear` keeps them: `y = x Wᵀ + b`.
//! [`Weights::read`] and [`Weights::write`] turn them from and into Hugging Face's `model.safetensors` and `config.json`.

mod config;
mod error;
mod names;
mod read;
mod write;

pub use error::WeightsError;
pub use write::Storage;

/// The feed-forward activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x Φ(x)` with the error function, BERT's own (`gelu`).
    Gelu,
    /// The tanh approximation (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
}

/// The shape of an encoder of the BERT family.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Rows of the word embedding.
    pub vocabulary: usize,
    /// Width of a token's vector; a multiple of `heads`.
    pub hidden: usize,
    /// Encoder layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward's inner vector.
    pub intermediate: usize,
    /// Rows of the position embedding: the longest line in tokens.
    pub positions: usize,
    /// Added to the variance in every layer norm.
    pub norm_epsilon: f32,
    /// The feed-forward activation.
    pub activation: Activation,
}

/// `y = x Wᵀ + b`.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// `[outputs, inputs]`, row-major.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
    /// Columns of `weight`.
    pub inputs: usize,
    /// Rows of `weight`.
    pub outputs: usize,
}

/// Layer normalisation over the last dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    /// `[hidden]`.
    pub gain: Vec<f32>,
    /// `[hidden]`.
    pub bias: Vec<f32>,
}

/// One encoder layer, post-norm as in BERT.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Attention queries, `[hidden, hidden]`.
    pub query: Linear,
    /// Attention keys, `[hidden, hidden]`.
    pub key: Linear,
    /// Attention values, `[hidden, hidden]`.
    pub value: Linear,
    /// Projection of the attention's output, `[hidden, hidden]`.
    pub attention_output: Linear,
    /// After attention and its residual.
    pub attention_norm: Norm,
    /// Into the feed-forward, `[intermediate, hidden]`.
    pub intermediate: Linear,
    /// Out of the feed-forward, `[hidden, intermediate]`.
    pub output: Linear,
    /// After the feed-forward and its residual.
    pub output_norm: Norm,
}

/// Word + position + token type (type 0, folded into `position` when read), then norm.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// `[vocabulary, hidden]`.
    pub word: Vec<f32>,
    /// `[positions, hidden]`, with the embedding of token type 0 already added (DistilBERT has none).
    pub position: Vec<f32>,
    /// Over the sum.
    pub norm: Norm,
}

/// The heads on [CLS]: `hidden → hidden/2 → ReLU → {11 risks, 5 tags}`. Heads of other programs may be wider inside.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// `[hidden / 2, hidden]`, shared by both.
    pub dense: Linear,
    /// `[11, hidden / 2]`.
    pub risk: Linear,
    /// `[5, hidden / 2]`.
    pub tag: Linear,
}

/// All parameters of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// The encoder's shape.
    pub shape: Shape,
    /// Token vectors.
    pub embeddings: Embeddings,
    /// In order from the input.
    pub layers: Vec<Layer>,
    /// The two heads; a bare checkpoint has none until it is fine-tuned.
    pub head: Option<Head>,
}

/// One parameter tensor, named as Hugging Face names it in a BERT checkpoint.
#[derive(Debug)]
pub struct Tensor<D> {
    /// For example `encoder.layer.0.attention.self.query.weight`.
    pub name: String,
    /// Row-major values, `&[f32]` or `&mut [f32]`.
    pub values: D,
    /// One or two dimensions.
    pub dimensions: Vec<usize>,
}

/// Lists every tensor in one fixed order. A macro because the shared and the exclusive listing differ only in `&mut`.
macro_rules! list_tensors {
    ($weights:expr, $($reference:tt)+) => {{
        let hidden = $weights.shape.hidden;
        let mut list = Vec::new();
        macro_rules! push {
            ($name:expr, $values:expr, $dimensions:expr) => {
                list.push(Tensor { name: $name, values: $($reference)+ $values[..], dimensions: $dimensions.to_vec() })
            };
        }
        macro_rules! linear {
            ($name:expr, $linear:expr) => {
                push!(format!("{}.weight", $name), $linear.weight, [$linear.outputs, $linear.inputs]);
                push!(format!("{}.bias", $name), $linear.bias, [$linear.outputs]);
            };
        }
        macro_rules! norm {
            ($name:expr, $norm:expr) => {
                push!(format!("{}.weight", $name), $norm.gain, [hidden]);
                push!(format!("{}.bias", $name), $norm.bias, [hidden]);
            };
        }
        let embeddings = $($reference)+ $weights.embeddings;
        push!("embeddings.word_embeddings.weight".to_owned(), embeddings.word, [$weights.shape.vocabulary, hidden]);
        push!("embeddings.position_embeddings.weight".to_owned(), embeddings.position, [$weights.shape.positions, hidden]);
        norm!("embeddings.LayerNorm", embeddings.norm);
        for (index, layer) in ($($reference)+ $weights.layers).into_iter().enumerate() {
            let prefix = format!("encoder.layer.{index}");
            linear!(format!("{prefix}.attention.self.query"), layer.query);
            linear!(format!("{prefix}.attention.self.key"), layer.key);
            linear!(format!("{prefix}.attention.self.value"), layer.value);
            linear!(format!("{prefix}.attention.output.dense"), layer.attention_output);
            norm!(format!("{prefix}.attention.output.LayerNorm"), layer.attention_norm);
            linear!(format!("{prefix}.intermediate.dense"), layer.intermediate);
            linear!(format!("{prefix}.output.dense"), layer.output);
            norm!(format!("{prefix}.output.LayerNorm"), layer.output_norm);
        }
        if let Some(head) = $($reference)+ $weights.head {
            linear!("classifier.dense", head.dense);
            linear!("classifier.risk", head.risk);
            linear!("classifier.tag", head.tag);
        }
        list
    }};
}

impl Weights {
    /// All zeros, layer-norm gains included; `head` adds the two heads. The starting point for gradients and moments.
    #[must_use]
    pub fn zeros(shape: Shape, head: bool) -> Self {
        let (hidden, inner) = (shape.hidden, shape.intermediate);
        let norm = || Norm { gain: vec![0.0; hidden], bias: vec![0.0; hidden] };
        let layers = (0..shape.layers)
            .map(|_| Layer {
                query: Linear::zeros(hidden, hidden),
                key: Linear::zeros(hidden, hidden),
                value: Linear::zeros(hidden, hidden),
                attention_output: Linear::zeros(hidden, hidden),
                attention_norm: norm(),
                intermediate: Linear::zeros(hidden, inner),
                output: Linear::zeros(inner, hidden),
                output_norm: norm(),
            })
            .collect();
        Self {
            embeddings: Embeddings {
                word: vec![0.0; shape.vocabulary * hidden],
                position: vec![0.0; shape.positions * hidden],
                norm: norm(),
            },
            layers,
            head: head.then(|| Head::zeros(hidden)),
            shape,
        }
    }

    /// BERT's initialisation from a seed: matrices and embeddings with standard deviation 0.02 (uniform), biases 0,
    /// gains 1. The numbers are SplitMix64's, one stream a tensor (`seed + index of the tensor in` [`Self::tensors`]),
    /// so that any language can repeat them.
    #[must_use]
    pub fn random(shape: Shape, seed: u64) -> Self {
        let mut weights = Self::zeros(shape, true);
        for (index, tensor) in weights.tensors_mut().into_iter().enumerate() {
            if tensor.name.ends_with("LayerNorm.weight") {
                tensor.values.fill(1.0);
            } else if !tensor.name.ends_with("bias") {
                fill_uniform(tensor.values, 0.02 * 3f32.sqrt(), seed.wrapping_add(index as u64));
            }
        }
        weights
    }

    /// Leaves out the word embeddings that no token has, behind the first `tokens`: some checkpoints round their number up.
    pub fn keep_tokens(&mut self, tokens: usize) {
        self.shape.vocabulary = self.shape.vocabulary.min(tokens);
        self.embeddings.word.truncate(self.shape.vocabulary * self.shape.hidden);
    }

    /// Every tensor in one fixed order: embeddings, layers, heads.
    #[must_use]
    pub fn tensors(&self) -> Vec<Tensor<&[f32]>> {
        list_tensors!(self, &)
    }

    /// Every tensor, to be changed, in the order of [`Self::tensors`].
    pub fn tensors_mut(&mut self) -> Vec<Tensor<&mut [f32]>> {
        list_tensors!(self, &mut)
    }
}

impl Linear {
    /// All zeros.
    #[must_use]
    pub fn zeros(inputs: usize, outputs: usize) -> Self {
        Self { weight: vec![0.0; inputs * outputs], bias: vec![0.0; outputs], inputs, outputs }
    }

    /// Makes every output `scale · y + shift`: how a calibration of logits becomes part of the layer that makes them.
    pub fn rescale_outputs(&mut self, scale: f32, shift: &[f32]) {
        self.weight.iter_mut().for_each(|weight| *weight *= scale);
        self.bias.iter_mut().for_each(|bias| *bias *= scale);
        for (bias, shift) in self.bias.iter_mut().zip(shift) {
            *bias += shift;
        }
    }
}

impl Head {
    /// A head of zeros for an encoder of that width.
    #[must_use]
    pub fn zeros(hidden: usize) -> Self {
        Self::zeros_of(hidden, hidden / 2)
    }

    /// A head of zeros with that many numbers between its two layers: other programs' heads are as wide as they like.
    #[must_use]
    pub fn zeros_of(hidden: usize, inner: usize) -> Self {
        Self {
            dense: Linear::zeros(hidden, inner),
            risk: Linear::zeros(inner, logrisk_base::Risk::COUNT),
            tag: Linear::zeros(inner, logrisk_base::Tag::COUNT),
        }
    }
}

/// SplitMix64 from `seed`; each value is `(next >> 40) / 2²⁴`, scaled to `[-limit, limit)`.
pub fn fill_uniform(values: &mut [f32], limit: f32, seed: u64) {
    let mut state = seed;
    for value in values {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        *value = ((z >> 40) as f32 / (1u64 << 24) as f32).mul_add(2.0, -1.0) * limit;
    }
}

#[cfg(test)]
mod tests;
