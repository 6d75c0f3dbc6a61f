//! A person's word on a pattern, which outranks model and rules from the next line on.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use logrisk_base::{PatternId, Risk, Tag};
use serde::{Deserialize, Serialize};

/// A correction as it is kept. Revoked and expired ones stay listed: they are history, and training reads them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// Its number; they grow.
    pub id: u64,
    /// The pattern that it speaks of.
    pub pattern: PatternId,
    /// The pattern's masked text, so that a correction means something without its catalogue.
    pub masked: String,
    /// The line that it was made on, if it was made on one.
    pub log: Option<String>,
    /// The risk that the person set.
    pub risk: Risk,
    /// The tag that the person set.
    pub tag: Option<Tag>,
    /// Why.
    pub comment: Option<String>,
    /// The name of the key that it came with.
    pub by: Option<String>,
    /// The risk that stood there before.
    pub was: Option<Risk>,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// When it was taken back, or replaced by a newer one.
    pub revoked: Option<Timestamp>,
}

/// A correction to be made.
#[derive(Debug, Clone)]
pub struct NewCorrection {
    /// The pattern that it speaks of.
    pub pattern: PatternId,
    /// The pattern's masked text.
    pub masked: String,
    /// The line that it was made on.
    pub log: Option<String>,
    /// The risk to set.
    pub risk: Risk,
    /// The tag to set.
    pub tag: Option<Tag>,
    /// Why.
    pub comment: Option<String>,
    /// The name of the key that it comes with.
    pub by: Option<String>,
    /// The risk that stands there now.
    pub was: Option<Risk>,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
}

impl Correction {
    /// Whether it is in force.
    #[must_use]
    pub fn active(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| expires > now)
    }
}

/// All corrections, and those that may be in force by pattern. Replaced whole at each change, which is rare; readers,
/// which come with every line, take no lock.
#[derive(Debug, Default, Clone)]
pub(crate) struct Corrections {
    all: Vec<Arc<Correction>>,
    in_force: HashMap<PatternId, Arc<Correction>, foldhash::fast::RandomState>,
}

impl Corrections {
    pub(crate) fn new(mut all: Vec<Arc<Correction>>) -> Self {
        all.sort_by_key(|correction| correction.id);
        let in_force = all
            .iter()
            .filter(|correction| correction.revoked.is_none())
            .map(|correction| (correction.pattern, Arc::clone(correction)))
            .collect();
        Self { all, in_force }
    }

    pub(crate) fn all(&self) -> &[Arc<Correction>] {
        &self.all
    }

    pub(crate) fn of(&self, pattern: PatternId, now: Timestamp) -> Option<&Arc<Correction>> {
        self.in_force.get(&pattern).filter(|correction| correction.active(now))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.in_force.is_empty()
    }
}
