//! What can be wrong with an ONNX file, or with writing one.

/// Why an ONNX file was refused, or could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// Not protobuf, or cut off.
    #[error("it is no ONNX file, or a truncated one ({0}); export or copy it again")]
    Decode(prost::DecodeError),
    /// A part that every model has.
    #[error("it has no {0}; is it a BERT classifier with the inputs input_ids and attention_mask?")]
    Missing(&'static str),
    /// Nodes must stand behind those that they read.
    #[error("node {node} reads {value}, which nothing before it makes; the file is damaged: export it again")]
    Order {
        /// The node's name.
        node: String,
        /// What it reads.
        value: String,
    },
    /// An operator where BERT has another one, or one with other settings.
    #[error("node {node} (operator {operator}) is not understood: expected {expected}")]
    Node {
        /// The node's name, or that of its output where it has none.
        node: String,
        /// Its operator, with its domain where that is not ONNX's own.
        operator: String,
        /// What would be understood at that place.
        expected: String,
    },
    /// An input of the graph, or an initializer, where something computed is expected.
    #[error("{value} is not understood: expected {expected}")]
    Value {
        /// Its name.
        value: String,
        /// What would be understood at that place.
        expected: String,
    },
    /// A stored tensor that cannot be used.
    #[error("initializer {name} {why}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// Numbers that describe no model of ours.
    #[error("{0}")]
    Shape(String),
    /// Larger than a protobuf message can be.
    #[error("the model takes {0} bytes, and one ONNX file holds at most 2 GiB; export it with --safetensors")]
    TooLarge(usize),
    /// There is nothing that would tell risks.
    #[error("it is a bare encoder without a risk head; fine-tune it with `logrisk train` first")]
    NoHead,
}
