//! The data plane beside the server: it scores with the model in use, and what it scored is on the page.

use std::{any::Any, sync::Arc};

use logrisk_flow::Record;
use logrisk_web::{Masked, Seen, Service};

use super::engine::{PipelineEngine, verdict};
use crate::{
    commands::run::Scorer,
    pipeline::{Known, Pipeline},
};

/// Fields that say where a record came from, the most telling first.
const PLACES: [&str; 5] =
    ["service.name", "kubernetes.container.name", "container.name", "host.name", "log.file.path"];

/// The model that a server has in use.
pub struct InUse(pub Arc<Service>);

impl Scorer for InUse {
    fn pipeline(&self) -> Option<Arc<Pipeline>> {
        let loaded = self.0.loaded()?;
        let engine: &dyn Any = &*loaded.engine;
        Some(engine.downcast_ref::<PipelineEngine>()?.pipeline())
    }

    fn show(&self, pipeline: &Pipeline, records: &[Record], known: &mut [Arc<Known>]) {
        let version = pipeline.model.version();
        let masked = known.iter().map(|known| Masked {
            pattern: known.pattern,
            text: Arc::clone(&known.masked),
            level: known.level,
        });
        let masked: Vec<_> = masked.collect();
        let seen = records.iter().zip(known.iter()).zip(&masked).map(|((record, known), masked)| Seen {
            text: &record.body,
            source: place(record),
            masked,
            verdict: verdict(known),
        });
        let recorded = self.0.see(version, &seen.collect::<Vec<_>>());
        for (known, recorded) in known.iter_mut().zip(recorded) {
            if let Some(correction) = recorded.correction {
                *known = Arc::new(known.corrected(correction.risk, correction.tag, version));
            }
        }
    }
}

/// What the page calls a record's source: what runs there, else the source's name in the settings.
fn place(record: &Record) -> &str {
    let field = |name: &&str| record.fields.get(name).or_else(|| record.origin.fields.get(name))?.as_str();
    PLACES.iter().find_map(field).unwrap_or(&record.origin.source)
}
