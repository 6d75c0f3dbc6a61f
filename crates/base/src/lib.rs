//! Types that every part of logrisk shares. Depends on nothing else here.

mod level;
mod pattern_id;
mod risk;
mod tag;

pub use level::Level;
pub use pattern_id::PatternId;
pub use risk::{Risk, RiskOutOfRange};
pub use tag::{Tag, UnknownTag};
