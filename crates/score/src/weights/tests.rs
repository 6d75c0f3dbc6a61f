//! Round trips, the names of other families, and every refusal.

use std::collections::HashMap;

use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

use super::*;

fn shape() -> Shape {
    Shape {
        vocabulary: 11,
        hidden: 8,
        layers: 2,
        heads: 2,
        intermediate: 12,
        positions: 6,
        norm_epsilon: 1e-12,
        activation: Activation::Gelu,
    }
}

/// A checkpoint that can be damaged before it is read.
#[derive(Clone)]
struct Checkpoint {
    config: Value,
    tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
}

impl Checkpoint {
    fn new(weights: &Weights) -> Self {
        let (config, _) = weights.write(Storage::F32).unwrap();
        let mut tensors: Vec<_> =
            weights.tensors().into_iter().map(|t| (t.name, t.dimensions, t.values.to_vec())).collect();
        let types = [[0.25f32; 8], [9.0; 8]].concat();
        tensors.push(("embeddings.token_type_embeddings.weight".to_owned(), vec![2, 8], types));
        Self { config: serde_json::from_str(&config).unwrap(), tensors }
    }

    fn rename(&mut self, rename: impl Fn(&str) -> String) {
        for (name, ..) in &mut self.tensors {
            *name = rename(name);
        }
    }

    fn tensor(&mut self, name: &str) -> &mut (String, Vec<usize>, Vec<f32>) {
        self.tensors.iter_mut().find(|(tensor, ..)| tensor == name).unwrap()
    }

    fn file(&self, dtype: Dtype, encode: impl Fn(f32) -> Vec<u8>) -> Vec<u8> {
        let encoded: Vec<_> = self
            .tensors
            .iter()
            .map(|(name, dimensions, values)| {
                (name, dimensions, values.iter().flat_map(|v| encode(*v)).collect::<Vec<u8>>())
            })
            .collect();
        let views = encoded.iter().map(|(name, dimensions, bytes)| {
            (name, TensorView::new(dtype, dimensions.to_vec(), bytes).unwrap())
        });
        safetensors::serialize(views, None::<HashMap<String, String>>).unwrap()
    }

    fn read(&self) -> Result<Weights, WeightsError> {
        Weights::read(&self.config.to_string(), &self.file(Dtype::F32, |v| v.to_le_bytes().to_vec()))
    }
}

/// With the token type that [`Checkpoint`] has.
fn folded(mut weights: Weights) -> Weights {
    weights.embeddings.position.iter_mut().for_each(|value| *value += 0.25);
    weights
}

#[test]
fn what_is_written_is_read_again() {
    let weights = Weights::random(shape(), 1);
    let (config, file) = weights.write(Storage::F32).unwrap();
    assert_eq!(Weights::read(&config, &file).unwrap(), weights);
    assert_eq!(weights.write(Storage::F32).unwrap(), (config, file));

    let (config, file) = weights.write(Storage::F16).unwrap();
    let halved = Weights::read(&config, &file).unwrap();
    for (half, whole) in halved.tensors().iter().zip(weights.tensors()) {
        for (half, whole) in half.values.iter().zip(whole.values) {
            assert!((half - whole).abs() <= whole.abs() / 1024.0 + 1e-7, "{half} {whole}");
        }
    }
    assert_eq!(halved.write(Storage::F16).unwrap(), (config, file));
}

#[test]
fn token_type_zero_is_folded_into_the_positions() {
    let weights = Weights::random(shape(), 2);
    assert_eq!(Checkpoint::new(&weights).read().unwrap(), folded(weights));
}

#[test]
fn all_three_number_formats_are_read() {
    let mut weights = Weights::random(shape(), 3);
    for tensor in weights.tensors_mut() {
        // Exact in all three formats.
        tensor.values.iter_mut().for_each(|value| *value = (*value * 1e3).round() / 8.0);
    }
    let checkpoint = Checkpoint::new(&weights);
    let config = checkpoint.config.to_string();
    let f16 = checkpoint.file(Dtype::F16, |v| half::f16::from_f32(v).to_le_bytes().to_vec());
    let bf16 = checkpoint.file(Dtype::BF16, |v| half::bf16::from_f32(v).to_le_bytes().to_vec());
    let expected = folded(weights);
    assert_eq!(Weights::read(&config, &f16).unwrap(), expected);
    assert_eq!(Weights::read(&config, &bf16).unwrap(), expected);
}

#[test]
fn prefixes_old_norm_names_and_unused_tensors_are_understood() {
    let weights = Weights::random(shape(), 4);
    let mut checkpoint = Checkpoint::new(&weights);
    checkpoint.rename(|name| {
        let old =
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        if name.starts_with("classifier") { old } else { format!("bert.{old}") }
    });
    checkpoint.tensors.push(("bert.pooler.dense.bias".to_owned(), vec![1], vec![f32::NAN]));
    assert_eq!(checkpoint.read().unwrap(), folded(weights));
}

