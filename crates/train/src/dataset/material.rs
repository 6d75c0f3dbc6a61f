//! What a recipe names, read and divided into what trains and what only judges.

use foldhash::HashSet;
use logrisk_base::Risk;

use super::{
    canonical::Canonical,
    error::DatasetError,
    holdout,
    labelled::{LabelledRow, read as read_labelled},
    recipe::Recipe,
    sources::{self, ReadLabel, WeakPair},
    template::{self, Template},
};

/// All sources of a recipe.
#[derive(Debug)]
pub(super) struct Material {
    pub(super) weak_pairs: Vec<WeakPair>,
    pub(super) read_labels: Vec<ReadLabel>,
    pub(super) templates: Vec<Template>,
    pub(super) labelled: Vec<LabelledRow>,
    /// Texts with two labels in the labelled files.
    pub(super) conflicts: usize,
}

/// What only judges.
#[derive(Debug)]
pub(super) struct Aside {
    /// The families of software, sorted.
    pub(super) families: Vec<String>,
    pub(super) read_labels: Vec<ReadLabel>,
    pub(super) templates: Vec<Template>,
}

impl Material {
    /// Reads the files of a recipe.
    ///
    /// # Errors
    /// [`DatasetError`] names file, line and remedy.
    pub(super) fn read(recipe: &Recipe) -> Result<Self, DatasetError> {
        let mut weak_pairs = sources::weak_pairs(&recipe.weak_pairs)?;
        let mut read_labels = sources::read_labels(&recipe.read_labels)?;
        read_labels.extend(sources::take_read(&mut weak_pairs, &recipe.readings)?);
        let mut templates = if recipe.built_in_templates { template::embedded()? } else { Vec::new() };
        templates.extend(template::read(&recipe.templates)?);
        let (mut labelled, mut conflicts) = (Vec::new(), 0);
        for path in &recipe.labelled {
            let file = read_labelled(path, recipe.conflicts)?;
            conflicts += file.conflicts;
            labelled.extend(file.rows);
        }
        if weak_pairs.is_empty() && read_labels.is_empty() && templates.is_empty() && labelled.is_empty() {
            let problem = "names no data; give weak_pairs, read_labels, templates or labelled".to_owned();
            return Err(DatasetError::Recipe { path: "".into(), problem });
        }
        Ok(Self { weak_pairs, read_labels, templates, labelled, conflicts })
    }

    /// The masked texts of all templates and labelled lines with their risks.
    pub(super) fn patterns(&self) -> Vec<(String, Risk)> {
        let mut patterns = template::patterns(&self.templates);
        let mut canonical = Canonical::new();
        patterns.extend(self.labelled.iter().map(|row| (canonical.text(&row.text), row.risk)));
        patterns
    }

    /// Takes families of software out; their weak pairs are dropped.
    pub(super) fn set_aside(&mut self, share: f64, seed: u64) -> Aside {
        let families = holdout::choose(&self.read_labels, &self.templates, share, seed);
        let aside = |software: &str| families.binary_search(&holdout::family(software)).is_ok();
        let read_labels: Vec<_> = self.read_labels.extract_if(.., |label| aside(&label.software)).collect();
        let templates = self.templates.extract_if(.., |template| aside(&template.software)).collect();
        // The same words may stand in two projects; a judge's text must not be learnt from either.
        let texts: HashSet<&str> = read_labels.iter().map(|label| label.text.as_str()).collect();
        self.weak_pairs.retain(|pair| !aside(&pair.source) && !texts.contains(pair.text.as_str()));
        self.read_labels.retain(|label| !texts.contains(label.text.as_str()));
        Aside { families, read_labels, templates }
    }
}
