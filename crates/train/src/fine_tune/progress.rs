//! What a training tells its caller while it runs.

use std::{ops::ControlFlow, time::Duration};

use super::history::Evaluation;

/// One step, as told to [`Progress::step`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Steps taken, this one included.
    pub step: u64,
    /// Steps planned, as far as is known.
    pub steps: u64,
    /// The present epoch, counted from 0.
    pub epoch: usize,
    /// Lines of this step's batch.
    pub lines: usize,
    /// The mean loss of this step's batch.
    pub loss: f64,
    /// The learning rate of this step.
    pub learning_rate: f32,
    /// The gradient's global norm, before clipping.
    pub gradient_norm: f32,
    /// Since the start, resumed time included.
    pub elapsed: Duration,
    /// What is left, by the time budget or by the speed so far.
    pub remaining: Duration,
}

/// Hears of every step and evaluation.
pub trait Progress {
    /// After every step. [`ControlFlow::Break`] ends the training with a checkpoint to go on from.
    fn step(&mut self, report: &StepReport) -> ControlFlow<()>;

    /// After every evaluation; `best` says whether it is the best one so far.
    fn evaluation(&mut self, evaluation: &Evaluation, best: bool);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn step(&mut self, _report: &StepReport) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn evaluation(&mut self, _evaluation: &Evaluation, _best: bool) {}
}
