//! Records with their verdicts, and their way to the sinks.

use std::sync::Arc;

use jiff::Timestamp;
use logrisk_base::{Level, PatternId, Risk, Tag};

use crate::{Ack, Batch, Permit, Record};

/// What is known of a record's pattern. Cheap to clone: texts are shared by all records of the pattern.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The name of the pattern.
    pub pattern: PatternId,
    /// Its text, as the model read it.
    pub masked: Arc<str>,
    /// The risk.
    pub risk: Risk,
    /// The expected risk, 0.0 to 10.0.
    pub score: f32,
    /// The tag.
    pub tag: Tag,
    /// The level that the record declared.
    pub level: Option<Level>,
    /// All of this as JSON members, each after a comma.
    pub members: Arc<str>,
    /// The version of the model that judged.
    pub model: Arc<str>,
    /// Who decided: `model`, or `human` where a correction is in force.
    pub label_source: &'static str,
}

/// A record with its verdict.
#[derive(Debug)]
pub struct Scored {
    /// The record; secrets in its body have been taken out.
    pub record: Record,
    /// When it was logged: what the source said, else what the text says, else when it was read.
    pub time: Timestamp,
    /// What is known of its pattern.
    pub verdict: Verdict,
}

/// A scored batch on its way to several sinks; its bytes are free when the last one lets go.
#[derive(Debug)]
pub struct Shipment {
    /// The records.
    pub items: Vec<Scored>,
    #[expect(dead_code, reason = "held for its drop")]
    permit: Permit,
}

/// The record of a shipment that a sink shall have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// Its place in the shipment.
    pub index: u32,
    /// For how many records it stands: one in so many like it was chosen.
    pub sample_rate: u32,
}

/// What one sink shall have of a shipment.
#[derive(Debug)]
pub struct Delivery {
    /// The shipment.
    pub shipment: Arc<Shipment>,
    /// Which records of it.
    pub chosen: Vec<Chosen>,
    /// This sink's share of the acknowledgement.
    pub ack: Ack,
}

/// A record as a sink sees it.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The record and its verdict.
    pub scored: &'a Scored,
    /// For how many records it stands.
    pub sample_rate: u32,
}

impl Shipment {
    /// A scored batch, and the share of its acknowledgement.
    #[must_use]
    pub fn new(batch: Batch<Scored>) -> (Arc<Self>, Ack) {
        let Batch { items, ack, permit } = batch;
        (Arc::new(Self { items, permit }), ack)
    }
}

impl Delivery {
    /// The records, in order.
    pub fn events(&self) -> impl Iterator<Item = Event<'_>> {
        self.chosen.iter().filter_map(|chosen| {
            let scored = self.shipment.items.get(chosen.index as usize)?;
            Some(Event { scored, sample_rate: chosen.sample_rate })
        })
    }
}
