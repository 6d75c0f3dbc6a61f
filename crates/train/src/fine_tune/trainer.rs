//! The loop: steps, evaluations, checkpoints, and when to stop.

use std::{
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use logrisk_score::weights::{Head, Shape, Weights, fill_uniform};
use serde_json::Value;

use super::{
    batch::Epoch,
    checkpoint::{self, Checkpoint, Position, Window},
    elementwise::mix,
    error::TrainError,
    history::{Ending, Evaluation, History, LossParts},
    lock::Lock,
    optimizer::{Optimizer, rate_at, word_gradient},
    options::Options,
    progress::{Progress, StepReport},
    step::{Worker, differentiate},
    validate::Validation,
};
use crate::example::{Example, ExampleSource};

/// Turns a text into token ids, [CLS] and [SEP] included, appended to the list: at least 1 and at most
/// [`Options::line_tokens`] of them, all below the vocabulary. Nothing appended leaves the text out.
pub type Tokenize<'a> = &'a (dyn Fn(&str, &mut Vec<u32>) + Sync);

/// Trains `weights` in place on the examples of `source`, and gives what happened. A model without heads gets new ones.
///
/// At the end `weights` are those of the evaluation with the lowest mean absolute error (the moving average where one is
/// kept), or the last ones where nothing was held out. The loss would choose too early: it grows with confidence, long
/// before the risks get worse.
///
/// # Errors
/// [`TrainError`]; `weights` are then in no defined state.
pub fn fine_tune(
    weights: &mut Weights,
    source: &mut dyn ExampleSource,
    validation: &[Example],
    tokenize: Tokenize<'_>,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<History, TrainError> {
    check(weights, options)?;
    if weights.head.is_none() {
        weights.head = Some(new_head(weights.shape.hidden, options.seed));
    }
    let _lock = options.folder.as_deref().map(Lock::take).transpose()?;
    let mut training = Training::start(weights, validation, tokenize, options)?;
    let ending = training.run(source, tokenize, progress)?;
    training.finish(ending, progress)
}

/// The loss and the gradient of one batch without dropout, all parameters' in one [`Weights`]: for tests of the numerics
/// and for benchmarks. A model without heads has no gradient.
#[must_use]
pub fn batch_gradient(
    weights: &Weights,
    examples: &[Example],
    tokenize: Tokenize<'_>,
    options: &Options,
) -> (f64, Weights) {
    let options =
        Options { dropout: 0.0, attention_dropout: 0.0, freeze_embeddings: false, ..options.clone() };
    let mut total = Weights::zeros(weights.shape.clone(), true);
    let mut workers: Vec<Worker> =
        (0..options.threads.max(1)).map(|_| Worker::new(&weights.shape, &options)).collect();
    let single = Options { batch_lines: usize::MAX, batch_tokens: usize::MAX, ..options.clone() };
    let epoch = Epoch::new(examples, tokenize, &single, 0);
    let batch = epoch.batch(0);
    let loss = differentiate(weights, &batch, &options, 0, &mut workers, &mut total.embeddings.word);
    for worker in &workers {
        for (total, part) in total.tensors_mut().into_iter().zip(worker.gradient.tensors()) {
            super::elementwise::add(total.values, part.values);
        }
    }
    (loss.total / loss.weight, total)
}

fn check(weights: &Weights, options: &Options) -> Result<(), TrainError> {
    let shape = &weights.shape;
    let wrong = |condition: bool, message: String| {
        if condition { Err(TrainError::Setting(message)) } else { Ok(()) }
    };
    wrong(shape.layers == 0, "the model has no layers; give it at least one".to_owned())?;
    wrong(
        options.line_tokens > shape.positions,
        format!(
            "lines of up to {} tokens do not fit the model's {} positions; lower the limit",
            options.line_tokens, shape.positions
        ),
    )?;
    wrong(options.threads == 0, "training needs at least one thread".to_owned())?;
    wrong(options.epochs == 0, "training needs at least one epoch".to_owned())?;
    wrong(options.batch_lines == 0, "a batch needs at least one line".to_owned())?;
    for (name, rate) in [
        ("dropout", options.dropout),
        ("attention dropout", options.attention_dropout),
        ("label smoothing", options.label_smoothing),
        ("warm-up", options.warmup),
    ] {
        wrong(!(0.0..1.0).contains(&rate), format!("{name} is {rate}; it must be at least 0 and below 1"))?;
    }
    if let Some(factor) = options.average {
        wrong(!(0.0..1.0).contains(&factor), format!("the moving average's factor is {factor}; use 0.999"))?;
    }
    wrong(
        options.learning_rate.is_nan() || options.learning_rate <= 0.0,
        "the learning rate must be above 0".to_owned(),
    )?;
    for tensor in weights.tensors() {
        let broken = tensor.values.iter().any(|value| !value.is_finite());
        wrong(
            broken,
            format!("tensor {} of the starting weights has values that are not numbers", tensor.name),
        )?;
    }
    Ok(())
}

fn new_head(hidden: usize, seed: u64) -> Head {
    let mut head = Head::zeros(hidden);
    for (index, linear) in [&mut head.dense, &mut head.risk, &mut head.tag].into_iter().enumerate() {
        // PyTorch's default for a new linear layer: uniform within one over the root of the inputs.
        let limit = 1.0 / (linear.inputs as f32).sqrt();
        fill_uniform(&mut linear.weight, limit, mix(seed ^ mix(index as u64)));
    }
    head
}

struct Training<'a> {
    options: &'a Options,
    weights: &'a mut Weights,
    best: Option<Weights>,
    optimizer: Optimizer,
    position: Position,
    validation: Validation,
    workers: Vec<Worker>,
    word_gradient: Vec<f32>,
    started: Instant,
    /// Seconds of earlier runs.
    before: f64,
    last_rate: f32,
    last_evaluation: Option<u64>,
}

