//! What can be wrong with a checkpoint.

/// Why a checkpoint was refused, or could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// Not JSON, or a number that every model has is missing.
    #[error("config.json cannot be read ({0}); save it again with Hugging Face transformers")]
    Config(serde_json::Error),
    /// A setting that the encoder does not have.
    #[error("config.json sets {setting} to {found:?}, which is not supported; {remedy}")]
    Unsupported {
        /// The setting's name.
        setting: &'static str,
        /// What it is set to.
        found: String,
        /// What is supported.
        remedy: &'static str,
    },
    /// Numbers that describe no encoder.
    #[error("config.json describes no encoder: {0}")]
    Shape(String),
    /// More parameters than the file has bytes for.
    #[error(
        "config.json describes {parameters} parameters, but model.safetensors has only {bytes} bytes; \
         do the two belong together?"
    )]
    TooShort {
        /// Parameters that the shape asks for.
        parameters: u128,
        /// Bytes in the file.
        bytes: usize,
    },
    /// The container itself is broken.
    #[error("model.safetensors is broken or truncated ({0}); copy or download it again")]
    SafeTensors(safetensors::SafeTensorError),
    /// A parameter that the shape asks for.
    #[error(
        "model.safetensors has no tensor {name}; config.json asks for {layers} layers: do the two belong together?"
    )]
    Missing {
        /// The name looked for.
        name: String,
        /// Layers in the shape.
        layers: usize,
    },
    /// A parameter of another shape than config.json says.
    #[error(
        "tensor {name} has the shape {found:?}, but config.json asks for {expected:?}; do the two belong together?"
    )]
    Dimensions {
        /// The tensor.
        name: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
    },
    /// A number format that weights do not come in.
    #[error("tensor {name} is stored as {found}; only F32, F16 and BF16 are read: convert it first")]
    Dtype {
        /// The tensor.
        name: String,
        /// Its format in the file.
        found: String,
    },
    /// NaN or infinity.
    #[error(
        "tensor {name} holds {value} at {index}: the training diverged or the file is damaged; use an earlier model"
    )]
    NotFinite {
        /// The tensor.
        name: String,
        /// Where in it, counted row by row.
        index: usize,
        /// NaN, or an infinity.
        value: f32,
    },
    /// A value that f16 cannot hold.
    #[error("tensor {name} holds {value}, which does not fit into f16; store the model as f32")]
    Range {
        /// The tensor.
        name: String,
        /// The value.
        value: f32,
    },
}
