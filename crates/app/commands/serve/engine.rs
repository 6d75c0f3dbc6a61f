//! The pipeline as the server's engine.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use logrisk_base::PatternId;
use logrisk_web::{CacheFigures, DriftFigures, Engine, Masked, Verdict};

use crate::{
    assemble::{Assembler, Block, Take},
    drift::Drift,
    pipeline::{Known, Pipeline, Worker},
};

/// Bytes of a line that is read as it is: what masking leaves at most.
const UNMASKED_BYTES: usize = 2048;

/// A pipeline, and buffers for as many threads as use it at once.
pub struct PipelineEngine {
    pipeline: Arc<Pipeline>,
    workers: Mutex<Vec<Worker>>,
}

impl PipelineEngine {
    /// An engine over a pipeline with a cache.
    pub fn new(pipeline: Pipeline) -> Self {
        Self { pipeline: Arc::new(pipeline), workers: Mutex::default() }
    }

    /// The pipeline itself.
    pub fn pipeline(&self) -> Arc<Pipeline> {
        Arc::clone(&self.pipeline)
    }

    /// Lends a thread's buffers, which are given back afterwards.
    fn with_worker<T>(&self, work: impl FnOnce(&mut Worker) -> T) -> T {
        let lent = lock(&self.workers).pop();
        let mut worker = lent.unwrap_or_default();
        let done = work(&mut worker);
        lock(&self.workers).push(worker);
        done
    }
}

impl Engine for PipelineEngine {
    fn version(&self) -> &str {
        self.pipeline.model.version()
    }

    fn redact<'a>(&self, line: &'a str) -> Cow<'a, str> {
        self.pipeline.redactor.as_ref().map_or(Cow::Borrowed(line), |redactor| redactor.redact(line))
    }

    fn mask(&self, line: &str, preprocess: bool) -> Masked {
        if !preprocess {
            let text = line.get(..line.floor_char_boundary(UNMASKED_BYTES)).unwrap_or(line);
            return Masked { pattern: PatternId::of(text), text: text.into(), level: None };
        }
        let mut text = String::new();
        let level = self.pipeline.mask(line, &mut text);
        Masked { pattern: PatternId::of(&text), text: text.into(), level }
    }

    fn known(&self, masked: &Masked) -> Option<Verdict> {
        let known = self.pipeline.cache.as_ref()?.get(masked.pattern, &masked.text)?;
        Some(verdict(&known))
    }

    fn assess(&self, texts: &[Masked]) -> Vec<Verdict> {
        let levels: Vec<_> = texts.iter().map(|masked| masked.level).collect();
        let owned = texts.iter().map(|masked| Box::from(&*masked.text)).collect();
        let known = self.with_worker(|worker| self.pipeline.assess(owned, &levels, worker));
        known.iter().map(verdict).collect()
    }

    fn explain(&self, masked: &Masked) -> Option<serde_json::Value> {
        let why = self.with_worker(|worker| self.pipeline.explain(&masked.text, masked.level, worker))?;
        serde_json::to_value(why).ok()
    }

    fn records(&self, body: &[u8]) -> Result<Vec<String>, String> {
        let mut assembler = Assembler::new(true);
        assembler.accept(body).map_err(|error| error.to_string())?;
        let mut records = Vec::new();
        // The first call takes all records but the last, the second what is left.
        for take in [Take::Complete, Take::End] {
            if let Some(block) = assembler.take(take, &mut Block::default()) {
                records.extend(
                    block
                        .records
                        .iter()
                        .filter_map(|range| block.text.get(range.clone()))
                        .map(|record| record.trim_end_matches(['\n', '\r']).to_owned())
                        .filter(|record| !record.trim().is_empty()),
                );
            }
        }
        Ok(records)
    }

    fn cache(&self) -> CacheFigures {
        let figures = self.pipeline.cache.as_ref().map(|cache| cache.statistics()).unwrap_or_default();
        CacheFigures { hits: figures.hits, misses: figures.misses, entries: figures.entries }
    }

    fn drift(&self) -> DriftFigures {
        self.pipeline.drift.as_ref().map(Drift::figures).unwrap_or_default()
    }
}

/// What these locks guard is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As the server says it.
pub fn verdict(known: &Arc<Known>) -> Verdict {
    Verdict {
        risk: known.label,
        score: known.score,
        tag: known.tag,
        confidence: known.assessment.tags.get(known.tag as usize).copied().unwrap_or(0.0),
        probabilities: known.assessment.probabilities,
        interval: known.interval,
        unsure: known.unsure,
    }
}
