//! Groups of lines that are measured apart.

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use logrisk_enrich::parse::{Format, parse, unwrap};
use serde::Serialize;

use super::language;
use crate::dataset::Truth;

/// What the lines of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// What prints them, as the data says.
    Software,
    /// The format that was recognised; a container runtime's wrapper counts as one.
    Format,
    /// The language of their words, as the data says or else guessed.
    Language,
    /// Whether they declare a level.
    Level,
    /// What they are good for, as the data says.
    Kind,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Software, Self::Format, Self::Language, Self::Level, Self::Kind];

    /// Its name on the command line and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Format => "format",
            Self::Language => "language",
            Self::Level => "level",
            Self::Kind => "kind",
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for By {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|by| by.name() == word);
        found.ok_or_else(|| "lines are grouped by software, format, language, level or kind".to_owned())
    }
}

/// The places of each group's lines, largest group first; groups with fewer lines than `smallest` are one, `other`, and
/// come last.
pub(super) fn divide(truths: &[Truth], by: By, smallest: usize) -> Vec<(String, Vec<usize>)> {
    let mut groups: BTreeMap<Cow<'_, str>, Vec<usize>> = BTreeMap::new();
    for (place, truth) in truths.iter().enumerate() {
        groups.entry(name(truth, by)).or_default().push(place);
    }
    let (mut large, small): (Vec<_>, Vec<_>) = groups
        .into_iter()
        .map(|(name, places)| (name.into_owned(), places))
        .partition(|(_, places)| places.len() >= smallest);
    large.sort_by_key(|(_, places)| std::cmp::Reverse(places.len()));
    let mut other: Vec<usize> = small.into_iter().flat_map(|(_, places)| places).collect();
    if !other.is_empty() {
        other.sort_unstable();
        large.push(("other".to_owned(), other));
    }
    large
}

fn name(truth: &Truth, by: By) -> Cow<'_, str> {
    match by {
        By::Software => truth.software.as_deref().unwrap_or("unknown").into(),
        By::Format => format(&truth.text).into(),
        By::Kind => truth.kind.as_deref().unwrap_or("unknown").into(),
        By::Language => truth.language.as_deref().unwrap_or_else(|| language::guess(&truth.text)).into(),
        By::Level => {
            let content = unwrap(&truth.text).content;
            if parse(&content).level.is_some() { "present" } else { "absent" }.into()
        }
    }
}

/// The format of a record's first line. The wrapper comes first: it is what stands in front of the reader.
fn format(text: &str) -> &'static str {
    let unwrapped = unwrap(text.lines().next().unwrap_or_default());
    if unwrapped.stream.is_some() {
        return if text.starts_with('{') { "docker" } else { "cri" };
    }
    match parse(text).format {
        Format::Plain => "plain",
        Format::Json => "json",
        Format::Logfmt => "logfmt",
        Format::Klog => "klog",
        Format::Syslog | Format::Syslog5424 => "syslog",
        Format::Access => "access",
        Format::HaProxy => "haproxy",
        Format::Application => "application",
        Format::Android => "android",
        Format::Kernel => "kernel",
        Format::Redis => "redis",
        Format::Dotnet => "dotnet",
        Format::MacOs => "macos",
        Format::Ras => "ras",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(texts: &[&str], by: By, smallest: usize) -> Vec<(String, usize)> {
        let truths: Vec<Truth> =
            texts.iter().map(|text| Truth { text: (*text).into(), ..Truth::default() }).collect();
        divide(&truths, by, smallest).into_iter().map(|(name, places)| (name, places.len())).collect()
    }

    #[test]
    fn formats_and_levels_are_what_parsing_found() {
        let lines = [
            ("something happened", "plain", "absent"),
            ("2025-03-17T09:12:44.1Z stderr F E0317 09:12:44.1 1 a.go:7] lost lease", "cri", "present"),
            ("E0317 09:12:44.123456       1 a.go:7] lost lease", "klog", "present"),
            ("level=warn msg=\"slow\" took=3s", "logfmt", "present"),
            ("{\"level\":\"info\",\"msg\":\"started\"}", "json", "present"),
            ("<34>1 2025-03-17T09:12:44Z host su - ID47 - failed", "syslog", "present"),
        ];
        for (line, format, level) in lines {
            assert_eq!(divided(&[line], By::Format, 1), [(format.to_owned(), 1)], "{line}");
            assert_eq!(divided(&[line], By::Level, 1), [(level.to_owned(), 1)], "{line}");
        }
    }

    #[test]
    fn small_groups_are_one_and_last() {
        let lines = ["a", "b", "level=info msg=a", "level=info msg=b", "level=info msg=c", "{\"msg\":\"a\"}"];
        let expected = [("logfmt", 3), ("plain", 2), ("other", 1)].map(|(name, n)| (name.to_owned(), n));
        assert_eq!(divided(&lines, By::Format, 2), expected);
        assert_eq!(divided(&["a"], By::Software, 1), [("unknown".to_owned(), 1)]);
    }
}
