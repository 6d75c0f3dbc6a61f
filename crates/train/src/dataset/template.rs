//! Templates: text with `{placeholders}` of a closed set, and how a line is made from one.
//!
//! Braces that name no placeholder are literal (`{"level":…}`, `${jndi:…}`), so a scanner finds the names; a format
//! function would choke on them.

use std::path::{Path, PathBuf};

use logrisk_base::{Level, Risk, Tag};
use serde::Deserialize;

use super::{
    canonical::Canonical,
    error::DatasetError,
    levels,
    random::Random,
    sources::read_json_lines,
    values::{self, Context},
};

/// The catalogues that this project authored; built into the binary, so that `generate` needs no files.
pub(super) const CATALOGUES: &[(&str, &str)] = &[
    ("authored-apps.jsonl", include_str!("../../catalogue/authored-apps.jsonl")),
    ("authored-business8.jsonl", include_str!("../../catalogue/authored-business8.jsonl")),
    ("authored-cloud3.jsonl", include_str!("../../catalogue/authored-cloud3.jsonl")),
    ("authored-contrast4.jsonl", include_str!("../../catalogue/authored-contrast4.jsonl")),
    ("authored-contrast5.jsonl", include_str!("../../catalogue/authored-contrast5.jsonl")),
    ("authored-contrast6.jsonl", include_str!("../../catalogue/authored-contrast6.jsonl")),
    ("authored-contrast7.jsonl", include_str!("../../catalogue/authored-contrast7.jsonl")),
    ("authored-data8.jsonl", include_str!("../../catalogue/authored-data8.jsonl")),
    ("authored-distributed.jsonl", include_str!("../../catalogue/authored-distributed.jsonl")),
    ("authored-fragments.jsonl", include_str!("../../catalogue/authored-fragments.jsonl")),
    ("authored-high.jsonl", include_str!("../../catalogue/authored-high.jsonl")),
    ("authored-hpc-hardware.jsonl", include_str!("../../catalogue/authored-hpc-hardware.jsonl")),
    ("authored-infra3.jsonl", include_str!("../../catalogue/authored-infra3.jsonl")),
    ("authored-kernel-os.jsonl", include_str!("../../catalogue/authored-kernel-os.jsonl")),
    ("authored-languages.jsonl", include_str!("../../catalogue/authored-languages.jsonl")),
    ("authored-low.jsonl", include_str!("../../catalogue/authored-low.jsonl")),
    ("authored-mid.jsonl", include_str!("../../catalogue/authored-mid.jsonl")),
    ("authored-mid3.jsonl", include_str!("../../catalogue/authored-mid3.jsonl")),
    ("authored-pairs.jsonl", include_str!("../../catalogue/authored-pairs.jsonl")),
    ("authored-pairs2.jsonl", include_str!("../../catalogue/authored-pairs2.jsonl")),
    ("authored-pairs3.jsonl", include_str!("../../catalogue/authored-pairs3.jsonl")),
    ("authored-quiet3.jsonl", include_str!("../../catalogue/authored-quiet3.jsonl")),
    ("authored-routine.jsonl", include_str!("../../catalogue/authored-routine.jsonl")),
    ("authored-routine2.jsonl", include_str!("../../catalogue/authored-routine2.jsonl")),
    ("authored-routine3.jsonl", include_str!("../../catalogue/authored-routine3.jsonl")),
    ("authored-runtimes2.jsonl", include_str!("../../catalogue/authored-runtimes2.jsonl")),
    ("authored-security2.jsonl", include_str!("../../catalogue/authored-security2.jsonl")),
    ("authored-states2.jsonl", include_str!("../../catalogue/authored-states2.jsonl")),
    ("authored-terse.jsonl", include_str!("../../catalogue/authored-terse.jsonl")),
    ("authored-traps6.jsonl", include_str!("../../catalogue/authored-traps6.jsonl")),
    ("authored-twins8.jsonl", include_str!("../../catalogue/authored-twins8.jsonl")),
];