/// The options that decide the result, as JSON; those that only decide its end may change on resume.
fn fixed_options(options: &Options) -> Value {
    let mut value = serde_json::to_value(options).unwrap_or_default();
    if let Value::Object(map) = &mut value {
        for name in ["epochs", "max_steps", "time", "evaluate_every", "patience", "checkpoint_every"] {
            map.remove(name);
        }
    }
    value
}

impl<'a> Training<'a> {
    fn start(
        weights: &'a mut Weights,
        validation: &[Example],
        tokenize: Tokenize<'_>,
        options: &'a Options,
    ) -> Result<Self, TrainError> {
        let shape: Shape = weights.shape.clone();
        let mut training = Self {
            options,
            best: None,
            optimizer: Optimizer::new(weights, options),
            position: Position {
                options: fixed_options(options),
                epoch: 0,
                batch: 0,
                step: 0,
                first_batches: 0,
                seconds: 0.0,
                window: Window::default(),
                history: History { evaluations: Vec::new(), best_step: 0, ending: None },
                worse: 0,
                best: None,
            },
            validation: Validation::new(validation, tokenize, options),
            workers: (0..options.threads).map(|_| Worker::new(&shape, options)).collect(),
            word_gradient: word_gradient(&shape, options),
            weights,
            started: Instant::now(),
            before: 0.0,
            last_rate: 0.0,
            last_evaluation: None,
        };
        if let (true, Some(folder)) = (options.resume, &options.folder) {
            training.resume(folder)?;
        }
        Ok(training)
    }

