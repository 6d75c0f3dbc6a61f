//! What a model has to beat: a constant, the first seed's rules, and our own.

use logrisk_base::Risk;
use logrisk_enrich::{
    mask::mask_seed_into,
    rules::{Rules, seed},
};

use super::Answer;
use crate::dataset::Canonical;

/// A way of judging that needs no model.
#[derive(Debug)]
pub enum Baseline {
    /// Always 3: the risk that costs least where nothing is known.
    AlwaysThree,
    /// The first seed's level word and keywords on its own masked text.
    SeedRules,
    /// A rule file.
    Rules(Box<Rules>),
}

impl Baseline {
    /// The name in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AlwaysThree => "always 3",
            Self::SeedRules => "seed rules",
            Self::Rules(_) => "our rules",
        }
    }

    /// The answers to raw lines.
    #[must_use]
    pub fn judge(&self, lines: &[&str]) -> Vec<Answer> {
        let mut canonical = Canonical::new();
        let mut masked = String::new();
        lines
            .iter()
            .map(|line| {
                masked.clear();
                Answer::of_label(match self {
                    Self::AlwaysThree => Risk::nearest(3.0),
                    Self::SeedRules => {
                        mask_seed_into(line, &mut masked);
                        seed::label(line, &masked)
                    }
                    Self::Rules(rules) => {
                        let level = canonical.append(line, true, &mut masked);
                        rules.apply(level, &masked).risk
                    }
                })
            })
            .collect()
    }
}
