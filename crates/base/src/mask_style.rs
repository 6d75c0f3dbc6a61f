//! Which masks a pattern's text is made with: rules, cache and model must agree on it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Which masks make the pattern text, hence which text a model was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskStyle {
    /// logrisk's own: canonical text of the parsed record, every variable part a class.
    #[default]
    Default,
    /// The first seed's: seven regular expressions on the raw line, lower case.
    Seed,
}

/// A word that is no [`MaskStyle`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("masks {0:?} are unknown; use default or seed")]
pub struct UnknownMaskStyle(pub String);

impl FromStr for MaskStyle {
    type Err = UnknownMaskStyle;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "default" => Ok(Self::Default),
            "seed" => Ok(Self::Seed),
            _ => Err(UnknownMaskStyle(word.to_owned())),
        }
    }
}

impl fmt::Display for MaskStyle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Default => "default",
            Self::Seed => "seed",
        })
    }
}
