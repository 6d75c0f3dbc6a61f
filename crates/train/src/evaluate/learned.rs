//! Baselines that learn from words: what a language model has to beat to be worth its cost.
//!
//! ```text
//! the examples that a model is trained on ─► TF-IDF of words and pairs ─┬─► logistic regression: 11 probabilities
//!                                                                       └─► ridge regression: the expected risk
//! ```
//! They read the canonical masked text, as the model does, and see the same targets.

use std::path::Path;

use logrisk_base::Risk;

use super::{
    Answer, Judge,
    logistic::{Data, Logistic},
    vectorize::Vectorizer,
};
use crate::{
    dataset::{
        Canonical, Conflicts, Dataset, DatasetError, Recipe, expected_risk, is_recipe, labelled_target,
        read_labelled,
    },
    example::Example,
    sparse::{Row, dot, ridge},
};

/// Examples drawn from a recipe: five epochs of the shipped one. More of the same words change little.
const EXAMPLES: usize = 200_000;
/// Ridge regression's penalty, that of scikit-learn.
const RIDGE: f32 = 1.0;

/// Both baselines, fitted.
#[derive(Debug)]
pub struct Learned {
    vectorizer: Vectorizer,
    logistic: Logistic,
    ridge: Vec<f32>,
    /// What ridge regression answers to a text without a known word.
    mean: f32,
}

/// What to learn from: a recipe (`.yaml`, `.yml`), of which epochs are drawn until there are 200,000 examples, or
/// labelled lines, CSV or JSON lines.
///
/// # Errors
/// [`DatasetError`] with file, line and remedy.
pub fn examples(path: &Path) -> Result<Vec<Example>, DatasetError> {
    if is_recipe(path) {
        let mut recipe = Recipe::read(path)?;
        recipe.epoch_examples = recipe.epoch_examples.min(EXAMPLES);
        let epochs = EXAMPLES / recipe.epoch_examples;
        let dataset = Dataset::open(recipe)?;
        return Ok((0..epochs).flat_map(|epoch| dataset.draw_epoch(epoch, 0)).collect());
    }
    let labelled = read_labelled(path, Conflicts::Majority)?;
    if let [first, rest @ ..] = labelled.rows.as_slice()
        && rest.iter().all(|row| row.risk == first.risk)
    {
        return Err(DatasetError::OneClass { rows: labelled.rows.len(), risk: first.risk.get() });
    }
    let mut canonical = Canonical::new();
    let example = |row: &crate::dataset::LabelledRow, canonical: &mut Canonical| Example {
        text: canonical.text(&row.text),
        target: labelled_target(row.risk),
        tag: row.tag,
        weight: row.weight,
    };
    Ok(labelled.rows.iter().map(|row| example(row, &mut canonical)).collect())
}

impl Learned {
    /// Fits both to the same rows; 200,000 examples take under a minute on one core.
    #[must_use]
    pub fn fit(examples: &[Example]) -> Self {
        let vectorizer = Vectorizer::fit(examples.iter().map(|example| example.text.as_str()));
        let columns = vectorizer.columns();
        let mut rows: Vec<Row> = examples.iter().map(|example| vectorizer.row(&example.text)).collect();
        let targets: Vec<[f32; Risk::COUNT]> = examples.iter().map(|example| example.target).collect();
        let weights: Vec<f32> = examples.iter().map(|example| example.weight).collect();
        let logistic = Logistic::fit(&Data { rows: &rows, columns, targets: &targets, weights: &weights });

        let total: f32 = weights.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        let wanted: Vec<f32> = targets.iter().map(expected_risk).collect();
        let mean = wanted.iter().zip(&weights).map(|(wanted, weight)| wanted * weight).sum::<f32>() / total;
        // A row of weight w counts as w rows where it is stretched by √w on both sides.
        for (row, weight) in rows.iter_mut().zip(&weights) {
            row.iter_mut().for_each(|(_, value)| *value *= weight.sqrt());
        }
        let wanted: Vec<f32> =
            wanted.iter().zip(&weights).map(|(wanted, weight)| (wanted - mean) * weight.sqrt()).collect();
        let ridge = ridge(&rows, columns, RIDGE, &wanted);
        Self { vectorizer, logistic, ridge, mean }
    }

    /// Their answers to raw lines.
    #[must_use]
    pub fn judges(&self, lines: &[&str]) -> [Judge; 2] {
        let mut canonical = Canonical::new();
        let rows: Vec<Row> = lines.iter().map(|line| self.vectorizer.row(&canonical.text(line))).collect();
        let logistic = rows.iter().map(|row| {
            let probabilities = self.logistic.probabilities(row);
            Answer::of_probabilities(&probabilities, Risk::nearest(expected_risk(&probabilities)))
        });
        let ridge = rows.iter().map(|row| {
            let score = (self.mean + dot(row, &self.ridge)).clamp(0.0, 10.0);
            Answer { score, ..Answer::of_label(Risk::nearest(score)) }
        });
        [
            Judge { name: "TF-IDF + logistic".to_owned(), answers: logistic.collect() },
            Judge { name: "TF-IDF + ridge".to_owned(), answers: ridge.collect() },
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// Made by `tests/reference/tfidf.py` with scikit-learn.
    #[derive(Deserialize)]
    struct Reference {
        texts: Vec<String>,
        risks: Vec<usize>,
        queries: Vec<String>,
        probabilities: Vec<[f32; Risk::COUNT]>,
        ridge: Vec<f32>,
    }

    #[test]
    fn answers_equal_those_of_scikit_learn() {
        let reference: Reference =
            serde_json::from_str(include_str!("../../../../tests/reference/tfidf.json")).unwrap();
        let examples: Vec<Example> = reference
            .texts
            .iter()
            .zip(&reference.risks)
            .map(|(text, risk)| {
                let mut target = [0.0; Risk::COUNT];
                target[*risk] = 1.0;
                Example { text: text.clone(), target, tag: None, weight: 1.0 }
            })
            .collect();
        let learned = Learned::fit(&examples);
        for ((query, probabilities), score) in
            reference.queries.iter().zip(&reference.probabilities).zip(&reference.ridge)
        {
            let row = learned.vectorizer.row(query);
            let ours = learned.logistic.probabilities(&row);
            for (ours, theirs) in ours.iter().zip(probabilities) {
                assert!((ours - theirs).abs() < 2e-3, "{query}: {ours:?} instead of {theirs:?}");
            }
            let ours = learned.mean + dot(&row, &learned.ridge);
            assert!((ours - score).abs() < 1e-3, "{query}: {ours} instead of {score}");
        }
    }

    #[test]
    fn labelled_lines_teach_and_mistakes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labelled.csv");
        let rows: String =
            (0..40).map(|n| format!("disk {n} is corrupt,9\nrequest {n} served,2\n")).collect();
        std::fs::write(&path, format!("text,risk\n{rows}")).unwrap();
        let learned = Learned::fit(&examples(&path).unwrap());
        for judge in learned.judges(&["disk 99 is corrupt", "request 7 served"]) {
            let scores: Vec<f32> = judge.answers.iter().map(|answer| answer.score).collect();
            assert!(scores[0] > scores[1] + 3.0, "{} {scores:?}", judge.name);
        }
        std::fs::write(&path, "text,risk\na,3\nb,3\n").unwrap();
        assert!(examples(&path).unwrap_err().to_string().contains("two different risks"));
    }
}
