//! Whether the words around a match take it back: "0 errors", "recovered from timeout", `err=<nil>`.

use std::ops::Range;

use serde_saphyr::Spanned;

use super::{
    expression::Expression,
    file::{NegationsEntry, RulesError},
};

/// How many bytes before and after a match are looked at: a clause, not the whole line, or "no" at its start would
/// excuse an error at its end.
const WINDOW_BYTES: usize = 64;

/// The compiled expressions of a file's `negations`.
#[derive(Debug)]
pub(super) struct Negations {
    before: Option<Expression>,
    after: Option<Expression>,
    line: Option<Expression>,
}

impl Negations {
    /// `shipped`: the expressions are known to compile and need not be compiled before they are used.
    pub(super) fn compile(entry: NegationsEntry, shipped: bool) -> Result<Self, RulesError> {
        Ok(Self {
            before: alternatives(&entry.before, "(?:", ")$", shipped)?,
            after: alternatives(&entry.after, "^(?:", ")", shipped)?,
            line: alternatives(&entry.line, "(?:", ")", shipped)?,
        })
    }

    /// Whether the text around the phrase takes it back.
    pub(super) fn negate(&self, text: &str, phrase: &Range<usize>) -> bool {
        let matches = |expression: &Option<Expression>, part: &str| {
            expression.as_ref().is_some_and(|expression| expression.is_match(part))
        };
        is_option(text, phrase)
            || matches(&self.before, last_bytes(text.get(..phrase.start).unwrap_or_default()))
            || matches(&self.after, first_bytes(text.get(phrase.end..).unwrap_or_default()))
            || matches(&self.line, text)
    }
}

/// Whether the phrase lies inside a command-line option, `--fail-on-error=false`: configuration, not an event.
fn is_option(text: &str, phrase: &Range<usize>) -> bool {
    let before = text.get(..phrase.start).unwrap_or_default();
    let word = before.rsplit(|character: char| character.is_whitespace() || character == '=').next();
    word.unwrap_or_default().trim_start_matches(['"', '\'', '[']).starts_with("--")
}

fn last_bytes(text: &str) -> &str {
    let mut start = text.len().saturating_sub(WINDOW_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default()
}

fn first_bytes(text: &str) -> &str {
    let mut end = text.len().min(WINDOW_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// One expression of many.
fn alternatives(
    sources: &[Spanned<String>],
    open: &str,
    close: &str,
    shipped: bool,
) -> Result<Option<Expression>, RulesError> {
    if sources.is_empty() {
        return Ok(None);
    }
    let parts: Vec<&str> = sources.iter().map(|source| source.value.as_str()).collect();
    let joined = Expression::new(&format!("{open}{}{close}", parts.join("|")), false);
    if shipped {
        return Ok(Some(joined));
    }
    joined.check().map(|()| Some(joined)).map_err(|problem| {
        // The joined expression's error cannot say which part is at fault; each part alone can.
        let alone = |source: &Spanned<String>| Expression::new(&source.value, false).check().err();
        let culprit = sources.iter().find_map(|source| alone(source).map(|problem| (source, problem)));
        match culprit {
            Some((source, problem)) => {
                RulesError::at(source.referenced, None, format!("negations: {problem}"))
            }
            None => RulesError::nowhere(format!("negations: {problem}")),
        }
    })
}
