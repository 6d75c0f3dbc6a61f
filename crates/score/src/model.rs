//! A model ready to judge: tokeniser, encoder and heads, loaded from an archive.
//!
//! ```text
//! masked texts ─► token ids, in batches of bounded size ─► [CLS] vectors ─► logits ─► calibration ─► 11 risk and 5 tag
//!                                                                                                  probabilities each
//! ```

use logrisk_base::{MaskStyle, Risk, Tag};

use crate::{
    adapter::{Adapter, Fitted},
    archive::{Archive, LabelRule},
    calibration::Calibration,
    encoder::{Encoder, Isa, Precision, Scratch, Tokens},
    known::KnownPatterns,
    tokenize::Tokenizer,
};

/// What the model says of one text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assessment {
    /// Of each risk, 0 to 10; they sum to 1.
    pub probabilities: [f32; Risk::COUNT],
    /// Of each tag, in the order of [`Tag::ALL`]; they sum to 1.
    pub tags: [f32; Tag::COUNT],
}

impl Assessment {
    /// What is said of a text without a single token (empty, blank, control characters): risk 0 and DEBUG for certain.
    /// Nothing was logged, so nothing is asked of anyone; the model never saw such a text and would guess.
    pub const NOTHING: Self = Self {
        probabilities: [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        tags: [1.0, 0.0, 0.0, 0.0, 0.0],
    };

    /// What is said of a text of which nothing is known but about where it should lie: each step away from the risk is
    /// a third as likely.
    #[must_use]
    pub fn around(risk: Risk, tags: [f32; Tag::COUNT]) -> Self {
        let mut probabilities = [0.0; Risk::COUNT];
        for (share, other) in probabilities.iter_mut().zip(Risk::all()) {
            *share = 3f32.powi(-i32::from(other.get().abs_diff(risk.get())));
        }
        let sum: f32 = probabilities.iter().sum();
        Self { probabilities: probabilities.map(|share| share / sum), tags }
    }

    /// The central interval that holds at least 80 % of the probability: a tenth at most lies below it, a tenth above.
    #[must_use]
    pub fn interval(&self) -> (Risk, Risk) {
        let reach = |share: f32| {
            let mut sum = 0.0;
            let mut risks = Risk::all().zip(&self.probabilities);
            let found = risks.find(|(_, probability)| {
                sum += **probability;
                // Eleven roundings may leave a sum a little short.
                sum >= share - 1e-6
            });
            found.map_or(Risk::MAX, |(risk, _)| risk)
        };
        (reach(0.1), reach(0.9))
    }

    /// The expected risk, 0.0 to 10.0: each risk times its probability.
    #[must_use]
    pub fn expected(&self) -> f32 {
        self.probabilities.iter().zip(0u8..).map(|(probability, risk)| probability * f32::from(risk)).sum()
    }

    /// The risk nearest to the expected one ([`LabelRule::Expected`]). It can be one that is not itself likely: between
    /// "surely harmless" and "surely fatal", half of each, stands 5.
    #[must_use]
    pub fn label(&self) -> Risk {
        Risk::nearest(self.expected())
    }

    /// The risk with the highest probability, the lower of two equal ones ([`LabelRule::MostLikely`]).
    #[must_use]
    pub fn most_likely(&self) -> Risk {
        Risk::all().nth(highest(&self.probabilities)).unwrap_or(Risk::MIN)
    }

    /// The tag with the highest probability, the first of two equal ones.
    #[must_use]
    pub fn tag(&self) -> Tag {
        Tag::ALL.get(highest(&self.tags)).copied().unwrap_or(Tag::Debug)
    }
}

/// The index of the first of the highest values.
fn highest(values: &[f32]) -> usize {
    let (mut best, mut index) = (f32::NEG_INFINITY, 0);
    for (candidate, &value) in values.iter().enumerate() {
        if value > best {
            (best, index) = (value, candidate);
        }
    }
    index
}

/// Why an archive makes no [`Model`].
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// An encoder alone.
    #[error("model {0} is a bare encoder without a risk head; fine-tune it with `logrisk train` first")]
    NoHead(String),
}

/// Working memory of one thread.
#[derive(Debug, Default)]
pub struct ModelScratch {
    tokens: Tokens,
    encoder: Scratch,
    cls: Vec<f32>,
    /// Which of the texts each line of the batch is.
    places: Vec<usize>,
}

/// A model ready to judge. Share it between threads; each brings its own [`ModelScratch`].
#[derive(Debug)]
pub struct Model {
    version: String,
    mask: MaskStyle,
    label_rule: LabelRule,
    calibration: Calibration,
    known: Option<KnownPatterns>,
    tokenizer: Tokenizer,
    encoder: Encoder,
    positions: usize,
    limit: usize,
    adapter: Option<Fitted>,
}