    fn resume(&mut self, folder: &Path) -> Result<(), TrainError> {
        let Some(file) = Checkpoint::read(folder)? else { return Ok(()) };
        let (Value::Object(then), Value::Object(now)) = (&file.position.options, &self.position.options)
        else {
            return Err(file.error("it does not say with which options it was made"));
        };
        if let Some((name, now)) = now.iter().find(|(name, now)| then.get(*name) != Some(now)) {
            let then = then.get(name).unwrap_or(&Value::Null);
            return Err(file.error(format!("it was made with {name} = {then}, not {now}")));
        }
        file.load("weights", self.weights)?;
        file.load("first_moment", &mut self.optimizer.first_moment)?;
        file.load("second_moment", &mut self.optimizer.second_moment)?;
        if let Some(average) = &mut self.optimizer.average {
            file.load("average", average)?;
        }
        if file.has("best") {
            let mut best = self.weights.clone();
            file.load("best", &mut best)?;
            self.best = Some(best);
        }
        self.position = file.position;
        self.position.history.ending = None;
        self.optimizer.step = self.position.step;
        self.before = self.position.seconds;
        self.last_evaluation = self.position.history.evaluations.last().map(|evaluation| evaluation.step);
        Ok(())
    }

    fn run(
        &mut self,
        source: &mut dyn ExampleSource,
        tokenize: Tokenize<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Ending, TrainError> {
        while self.position.epoch < self.options.epochs {
            let number = self.position.epoch;
            let examples = source.epoch(number, self.options.seed);
            let epoch = Epoch::new(&examples, tokenize, self.options, number);
            drop(examples);
            if epoch.batches.is_empty() {
                return Err(TrainError::NoExamples { epoch: number });
            }
            if self.position.first_batches == 0 {
                self.position.first_batches = epoch.batches.len();
            }
            while self.position.batch < epoch.batches.len() {
                if let Some(ending) = self.limit_reached() {
                    return Ok(ending);
                }
                let flow = self.step(&epoch, progress)?;
                let every = |interval: Option<usize>| {
                    interval.is_some_and(|steps| self.position.step.is_multiple_of(steps.max(1) as u64))
                };
                let (evaluation_due, checkpoint_due) =
                    (every(self.options.evaluate_every), every(self.options.checkpoint_every));
                if evaluation_due && self.evaluate(epoch.batches.len(), progress) {
                    return Ok(Ending::Patience);
                }
                if checkpoint_due || flow.is_break() {
                    self.checkpoint()?;
                }
                if flow.is_break() {
                    return Ok(Ending::Interrupted);
                }
            }
            if self.options.evaluate_every.is_none() && self.evaluate(epoch.batches.len(), progress) {
                return Ok(Ending::Patience);
            }
            self.position.epoch += 1;
            self.position.batch = 0;
            if self.options.checkpoint_every.is_none() {
                self.checkpoint()?;
            }
        }
        Ok(Ending::Epochs)
    }

    fn elapsed(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    fn limit_reached(&self) -> Option<Ending> {
        if self.options.max_steps.is_some_and(|steps| self.position.step >= steps as u64) {
            return Some(Ending::Steps);
        }
        self.options.time.is_some_and(|time| self.elapsed() >= time.as_secs_f64()).then_some(Ending::Time)
    }

    /// Steps planned in all, by the first epoch's batches.
    fn planned_steps(&self) -> u64 {
        let steps = (self.position.first_batches * self.options.epochs) as u64;
        self.options.max_steps.map_or(steps, |limit| steps.min(limit as u64)).max(1)
    }

    /// How far the training is, 0 to 1, in the middle of the coming step.
    fn share_done(&self) -> f64 {
        let by_steps = (self.position.step as f64 + 0.5) / self.planned_steps() as f64;
        let by_time = self.options.time.map_or(0.0, |time| self.elapsed() / time.as_secs_f64().max(1e-9));
        by_steps.max(by_time).min(1.0)
    }

    fn step(&mut self, epoch: &Epoch, progress: &mut dyn Progress) -> Result<ControlFlow<()>, TrainError> {
        let started = Instant::now();
        let rate = rate_at(self.share_done() as f32, self.options);
        let batch = epoch.batch(self.position.batch);
        let step = self.position.step;
        let words = &mut self.word_gradient;
        let loss = differentiate(self.weights, &batch, self.options, step, &mut self.workers, words);
        let norm = self.optimizer.update(self.weights, &mut self.workers, words, rate, self.options);
        let mean = loss.total / loss.weight;
        if !mean.is_finite() || !norm.is_finite() {
            return Err(TrainError::Diverged { step: step + 1, loss: mean, norm, rate });
        }
        self.last_rate = rate;
        self.position.step += 1;
        self.position.batch += 1;
        let window = &mut self.position.window;
        window.loss.add(&loss);
        window.norms += f64::from(norm);
        window.steps += 1;
        window.lines += batch.goals.len() as u64;
        window.seconds += started.elapsed().as_secs_f64();
        let elapsed = self.elapsed();
        let done = self.share_done();
        Ok(progress.step(&StepReport {
            step: self.position.step,
            steps: self.planned_steps(),
            epoch: self.position.epoch,
            lines: batch.goals.len(),
            loss: mean,
            learning_rate: rate,
            gradient_norm: norm,
            elapsed: Duration::from_secs_f64(elapsed),
            remaining: Duration::from_secs_f64(elapsed * (1.0 - done) / done),
        }))
    }

    /// Gives whether patience is at its end.
    fn evaluate(&mut self, batches: usize, progress: &mut dyn Progress) -> bool {
        let current = self.optimizer.average.as_ref().unwrap_or(self.weights);
        let figures = self.validation.figures(current, self.options, &mut self.workers);
        let window = std::mem::take(&mut self.position.window);
        let mean = |sum: f64| sum / window.loss.weight;
        let evaluation = Evaluation {
            step: self.position.step,
            epoch: self.position.epoch as f64 + self.position.batch as f64 / batches.max(1) as f64,
            seconds: self.elapsed(),
            learning_rate: self.last_rate,
            gradient_norm: window.norms / window.steps.max(1) as f64,
            lines_per_second: window.lines as f64 / window.seconds.max(1e-9),
            training: LossParts {
                total: mean(window.loss.total),
                risk: mean(window.loss.risk),
                cumulative: mean(window.loss.cumulative),
                tag: mean(window.loss.tag),
            },
            validation: figures,
        };
        self.position.history.evaluations.push(evaluation);
        self.last_evaluation = Some(self.position.step);
        let is_best = figures.is_none_or(|figures| self.position.best.is_none_or(|best| figures.mae < best));
        if is_best {
            self.position.history.best_step = self.position.step;
            self.position.worse = 0;
            if let Some(figures) = figures {
                self.position.best = Some(figures.mae);
                self.best = Some(current.clone());
            }
        } else {
            self.position.worse += 1;
        }
        progress.evaluation(&evaluation, is_best);
        self.options.patience.is_some_and(|patience| self.position.worse >= patience)
    }

    fn checkpoint(&mut self) -> Result<(), TrainError> {
        let Some(folder) = &self.options.folder else { return Ok(()) };
        self.position.seconds = self.elapsed();
        let mut groups = vec![
            ("weights", &*self.weights),
            ("first_moment", &self.optimizer.first_moment),
            ("second_moment", &self.optimizer.second_moment),
        ];
        groups.extend(self.optimizer.average.as_ref().map(|average| ("average", average)));
        groups.extend(self.best.as_ref().map(|best| ("best", best)));
        checkpoint::write(folder, &self.position, &groups)
    }

    fn finish(mut self, ending: Ending, progress: &mut dyn Progress) -> Result<History, TrainError> {
        if ending == Ending::Interrupted {
            self.position.history.ending = Some(ending);
            return Ok(self.position.history);
        }
        if self.last_evaluation != Some(self.position.step) && self.position.window.steps > 0 {
            self.evaluate(self.position.first_batches, progress);
        }
        self.position.history.ending = Some(ending);
        if let Some(best) = self.best.take().or_else(|| self.optimizer.average.take()) {
            *self.weights = best;
        }
        Ok(self.position.history)
    }
}
