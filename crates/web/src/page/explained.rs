//! Why a pattern has its risk, as the page shows it: each word with a mark that grows with what it does.
//!
//! The mark is a line under the word where it raises the risk and a dotted one over it where it lowers it; position and
//! thickness carry the meaning, no colour does.

use logrisk_base::Risk;
use serde_json::Value;

use super::text::{Shown, shown};

/// Effects from which a mark has its first, second, third and fourth thickness, in points of risk.
const STEPS: [f64; 4] = [0.2, 0.5, 1.0, 2.0];

/// A word's part.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word {
    pub(crate) word: String,
    /// The risk less the risk without it.
    pub(crate) effect: f64,
}

impl Word {
    /// The mark's class.
    pub(crate) fn class(&self) -> String {
        match step(self.effect) {
            0 => "none".to_owned(),
            step if self.effect > 0.0 => format!("up{step}"),
            step => format!("down{step}"),
        }
    }

    /// The effect with its sign.
    pub(crate) fn figure(&self) -> String {
        format!("{}{:.1}", if self.effect < 0.0 { '−' } else { '+' }, self.effect.abs())
    }

    /// The word as it may be shown.
    pub(crate) fn shown(&self) -> Shown {
        shown(&self.word)
    }

    /// Pixels of its bar in the table, of 120 for five points.
    pub(crate) fn width(&self) -> u32 {
        (self.effect.abs() * 24.0).round().clamp(0.0, 120.0) as u32
    }
}

/// How thick a mark is, 0 for none.
fn step(effect: f64) -> usize {
    STEPS.iter().filter(|least| effect.abs() >= **least).count()
}

/// A known pattern nearby.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Near {
    pub(crate) risk: u8,
    pub(crate) distance: f64,
    pub(crate) text: String,
}

impl Near {
    /// Its text as it may be shown.
    pub(crate) fn shown(&self) -> Shown {
        shown(&self.text)
    }

    /// How far off it is.
    pub(crate) fn far(&self) -> String {
        format!("{:.2}", self.distance).trim_start_matches('0').to_owned()
    }
}

/// A part of the text with its mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) text: Shown,
    pub(crate) class: String,
    /// The effect, outside the mark; absent where it is too small to tell.
    pub(crate) figure: Option<String>,
}

/// Everything that is said of why.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Explained {
    pub(crate) decided_by: String,
    pub(crate) rules: Vec<String>,
    pub(crate) words: Vec<Word>,
    pub(crate) nearest: Vec<Near>,
    pub(crate) masked: String,
}

impl Explained {
    /// Reads what [`crate::Engine::explain`] says.
    pub(crate) fn read(value: &Value, masked: &str) -> Self {
        let list = |name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |value: &Value, name: &str| {
            value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        Self {
            decided_by: text(value, "decided_by"),
            rules: list("rules").iter().map(|rule| text(rule, "rule")).collect(),
            words: list("words")
                .iter()
                .map(|word| Word { word: text(word, "word"), effect: number(word, "effect") })
                .collect(),
            nearest: list("nearest")
                .iter()
                .map(|near| Near {
                    risk: u8::try_from(near.get("risk").and_then(Value::as_u64).unwrap_or(0)).unwrap_or(0),
                    distance: 1.0 - number(near, "similarity"),
                    text: text(near, "pattern"),
                })
                .collect(),
            masked: masked.to_owned(),
        }
    }

    /// The text with its marks. Words come in the order of the text, so that each is looked for after the one before.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        let mut marks = Vec::new();
        let mut rest = self.masked.as_str();
        let plain = |text: &str| Mark { text: shown(text), class: String::new(), figure: None };
        for word in &self.words {
            let Some((before, after)) = rest.split_once(word.word.as_str()) else { continue };
            if !before.is_empty() {
                marks.push(plain(before));
            }
            let figure = (step(word.effect) > 0).then(|| word.figure());
            marks.push(Mark { text: word.shown(), class: word.class(), figure });
            rest = after;
        }
        if !rest.is_empty() {
            marks.push(plain(rest));
        }
        marks
    }

