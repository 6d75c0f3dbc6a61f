//! What a change of models would change: asked before it is done.

use std::sync::Arc;

use jiff::Timestamp;
use logrisk_base::{PatternId, Risk};
use logrisk_catalogue::{PatternQuery, Sort};

use crate::{
    engine::{Engine, Masked, ModelsError, Verdict},
    error::ApiError,
    scoring::read_lines,
    service::Service,
};

/// Patterns that two models are compared on: those with most lines.
const PATTERNS: usize = 500;
/// Texts that are judged together.
const TURN: usize = 64;
/// From here on a risk has moved: the next level of the scale, not a matter of rounding.
const MOVED: u8 = 2;

/// A model beside the one in use.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Patterns that both judged.
    pub(crate) patterns: usize,
    /// Those whose risk moves by 2 or more, the furthest first.
    pub(crate) moved: Vec<Moved>,
    /// Corrections in force.
    pub(crate) corrections: usize,
    /// Those that the model by itself misses by 2 or more. They stay in force.
    pub(crate) missed: Vec<Moved>,
}

/// A pattern with two risks.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) pattern: PatternId,
    pub(crate) masked: String,
    /// The risk of the model in use, or a person's.
    pub(crate) from: Risk,
    /// The other model's.
    pub(crate) to: Risk,
}

impl Moved {
    fn distance(&self) -> u8 {
        self.from.get().abs_diff(self.to.get())
    }
}

impl Service {
    /// Sets a model beside the one in use. Takes a second or so, one at a time.
    pub(crate) async fn compare(self: &Arc<Self>, version: String) -> Result<Comparison, ApiError> {
        // Never closed, so that this only waits.
        let _one_at_a_time = self.explaining.acquire().await;
        let loaded = self.require_model()?;
        let service = Arc::clone(self);
        let compared = tokio::task::spawn_blocking(move || {
            let other = service.models().open(Some(&version))?;
            Ok::<_, ModelsError>(service.compared(&*loaded.engine, &*other))
        });
        Ok(compared.await.map_err(|_| ModelsError::Broken("comparing panicked".to_owned()))??)
    }

    fn compared(&self, current: &dyn Engine, other: &dyn Engine) -> Comparison {
        let now = Timestamp::now();
        let query = PatternQuery { sort: Sort::Count, limit: PATTERNS, ..PatternQuery::default() };
        let mut judged = Vec::new();
        for (pattern, _) in self.catalogue.patterns(&query, now).patterns {
            let line = pattern.samples.back().map_or(&pattern.masked, |sample| &sample.text);
            judged.push((pattern.id, line.clone(), pattern.masked));
        }
        let lines: Vec<String> = judged.iter().map(|(_, line, _)| line.clone()).collect();
        let pairs = risks(current, &lines).into_iter().zip(risks(other, &lines));
        let all = judged.into_iter().zip(pairs);
        let all = all.map(|((pattern, _, masked), (from, to))| Moved { pattern, masked, from, to });

        let corrections: Vec<_> =
            self.catalogue.corrections().into_iter().filter(|correction| correction.active(now)).collect();
        let line = |log: &Option<String>, masked: &String| log.clone().unwrap_or_else(|| masked.clone());
        let lines: Vec<String> = corrections.iter().map(|one| line(&one.log, &one.masked)).collect();
        let persons = corrections.iter().zip(risks(other, &lines)).map(|(correction, to)| Moved {
            pattern: correction.pattern,
            masked: correction.masked.clone(),
            from: correction.risk,
            to,
        });
        Comparison {
            patterns: all.len(),
            moved: furthest(all),
            corrections: corrections.len(),
            missed: furthest(persons),
        }
    }
}

fn furthest(all: impl Iterator<Item = Moved>) -> Vec<Moved> {
    let mut moved: Vec<Moved> = all.filter(|moved| moved.distance() >= MOVED).collect();
    moved.sort_by_key(|moved| std::cmp::Reverse(moved.distance()));
    moved
}

/// An engine's own risks, in order.
fn risks(engine: &dyn Engine, lines: &[String]) -> Vec<Risk> {
    let texts: Vec<Masked> = read_lines(engine, lines, true).into_iter().map(|line| line.masked).collect();
    let verdicts = texts.chunks(TURN).flat_map(|texts| {
        let known: Vec<Option<Verdict>> = texts.iter().map(|text| engine.known(text)).collect();
        if known.iter().all(Option::is_some) {
            known.into_iter().flatten().collect()
        } else {
            engine.assess(texts)
        }
    });
    verdicts.map(|verdict| verdict.risk).collect()
}
