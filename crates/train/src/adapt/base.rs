//! The base set: lines with known risks that an adapter may hardly make worse.

use logrisk_score::{
    adapter::{Point, changed},
    model::Model,
};

use super::{look, mean_error};
use crate::dataset::base_lines;

/// Lines of the authored catalogue, without the patterns that the site itself corrected: those it wants otherwise.
pub(super) struct BaseSet {
    pub(super) points: Vec<Point>,
    pub(super) expected: Vec<f32>,
    pub(super) truths: Vec<f32>,
}

impl BaseSet {
    pub(super) fn new(model: &Model, corrected: &[&str]) -> Self {
        let mut lines = base_lines(model.mask());
        lines.retain(|(text, _)| !corrected.contains(&text.as_str()));
        let texts: Vec<&str> = lines.iter().map(|(text, _)| text.as_str()).collect();
        let (points, expected) = look(model, &texts);
        let truths = lines.iter().map(|(_, risk)| f32::from(risk.get())).collect();
        Self { points, expected, truths }
    }

    /// The median squared distance between two lines.
    pub(super) fn usual_squared_distance(&self) -> f32 {
        let half = self.points.len() / 2;
        let mut distances: Vec<f32> = (self.points.iter().take(half))
            .flat_map(|one| {
                self.points.iter().skip(half).step_by(7).map(move |other| one.squared_distance(other))
            })
            .collect();
        distances.sort_unstable_by(f32::total_cmp);
        distances.get(distances.len() / 2).copied().unwrap_or(1.0).max(f32::MIN_POSITIVE)
    }

    /// The largest share of these changes, at most all, with which the mean absolute error grows by no more than `bound`.
    pub(super) fn scale(&self, changes: &[f32], bound: f32) -> f32 {
        let before = mean_error(&self.expected, &self.truths);
        let loss = |scale: f32| {
            let after: Vec<f32> = self
                .expected
                .iter()
                .zip(changes)
                .map(|(score, change)| changed(*score, scale * change))
                .collect();
            mean_error(&after, &self.truths) - before
        };
        // In steps of a fortieth: where small changes count as none the loss is not quite monotone, so it is asked, not solved.
        let steps = 40u8;
        (0..=steps)
            .rev()
            .map(|step| f32::from(step) / f32::from(steps))
            .find(|&scale| loss(scale) <= bound)
            .unwrap_or(0.0)
    }
}
