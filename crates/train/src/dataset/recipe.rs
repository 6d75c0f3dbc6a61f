//! A recipe: which files a model is trained on, in which mix, and what is kept aside to judge it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{augment::LevelMix, error::DatasetError, labelled::Conflicts};

/// What a model is trained on. Every member has a default; `config/recipe.yaml` shows them all.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Files of messages with their developer's level (`text`, `y`, `source`).
    pub weak_pairs: Vec<PathBuf>,
    /// Files of messages that a person read (`text`, `level`, `risk`, `or`, `software`).
    pub read_labels: Vec<PathBuf>,
    /// Files of risks that a person gave to messages of `weak_pairs` (`fingerprint`, `risk`, `or`).
    pub readings: Vec<PathBuf>,
    /// The built-in catalogues of authored templates.
    pub built_in_templates: bool,
    /// Further files of templates (`text`, `software`, `level`, `risk`, `lo`, `hi`, `tag`, `kind`).
    pub templates: Vec<PathBuf>,
    /// Labelled data of your own: CSV or JSON lines with whole log lines and their risk.
    pub labelled: Vec<PathBuf>,
    /// What to do with a line that has two labels.
    pub conflicts: Conflicts,
    /// The shares of an epoch; a source without data gives its share to the others.
    pub mix: Mix,
    /// Examples in an epoch.
    pub epoch_examples: usize,
    /// How levels are shown.
    pub levels: LevelMix,
    /// The share of software families whose read labels and templates only judge, and whose weak pairs are left out.
    pub held_out: f64,
    /// Decides which families those are, and every draw.
    pub seed: u64,
    /// Settings of the training, by the names of `logrisk train`'s flags; what the command line says wins.
    pub training: BTreeMap<String, Setting>,
}

/// A value of [`Recipe::training`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// A flag without a value, given or not.
    Switch(bool),
    /// A whole number.
    Count(u64),
    /// Any other number.
    Number(f64),
    /// A word.
    Word(String),
}

impl Setting {
    /// The flag as a command line would give it.
    #[must_use]
    pub fn as_argument(&self, flag: &str) -> Option<String> {
        match self {
            Self::Switch(given) => given.then(|| format!("--{flag}")),
            Self::Count(count) => Some(format!("--{flag}={count}")),
            Self::Number(number) => Some(format!("--{flag}={number}")),
            Self::Word(word) => Some(format!("--{flag}={word}")),
        }
    }
}

/// Shares of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// Weak pairs.
    pub weak_pairs: f64,
    /// Read labels and readings.
    pub read_labels: f64,
    /// Templates.
    pub templates: f64,
    /// Labelled data of your own.
    pub labelled: f64,
}

impl Default for Mix {
    /// 18 : 42 : 40, as the shipped model was trained; labelled data comes on top.
    fn default() -> Self {
        Self { weak_pairs: 18.0, read_labels: 42.0, templates: 40.0, labelled: 50.0 }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            weak_pairs: Vec::new(),
            read_labels: Vec::new(),
            readings: Vec::new(),
            built_in_templates: true,
            templates: Vec::new(),
            labelled: Vec::new(),
            conflicts: Conflicts::Majority,
            mix: Mix::default(),
            epoch_examples: 45_000,
            levels: LevelMix::default(),
            held_out: 0.10,
            seed: 42,
            training: BTreeMap::new(),
        }
    }
}

impl Recipe {
    /// Reads a recipe; its relative paths are relative to its own folder.
    ///
    /// # Errors
    /// [`DatasetError::Recipe`] names the line and column of what is wrong.
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| DatasetError::Read { path: path.to_owned(), source })?;
        let mut recipe =
            Self::parse(&text).map_err(|problem| DatasetError::Recipe { path: path.to_owned(), problem })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let lists = [
            &mut recipe.weak_pairs,
            &mut recipe.read_labels,
            &mut recipe.readings,
            &mut recipe.templates,
            &mut recipe.labelled,
        ];
        for file in lists.into_iter().flatten() {
            *file = folder.join(&*file);
        }
        Ok(recipe)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let recipe: Self = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        if !(0.0..=0.5).contains(&recipe.held_out) {
            return Err(format!("held_out is {}; use a share between 0 and 0.5", recipe.held_out));
        }
        let Mix { weak_pairs, read_labels, templates, labelled } = recipe.mix;
        let LevelMix { present, absent, lying } = recipe.levels;
        if [weak_pairs, read_labels, templates, labelled, present, absent, lying]
            .iter()
            .any(|share| share.is_nan() || *share < 0.0)
        {
            return Err("every share of mix and levels must be 0 or more".into());
        }
        if recipe.epoch_examples == 0 {
            return Err("epoch_examples is 0; an epoch needs examples".into());
        }
        Ok(recipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_recipe_shows_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/recipe.yaml");
        let shipped = Recipe::read(&path).unwrap();
        assert!(!shipped.weak_pairs.is_empty() && !shipped.read_labels.is_empty());
        let files_aside = Recipe {
            weak_pairs: Vec::new(),
            read_labels: Vec::new(),
            readings: Vec::new(),
            training: BTreeMap::new(),
            ..shipped
        };
        assert_eq!(files_aside, Recipe::default());
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("weak_pair: [a]", "weak_pair"),
            ("held_out: 0.9", "held_out is 0.9"),
            ("mix: {templates: -1}", "0 or more"),
            ("epoch_examples: 0", "epoch_examples is 0"),
        ];
        for (text, expected) in cases {
            let message = Recipe::parse(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
