//! THE data path, from a block of records to what is known of each.
//!
//! ```text
//! record ─► redact ─► unwrap ─► parse ─► mask ─► cache ──hit──────────────► Known
//!                                                  └─miss─► rules + model ──┘
//! ```
//! The model meets a masked text once. All misses of a block are scored as one ragged batch.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use logrisk_base::{Level, MaskStyle, PatternId, Risk, Tag};
use logrisk_enrich::{
    mask::{mask_into, mask_seed_into, words_left},
    parse::{self, Parsed, parse},
    redact::Redactor,
    rules::{Rules, Verdict},
};
use logrisk_score::{
    cache::ScoreCache,
    explain::Explanation,
    model::{Assessment, Model, ModelScratch},
};

use crate::{
    assemble::Block,
    drift::Drift,
    why::{DecidedBy, RuleMatch, TagBy, Why},
};

/// Everything that decides what a line is worth; shared by all threads.
pub struct Pipeline {
    pub model: Model,
    pub rules: Rules,
    /// Where they came from, for people: `built in`, or a file.
    pub rules_file: String,
    pub mask: MaskStyle,
    /// `None` shows lines as they came.
    pub redactor: Option<Redactor>,
    /// `None` asks the model for every record anew.
    pub cache: Option<ScoreCache<Arc<Known>>>,
    /// Every pattern also gets its reasons, which takes ten times as long.
    pub explain: bool,
    /// How far what it judges is from what the model was trained on, if somebody wants to know.
    pub drift: Option<Drift>,
}

