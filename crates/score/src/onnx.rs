//! ONNX: models written for other programs' runtimes, and read from other programs' exporters.
//!
//! ```text
//! weights ─► write: nodes and initializers, operator set 17 ─► model.onnx
//! model.onnx ─► messages ─► graph ─► read: logits ─► head ─► layer n ─► … ─► layer 1 ─► embeddings ─► weights
//! ```
//!
//! Nothing here runs a graph. A file is read by walking it backwards from its logits and recognising each part of a
//! BERT, in all the ways in which exporters take it apart; what is not recognised is an error that names the node. So a
//! model that was read runs on our own kernels, unpadded, like any other. Weights are found by their place and not by
//! their name, which exporters make up (`onnx::MatMul_369`).
//!
//! Not checked is how the mask is computed, only that it comes from `attention_mask` alone and is put on the scores.

mod attention;
mod blocks;
mod embeddings;
mod error;
mod graph;
mod proto;
mod read;
mod tensor;
mod write;

pub use error::OnnxError;
pub use read::{Imported, read};
pub use write::{Export, write};

/// The output with a logit for each risk.
const LOGITS: &str = "logits";
/// The output with a logit for each tag; a second one, so that readers of the first do not notice.
const TAG_LOGITS: &str = "tag_logits";
/// The logits before [`Export::argmax_is_label`] raises one; also the metadata's key that says so.
const RAW_LOGITS: &str = "raw_logits";

#[cfg(test)]
mod tests;
