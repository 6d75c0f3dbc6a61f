//! Types that every part of logrisk shares. Depends on nothing else here.

mod level;
mod mask_style;
mod pattern_id;
mod risk;
mod tag;

pub use level::Level;
pub use mask_style::{MaskStyle, UnknownMaskStyle};
pub use pattern_id::{InvalidPatternId, PatternId};
pub use risk::{Risk, RiskOutOfRange};
pub use tag::{Tag, UnknownTag};
