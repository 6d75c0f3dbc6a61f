//! What a person sees: colours by risk, errors, numbers, and lines made harmless.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal},
};

use clap::ValueEnum;
use logrisk_base::Risk;

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set or TERM is `dumb`.
    Auto,
    Always,
    Never,
}

impl Colour {
    /// The decision for standard output. `NO_COLOR` and `CLICOLOR_FORCE` are the usual conventions.
    pub fn for_stdout(self) -> bool {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if set("NO_COLOR") => false,
            Self::Auto if set("CLICOLOR_FORCE") => true,
            Self::Auto => {
                io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

/// The SGR sequence of a risk: grey is fine, contrast grows with risk.
pub fn colour_of(risk: Risk) -> &'static str {
    match risk.get() {
        0..=2 => "\x1b[90m",
        3 => "\x1b[37m",
        4 | 5 => "\x1b[33m",
        6 | 7 => "\x1b[31m",
        8 | 9 => "\x1b[1;31m",
        _ => "\x1b[1;97;41m",
    }
}

/// Ends what [`colour_of`] began.
pub const RESET: &str = "\x1b[0m";

/// Appends text with control characters and bidirectional overrides made visible: log lines are hostile input, and a
/// terminal obeys them. A newline inside a record becomes `⏎ `.
pub fn push_harmless(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '\t' => out.push('\t'),
            '\n' => out.push_str("⏎ "),
            '\u{1b}' => out.push_str("ESC"),
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
                _ = write!(out, "U+{:04X}", character as u32);
            }
            character if character.is_control() => _ = write!(out, "\\x{:02x}", character as u32),
            character => out.push(character),
        }
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One sentence on standard error: what failed, and why, outermost first.
pub fn print_error(error: &anyhow::Error) {
    eprintln!("logrisk: {}", sentence(error));
}

/// The chain of causes; one that an outer message quotes already is not said again.
fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if sentence.is_empty() {
            sentence = cause;
        } else if !sentence.contains(&cause) {
            sentence.push_str(": ");
            sentence.push_str(&cause);
        }
    }
    sentence
}

/// Whether the reader of our output went away, as `| head` does: not an error.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_sequences_in_lines_become_visible() {
        let mut out = String::new();
        push_harmless("a\x1b[31mred\u{202e}\x07\nb", &mut out);
        assert_eq!(out, "aESC[31mredU+202E\\x07⏎ b");
    }

    #[test]
    fn no_cause_is_said_twice() {
        let error =
            anyhow::anyhow!("end of file").context("x.json is cut off (end of file)").context("no model");
        assert_eq!(sentence(&error), "no model: x.json is cut off (end of file)");
    }

    #[test]
    fn thousands_are_separated() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