/// What a template was written to teach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An alarming line as alarming as it looks.
    #[default]
    High,
    /// Between routine and alarming.
    Mid,
    /// Normal work.
    Routine,
    /// Alarming words in a harmless line.
    TrapLoud,
    /// Quiet words in a dangerous line.
    TrapQuiet,
    /// Two lines that differ little in words and much in risk.
    MinimalPair,
    /// A state and its riskier twin; the safe one comes first in the file, its twin next.
    StatePair,
    /// A part of a multi-line report that stands alone.
    Fragment,
    /// An attack or a probe.
    Attack,
}

/// One authored template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// The message, with `{placeholders}`.
    pub text: String,
    /// What prints such lines.
    pub software: String,
    /// The level that the software attaches, if any.
    pub level: Option<Level>,
    /// The risk.
    pub risk: Risk,
    /// The lowest risk that a careful reader may give.
    pub low: Risk,
    /// The highest.
    pub high: Risk,
    /// The tag.
    pub tag: Tag,
    /// What it was written to teach.
    pub kind: Kind,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    software: String,
    level: Option<String>,
    risk: Risk,
    lo: Risk,
    hi: Risk,
    tag: Tag,
    #[serde(default)]
    kind: Kind,
}

/// All built-in templates.
///
/// # Errors
/// None in a build whose tests passed: they read every catalogue.
pub fn embedded() -> Result<Vec<Template>, DatasetError> {
    let mut templates = Vec::new();
    for (name, text) in CATALOGUES {
        templates.extend(parse(text.as_bytes(), Path::new(name))?);
    }
    Ok(templates)
}

/// The templates of files of the catalogues' shape.
///
/// # Errors
/// [`DatasetError`] with file and line where a row cannot be read.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Template>, DatasetError> {
    let mut templates = Vec::new();
    for path in paths {
        let bytes =
            std::fs::read(path).map_err(|source| DatasetError::Read { path: path.clone(), source })?;
        templates.extend(parse(&bytes, path)?);
    }
    Ok(templates)
}

/// The masked text of every template with its level, and its risk: always the same.
#[must_use]
pub fn patterns(templates: &[Template]) -> Vec<(String, Risk)> {
    let mut canonical = Canonical::new();
    let mut patterns = Vec::with_capacity(templates.len());
    let (mut line, mut text) = (String::new(), String::new());
    for (index, template) in templates.iter().enumerate() {
        line.clear();
        text.clear();
        template.fill_into(&mut Random::part(1, index as u64), &mut line);
        let declared = canonical.append(&line, true, &mut text);
        let pattern = match template.level {
            Some(level) if declared.is_none() => format!("{level}: {text}"),
            _ => text.clone(),
        };
        patterns.push((pattern, template.risk));
    }
    patterns.retain(|(text, _)| !text.trim().is_empty());
    patterns
}

fn parse(bytes: &[u8], path: &Path) -> Result<Vec<Template>, DatasetError> {
    let mut templates = Vec::new();
    for (line, row) in read_json_lines::<Row>(bytes, path)? {
        let Row { text, software, level, risk, lo: low, hi: high, tag, kind } = row;
        if text.trim().is_empty() || !(low..=high).contains(&risk) {
            return Err(DatasetError::Row {
                path: path.to_owned(),
                line,
                problem: format!("needs a text, and a risk within lo..hi, not {risk} in {low}..{high}"),
            });
        }
        let level = level.as_deref().and_then(levels::of_word);
        templates.push(Template { text, software, level, risk, low, high, tag, kind });
    }
    Ok(templates)
}

impl Template {
    /// Appends the message with every placeholder filled.
    pub fn fill_into(&self, random: &mut Random, out: &mut String) {
        let context = Context { risk: f32::from(self.risk.get()), network: is_network(&self.text) };
        let mut rest = self.text.as_str();
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            let name = &rest[open + 1..];
            let length = name.bytes().take_while(u8::is_ascii_lowercase).count();
            let closed = name.as_bytes().get(length) == Some(&b'}');
            let before = &self.text[..self.text.len() - rest.len() + open];
            if closed && length > 0 && values::value_into(&name[..length], before, context, random, out) {
                rest = &name[length + 1..];
            } else {
                out.push('{');
                rest = name;
            }
        }
        out.push_str(rest);
    }

    /// The line brings its own frame (an access log, JSON, `%FACILITY-…`), so no program's header goes around it.
    #[must_use]
    pub fn is_framed(&self) -> bool {
        let text = self.text.as_str();
        text.starts_with(['[', '%', '<', '-', '=', ' ', '\t', '#', '('])
            || text.starts_with("{\"")
            || text.starts_with("{ip}")
            || text.starts_with("{date}")
            || text.starts_with("level=")
            || text.starts_with("ts=")
            || text.starts_with("logger=")
            || text.contains("\"level\":")
            || text.contains(" level=")
    }
}

