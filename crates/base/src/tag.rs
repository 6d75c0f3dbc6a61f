//! The tag of a line: five classes, decided by rules or by the model's tag head.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What kind of line it is. `Exception` is a stack trace, a panic or an unhandled exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Tag {
    /// Internal detail.
    Debug,
    /// Normal work.
    Info,
    /// Odd, or may become a problem.
    Warn,
    /// Something failed.
    Error,
    /// A stack trace, a panic or an unhandled exception.
    Exception,
}

/// A word that is none of the five tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tag {0:?} is unknown; use DEBUG, INFO, WARN, ERROR or EXCEPTION")]
pub struct UnknownTag(pub String);

impl Tag {
    /// How many tags there are: the classes of the model's tag head.
    pub const COUNT: usize = 5;
    /// All tags, in the order of the model's tag head.
    pub const ALL: [Self; Self::COUNT] = [Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Exception];

    /// The word that documents, tables and the API use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Exception => "EXCEPTION",
        }
    }
}

impl FromStr for Tag {
    type Err = UnknownTag;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|tag| tag.as_str().eq_ignore_ascii_case(word))
            .ok_or_else(|| UnknownTag(word.to_owned()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
