//! From a raw line to the text that the model reads: pure functions, no IO, none can fail.
//!
//! ```text
//! line ─► unwrap ─► join ─► redact ─► parse ─► mask ─► rules
//!         CRI,      stack   secrets   level,   canonical text,   tag, weak risk
//!         docker    traces  PII       message  pattern id
//! ```

pub mod join;
pub mod mask;
pub mod parse;
pub mod redact;
pub mod rules;
