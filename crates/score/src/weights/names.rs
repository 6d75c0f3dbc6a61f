//! What other checkpoints call our tensors.

/// How a checkpoint names its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// BERT and MiniLM; our own names are these.
    Bert,
    /// DistilBERT.
    DistilBert,
}

/// Ours and DistilBERT's, inside a layer. `attention.output…` stands before `output…`, of which it ends in.
const DISTILBERT: [(&str, &str); 8] = [
    ("attention.self.query.", "attention.q_lin."),
    ("attention.self.key.", "attention.k_lin."),
    ("attention.self.value.", "attention.v_lin."),
    ("attention.output.dense.", "attention.out_lin."),
    ("attention.output.LayerNorm.", "sa_layer_norm."),
    ("intermediate.dense.", "ffn.lin1."),
    ("output.dense.", "ffn.lin2."),
    ("output.LayerNorm.", "output_layer_norm."),
];

/// Ours and the seed's head, `Sequential(dropout, linear, relu, dropout, linear)`.
const SEED_HEAD: [(&str, &str); 2] =
    [("classifier.dense.", "classifier.1."), ("classifier.risk.", "classifier.4.")];

/// Ours and that of a DistilBERT classifier.
const DISTILBERT_HEAD: [(&str, &str); 2] =
    [("classifier.dense.", "pre_classifier."), ("classifier.risk.", "classifier.")];

/// All names under which a checkpoint may keep the tensor that we call `name`, the likeliest first.
pub(super) fn candidates(family: Family, name: &str) -> Vec<String> {
    if name.starts_with("classifier.") {
        let others = match family {
            Family::Bert => SEED_HEAD.as_slice(),
            Family::DistilBert => &[SEED_HEAD, DISTILBERT_HEAD].concat(),
        };
        let theirs =
            others.iter().filter_map(|(ours, theirs)| Some(format!("{theirs}{}", name.strip_prefix(ours)?)));
        return std::iter::once(name.to_owned()).chain(theirs).collect();
    }
    let (prefix, theirs) = match family {
        Family::Bert => ("bert.", name.to_owned()),
        Family::DistilBert => ("distilbert.", distilbert(name)),
    };
    let mut names = vec![theirs.clone(), format!("{prefix}{theirs}")];
    // Checkpoints converted from TensorFlow, such as prajjwal1/bert-mini, say gamma and beta.
    for (new, old) in [("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")] {
        if let Some(stem) = theirs.strip_suffix(new) {
            names.push(format!("{stem}{old}"));
            names.push(format!("{prefix}{stem}{old}"));
        }
    }
    names
}

fn distilbert(name: &str) -> String {
    let Some(rest) = name.strip_prefix("encoder.layer.") else { return name.to_owned() };
    let Some((index, part)) = rest.split_once('.') else { return name.to_owned() };
    DISTILBERT
        .iter()
        .find_map(|(ours, theirs)| {
            Some(format!("transformer.layer.{index}.{theirs}{}", part.strip_prefix(ours)?))
        })
        .unwrap_or_else(|| name.to_owned())
}
