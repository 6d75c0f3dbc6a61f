//! Whether data can be learnt from and judged by: classes that are there, and lines that are in both.

use std::path::Path;

use foldhash::HashSet;
use logrisk_base::{PatternId, Risk};

use super::{
    Dataset,
    canonical::Canonical,
    error::DatasetError,
    labelled::{read_texts, shorten},
};

impl Dataset {
    /// The risks of which there is no example. Weak pairs have some of every risk.
    #[must_use]
    pub fn missing_risks(&self) -> Vec<Risk> {
        if !self.weak_pairs.is_empty() {
            return Vec::new();
        }
        let present: HashSet<Risk> = self.risks().collect();
        Risk::all().filter(|risk| !present.contains(risk)).collect()
    }

    /// Refuses data with a single risk.
    ///
    /// # Errors
    /// [`DatasetError::OneClass`].
    pub fn require_two_classes(&self) -> Result<(), DatasetError> {
        let mut risks = self.risks();
        match risks.next() {
            Some(first) if self.weak_pairs.is_empty() && risks.all(|risk| risk == first) => {
                Err(DatasetError::OneClass { rows: self.risks().count(), risk: first.get() })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a file to judge by whose lines have patterns that the labelled lines have too. (What the recipe keeps aside
    /// for itself is whole families of software, without the others' texts.)
    ///
    /// # Errors
    /// [`DatasetError::Leakage`], or another if the file cannot be read.
    pub fn require_unseen(&self, path: &Path) -> Result<(), DatasetError> {
        let mut canonical = Canonical::new();
        let seen: HashSet<PatternId> =
            self.labelled.iter().map(|row| PatternId::of(&canonical.text(&row.text))).collect();
        let texts = read_texts(path)?;
        let mut leaking =
            texts.iter().filter(|(_, text)| seen.contains(&PatternId::of(&canonical.text(text))));
        let Some((line, text)) = leaking.next() else { return Ok(()) };
        Err(DatasetError::Leakage {
            path: path.to_owned(),
            lines: 1 + leaking.count(),
            of: texts.len(),
            line: *line,
            text: shorten(text),
        })
    }

    fn risks(&self) -> impl Iterator<Item = Risk> {
        let labelled = self.labelled.iter().map(|row| row.risk);
        let read = self.read_labels.iter().map(|label| label.risk);
        labelled.chain(read).chain(self.templates.iter().map(|template| template.risk))
    }
}
