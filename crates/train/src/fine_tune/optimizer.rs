//! AdamW with warm-up, decay, clipping and an optional moving average of the weights.

use logrisk_score::{
    encoder::{Isa, Loops, vectorize},
    weights::{Shape, Weights},
};

use super::{
    options::{Decay, Options},
    step::{Worker, clear_words},
};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;
/// Values that one thread updates before it takes the next piece: 256 KiB a stream, small against any tensor that takes
/// long, large against the cost of handing it out.
const PIECE: usize = 65_536;

/// Moments, average, and the number of steps taken.
#[derive(Debug)]
pub(super) struct Optimizer {
    pub(super) step: u64,
    pub(super) first_moment: Weights,
    pub(super) second_moment: Weights,
    /// The moving average of the weights, if one is kept.
    pub(super) average: Option<Weights>,
}

/// The same stretch of all tensors that an update touches.
struct Piece<'a> {
    weight: &'a mut [f32],
    /// The first holds the sum after [`Piece::gather`].
    gradients: Vec<&'a mut [f32]>,
    first_moment: &'a mut [f32],
    second_moment: &'a mut [f32],
    average: Option<&'a mut [f32]>,
    decays: bool,
    /// Cleared by its rows, not here.
    is_word: bool,
}

/// The factors of one update.
#[derive(Clone, Copy)]
struct Factors {
    gradient: f32,
    rate: f32,
    weight_decay: f32,
    first_correction: f32,
    second_correction: f32,
    average: f32,
}

impl Optimizer {
    /// Before the first step.
    pub(super) fn new(weights: &Weights, options: &Options) -> Self {
        let zeros = || Weights::zeros(weights.shape.clone(), true);
        Self {
            step: 0,
            first_moment: zeros(),
            second_moment: zeros(),
            average: options.average.map(|_| weights.clone()),
        }
    }

    /// One update from the workers' gradients and the word embeddings', which are cleared. Gives the gradient's global
    /// norm before clipping; where that is not finite nothing is updated.
    pub(super) fn update(
        &mut self,
        weights: &mut Weights,
        workers: &mut [Worker],
        word_gradient: &mut [f32],
        rate: f32,
        options: &Options,
    ) -> f32 {
        self.step += 1;
        let step = self.step;
        let shape = weights.shape.clone();
        let mut pieces = self.pieces(weights, workers, word_gradient, options);
        let squares = parallel(&mut pieces, options.threads, |piece| piece.gather());
        let norm = squares.iter().sum::<f64>().sqrt() as f32;
        if norm.is_finite() {
            let power = i32::try_from(step).unwrap_or(i32::MAX);
            let factors = Factors {
                gradient: if norm > options.clip { options.clip / norm } else { 1.0 },
                rate,
                weight_decay: options.weight_decay,
                first_correction: 1.0 / (1.0 - BETA1.powi(power)),
                second_correction: 1.0 / (1.0 - BETA2.powi(power)),
                average: average_factor(options.average.unwrap_or(0.0), step),
            };
            let isa = Isa::detect();
            parallel(&mut pieces, options.threads, |piece| vectorize(isa, Update { piece, factors }));
        }
        drop(pieces);
        clear_words(workers, shape.hidden, word_gradient);
        norm
    }

    fn pieces<'a>(
        &'a mut self,
        weights: &'a mut Weights,
        workers: &'a mut [Worker],
        word_gradient: &'a mut [f32],
        options: &Options,
    ) -> Vec<Piece<'a>> {
        let mut gradients: Vec<_> =
            workers.iter_mut().map(|worker| worker.gradient.tensors_mut().into_iter()).collect();
        let mut first_moments = self.first_moment.tensors_mut().into_iter();
        let mut second_moments = self.second_moment.tensors_mut().into_iter();
        let mut averages = self.average.as_mut().map(|average| average.tensors_mut().into_iter());
        let mut word_gradient = Some(word_gradient);
        let mut pieces = Vec::new();
        for tensor in weights.tensors_mut() {
            let mut gradients: Vec<&mut [f32]> =
                gradients.iter_mut().filter_map(|list| Some(list.next()?.values)).collect();
            let moments = (first_moments.next(), second_moments.next());
            let average = averages.as_mut().and_then(Iterator::next);
            let (Some(first_moment), Some(second_moment)) = moments else { break };
            let is_word = tensor.name.contains("word_embeddings");
            if is_word {
                gradients = word_gradient.take().into_iter().collect();
            }
            if options.freeze_embeddings && tensor.name.starts_with("embeddings.") {
                continue;
            }
            let decays = tensor.dimensions.len() > 1;
            let mut gradients: Vec<_> =
                gradients.into_iter().map(|values| values.chunks_mut(PIECE)).collect();
            let mut averages = average.map(|average| average.values.chunks_mut(PIECE));
            let moments = first_moment.values.chunks_mut(PIECE).zip(second_moment.values.chunks_mut(PIECE));
            for (weight, (first_moment, second_moment)) in tensor.values.chunks_mut(PIECE).zip(moments) {
                pieces.push(Piece {
                    weight,
                    gradients: gradients.iter_mut().filter_map(Iterator::next).collect(),
                    first_moment,
                    second_moment,
                    average: averages.as_mut().and_then(Iterator::next),
                    decays,
                    is_word,
                });
            }
        }
        pieces
    }
}