/// A batch ends with the text that takes it past this. The encoder cuts batches into smaller chunks of its own, so
/// that this only bounds memory: the vectors of at most 1,400 lines.
const BATCH_TOKENS: usize = 4096;

impl Model {
    /// The tokens of a text that are read unless [`Self::with_limit`] says otherwise; a masked line has 12 on average.
    pub const DEFAULT_LIMIT: usize = 128;

    /// Packs the archive's weights for the CPU.
    ///
    /// # Errors
    /// [`ModelError::NoHead`] for a bare encoder.
    pub fn load(archive: Archive, precision: Precision, isa: Isa) -> Result<Self, ModelError> {
        let Archive { weights, tokenizer, description, known } = archive;
        if weights.head.is_none() {
            return Err(ModelError::NoHead(description.version));
        }
        let positions = weights.shape.positions;
        let sample = sample(&tokenizer);
        Ok(Self {
            encoder: Encoder::with_sample(&weights, precision, isa, &sample),
            version: description.version,
            mask: description.mask,
            label_rule: description.label_rule,
            calibration: description.calibration.unwrap_or_default(),
            known,
            tokenizer,
            positions,
            limit: Self::DEFAULT_LIMIT.min(positions),
            adapter: None,
        })
    }

    /// Reads at most `limit` tokens of a text, and no more than the model has positions for; see
    /// [`Tokenizer::encode_into`] for which are left out.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit.min(self.positions);
        self
    }

    /// Answers from now on as a site's corrections ask; the version then ends in the adapter's name. The caller has asked
    /// [`Adapter::check`].
    #[must_use]
    pub fn with_adapter(mut self, adapter: Adapter) -> Self {
        self.version = format!("{}+{}", self.version, adapter.name());
        let patterns: Vec<&str> =
            adapter.corrections.iter().map(|correction| correction.pattern.as_str()).collect();
        let features = self.features(&patterns, &mut ModelScratch::default());
        self.adapter = Some(Fitted::new(adapter, &features));
        self
    }

    /// Appends what the model says of each masked text, in order. In f32 the answer for a text does not depend on the
    /// others beside it.
    pub fn assess(&self, texts: &[&str], scratch: &mut ModelScratch, out: &mut Vec<Assessment>) {
        let base = out.len();
        out.resize(base + texts.len(), Assessment::NOTHING);
        self.for_each_batch(texts, scratch, |places, cls, scratch| {
            let logits = self.encoder.heads(cls, scratch);
            let (risks, _) = logits.risk.as_chunks();
            let (tags, _) = logits.tag.as_chunks();
            let answers = risks.iter().zip(tags);
            for (place, (risk, tag)) in places.iter().zip(answers) {
                if let Some(answer) = out.get_mut(base + place) {
                    let probabilities = softmax(&self.calibration.apply(risk));
                    *answer = Assessment { probabilities, tags: softmax(tag) };
                }
            }
            let Some(adapter) = &self.adapter else { return };
            let features = self.encoder.head_features(cls, scratch);
            let rows = features.chunks(self.encoder.head_width().max(1));
            for (place, features) in places.iter().zip(rows) {
                if let (Some(text), Some(answer)) = (texts.get(*place), out.get_mut(base + place)) {
                    adapter.apply(text, features, answer);
                }
            }
        });
    }

    /// What the heads see of each masked text, in order: `hidden / 2` values each, zeros for a text without a token. Near
    /// texts are those that the model judges for like reasons.
    #[must_use]
    pub fn features(&self, texts: &[&str], scratch: &mut ModelScratch) -> Vec<f32> {
        let width = self.encoder.head_width();
        let mut out = vec![0.0; texts.len() * width];
        self.for_each_batch(texts, scratch, |places, cls, scratch| {
            let features = self.encoder.head_features(cls, scratch);
            for (place, features) in places.iter().zip(features.chunks(width.max(1))) {
                if let Some(row) = out.get_mut(place * width..(place + 1) * width) {
                    row.copy_from_slice(features);
                }
            }
        });
        out
    }

    /// Calls with the [CLS] vectors of each batch, and which texts they are of. A text without a token is in none.
    fn for_each_batch(
        &self,
        texts: &[&str],
        scratch: &mut ModelScratch,
        mut visit: impl FnMut(&[usize], &[f32], &mut Scratch),
    ) {
        let ModelScratch { tokens, encoder, cls, places } = scratch;
        for (place, text) in texts.iter().enumerate() {
            let start = tokens.ids.len();
            self.tokenizer.encode_into(text, self.limit, &mut tokens.ids);
            if tokens.ids.len() - start <= MARKS {
                tokens.ids.truncate(start);
            } else {
                tokens.ends.push(tokens.ids.len());
                places.push(place);
            }
            let full = tokens.ids.len() >= BATCH_TOKENS || place + 1 == texts.len();
            if full && !places.is_empty() {
                self.encoder.forward_cls(tokens, encoder, cls);
                visit(places, cls, encoder);
                tokens.ids.clear();
                tokens.ends.clear();
                cls.clear();
                places.clear();
            }
        }
    }

    /// The label under the archive's rule.
    #[must_use]
    pub fn label(&self, assessment: &Assessment) -> Risk {
        match self.label_rule {
            LabelRule::Expected => assessment.label(),
            LabelRule::MostLikely => assessment.most_likely(),
        }
    }

    /// Whether the answer is too wide to be relied on: a person's time is well spent here.
    #[must_use]
    pub fn is_unsure(&self, assessment: &Assessment) -> bool {
        self.calibration.is_unsure(assessment)
    }

    /// Patterns whose risk a person gave, if the archive carries them.
    #[must_use]
    pub const fn known(&self) -> Option<&KnownPatterns> {
        self.known.as_ref()
    }

    /// Names the model in answers, metrics and cache keys.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How its input must be masked.
    #[must_use]
    pub const fn mask(&self) -> MaskStyle {
        self.mask
    }

    /// What turns text into its tokens.
    #[must_use]
    pub const fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The tokens of a text that are read.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }
}

