//! The level that a program declared for its own line: evidence for the risk, not the answer.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A declared level, all spellings brought to one. Order is by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Also `finest`, `silly`, pino 10.
    Trace,
    /// Also `fine`, `verbose` of Android, klog `V(n)`, pino 20.
    Debug,
    /// Also `information`, `log` of postgres, pino 30.
    Info,
    /// Also syslog severity 5.
    Notice,
    /// Also `warning`, `W`, pino 40.
    Warn,
    /// Also `err`, `severe`, `E`, pino 50.
    Error,
    /// Also `crit`, syslog severity 2.
    Critical,
    /// Syslog severity 1.
    Alert,
    /// Also `F`, pino 60, `dpanic`.
    Fatal,
    /// Also `panic`, `emerg`, syslog severity 0.
    Emergency,
}

impl Level {
    /// The word that the canonical text of a line begins with, and that the model reads.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warn => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Fatal => "fatal",
            Self::Emergency => "emergency",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
