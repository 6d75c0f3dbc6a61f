//! What was seen, said and decided: patterns with their counts, people's corrections, the model in use.
//!
//! ```text
//! lines ──► record ──► patterns in memory ──► pages, details, series
//!                          │ changed ones, once a second, or at once where a pattern is new
//! corrections ─────────────┴──► store (one redb file, optional) ──► read back at the next start
//! ```
//! Memory answers every question; the store exists so that a kill loses nothing. A correction is on disk before it is in
//! force; counts of known patterns may be a second behind.

mod catalogue;
mod correction;
mod error;
mod pattern;
mod query;
mod series;
mod store;

pub use catalogue::{Catalogue, Group, Recorded, Sighting};
pub use correction::{Correction, NewCorrection};
pub use error::CatalogueError;
pub use pattern::{Pattern, Sample};
pub use query::{Page, PatternQuery, Sort, State};
pub use series::{Bucket, Series};
pub use store::Activation;