impl Piece<'_> {
    /// Adds all threads' gradients into the first, in their order; gives the sum of squares.
    fn gather(&mut self) -> f64 {
        let Some((total, rest)) = self.gradients.split_first_mut() else { return 0.0 };
        for gradient in rest {
            for (total, gradient) in total.iter_mut().zip(gradient.iter_mut()) {
                *total += *gradient;
                *gradient = 0.0;
            }
        }
        // In blocks: f32 within 4096 values is exact enough and vectorises, f64 across them keeps the sum exact.
        total.chunks(4096).map(|block| f64::from(super::elementwise::dot(block, block))).sum()
    }

    #[inline(always)]
    fn update(&mut self, factors: Factors) {
        let Some(gradient) = self.gradients.first_mut() else { return };
        let keep = if self.decays { 1.0 - factors.rate * factors.weight_decay } else { 1.0 };
        let values = self.weight.iter_mut().zip(gradient.iter());
        let moments = self.first_moment.iter_mut().zip(self.second_moment.iter_mut());
        for ((weight, gradient), (first, second)) in values.zip(moments) {
            let gradient = gradient * factors.gradient;
            *first = BETA1 * *first + (1.0 - BETA1) * gradient;
            *second = BETA2 * *second + (1.0 - BETA2) * gradient * gradient;
            let deviation = (*second * factors.second_correction).sqrt() + EPSILON;
            *weight = *weight * keep - factors.rate * (*first * factors.first_correction) / deviation;
        }
        if let Some(average) = &mut self.average {
            for (average, weight) in average.iter_mut().zip(self.weight.iter()) {
                *average += (1.0 - factors.average) * (weight - *average);
            }
        }
        if !self.is_word {
            gradient.fill(0.0);
        }
    }
}

struct Update<'p, 'a> {
    piece: &'p mut Piece<'a>,
    factors: Factors,
}

impl Loops for Update<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.piece.update(self.factors);
    }
}

/// Applies `work` to every piece, in turns on several threads; results come in the order of the pieces.
fn parallel<R: Send + Default + Clone>(
    pieces: &mut [Piece<'_>],
    threads: usize,
    work: impl Fn(&mut Piece<'_>) -> R + Sync,
) -> Vec<R> {
    let mut results = vec![R::default(); pieces.len()];
    let share = pieces.len().div_ceil(threads.max(1)).max(1);
    let run = |(pieces, results): (&mut [Piece<'_>], &mut [R])| {
        for (piece, result) in pieces.iter_mut().zip(results) {
            *result = work(piece);
        }
    };
    std::thread::scope(|scope| {
        let mut shares = pieces.chunks_mut(share).zip(results.chunks_mut(share));
        let own = shares.next();
        let run = &run;
        for share in shares {
            scope.spawn(move || run(share));
        }
        own.into_iter().for_each(run);
    });
    results
}

/// The average follows quickly at first: after t steps its factor is at most (1 + t) / (10 + t).
fn average_factor(factor: f32, step: u64) -> f32 {
    factor.min((1.0 + step as f32) / (10.0 + step as f32))
}

/// The learning rate after the share `progress` (0 to 1) of the training.
pub(super) fn rate_at(progress: f32, options: &Options) -> f32 {
    let warmup = options.warmup.clamp(0.0, 1.0);
    let factor = if progress < warmup {
        progress / warmup
    } else {
        let fallen = ((progress - warmup) / (1.0 - warmup).max(f32::EPSILON)).clamp(0.0, 1.0);
        match options.decay {
            Decay::Linear => 1.0 - fallen,
            Decay::Cosine => 0.5 * (1.0 + (std::f32::consts::PI * fallen).cos()),
            Decay::Constant => 1.0,
        }
    };
    options.learning_rate * factor
}

/// A gradient table of the word embeddings: empty where they are frozen.
pub(super) fn word_gradient(shape: &Shape, options: &Options) -> Vec<f32> {
    if options.freeze_embeddings { Vec::new() } else { vec![0.0; shape.vocabulary * shape.hidden] }
}
