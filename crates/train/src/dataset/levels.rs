//! Level words as authored templates carry them, and the five classes of the developers' levels.

use logrisk_base::{Level, Risk};
use logrisk_enrich::parse::parse;

use super::random::Random;

/// The level that a template's word stands for, decoration such as `level=` or brackets aside. Words that are no
/// level (`Perf`, `DETAIL`) give none: such a line is shown without one.
#[must_use]
pub(super) fn of_word(word: &str) -> Option<Level> {
    if word == "#" {
        return Some(Level::Warn); // Redis's mark for its highest level
    }
    let word = word.trim_start_matches("level=").trim_matches(['[', ']', '<', '>', '#', '(', ')', '!', ' ']);
    let word = word.rsplit(':').next().unwrap_or(word);
    let lower = word.to_lowercase();
    let bare = lower.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end();
    Some(match if bare.is_empty() { lower.as_str() } else { bare } {
        "trace" | "finest" | "noise" => Level::Trace,
        "debug" | "d" | "dbg" | "fine" | "verbose" | "v" | "7" | "." => Level::Debug,
        "info" | "i" | "inf" | "information" | "informational" | "informationen" | "log" | "normal"
        | "system" | "default" | "success" | "audit success" | "cluster" | "ii" | "6" | "30" | "-" => {
            Level::Info
        }
        "notice" | "note" | "5" | "*" => Level::Notice,
        "warn" | "warning" | "warnings" | "w" | "wrn" | "aviso" | "4" => Level::Warn,
        "error" | "err" | "e" | "fehler" | "erreur" | "fail" | "severe" | "high" | "3" => Level::Error,
        "critical" | "crit" | "c" | "2" => Level::Critical,
        "alert" | "alarm" | "service alert" | "1" => Level::Alert,
        "fatal" | "fatal error" | "f" => Level::Fatal,
        "panic" | "emerg" | "emergency" | "0" => Level::Emergency,
        // Words of other languages are the parser's knowledge; it knows a level by its brackets.
        _ => return parse(&format!("2025-03-17 09:12:44 [{lower}] x")).level,
    })
}

/// The class of a level among the five that developers' levels were collected in: debug, info, warn, error, fatal.
#[must_use]
pub(super) const fn class(level: Level) -> usize {
    match level {
        Level::Trace | Level::Debug => 0,
        Level::Info | Level::Notice => 1,
        Level::Warn => 2,
        Level::Error => 3,
        Level::Critical | Level::Alert | Level::Fatal | Level::Emergency => 4,
    }
}

/// The level that stands for a class; classes above 4 count as 4.
#[must_use]
pub(super) const fn of_class(class: usize) -> Level {
    match class {
        0 => Level::Debug,
        1 => Level::Info,
        2 => Level::Warn,
        3 => Level::Error,
        _ => Level::Fatal,
    }
}

/// A level that a sensible program would declare for a line of that risk.
#[must_use]
pub(super) fn honest(risk: Risk, random: &mut Random) -> Level {
    // Programs are one step off about as often as people who label are.
    let shift = [0i16, 0, 0, 0, 0, 0, 0, 1, -1][random.below(9)];
    match (i16::from(risk.get()) + shift).clamp(0, 10) {
        0 => Level::Trace,
        1 => Level::Debug,
        2 => Level::Info,
        3 => [Level::Info, Level::Notice][random.below(2)],
        4 | 5 => Level::Warn,
        6 | 7 => Level::Error,
        8 => [Level::Error, Level::Critical, Level::Alert][random.below(3)],
        9 => [Level::Error, Level::Critical, Level::Fatal][random.below(3)],
        _ => [Level::Fatal, Level::Emergency, Level::Critical][random.below(3)],
    }
}

/// A level at least two classes away from the given one: what a careless program would print.
#[must_use]
pub(super) fn lying(level: Level, random: &mut Random) -> Level {
    let honest = class(level);
    let others: Vec<usize> = (0usize..5).filter(|other| other.abs_diff(honest) >= 2).collect();
    of_class(others.get(random.below(others.len())).copied().unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authored_words() {
        let cases = [
            ("INFO", Some(Level::Info)),
            ("[WARN]", Some(Level::Warn)),
            ("level=error", Some(Level::Error)),
            ("core:error", Some(Level::Error)),
            ("debug3", Some(Level::Debug)),
            ("debug 10", Some(Level::Debug)),
            ("DEBUG5", Some(Level::Debug)),
            ("D!", Some(Level::Debug)),
            ("ERR!", Some(Level::Error)),
            ("##[warning]", Some(Level::Warn)),
            ("5", Some(Level::Notice)),
            ("30", Some(Level::Info)),
            ("*", Some(Level::Notice)),
            ("PANIC", Some(Level::Emergency)),
            ("WARNUNG", Some(Level::Warn)),
            ("エラー", Some(Level::Error)),
            ("Błąd", Some(Level::Error)),
            ("Perf", None),
            ("%SYS-5-CONFIG_I", None),
            ("#", Some(Level::Warn)),
        ];
        for (word, expected) in cases {
            assert_eq!(of_word(word), expected, "{word}");
        }
    }

    #[test]
    fn a_lie_is_two_classes_off() {
        let mut random = Random::new(3);
        for level in [Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal] {
            for _ in 0..50 {
                assert!(class(lying(level, &mut random)).abs_diff(class(level)) >= 2);
            }
        }
    }
}
