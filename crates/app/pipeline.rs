//! THE data path, from a block of records to what is known of each.
//!
//! ```text
//! record ─► redact ─► unwrap ─► parse ─► mask ─► cache ──hit──────────────► Known
//!                                                  └─miss─► rules + model ──┘
//! ```
//! The model meets a masked text once. All misses of a block are scored as one ragged batch.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use logrisk_base::{Level, PatternId, Risk, Tag};
use logrisk_enrich::{
    mask::{MaskStyle, mask_into, mask_seed_into},
    parse::{self, parse},
    redact::Redactor,
    rules::Rules,
};
use logrisk_score::{
    cache::ScoreCache,
    model::{Assessment, Model, ModelScratch},
};

use crate::assemble::Block;

/// Everything that decides what a line is worth; shared by all threads.
pub struct Pipeline {
    pub model: Model,
    pub rules: Rules,
    pub mask: MaskStyle,
    /// `None` shows lines as they came.
    pub redactor: Option<Redactor>,
    /// `None` asks the model for every record anew.
    pub cache: Option<ScoreCache<Arc<Known>>>,
}

/// What is known of a pattern.
#[derive(Debug, Clone)]
pub struct Known {
    pub pattern: PatternId,
    /// The masked text, as the model read it.
    pub masked: Box<str>,
    pub assessment: Assessment,
    pub label: Risk,
    pub score: f32,
    pub tag: Tag,
    /// The part of a JSON line that all lines of the pattern share: made once, copied often.
    pub json_members: Box<str>,
}

/// One thread's buffers.
#[derive(Default)]
pub struct Worker {
    scratch: ModelScratch,
    masked: String,
}

/// A record with its verdict.
pub struct Scored<'a> {
    /// The record as it may be shown: without its last newline, and without secrets unless redaction is off.
    pub text: Cow<'a, str>,
    pub known: Arc<Known>,
}

impl Pipeline {
    /// Scores all records of a block, in order.
    pub fn score<'a>(&self, block: &'a Block, worker: &mut Worker) -> Vec<Scored<'a>> {
        /// A record whose masked text was in the cache, or the place of that text among the block's new ones.
        enum Fate {
            Known(Arc<Known>),
            New(usize),
        }

        let mut fates = Vec::with_capacity(block.records.len());
        let mut new: Vec<Box<str>> = Vec::new();
        let mut levels = Vec::new();
        let mut places: HashMap<Box<str>, usize> = HashMap::new();
        for range in &block.records {
            let raw = block.text[range.clone()].trim_end_matches(['\n', '\r']);
            let text = self.redactor.as_ref().map_or(Cow::Borrowed(raw), |redactor| redactor.redact(raw));
            worker.masked.clear();
            let level = self.mask(&text, &mut worker.masked);
            let masked = worker.masked.as_str();
            let fate = match self.cache.as_ref().map(|cache| cache.get(PatternId::of(masked), masked)) {
                Some(Some(known)) => Fate::Known(known),
                // Without a cache every record is asked for, equal ones too.
                None => {
                    new.push(masked.into());
                    levels.push(level);
                    Fate::New(new.len() - 1)
                }
                Some(None) => Fate::New(*places.entry(masked.into()).or_insert_with(|| {
                    new.push(masked.into());
                    levels.push(level);
                    new.len() - 1
                })),
            };
            fates.push((text, fate));
        }

        let new = self.assess(new, &levels, worker);
        fates
            .into_iter()
            .filter_map(|(text, fate)| {
                let known = match fate {
                    Fate::Known(known) => known,
                    Fate::New(place) => Arc::clone(new.get(place)?),
                };
                Some(Scored { text, known })
            })
            .collect()
    }

    /// Appends the masked text of one record and returns its declared level.
    fn mask(&self, record: &str, masked: &mut String) -> Option<Level> {
        let content = unwrap_record(record);
        let parsed = parse(&content);
        match self.mask {
            MaskStyle::Default => mask_into(&parsed, masked),
            MaskStyle::Seed => mask_seed_into(record, masked),
        }
        parsed.level
    }

    /// Asks the rules and the model about texts that the cache does not hold.
    fn assess(&self, texts: Vec<Box<str>>, levels: &[Option<Level>], worker: &mut Worker) -> Vec<Arc<Known>> {
        let generation = self.cache.as_ref().map(ScoreCache::generation);
        let borrowed: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let mut assessments = Vec::with_capacity(texts.len());
        self.model.assess(&borrowed, &mut worker.scratch, &mut assessments);
        texts
            .into_iter()
            .zip(assessments)
            .zip(levels)
            .map(|((masked, assessment), level)| {
                let verdict = self.rules.apply(*level, &masked);
                // Where no rule matched and no level was declared, the model's tag head knows more than the rules.
                let decided = level.is_some() || !verdict.matched.is_empty();
                let tag = if decided { verdict.tag } else { assessment.tag() };
                let known = Arc::new(Known::new(masked, assessment, tag, &self.model));
                if let (Some(cache), Some(generation)) = (&self.cache, generation) {
                    cache.insert(generation, known.pattern, &known.masked, Arc::clone(&known));
                }
                known
            })
            .collect()
    }
}

impl Known {
    /// Bytes that an entry of the cache points at: the masked text and the JSON members are about as long as a line.
    pub const BYTES: usize = size_of::<Self>() + 384;

    fn new(masked: Box<str>, assessment: Assessment, tag: Tag, model: &Model) -> Self {
        let pattern = PatternId::of(&masked);
        let label = model.label(&assessment);
        let score = assessment.expected();
        let version = serde_json::Value::from(model.version());
        let json_members = format!(
            ",\"risk_label\":{label},\"risk_score\":{score:.3},\"level\":\"{}\",\"tag\":\"{tag}\",\"pattern_id\":\"{pattern}\",\"model_version\":{version}",
            label.level_name(),
        );
        Self { pattern, masked, assessment, label, score, tag, json_members: json_members.into() }
    }
}

/// What the program wrote: the runtime's wrapper taken off every physical line, torn lines put together.
fn unwrap_record(record: &str) -> Cow<'_, str> {
    if !record.contains('\n') {
        return parse::unwrap(record).content;
    }
    let mut content = String::with_capacity(record.len());
    let mut torn = true;
    for line in record.lines() {
        let unwrapped = parse::unwrap(line);
        if !torn {
            content.push('\n');
        }
        content.push_str(&unwrapped.content);
        torn = unwrapped.partial;
    }
    Cow::Owned(content)
}
