//! config.json: the shape of the encoder, in the words of BERT and of DistilBERT.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Activation, Shape, WeightsError, names::Family};

/// The keys of both families; DistilBERT has shorter names for the same numbers.
#[derive(Deserialize)]
struct File {
    /// Missing in checkpoints of before 2020, which are BERT's.
    #[serde(default = "bert")]
    model_type: String,
    vocab_size: usize,
    #[serde(alias = "dim")]
    hidden_size: usize,
    #[serde(alias = "n_layers")]
    num_hidden_layers: usize,
    #[serde(alias = "n_heads")]
    num_attention_heads: usize,
    #[serde(alias = "hidden_dim")]
    intermediate_size: usize,
    #[serde(alias = "activation", default = "gelu")]
    hidden_act: String,
    max_position_embeddings: usize,
    layer_norm_eps: Option<f32>,
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
}

fn bert() -> String {
    "bert".to_owned()
}

fn gelu() -> String {
    "gelu".to_owned()
}

/// BERT's, where the file has none; DistilBERT's is fixed to the same.
const NORM_EPSILON: f32 = 1e-12;

pub(super) fn read(text: &str) -> Result<(Family, Shape), WeightsError> {
    let file: File = serde_json::from_str(text).map_err(WeightsError::Config)?;
    let unsupported = |setting, found, remedy| Err(WeightsError::Unsupported { setting, found, remedy });
    let family = match file.model_type.as_str() {
        "bert" => Family::Bert,
        "distilbert" => Family::DistilBert,
        _ => {
            return unsupported(
                "model_type",
                file.model_type,
                "use a bert or distilbert model (MiniLM is a bert)",
            );
        }
    };
    if let Some(kind) = file.position_embedding_type
        && kind != "absolute"
    {
        return unsupported("position_embedding_type", kind, "use a model with absolute positions");
    }
    if file.is_decoder {
        return unsupported("is_decoder", "true".to_owned(), "use an encoder, which reads a line both ways");
    }
    let activation = match file.hidden_act.as_str() {
        "gelu" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
        "relu" => Activation::Relu,
        _ => return unsupported("hidden_act", file.hidden_act, "use gelu, gelu_new or relu"),
    };
    let shape = Shape {
        vocabulary: file.vocab_size,
        hidden: file.hidden_size,
        layers: file.num_hidden_layers,
        heads: file.num_attention_heads,
        intermediate: file.intermediate_size,
        positions: file.max_position_embeddings,
        norm_epsilon: file.layer_norm_eps.unwrap_or(NORM_EPSILON),
        activation,
    };
    check(&shape)?;
    Ok((family, shape))
}

fn check(shape: &Shape) -> Result<(), WeightsError> {
    for (name, number) in [
        ("vocab_size", shape.vocabulary),
        ("hidden_size", shape.hidden),
        ("num_hidden_layers", shape.layers),
        ("num_attention_heads", shape.heads),
        ("intermediate_size", shape.intermediate),
        ("max_position_embeddings", shape.positions),
    ] {
        if number == 0 {
            return Err(WeightsError::Shape(format!("{name} is 0")));
        }
    }
    if !shape.hidden.is_multiple_of(shape.heads) {
        let (hidden, heads) = (shape.hidden, shape.heads);
        return Err(WeightsError::Shape(format!("hidden_size {hidden} is no multiple of its {heads} heads")));
    }
    if !(shape.norm_epsilon.is_finite() && shape.norm_epsilon >= 0.0) {
        return Err(WeightsError::Shape(format!("layer_norm_eps is {}", shape.norm_epsilon)));
    }
    Ok(())
}

/// How many parameters the embeddings and layers have; in `u128`, so that no configuration overflows it.
pub(super) fn parameters(shape: &Shape) -> u128 {
    let [vocabulary, hidden, layers, inner, positions] =
        [shape.vocabulary, shape.hidden, shape.layers, shape.intermediate, shape.positions]
            .map(|n| n as u128);
    let layer = (4 * hidden + 2 * inner).saturating_mul(hidden);
    (vocabulary + positions).saturating_mul(hidden).saturating_add(layers.saturating_mul(layer))
}

/// A config.json with which `transformers` opens the encoder as `BertModel`.
pub(super) fn write(shape: &Shape, dtype: &str) -> String {
    let activation = match shape.activation {
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_new",
        Activation::Relu => "relu",
    };
    // By way of its shortest decimal form: 1e-12, and not what f64 makes of the f32.
    let epsilon: f64 = shape.norm_epsilon.to_string().parse().unwrap_or(f64::from(shape.norm_epsilon));
    let file: Value = json!({
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "hidden_act": activation,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": super::write::TOKEN_TYPES,
        "layer_norm_eps": epsilon,
        "position_embedding_type": "absolute",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "torch_dtype": dtype,
    });
    format!("{file:#}\n")
}
