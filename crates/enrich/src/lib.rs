//! From a raw line to the text that the model reads: pure functions, no IO, none can fail.
//!
//! ```text
//! lines ─► join ───► redact ──► unwrap ─► parse ──► mask ─────────► rules
//!          stack     secrets,   CRI,      level,    canonical text,  tag,
//!          traces    PII        docker    message   pattern id       weak risk
//! ```

pub mod join;
pub mod mask;
pub mod parse;
pub mod redact;
pub mod rules;