#[test]
fn distilbert_is_read_under_its_own_names() {
    let weights = Weights::random(shape(), 5);
    let mut checkpoint = Checkpoint::new(&weights);
    checkpoint.tensors.retain(|(name, ..)| !name.contains("token_type"));
    checkpoint.rename(|name| {
        let renamed = name
            .replace("encoder.layer", "transformer.layer")
            .replace("attention.self.query", "attention.q_lin")
            .replace("attention.self.key", "attention.k_lin")
            .replace("attention.self.value", "attention.v_lin")
            .replace("attention.output.dense", "attention.out_lin")
            .replace("attention.output.LayerNorm", "sa_layer_norm")
            .replace("intermediate.dense", "ffn.lin1")
            .replace("output.dense", "ffn.lin2")
            .replace("output.LayerNorm", "output_layer_norm");
        if name.starts_with("classifier") { renamed } else { format!("distilbert.{renamed}") }
    });
    checkpoint.config = json!({
        "model_type": "distilbert", "vocab_size": 11, "dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 12,
        "activation": "gelu", "max_position_embeddings": 6,
    });
    assert_eq!(checkpoint.read().unwrap(), weights);
}

#[test]
fn a_bare_encoder_has_no_head_and_the_seeds_has_no_tags() {
    let mut weights = Weights::random(shape(), 6);
    let mut bare = Checkpoint::new(&weights);
    bare.tensors.retain(|(name, ..)| !name.starts_with("classifier"));
    assert_eq!(bare.read().unwrap().head, None);

    let mut seed = Checkpoint::new(&weights);
    seed.tensors.retain(|(name, ..)| !name.starts_with("classifier.tag"));
    seed.rename(|name| {
        let prefix = if name.starts_with("classifier") { "" } else { "bert." };
        let name =
            name.replace("classifier.dense", "classifier.1").replace("classifier.risk", "classifier.4");
        format!("{prefix}{name}")
    });
    weights.head.as_mut().unwrap().tag = Head::zeros(8).tag;
    assert_eq!(seed.read().unwrap(), folded(weights));
}

#[track_caller]
fn refuse(damage: impl FnOnce(&mut Checkpoint), expected: &str) {
    let mut checkpoint = Checkpoint::new(&Weights::random(shape(), 7));
    damage(&mut checkpoint);
    let error = checkpoint.read().unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn damage_is_refused_by_name() {
    const QUERY: &str = "encoder.layer.1.attention.self.query.weight";
    refuse(|c| c.tensors.retain(|(name, ..)| name != QUERY), &format!("has no tensor {QUERY}"));
    refuse(|c| c.tensors.retain(|(name, ..)| !name.contains("token_type")), "token_type");
    refuse(|c| c.tensors.retain(|(name, ..)| name != "classifier.risk.bias"), "classifier.risk.bias");
    refuse(
        |c| c.tensor(QUERY).1 = vec![4, 16],
        "query.weight has the shape [4, 16], but config.json asks for [8, 8]",
    );
    refuse(|c| c.tensor("embeddings.token_type_embeddings.weight").1 = vec![16], "shape [16]");
    refuse(|c| c.tensor(QUERY).2[9] = f32::NAN, "query.weight holds NaN at 9");
    refuse(|c| c.tensor(QUERY).2[0] = f32::NEG_INFINITY, "query.weight holds -inf at 0");
    refuse(|c| c.config["vocab_size"] = 12.into(), "word_embeddings.weight has the shape [11, 8]");
    refuse(|c| c.config["num_hidden_layers"] = 3.into(), "config.json asks for 3 layers");
    refuse(|c| c.config["vocab_size"] = 4_000_000_000_000u64.into(), "do the two belong together?");
    refuse(|c| c.config["hidden_size"] = u64::MAX.into(), "config.json describes");
    refuse(|c| c.config["num_attention_heads"] = 3.into(), "8 is no multiple of its 3 heads");
    refuse(|c| c.config["num_attention_heads"] = 0.into(), "num_attention_heads is 0");
    refuse(|c| c.config["layer_norm_eps"] = (-1.0).into(), "layer_norm_eps is -1");
    refuse(|c| c.config["model_type"] = "roberta".into(), "model_type to \"roberta\"");
    refuse(|c| c.config["hidden_act"] = "silu".into(), "hidden_act to \"silu\"");
    refuse(|c| c.config["position_embedding_type"] = "relative_key".into(), "position_embedding_type");
    refuse(|c| drop(c.config.as_object_mut().unwrap().remove("hidden_size")), "hidden_size");
}

#[test]
fn other_number_formats_and_broken_files_are_refused() {
    let checkpoint = Checkpoint::new(&Weights::random(shape(), 8));
    let config = checkpoint.config.to_string();
    let wide = checkpoint.file(Dtype::F64, |v| f64::from(v).to_le_bytes().to_vec());
    assert!(Weights::read(&config, &wide).unwrap_err().to_string().contains("is stored as F64"));
    let good = checkpoint.file(Dtype::F32, |v| v.to_le_bytes().to_vec());
    for cut in [0, 7, 100, good.len() - 1] {
        let error = Weights::read(&config, &good[..cut]).unwrap_err();
        assert!(matches!(error, WeightsError::SafeTensors(_) | WeightsError::TooShort { .. }), "{error}");
    }
    assert!(Weights::read("not json", &good).unwrap_err().to_string().contains("config.json cannot be read"));
}

#[test]
fn a_broken_model_is_not_written() {
    let mut weights = Weights::random(shape(), 9);
    weights.layers[0].query.bias[3] = 1e9;
    let error = weights.write(Storage::F16).unwrap_err().to_string();
    assert!(error.contains("query.bias holds 1000000000, which does not fit into f16"), "{error}");
    weights.write(Storage::F32).unwrap();
    weights.layers[0].query.bias[3] = f32::NAN;
    assert!(weights.write(Storage::F32).unwrap_err().to_string().contains("holds NaN at 3"));
}
