//! From masked text to an assessment: tokeniser, encoder, heads, and the archive that carries them.

pub mod archive;
pub mod cache;
pub mod encoder;
pub mod model;
pub mod tokenize;
pub mod weights;
