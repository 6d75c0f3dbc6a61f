//! Fine-tuning of the BERT-family encoder and its heads, by a hand-written backward pass over ragged lines.
//!
//! ```text
//! source ─► epoch ─► batches of similar lengths ─► threads: forward, loss, backward ─► sum ─► AdamW ─► weights
//!                                                         └ chunks of 512 tokens              └ checkpoint, evaluation
//! ```
//!
//! The graph is fixed, so its gradients are written out: a general framework would pad every line to the longest of its
//! batch, and could not skip the rows of the last layer that nothing reads. Masked log lines have 12 tokens on average, so
//! padding is what costs most elsewhere. Parameters, gradients and moments all are
//! [`logrisk_score::weights::Weights`]; a step allocates next to nothing.
//!
//! Everything random is a function of the seed, the step and the place, not of a generator's state, which is why a
//! resumed training repeats an uninterrupted one bit for bit (with the same number of threads).

mod attention;
mod batch;
mod checkpoint;
mod elementwise;
mod error;
mod history;
mod layer;
mod linear;
mod lock;
mod loss;
mod optimizer;
mod options;
mod pass;
mod progress;
mod start;
mod step;
mod trainer;
mod validate;

pub use error::TrainError;
pub use history::{Ending, Evaluation, Figures, History, LossParts};
pub use options::{Decay, Loss, Options, UnknownChoice};
pub use progress::{Progress, Silent, StepReport};
pub use start::{fit_vocabulary, from_scratch, keep_layers};
pub use trainer::{Tokenize, batch_gradient, fine_tune};
