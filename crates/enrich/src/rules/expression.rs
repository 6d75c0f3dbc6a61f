//! One regular expression of a rule file.

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};
use regex_syntax::{ParserBuilder, hir::literal::Extractor};

/// What one expression may cost once compiled. 1 MiB is many times the largest of the default file; a rule such as
/// `(\w{1,500}){1,500}` is refused by it instead of filling the memory.
const REGEX_BYTES: usize = 1 << 20;

/// An expression, compiled when first needed: most never are, and the program starts sooner.
#[derive(Debug)]
pub(super) struct Expression {
    source: String,
    case_sensitive: bool,
    compiled: OnceLock<Option<Regex>>,
}

impl Expression {
    pub(super) fn new(source: &str, case_sensitive: bool) -> Self {
        Self { source: ascii_classes(source), case_sensitive, compiled: OnceLock::new() }
    }

    /// Compiles the expression now.
    pub(super) fn check(&self) -> Result<(), String> {
        let result = self.build();
        let outcome = result.as_ref().map(|_| ()).map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("the expression does not compile: {reason}")
        });
        // Already set only if it had compiled before, to the same.
        let _ = self.compiled.set(result.ok());
        outcome
    }

    /// The compiled expression; `None` only for one that [`Self::check`] would have refused.
    pub(super) fn compiled(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| self.build().ok()).as_ref()
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.compiled().is_some_and(|expression| expression.is_match(text))
    }

    /// What every match begins with, in some letter case; `None` where that is not one of a few ASCII strings.
    pub(super) fn beginnings(&self) -> Option<Vec<String>> {
        // Parsed as if letter case counted: the automaton ignores it, and no variants need be spelt out.
        let parsed = ParserBuilder::new().build().parse(&self.source).ok()?;
        // Short and few: six bytes tell rules apart as well as twenty, and the automaton is built at every start.
        let mut extractor = Extractor::new();
        extractor.limit_class(4).limit_repeat(2).limit_literal_len(6).limit_total(128);
        let mut sequence = extractor.extract(&parsed);
        sequence.sort();
        sequence.dedup();
        let beginnings =
            sequence.literals()?.iter().map(|literal| std::str::from_utf8(literal.as_bytes()).ok());
        let beginnings: Vec<&str> = beginnings.collect::<Option<_>>()?;
        // Beyond ASCII the automaton does not know which letters are one.
        let usable = beginnings.iter().all(|beginning| !beginning.is_empty() && beginning.is_ascii());
        usable.then(|| beginnings.into_iter().map(str::to_owned).collect())
    }

    fn build(&self) -> Result<Regex, regex::Error> {
        RegexBuilder::new(&self.source).case_insensitive(!self.case_sensitive).size_limit(REGEX_BYTES).build()
    }
}

/// The source with `\w`, `\d` and `\b` of ASCII: Unicode's tables make expressions twenty times larger and slower to
/// compile, and Unicode's `\b` throws the search off its fast path at the first byte beyond ASCII.
fn ascii_classes(source: &str) -> String {
    let mut text = String::with_capacity(source.len() * 2);
    let mut characters = source.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('w') => text.push_str("[0-9A-Za-z_]"),
            Some('d') => text.push_str("[0-9]"),
            Some('b') => text.push_str(r"(?-u:\b)"),
            other => {
                text.push('\\');
                text.extend(other);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_what_a_match_can_begin_with() {
        let cases = [
            (r"\b(?:fail(?:ed)?|can't)\b", Some(vec!["can't", "fail", "failed"])),
            (r"^0 of \d", Some(vec!["0 of "])),
            (r"\w+Error", None),
            ("ошибка", None),
            ("a*", None),
        ];
        for (source, expected) in cases {
            let found = Expression::new(source, false).beginnings();
            // The extractor may spell out more than needed ("0 of 0", "0 of 1", …): only the kind counts then.
            if expected.is_some() || !source.starts_with('^') {
                assert_eq!(
                    found,
                    expected.map(|words| words.into_iter().map(str::to_owned).collect()),
                    "{source}"
                );
            }
        }
    }

    #[test]
    fn classes_inside_classes_still_mean_the_same() {
        let expression = Expression::new(r"^[\w.-]+\\d$", false);
        assert!(expression.is_match(r"a_B.9-\d"));
        assert!(!expression.is_match(r"a\9"));
    }
}
