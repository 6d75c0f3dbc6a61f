//! Secrets and personal data, replaced before anything stores, shows or trains on a line.
//!
//! ```text
//! text ─► one vectorised pass for the marks of secrets ─► none: borrowed, as almost always
//!                                                      └► some: only the expressions that the marks call for
//! ```
//!
//! A secret becomes `<secret>`, an e-mail address `<email>`, a card number `<card>`; what stands around it, above all the
//! key of `password=…`, stays. Redacting twice changes nothing. Where a value may be a secret or a remark
//! (`password: incorrect`), words that report a state stay and everything else goes.

mod card;
mod secret;
mod value;

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;

use secret::{MARKS, Secret};

/// What is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redactions {
    /// Cloud keys, tokens, passwords, private keys.
    pub secrets: bool,
    /// E-mail addresses and card numbers.
    pub personal: bool,
}

impl Default for Redactions {
    /// Secrets go, personal data stays: the first never helps a reader, the second often must (who was locked out?).
    fn default() -> Self {
        Self { secrets: true, personal: false }
    }
}

/// A compiled set of redactions.
#[derive(Debug)]
pub struct Redactor {
    redactions: Redactions,
    marks: Option<AhoCorasick>,
    secrets: Vec<(Secret, Regex)>,
    email: Option<Regex>,
}

impl Redactor {
    /// Compiles the redactions once.
    #[must_use]
    pub fn new(redactions: Redactions) -> Self {
        // The marks and expressions are constants; a test compiles them all, so none is ever left out here.
        let marks = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(MARKS.iter().map(|(mark, _)| mark))
            .ok();
        let compile =
            |secret: Secret| Regex::new(secret.expression()).ok().map(|expression| (secret, expression));
        let secrets = Secret::ALL.into_iter().filter_map(compile).collect();
        Self { redactions, marks, secrets, email: Regex::new(EMAIL).ok() }
    }

    /// The text without what is secret; borrowed where nothing was found.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        if self.redactions.secrets {
            self.redact_secrets(&mut text);
        }
        if self.redactions.personal {
            self.redact_personal(&mut text);
        }
        text
    }

    fn redact_secrets(&self, text: &mut Cow<'_, str>) {
        let Some(marks) = &self.marks else { return };
        let mut called = 0_u8;
        for found in marks.find_iter(text.as_bytes()) {
            called |= MARKS.get(found.pattern().as_usize()).map_or(0, |(_, secret)| secret.bit());
        }
        // A URL's password has no mark of its own; `@` is rarer than `://`.
        if memchr::memchr(b'@', text.as_bytes()).is_some() && text.contains("://") {
            called |= Secret::Url.bit();
        }
        if called == 0 {
            return;
        }
        for (secret, expression) in &self.secrets {
            if called & secret.bit() != 0 {
                replace(text, expression, |found, text| secret.hidden(found, text));
            }
        }
    }

    fn redact_personal(&self, text: &mut Cow<'_, str>) {
        if let Some(email) = self.email.as_ref().filter(|_| memchr::memchr(b'@', text.as_bytes()).is_some()) {
            replace(text, email, |found, _| {
                let address = found.get(0)?;
                (!is_unit(address.as_str())).then(|| (address.range(), "<email>"))
            });
        }
        card::redact(text);
    }
}

/// An address as mail systems write it; quoted local parts and address literals are not worth their false alarms.
const EMAIL: &str = r"[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}";

/// `user@1000.service`: a systemd unit, no address.
fn is_unit(address: &str) -> bool {
    const KINDS: [&str; 7] = [".service", ".slice", ".scope", ".socket", ".timer", ".mount", ".target"];
    KINDS.iter().any(|kind| address.ends_with(kind))
}

/// By what, and where, a match is replaced; `None` keeps it.
type Replacement = Option<(std::ops::Range<usize>, &'static str)>;

/// Replaces what `hide` names in each match; the text stays borrowed where it names nothing.
fn replace(
    text: &mut Cow<'_, str>,
    expression: &Regex,
    hide: impl Fn(&regex::Captures<'_>, &str) -> Replacement,
) {
    let mut out = String::new();
    let mut copied = 0;
    for found in expression.captures_iter(text) {
        let Some((place, by)) = hide(&found, text) else { continue };
        out.push_str(text.get(copied..place.start).unwrap_or_default());
        out.push_str(by);
        copied = place.end;
    }
    if copied > 0 {
        out.push_str(text.get(copied..).unwrap_or_default());
        *text = Cow::Owned(out);
    }
}

#[cfg(test)]
mod tests;