    /// The words by what they do, the strongest first.
    pub(crate) fn strongest(&self) -> Vec<Word> {
        let mut words = self.words.clone();
        words.sort_by(|one, other| other.effect.abs().total_cmp(&one.effect.abs()));
        words
    }

    /// The three strongest words, who decided, and what is near, in one line: texts with the element that holds each.
    pub(crate) fn told(&self, model: &str) -> Vec<(&'static str, String)> {
        let mut parts = Vec::new();
        let strongest = self.strongest();
        for word in strongest.iter().filter(|word| step(word.effect) > 0).take(3) {
            parts.push(("", if parts.is_empty() { "because " } else { " " }.to_owned()));
            parts.push(("q", word.word.clone()));
            parts.push(("", format!(" {}", word.figure())));
        }
        if !parts.is_empty() {
            parts.push(("", "; ".to_owned()));
        }
        parts.push(("", self.decision(model)));
        if let Some(near) = self.nearest.first() {
            parts.push(("", format!("; nearest known: {} ", near.risk)));
            parts.push(("q", near.text.clone()));
            parts.push(("", format!(" distance {}", near.far())));
        }
        parts
    }

    /// Who decided, in words.
    pub(crate) fn decision(&self, model: &str) -> String {
        match self.decided_by.as_str() {
            "human" => "decided by a person's correction".to_owned(),
            "rules" => "decided by level and rules: masking left no word for the model".to_owned(),
            "nothing" => "nothing was logged".to_owned(),
            _ if self.rules.is_empty() => format!("decided by model {model} (no rule, no correction)"),
            _ => format!("decided by model {model} (rules set the tag: {})", self.rules.join(", ")),
        }
    }
}

/// Where a risk lies on its scale, as SVG 300 wide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) risk: u8,
    pub(crate) score: f64,
    pub(crate) interval: Option<(Risk, Risk)>,
}

impl Scale {
    /// The place of a score.
    pub(crate) fn x(&self, score: &f64) -> f64 {
        10.0 + (28.0 * score * 10.0).round() / 10.0
    }

    /// The place of the score itself.
    pub(crate) fn here(&self) -> f64 {
        self.x(&self.score)
    }

    /// Where the interval begins and how wide it is.
    pub(crate) fn range(&self) -> Option<(f64, f64)> {
        let (low, high) = self.interval?;
        let (low, high) = (f64::from(low.get()), f64::from(high.get()));
        Some((self.x(&low), self.x(&high) - self.x(&low)))
    }

    /// The interval in words.
    pub(crate) fn words(&self) -> String {
        let around =
            self.interval.map(|(low, high)| format!(", 80 % within {low} to {high}")).unwrap_or_default();
        format!("risk {}, expected {:.1}{around}", self.risk, self.score)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marks_cover_the_text_in_order() {
        let value = json!({"decided_by": "model", "rules": [], "nearest": [],
            "words": [{"word": "disk", "effect": 2.5}, {"word": "<num>", "effect": -0.6},
                      {"word": "full", "effect": 0.05}]});
        let explained = Explained::read(&value, "error: disk <num> full");
        let marks = explained.marks();
        let text: String = marks.iter().map(|mark| mark.text.to_string()).collect();
        assert_eq!(text, "error: disk <span class=\"class\">&lt;num&gt;</span> full");
        let classes: Vec<_> = marks.iter().map(|mark| mark.class.as_str()).collect();
        assert_eq!(classes, ["", "up4", "", "down2", "", "none"]);
        assert_eq!(marks[1].figure.as_deref(), Some("+2.5"));
        assert_eq!(marks[3].figure.as_deref(), Some("−0.6"));
        assert_eq!(marks[5].figure, None);
    }

    #[test]
    fn steps_are_absolute_so_that_two_lines_compare() {
        let steps: Vec<_> = [0.1, 0.2, 0.49, 0.5, 1.0, 1.99, -2.0].map(step).into();
        assert_eq!(steps, [0, 1, 1, 2, 3, 3, 4]);
    }
}
