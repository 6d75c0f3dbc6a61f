//! The risk scale, 0 to 10: what one line asks of the on-call engineer who reads it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A risk from 0 (nothing, step-by-step noise) to 10 (a system is gone or data is lost for good).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Risk(u8);

/// A number outside 0 to 10 where a risk was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("risk {0} is outside 0 to 10")]
pub struct RiskOutOfRange(pub i64);

impl Risk {
    /// How many risks there are: the classes of the model's risk head.
    pub const COUNT: usize = 11;
    /// The lowest risk.
    pub const MIN: Self = Self(0);
    /// The highest risk.
    pub const MAX: Self = Self(10);

    /// The risk of that number.
    ///
    /// # Errors
    /// [`RiskOutOfRange`] above 10.
    pub const fn new(value: u8) -> Result<Self, RiskOutOfRange> {
        if value <= 10 { Ok(Self(value)) } else { Err(RiskOutOfRange(value as i64)) }
    }

    /// The risk nearest to a score; NaN becomes 0.
    #[must_use]
    pub fn nearest(score: f32) -> Self {
        // `as` saturates and maps NaN to 0, which is the documented result here.
        Self((score + 0.5).clamp(0.0, 10.0) as u8)
    }

    /// The number, 0 to 10.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// All risks, lowest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..=10).map(Self)
    }

    /// The name of the level that the risk belongs to, as the API and the command line print it.
    #[must_use]
    pub const fn level_name(self) -> &'static str {
        match self.0 {
            0 => "trace",
            1 => "debug",
            2 => "info",
            3 => "notice",
            4 | 5 => "warning",
            6 | 7 => "error",
            8 | 9 => "critical",
            _ => "emergency",
        }
    }
}

impl TryFrom<u8> for Risk {
    type Error = RiskOutOfRange;

    fn try_from(value: u8) -> Result<Self, Self::Error> {
        Self::new(value)
    }
}

impl From<Risk> for u8 {
    fn from(risk: Risk) -> Self {
        risk.0
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rounds_and_stays_on_the_scale() {
        let cases =
            [(-3.0, 0), (0.49, 0), (0.5, 1), (6.85, 7), (10.2, 10), (f32::NAN, 0), (f32::INFINITY, 10)];
        for (score, expected) in cases {
            assert_eq!(Risk::nearest(score).get(), expected, "{score}");
        }
    }

    #[test]
    fn eleven_is_refused_by_name() {
        assert_eq!(Risk::new(11).unwrap_err().to_string(), "risk 11 is outside 0 to 10");
    }
}