fn is_network(text: &str) -> bool {
    [
        "link", "Link", "LINK", "dhcp", "DHCP", "NETDEV", "carrier", "Neighbor", "nterface", "port", "Mbps",
        "bond",
    ]
    .iter()
    .any(|word| text.contains(word))
}

/// Appends a text whose variable parts were masked as `#` or `<*>`, each mark replaced by a plausible value.
pub(super) fn fill_marks_into(text: &str, random: &mut Random, out: &mut String) {
    let mut rest = text;
    let mut done = 0;
    while let Some(found) = rest.find(['#', '<']) {
        let mark = if rest[found..].starts_with("<*>") {
            3
        } else if rest[found..].starts_with('#') {
            // Runs (`##`) are decoration, and a letter before makes a word (`C#`).
            let run = rest[found..].bytes().take_while(|byte| *byte == b'#').count();
            if run == 1 { 1 } else { 0 }
        } else {
            0
        };
        out.push_str(&rest[..found]);
        let after = &rest[found..];
        if mark > 0 {
            values::guess_into(&text[..done + found], &after[mark..], random, out);
        }
        let step =
            if mark > 0 { mark } else { after.bytes().take_while(|byte| *byte == b'#').count().max(1) };
        if mark == 0 {
            out.push_str(&after[..step]);
        }
        rest = &after[step..];
        done += found + step;
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str, risk: u8) -> Template {
        let risk = Risk::new(risk).unwrap();
        Template {
            text: text.into(),
            software: "test".into(),
            level: None,
            risk,
            low: risk,
            high: risk,
            tag: Tag::Info,
            kind: Kind::Routine,
        }
    }

    fn fill(text: &str, risk: u8, seed: u64) -> String {
        let mut out = String::new();
        template(text, risk).fill_into(&mut Random::new(seed), &mut out);
        out
    }

    #[test]
    fn the_catalogues_are_readable_and_leave_no_placeholder() {
        let templates = embedded().unwrap();
        assert!(templates.len() >= 5_659, "{}", templates.len());
        let mut random = Random::new(1);
        let mut out = String::new();
        for template in &templates {
            out.clear();
            template.fill_into(&mut random, &mut out);
            for name in ["{int}", "{hex}", "{ip}", "{name}", "{path}", "{host}", "{pct}", "{date}"] {
                assert!(!out.contains(name), "{out}");
            }
        }
    }

    #[test]
    fn other_braces_stay() {
        for text in ["{\"level\":\"info\"}", "${jndi:ldap://x}", "{OrderId}", "a { b", "{", "{}", "{nosuch}"]
        {
            assert_eq!(fill(text, 2, 1), text);
        }
    }

    #[test]
    fn counts_are_never_zero() {
        for seed in 0..2000 {
            assert_ne!(fill("{int}", 2, seed), "0");
        }
    }

    #[test]
    fn statuses_and_percentages_follow_the_risk() {
        for seed in 0..200 {
            assert!(fill("status={int}", 2, seed)["status=".len()..].parse::<u16>().unwrap() < 400);
            assert!(fill("code {code}", 7, seed).contains("code 5"));
            assert!(fill("disk {pct}", 8, seed)["disk ".len()..].parse::<u8>().unwrap() >= 95);
            assert!(fill("free {pct}", 8, seed)["free ".len()..].parse::<u8>().unwrap() <= 5);
        }
    }

    #[test]
    fn marks_are_filled_and_runs_stay() {
        let mut random = Random::new(5);
        for text in ["Failed # of <*>: #", "<*>", "#", "0x#", "é #é"] {
            let mut out = String::new();
            fill_marks_into(text, &mut random, &mut out);
            assert!(!out.contains('#') && !out.contains("<*>"), "{out}");
        }
        let mut out = String::new();
        fill_marks_into("### <b> ##", &mut random, &mut out);
        assert_eq!(out, "### <b> ##");
    }
}