/// What is known of a pattern.
#[derive(Debug, Clone)]
pub struct Known {
    pub pattern: PatternId,
    /// The masked text, as the model read it.
    pub masked: Arc<str>,
    /// The level that its records declare: part of the text, hence the same in all of them.
    pub level: Option<Level>,
    pub assessment: Assessment,
    pub label: Risk,
    pub score: f32,
    pub tag: Tag,
    /// What holds the risk with 80 %.
    pub interval: (Risk, Risk),
    /// A person should look: the interval is wide, or hardly a word is left to judge by.
    pub unsure: bool,
    /// If the pipeline explains.
    pub why: Option<Box<Why>>,
    /// A person decided, by a correction.
    pub by_human: bool,
    /// The part of a JSON line that all lines of the pattern share: made once, copied often.
    pub json_members: Arc<str>,
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
        let records = block.records.iter().map(|range| (&block.text[range.clone()], None));
        self.score_all(records, worker, |_| {})
    }

    /// Scores texts, in order. A level that was declared beside a text overrules what the text says. `seen` is shown each
    /// text as it was taken apart, without secrets.
    pub fn score_all<'a>(
        &self,
        records: impl ExactSizeIterator<Item = (&'a str, Option<Level>)>,
        worker: &mut Worker,
        mut seen: impl FnMut(&Parsed<'_>),
    ) -> Vec<Scored<'a>> {
        /// A record whose masked text was in the cache, or the place of that text among the block's new ones.
        enum Fate {
            Known(Arc<Known>),
            New(usize),
        }

        let mut fates = Vec::with_capacity(records.len());
        let mut new: Vec<Box<str>> = Vec::new();
        let mut levels = Vec::new();
        let mut places: HashMap<Box<str>, usize> = HashMap::new();
        for (record, declared) in records {
            let raw = record.trim_end_matches(['\n', '\r']);
            let text = self.redactor.as_ref().map_or(Cow::Borrowed(raw), |redactor| redactor.redact(raw));
            worker.masked.clear();
            let level = self.read(&text, declared, &mut worker.masked, &mut seen);
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
    pub fn mask(&self, record: &str, masked: &mut String) -> Option<Level> {
        self.read(record, None, masked, &mut |_| {})
    }

    fn read(
        &self,
        record: &str,
        declared: Option<Level>,
        masked: &mut String,
        seen: &mut impl FnMut(&Parsed<'_>),
    ) -> Option<Level> {
        let content = unwrap_record(record);
        let mut parsed = parse(&content);
        parsed.level = declared.or(parsed.level);
        seen(&parsed);
        match self.mask {
            MaskStyle::Default => mask_into(&parsed, masked),
            MaskStyle::Seed => mask_seed_into(record, masked),
        }
        parsed.level
    }

    /// Asks the rules and the model about texts that the cache does not hold.
    pub fn assess(
        &self,
        texts: Vec<Box<str>>,
        levels: &[Option<Level>],
        worker: &mut Worker,
    ) -> Vec<Arc<Known>> {
        let generation = self.cache.as_ref().map(ScoreCache::generation);
        let borrowed: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let mut assessments = Vec::with_capacity(texts.len());
        self.model.assess(&borrowed, &mut worker.scratch, &mut assessments);
        let tokens = self.drift.as_ref().map(|_| self.tokens(&borrowed));
        let known: Vec<Arc<Known>> = texts
            .into_iter()
            .zip(assessments)
            .zip(levels)
            .map(|((masked, assessment), level)| {
                let known =
                    Arc::new(self.judge(masked, *level, assessment, self.explain, &mut worker.scratch));
                if let (Some(cache), Some(generation)) = (&self.cache, generation) {
                    cache.insert(generation, known.pattern, &known.masked, Arc::clone(&known));
                }
                known
            })
            .collect();
        if let (Some(drift), Some((all, unknown))) = (&self.drift, tokens) {
            drift.count(all, unknown, known.iter().map(|known| known.label));
        }
        known
    }

    /// Tokens of texts, and those of them that the vocabulary does not have. A microsecond a text, of the hundreds that
    /// judging it takes.
    fn tokens(&self, texts: &[&str]) -> (usize, usize) {
        let (tokenizer, mut ids) = (self.model.tokenizer(), Vec::new());
        for text in texts {
            tokenizer.encode_into(text, self.model.limit(), &mut ids);
        }
        (ids.len(), ids.iter().filter(|id| **id == tokenizer.unknown()).count())
    }

    /// The reasons of one text, whether this pipeline explains or not; about 25 ms. The cache is neither asked nor filled.
    pub fn explain(&self, masked: &str, level: Option<Level>, worker: &mut Worker) -> Option<Box<Why>> {
        let mut assessments = Vec::with_capacity(1);
        self.model.assess(&[masked], &mut worker.scratch, &mut assessments);
        self.judge(masked.into(), level, assessments.pop()?, true, &mut worker.scratch).why
    }

    /// Brings together what model and rules say of one text.
    fn judge(
        &self,
        masked: Box<str>,
        level: Option<Level>,
        assessment: Assessment,
        explain: bool,
        scratch: &mut ModelScratch,
    ) -> Known {
        let verdict = self.rules.apply(level, &masked);
        let words = match self.mask {
            MaskStyle::Default => words_left(level, &masked),
            // The seed's masks leave the line's words where they are.
            MaskStyle::Seed => 2,
        };
        let tag_by = TagBy::of(level, &verdict);
        let tag = if tag_by == TagBy::Model { assessment.tag() } else { verdict.tag };
        let (decided_by, assessment) = if assessment == Assessment::NOTHING {
            (DecidedBy::Nothing, assessment)
        } else if words == 0 && assessment.expected() > f32::from(verdict.risk.get()) {
            // With nothing to read a model guesses high: 7 for a line of numbers.
            (DecidedBy::Rules, Assessment::around(verdict.risk, assessment.tags))
        } else {
            (DecidedBy::Model, assessment)
        };
        // A declared level tells as much as a word: `INFO started` is enough to go by, `started` alone is not.
        let hardly_a_word = words + usize::from(level.is_some()) < 2;
        let unsure = (hardly_a_word && decided_by != DecidedBy::Nothing) || self.model.is_unsure(&assessment);
        let why = explain.then(|| Box::new(self.why(&masked, level, &verdict, decided_by, scratch)));
        Known::new(masked.into(), level, assessment, tag, unsure, why, &self.model)
    }

    fn why(
        &self,
        masked: &str,
        level: Option<Level>,
        verdict: &Verdict,
        decided_by: DecidedBy,
        scratch: &mut ModelScratch,
    ) -> Why {
        Why {
            decided_by,
            tag_by: TagBy::of(level, verdict),
            level,
            masked: masked.to_owned(),
            rules_file: self.rules_file.clone(),
            rules: RuleMatch::all(verdict, masked),
            explanation: match decided_by {
                DecidedBy::Model => self.model.explain(masked, scratch),
                DecidedBy::Rules | DecidedBy::Nothing => Explanation::default(),
            },
        }
    }
}

impl Known {
    /// Bytes that an entry of the cache points at: the masked text and the JSON members are about as long as a line.
    pub const BYTES: usize = size_of::<Self>() + 384;

    /// And of one with reasons: a few dozen words and three patterns, twice.
    pub const BYTES_EXPLAINED: usize = Self::BYTES + 8192;

    fn new(
        masked: Arc<str>,
        level: Option<Level>,
        assessment: Assessment,
        tag: Tag,
        unsure: bool,
        why: Option<Box<Why>>,
        model: &Model,
    ) -> Self {
        let pattern = PatternId::of(&masked);
        let label = model.label(&assessment);
        let score = assessment.expected();
        let interval = assessment.interval();
        let mut known = Self {
            pattern,
            masked,
            level,
            assessment,
            label,
            score,
            tag,
            interval,
            unsure,
            why,
            by_human: false,
            json_members: Arc::default(),
        };
        known.json_members = known.members(model.version());
        known
    }

    /// The same pattern, as a person set it right.
    pub fn corrected(&self, risk: Risk, tag: Option<Tag>, model_version: &str) -> Self {
        let mut known = Self {
            label: risk,
            score: f32::from(risk.get()),
            tag: tag.unwrap_or(self.tag),
            unsure: false,
            by_human: true,
            ..self.clone()
        };
        known.json_members = known.members(model_version);
        known
    }

    /// Who decided, as `label_source` says it.
    pub const fn label_source(&self) -> &'static str {
        if self.by_human { "human" } else { "model" }
    }

    fn members(&self, model_version: &str) -> Arc<str> {
        let Self { pattern, label, score, tag, unsure, .. } = self;
        let mut members = format!(",\"risk_label\":{label},\"risk_score\":{score:.3}");
        if !self.by_human {
            members.push_str(&format!(",\"risk_interval\":[{},{}]", self.interval.0, self.interval.1));
        }
        members.push_str(&format!(
            ",\"unsure\":{unsure},\"level\":\"{}\",\"tag\":\"{tag}\",\"pattern_id\":\"{pattern}\",\"model_version\":{}",
            label.level_name(),
            serde_json::Value::from(model_version),
        ));
        if let Some(text) = self.why.as_ref().and_then(|why| serde_json::to_string(why).ok()) {
            members.push_str(",\"explanation\":");
            members.push_str(&text);
        }
        members.into()
    }
}

/// What the program wrote: the runtime's wrapper taken off every physical line, torn lines put together.
pub fn unwrap_record(record: &str) -> Cow<'_, str> {
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