/// Typical masked lines, for int8 to round its weights by.
const SAMPLE: [&str; 6] = [
    "info kubelet: Successfully pulled image <path> in <sec>",
    "error reflector.go: dial tcp <ip>: connect: connection refused (attempt <n/n>)",
    "warning: disk <path> is at <high%>, retrying in <sec>",
    "GET <path> HTTP/1.1 status=<2xx> bytes=<num>",
    "Failed password for root from <ip> port <num> ssh2",
    "Exception in thread main java.lang.IllegalStateException: pool exhausted at com.shop.Orders.save",
];

fn sample(tokenizer: &Tokenizer) -> Tokens {
    let mut tokens = Tokens::default();
    for line in SAMPLE {
        tokenizer.encode_into(line, 32, &mut tokens.ids);
        tokens.ends.push(tokens.ids.len());
    }
    tokens
}

/// [CLS] and [SEP]: what an encoding has even if the text has nothing.
const MARKS: usize = 2;

/// `exp(x) / Σ exp(x)`, from the highest down, so that nothing overflows.
#[must_use]
pub fn softmax<const N: usize>(logits: &[f32; N]) -> [f32; N] {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = logits.map(|logit| (logit - highest).exp());
    let sum: f32 = powers.iter().sum();
    powers.map(|power| power / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sure_of(risks: &[usize]) -> Assessment {
        let mut assessment = Assessment { probabilities: [0.0; 11], ..Assessment::NOTHING };
        for &risk in risks {
            assessment.probabilities[risk] = 1.0 / risks.len() as f32;
        }
        assessment
    }

    #[test]
    fn labels_follow_from_probabilities() {
        for (risks, expected, most_likely) in
            [(&[7][..], 7, 7), (&[0, 10], 5, 0), (&[6, 7], 7, 6), (&[2, 2, 2], 1, 2), (&[10], 10, 10)]
        {
            let assessment = sure_of(risks);
            assert_eq!((assessment.label().get(), assessment.most_likely().get()), (expected, most_likely));
        }
        assert_eq!(Assessment::NOTHING.expected(), 0.0);
        assert_eq!((Assessment::NOTHING.label().get(), Assessment::NOTHING.tag()), (0, Tag::Debug));
    }

    #[test]
    fn the_interval_leaves_a_tenth_on_either_side() {
        let interval = |assessment: Assessment| {
            let (low, high) = assessment.interval();
            (low.get(), high.get())
        };
        assert_eq!(interval(sure_of(&[7])), (7, 7));
        assert_eq!(interval(sure_of(&[0, 10])), (0, 10));
        assert_eq!(interval(sure_of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10])), (1, 9));
        assert_eq!(interval(Assessment::NOTHING), (0, 0));
        let broken = Assessment { probabilities: [f32::NAN; 11], ..Assessment::NOTHING };
        assert_eq!(interval(broken), (10, 10));
    }

    #[test]
    fn what_lies_around_a_risk_has_its_label() {
        for risk in Risk::all().skip(2).take(8) {
            let around = Assessment::around(risk, Assessment::NOTHING.tags);
            assert_eq!((around.label(), around.most_likely()), (risk, risk));
            assert!((around.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn softmax_sums_to_one_however_large_the_logits() {
        for scale in [0.0f32, 1.0, 1e4, 1e38] {
            let probabilities = softmax(&[-scale, 0.0, scale]);
            assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{probabilities:?}");
        }
    }
}
