//! The real path from a raw record to the text that the model reads, so that training sees exactly what scoring will.

use std::borrow::Cow;

use logrisk_base::{Level, MaskStyle};
use logrisk_enrich::{
    mask,
    parse::{parse, unwrap},
    redact::{Redactions, Redactor},
};

/// Raw record in, canonical masked text out. One a thread: it keeps its buffer.
#[derive(Debug)]
pub struct Canonical {
    redactor: Redactor,
    content: String,
}

impl Canonical {
    /// With secrets redacted and personal data kept, as the pipeline does by default.
    #[must_use]
    pub fn new() -> Self {
        let redactor = Redactor::new(Redactions { secrets: true, personal: false });
        Self { redactor, content: String::new() }
    }

    /// The record without secrets: what may be stored.
    #[must_use]
    pub fn redact<'a>(&self, raw: &'a str) -> Cow<'a, str> {
        self.redactor.redact(raw)
    }

    /// Appends the canonical text of one record, whose physical lines may each have a container runtime's wrapper.
    /// `keep_level` false forgets the declared level, so that the model learns to do without. Returns the level that
    /// stands in the text.
    pub fn append(&mut self, raw: &str, keep_level: bool, out: &mut String) -> Option<Level> {
        let clean = self.redactor.redact(raw);
        self.content.clear();
        let mut torn = true;
        for physical in clean.lines() {
            if !torn {
                self.content.push('\n');
            }
            let unwrapped = unwrap(physical);
            self.content.push_str(&unwrapped.content);
            torn = unwrapped.partial;
        }
        let mut parsed = parse(&self.content);
        if !keep_level {
            parsed.level = None;
        }
        mask::mask_into(&parsed, out);
        parsed.level
    }

    /// The text of one record as a model of that style reads it.
    pub fn styled(&mut self, raw: &str, style: MaskStyle) -> String {
        match style {
            MaskStyle::Default => self.text(raw),
            MaskStyle::Seed => {
                let mut out = String::with_capacity(raw.len());
                mask::mask_seed_into(&self.redactor.redact(raw), &mut out);
                out
            }
        }
    }

    /// The canonical text of one record.
    pub fn text(&mut self, raw: &str) -> String {
        let mut out = String::with_capacity(raw.len());
        self.append(raw, true, &mut out);
        out
    }
}

impl Default for Canonical {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_and_torn_lines_leave_no_trace() {
        let mut canonical = Canonical::new();
        let bare = canonical.text("panic: boom\n\tat main.go:7");
        let wrapped = "2025-03-17T09:12:44.1Z stderr P panic: \n2025-03-17T09:12:44.2Z stderr F boom\n\
                       2025-03-17T09:12:44.3Z stderr F \tat main.go:7\n";
        assert_eq!(canonical.text(wrapped), bare);
    }
}
