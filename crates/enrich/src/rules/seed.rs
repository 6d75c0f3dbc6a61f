//! The first seed's labels, reproduced exactly: the baseline that every evaluation names.
//!
//! Plain substrings of the seed's own masked, lower-cased text; no negation, no word boundaries. What it gets wrong is
//! the point of it, so nothing here is to be improved.

use std::sync::LazyLock;

use logrisk_base::Risk;
use regex::Regex;

/// Keywords with their points, from the seed's labeller.
const KEYWORDS: [(&str, u8); 60] = [
    ("crashloopbackoff", 2),
    ("imagepullbackoff", 2),
    ("back-off restarting", 2),
    ("backoff restarting", 2),
    ("node not ready", 2),
    ("notready", 2),
    ("evicted", 2),
    ("disk pressure", 2),
    ("diskpressure", 2),
    ("memory pressure", 2),
    ("memorypressure", 2),
    ("oomkilled", 2),
    ("oom killed", 2),
    ("out of memory", 3),
    ("failed to create pod sandbox", 2),
    ("failed to create containerd task", 2),
    ("context deadline exceeded", 1),
    ("failed to pull image", 1),
    ("failed to start container", 2),
    ("container exited", 1),
    ("liveness probe failed", 2),
    ("readiness probe failed", 1),
    ("kernel panic", 3),
    ("bug:", 3),
    ("segfault", 3),
    ("segmentation fault", 3),
    ("stack trace", 3),
    ("stacktrace", 3),
    ("i/o error", 3),
    ("io error", 3),
    ("read-only file system", 3),
    ("readonly file system", 3),
    ("disk failure", 3),
    ("hardware error", 3),
    ("machine check", 3),
    ("watchdog", 2),
    ("connection refused", 1),
    ("connection reset by peer", 1),
    ("connection reset", 1),
    ("upstream timed out", 2),
    ("no live upstreams", 2),
    ("connection timed out", 1),
    ("timeout", 1),
    ("unreachable", 1),
    ("dns resolution failed", 2),
    ("name resolution failed", 2),
    ("permission denied", 2),
    ("unauthorized", 2),
    ("forbidden", 2),
    ("authentication failed", 2),
    ("auth failed", 2),
    ("access denied", 2),
    ("certificate expired", 2),
    ("certificate error", 2),
    ("ssl error", 2),
    ("tls error", 2),
    ("deadlock", 2),
    ("lock timeout", 2),
    ("connection pool exhausted", 2),
    ("too many connections", 2),
];

/// The most that keywords add.
const MAX_BONUS: u8 = 5;

/// The level words that the seed looks for.
const LEVEL_WORD: &str =
    r"(?i)\b(?:TRACE|DEBUG|INFO|NOTICE|VERBOSE|WARN|WARNING|ERROR|CRITICAL|ALERT|FATAL|PANIC|EMERG)\b";

/// The seed's label of a raw line. `masked` is the line under the seed's own masks
/// ([`crate::mask::mask_seed_into`]); the level word is looked for in the line as it was.
#[must_use]
pub fn label(line: &str, masked: &str) -> Risk {
    label_with(level_word(line), masked)
}

/// The seed's label of a masked text whose level word is known.
#[must_use]
pub fn label_with(level: Option<&str>, masked: &str) -> Risk {
    let text = masked.to_lowercase();
    let bonus: u8 =
        KEYWORDS.iter().filter(|(keyword, _)| text.contains(keyword)).map(|(_, points)| points).sum();
    Risk::nearest(f32::from(base(level) + bonus.min(MAX_BONUS)))
}

/// The first level word of a line, as the seed finds it: anywhere in it, whatever it means there.
#[must_use]
pub fn level_word(line: &str) -> Option<&str> {
    // `None` cannot happen: the expression is a constant, and a test compiles it.
    static EXPRESSION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(LEVEL_WORD).ok());
    EXPRESSION.as_ref()?.find(line).map(|found| found.as_str())
}

fn base(level: Option<&str>) -> u8 {
    match level.map(str::to_uppercase).as_deref() {
        Some("TRACE") => 0,
        Some("DEBUG") => 1,
        Some("INFO") => 2,
        Some("WARN") => 4,
        Some("WARNING") => 5,
        Some("ERROR") => 6,
        Some("CRITICAL" | "ALERT") => 8,
        Some("FATAL") => 9,
        Some("PANIC" | "EMERG") => 10,
        // NOTICE and VERBOSE, and a line without a level.
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_seed() {
        let cases = [
            ("DEBUG cache hit", 1),
            ("INFO nginx started", 2),
            ("nothing declared", 3),
            ("WARN disk pressure", 6),
            ("WARNING disk pressure", 7),
            ("error: connection refused", 7),
            // Timeout counts beside every longer phrase; no negation; the cap is five points.
            ("INFO timeout=0, no deadlock, 0 evicted", 7),
            ("ERROR kernel panic segfault out of memory", 10),
            ("CRITICAL OOMKilled", 10),
            ("panic: oops", 10),
        ];
        for (line, expected) in cases {
            assert_eq!(label(line, line).get(), expected, "{line}");
        }
    }

    #[test]
    fn the_level_is_the_first_whole_word() {
        assert_eq!(level_word("the Warning about an ERROR"), Some("Warning"));
        assert_eq!(level_word("information, errors"), None);
    }
}
