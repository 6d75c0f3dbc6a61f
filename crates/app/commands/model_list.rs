//! `logrisk model list`: the models at hand, side by side.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;
use logrisk_score::archive::{Archive, Manifest};
use serde::Serialize;
use serde_json::Value;

use super::model::open;
use crate::{built_in::BUILT_IN, terminal::grouped};

/// How models are listed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ListFormat {
    /// A paragraph for each.
    Table,
    /// An array with one object for each.
    Json,
}

/// What is said of a model.
#[derive(Debug, Serialize)]
struct Entry {
    /// For `--model`.
    name: String,
    version: String,
    /// Used where none is named.
    default: bool,
    layers: usize,
    hidden: usize,
    heads: usize,
    vocabulary: usize,
    parameters: usize,
    /// Of all its files.
    bytes: u64,
    trained: String,
    mask: String,
    figures: Vec<Figure>,
}

/// A figure of the manifest, with its interval if it has one.
#[derive(Debug, Serialize, PartialEq)]
struct Figure {
    /// What it was measured on.
    set: String,
    name: String,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high: Option<f64>,
}

/// The figures that one chooses a model by, as evaluation and training name them.
const KEY_FIGURES: [&str; 11] = [
    "accuracy",
    "exact",
    "within_1",
    "within_one",
    "mae",
    "weighted_kappa",
    "kappa",
    "spearman",
    "auroc_5",
    "calibration_error_7",
    "traps_auroc",
];

/// Describes the built-in models and those at the paths.
pub fn list(paths: &[PathBuf], format: ListFormat) -> anyhow::Result<String> {
    let built_in = BUILT_IN.iter().map(|model| PathBuf::from(model.name));
    let mut entries = Vec::new();
    for (index, model) in built_in.chain(paths.iter().cloned()).enumerate() {
        let (archive, manifest) = open(Some(&model))?;
        entries.push(Entry::new(model.display().to_string(), index == 0, &archive, &manifest));
    }
    match format {
        ListFormat::Json => serde_json::to_string_pretty(&entries).context("could not write JSON"),
        ListFormat::Table => Ok(entries.iter().map(Entry::paragraph).collect::<Vec<_>>().join("\n")),
    }
}

impl Entry {
    fn new(name: String, default: bool, archive: &Archive, manifest: &Manifest) -> Self {
        let shape = &archive.weights.shape;
        let mut figures = Vec::new();
        find_figures("", &manifest.description.figures, &mut figures);
        Self {
            name,
            default,
            version: manifest.description.version.clone(),
            layers: shape.layers,
            hidden: shape.hidden,
            heads: shape.heads,
            vocabulary: shape.vocabulary,
            parameters: archive.weights.tensors().iter().map(|tensor| tensor.values.len()).sum(),
            bytes: manifest.files.values().map(|file| file.size).sum(),
            trained: manifest.description.created.chars().take(10).collect(),
            mask: manifest.description.mask.to_string(),
            figures,
        }
    }

    fn paragraph(&self) -> String {
        let mut text = format!(
            "{}{}\n  version     {}\n  shape       {} layers x {}, {} heads, {} tokens\n  parameters  {} ({:.1} MB on disk)\n  trained     {}\n",
            self.name,
            if self.default { "  (used if none is named)" } else { "" },
            self.version,
            self.layers,
            self.hidden,
            self.heads,
            grouped(self.vocabulary as u64),
            grouped(self.parameters as u64),
            self.bytes as f64 / 1e6,
            if self.trained.is_empty() { "unknown" } else { &self.trained },
        );
        let mut set = "";
        for figure in &self.figures {
            if figure.set != set {
                set = &figure.set;
                text += &format!("  on {set}\n");
            }
            text += &format!("    {:<22}{:.2}", figure.name, figure.value);
            if let (Some(low), Some(high)) = (figure.low, figure.high) {
                text += &format!(" [{low:.2}, {high:.2}]");
            }
            text.push('\n');
        }
        text
    }
}

/// Collects the key figures from whatever shape a manifest gives them: `{"mae": 0.8}`, `{"mae": {"value", "low", "high"}}`, or
/// a report's list of `{"name", "value", "low", "high"}`. Sets are named by the keys above them.
fn find_figures(set: &str, value: &Value, out: &mut Vec<Figure>) {
    match value {
        Value::Array(items) => {
            for item in items {
                match item.get("name").and_then(Value::as_str) {
                    Some(name) if item.get("value").is_some() => out.extend(figure(set, name, item)),
                    name => find_figures(name.unwrap_or(set), item, out),
                }
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                if member.is_number() || member.get("value").is_some() {
                    out.extend(figure(set, key, member));
                } else {
                    find_figures(if key == "figures" { set } else { key }, member, out);
                }
            }
        }
        _ => {}
    }
}

/// A key figure: a number, or an object with `value`, `low` and `high`.
fn figure(set: &str, name: &str, value: &Value) -> Option<Figure> {
    let number = |key: &str| value.get(key).and_then(Value::as_f64);
    KEY_FIGURES.contains(&name).then_some(())?;
    Some(Figure {
        set: set.to_owned(),
        name: name.to_owned(),
        value: value.as_f64().or_else(|| number("value"))?,
        low: number("low"),
        high: number("high"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_are_found_in_every_shape() {
        let figure = |set: &str, low: Option<f64>| Figure {
            set: set.into(),
            name: "mae".into(),
            value: 0.5,
            low,
            high: low.map(|low| low + 0.2),
        };
        let cases = [
            (json!({"validation": {"step": 7, "validation": {"mae": 0.5}}}), figure("validation", None)),
            (json!({"gold": {"mae": {"value": 0.5, "low": 0.4, "high": 0.6}}}), figure("gold", Some(0.4))),
            (
                json!([{"name": "gold", "figures": [{"name": "mae", "value": 0.5, "low": 0.4, "high": 0.6}]}]),
                figure("gold", Some(0.4)),
            ),
        ];
        for (value, expected) in cases {
            let mut found = Vec::new();
            find_figures("", &value, &mut found);
            assert_eq!(found.len(), 1);
            assert_eq!((&found[0].set, found[0].value, found[0].low), (&expected.set, 0.5, expected.low));
        }
        let mut none = Vec::new();
        find_figures("", &Value::Null, &mut none);
        assert!(none.is_empty());
    }
}
