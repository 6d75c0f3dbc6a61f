//! A model ready to judge: tokeniser, encoder and heads, loaded from an archive.
//!
//! ```text
//! masked texts ─► token ids, in batches of bounded size ─► [CLS] vectors ─► 11 risk and 5 tag probabilities each
//! ```

use logrisk_base::{Risk, Tag};

use crate::{
    archive::{Archive, LabelRule, MaskKind},
    encoder::{Encoder, Isa, Precision, Scratch, Tokens},
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
    /// Where in the answers each line of the batch belongs.
    places: Vec<usize>,
}

/// A model ready to judge. Share it between threads; each brings its own [`ModelScratch`].
#[derive(Debug)]
pub struct Model {
    version: String,
    mask: MaskKind,
    label_rule: LabelRule,
    tokenizer: Tokenizer,
    encoder: Encoder,
    positions: usize,
    limit: usize,
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
        let Archive { weights, tokenizer, description } = archive;
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
            tokenizer,
            positions,
            limit: Self::DEFAULT_LIMIT.min(positions),
        })
    }

    /// Reads at most `limit` tokens of a text, and no more than the model has positions for; see
    /// [`Tokenizer::encode_into`] for which are left out.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit.min(self.positions);
        self
    }

    /// Appends what the model says of each masked text, in order. In f32 the answer for a text does not depend on the
    /// others beside it.
    pub fn assess(&self, texts: &[&str], scratch: &mut ModelScratch, out: &mut Vec<Assessment>) {
        for text in texts {
            let start = scratch.tokens.ids.len();
            self.tokenizer.encode_into(text, self.limit, &mut scratch.tokens.ids);
            if scratch.tokens.ids.len() - start <= MARKS {
                scratch.tokens.ids.truncate(start);
            } else {
                scratch.tokens.ends.push(scratch.tokens.ids.len());
                scratch.places.push(out.len());
            }
            out.push(Assessment::NOTHING);
            if scratch.tokens.ids.len() >= BATCH_TOKENS {
                self.run(scratch, out);
            }
        }
        self.run(scratch, out);
    }

    fn run(&self, scratch: &mut ModelScratch, out: &mut [Assessment]) {
        let ModelScratch { tokens, encoder, cls, places } = scratch;
        if !places.is_empty() {
            self.encoder.forward_cls(tokens, encoder, cls);
            let logits = self.encoder.heads(cls, encoder);
            let (risks, _) = logits.risk.as_chunks();
            let (tags, _) = logits.tag.as_chunks();
            for ((place, risk), tag) in places.iter().zip(risks).zip(tags) {
                if let Some(answer) = out.get_mut(*place) {
                    *answer = Assessment { probabilities: softmax(risk), tags: softmax(tag) };
                }
            }
        }
        tokens.ids.clear();
        tokens.ends.clear();
        cls.clear();
        places.clear();
    }

    /// The label under the archive's rule.
    #[must_use]
    pub fn label(&self, assessment: &Assessment) -> Risk {
        match self.label_rule {
            LabelRule::Expected => assessment.label(),
            LabelRule::MostLikely => assessment.most_likely(),
        }
    }

    /// Names the model in answers, metrics and cache keys.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How its input must be masked.
    #[must_use]
    pub const fn mask(&self) -> MaskKind {
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
fn softmax<const N: usize>(logits: &[f32; N]) -> [f32; N] {
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
    fn softmax_sums_to_one_however_large_the_logits() {
        for scale in [0.0f32, 1.0, 1e4, 1e38] {
            let probabilities = softmax(&[-scale, 0.0, scale]);
            assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{probabilities:?}");
        }
    }
}
