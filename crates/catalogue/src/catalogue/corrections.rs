//! What people said: on disk first, then in force.

use std::sync::Arc;

use jiff::Timestamp;
use logrisk_base::PatternId;

use super::{Catalogue, lock};
use crate::{CatalogueError, Correction, NewCorrection, correction::Corrections};

impl Catalogue {
    /// The correction in force for a pattern. Takes no lock: it is asked for every line.
    #[must_use]
    pub fn correction(&self, pattern: PatternId, now: Timestamp) -> Option<Arc<Correction>> {
        let corrections = self.corrections.load();
        if corrections.is_empty() { None } else { corrections.of(pattern, now).cloned() }
    }

    /// All corrections, the newest first.
    #[must_use]
    pub fn corrections(&self) -> Vec<Arc<Correction>> {
        self.corrections.load().all().iter().rev().cloned().collect()
    }

    /// Puts a correction in force, in place of an earlier one for its pattern. It is on disk when this returns.
    ///
    /// # Errors
    /// When the store fails; nothing is changed then.
    pub fn correct(&self, new: NewCorrection, now: Timestamp) -> Result<Arc<Correction>, CatalogueError> {
        let _one_at_a_time = lock(&self.correcting);
        let corrections = self.corrections.load_full();
        let id = corrections.all().last().map_or(1, |last| last.id + 1);
        let NewCorrection { pattern, masked, log, risk, tag, comment, by, was, expires } = new;
        let correction = Correction {
            id,
            pattern,
            masked,
            log,
            risk,
            tag,
            comment,
            by,
            was,
            created: now,
            expires,
            revoked: None,
        };
        let mut written = vec![correction.clone()];
        if let Some(earlier) =
            corrections.all().iter().find(|one| one.pattern == pattern && one.revoked.is_none())
        {
            written.push(Correction { revoked: Some(now), ..(**earlier).clone() });
        }
        self.put_corrections(&corrections, written)?;
        Ok(Arc::new(correction))
    }

    /// Takes a correction back. `None` if there is no such correction; an already revoked one stays as it is.
    ///
    /// # Errors
    /// When the store fails; nothing is changed then.
    pub fn revoke(&self, id: u64, now: Timestamp) -> Result<Option<Arc<Correction>>, CatalogueError> {
        let _one_at_a_time = lock(&self.correcting);
        let corrections = self.corrections.load_full();
        let Some(found) = corrections.all().iter().find(|correction| correction.id == id) else {
            return Ok(None);
        };
        if found.revoked.is_some() {
            return Ok(Some(Arc::clone(found)));
        }
        let revoked = Correction { revoked: Some(now), ..(**found).clone() };
        self.put_corrections(&corrections, vec![revoked.clone()])?;
        Ok(Some(Arc::new(revoked)))
    }

    /// On disk first, then in force.
    fn put_corrections(&self, old: &Corrections, changed: Vec<Correction>) -> Result<(), CatalogueError> {
        if let Some(store) = &self.store {
            store.write_corrections(&changed)?;
        }
        let mut all = old.all().to_vec();
        for correction in changed {
            all.retain(|other| other.id != correction.id);
            all.push(Arc::new(correction));
        }
        self.corrections.store(Arc::new(Corrections::new(all)));
        Ok(())
    }
}
