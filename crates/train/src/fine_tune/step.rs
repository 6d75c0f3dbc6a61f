//! The gradient of one batch, computed by several threads.
//!
//! Each thread takes a contiguous share of the batch's lines and has its own gradients; they are added in the order of
//! the threads, so the result depends on the number of threads but never on their timing.

use logrisk_score::{
    encoder::{Tokens, gemm::Factors},
    weights::{Shape, Weights},
};

use super::{
    batch::{Batch, Piece, split},
    elementwise::{Dropout, add, mix},
    loss::{Goal, LossSum},
    options::Options,
    pass::{Dropouts, Pass},
};

/// Tokens that pass through the model at once: enough rows for the matrix products to run at full speed, few enough for
/// a layer's activations to stay in the caches.
const CHUNK_TOKENS: usize = 1024;

/// One thread's space.
#[derive(Debug)]
pub(super) struct Worker {
    pass: Pass,
    /// Gradients of everything but the word embeddings, whose table here has no rows.
    pub(super) gradient: Weights,
    /// Gradients of the word embeddings, one row a token of `ids`.
    words: Vec<f32>,
    ids: Vec<u32>,
    loss: LossSum,
    /// Of [`predict`].
    risk_logits: Vec<f32>,
    tag_logits: Vec<f32>,
}

impl Worker {
    /// Space for a model of that shape.
    pub(super) fn new(shape: &Shape, options: &Options) -> Self {
        let factors = if options.bf16 { Factors::Bf16 } else { Factors::F32 };
        Self {
            pass: Pass::new(factors),
            gradient: Weights::zeros(Shape { vocabulary: 0, ..shape.clone() }, true),
            words: Vec::new(),
            ids: Vec::new(),
            loss: LossSum::default(),
            risk_logits: Vec::new(),
            tag_logits: Vec::new(),
        }
    }

    /// Adds the gradients of some lines, each line's loss multiplied by `scale`.
    fn differentiate(
        &mut self,
        weights: &Weights,
        tokens: &Tokens,
        goals: &[Goal],
        options: &Options,
        scale: f32,
        key: u64,
    ) {
        let Some(head) = &weights.head else { return };
        for (index, chunk) in chunks(tokens).iter().enumerate() {
            let key = mix(key ^ mix(index as u64));
            let dropouts = Dropouts {
                hidden: Dropout::new(options.dropout, key),
                attention: Dropout::new(options.attention_dropout, !key),
            };
            self.pass.forward(weights, head, &chunk.tokens, dropouts);
            let mut risk = std::mem::take(&mut self.pass.risk_logits);
            let mut tag = std::mem::take(&mut self.pass.tag_logits);
            let rows = risk.chunks_exact_mut(head.risk.outputs).zip(tag.chunks_exact_mut(head.tag.outputs));
            for ((risk, tag), goal) in rows.zip(&goals[chunk.lines.clone()]) {
                goal.differentiate(risk, tag, options, scale, &mut self.loss);
            }
            let words = (!options.freeze_embeddings).then_some(&mut self.words);
            self.pass.backward(weights, &chunk.tokens, dropouts, [&risk, &tag], &mut self.gradient, words);
            // Given back, so that their space is used again.
            self.pass.risk_logits = risk;
            self.pass.tag_logits = tag;
            if !options.freeze_embeddings {
                self.ids.extend_from_slice(&chunk.tokens.ids);
            }
        }
    }

    fn predict(&mut self, weights: &Weights, tokens: &Tokens) {
        let Some(head) = &weights.head else { return };
        for chunk in chunks(tokens) {
            self.pass.forward(weights, head, &chunk.tokens, Dropouts::OFF);
            self.risk_logits.extend_from_slice(&self.pass.risk_logits);
            self.tag_logits.extend_from_slice(&self.pass.tag_logits);
        }
    }
}

fn chunks(tokens: &Tokens) -> Vec<Piece> {
    split(tokens, tokens.ids.len().div_ceil(CHUNK_TOKENS))
}

/// Runs `work` on each worker with its piece, the first one on this thread.
fn share(workers: &mut [Worker], pieces: &[Piece], work: impl Fn(&mut Worker, usize, &Piece) + Sync) {
    std::thread::scope(|scope| {
        let mut pairs = workers.iter_mut().zip(pieces).enumerate();
        let first = pairs.next();
        for (index, (worker, piece)) in pairs {
            let work = &work;
            scope.spawn(move || work(worker, index, piece));
        }
        if let Some((index, (worker, piece))) = first {
            work(worker, index, piece);
        }
    });
}

/// Adds the gradient of the batch's mean loss to the workers' gradients, and that of the word embeddings to
/// `word_gradient`; gives the loss. The number of the step decides its dropout masks.
pub(super) fn differentiate(
    weights: &Weights,
    batch: &Batch,
    options: &Options,
    step: u64,
    workers: &mut [Worker],
    word_gradient: &mut [f32],
) -> LossSum {
    let scale = 1.0 / batch.goals.iter().map(|goal| goal.weight).sum::<f32>();
    let key = mix(options.seed ^ mix(!step));
    for worker in &mut *workers {
        worker.loss = LossSum::default();
        worker.ids.clear();
        worker.words.clear();
    }
    let pieces = split(&batch.tokens, workers.len());
    share(workers, &pieces, |worker, index, piece| {
        let goals = &batch.goals[piece.lines.clone()];
        worker.differentiate(weights, &piece.tokens, goals, options, scale, mix(key ^ index as u64));
    });
    let width = weights.shape.hidden;
    let mut loss = LossSum::default();
    for worker in workers {
        loss.add(&worker.loss);
        for (&id, row) in worker.ids.iter().zip(worker.words.chunks_exact(width)) {
            add(&mut word_gradient[id as usize * width..][..width], row);
        }
    }
    loss
}

/// Clears the rows that [`differentiate`] wrote into `word_gradient`; the rest of the large table is still zero.
pub(super) fn clear_words(workers: &[Worker], width: usize, word_gradient: &mut [f32]) {
    for &id in workers.iter().flat_map(|worker| &worker.ids) {
        word_gradient[id as usize * width..][..width].fill(0.0);
    }
}

/// The logits of every line, `[lines, 11]` and `[lines, 5]`, as when the model is used.
pub(super) fn predict(weights: &Weights, tokens: &Tokens, workers: &mut [Worker]) -> (Vec<f32>, Vec<f32>) {
    for worker in &mut *workers {
        worker.risk_logits.clear();
        worker.tag_logits.clear();
    }
    let pieces = split(tokens, workers.len());
    share(workers, &pieces, |worker, _, piece| worker.predict(weights, &piece.tokens));
    let (mut risk, mut tag) = (Vec::new(), Vec::new());
    for worker in workers {
        risk.append(&mut worker.risk_logits);
        tag.append(&mut worker.tag_logits);
    }
    (risk, tag)
}
