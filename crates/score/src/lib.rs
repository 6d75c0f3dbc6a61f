//! From masked text to an assessment: tokeniser, encoder, heads, calibration, reasons, and the archive that carries them.

pub mod adapter;
pub mod archive;
pub mod cache;
pub mod calibration;
pub mod encoder;
pub mod explain;
pub mod known;
pub mod model;
pub mod onnx;
pub mod tokenize;
pub mod weights;
mod words;
