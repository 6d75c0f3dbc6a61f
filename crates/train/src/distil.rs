//! Learning from a teacher: what a larger model, or the mean of several, believes of each example is mixed into its
//! target (Hinton et al. 2015). A small model learns more from a teacher's whole distribution than from a label, and a
//! model of the same size learns from one that has seen more careful labels what to make of weak ones.

use logrisk_base::Risk;
use logrisk_score::model::{Model, ModelScratch};

use crate::{
    dataset::Distribution,
    example::{Example, ExampleSource},
};

/// Texts that the teachers read at a time: full batches, and their probabilities stay few.
const TEXTS_AT_A_TIME: usize = 1024;

/// A source whose targets are mixed with the mean of the teachers' beliefs.
#[derive(Debug)]
pub struct Distilled<S> {
    /// Where the examples come from.
    pub source: S,
    /// They read what the student will read; without one, targets stay as they are.
    pub teachers: Vec<Model>,
    /// The teachers' share of a target, 0 to 1.
    pub share: f32,
}

impl<S: ExampleSource> ExampleSource for Distilled<S> {
    fn epoch(&mut self, epoch: usize, seed: u64) -> Vec<Example> {
        let mut examples = self.source.epoch(epoch, seed);
        if self.teachers.is_empty() {
            return examples;
        }
        let mut scratch = ModelScratch::default();
        let mut assessments = Vec::new();
        for examples in examples.chunks_mut(TEXTS_AT_A_TIME) {
            let mut beliefs: Vec<Distribution> = vec![[0.0; Risk::COUNT]; examples.len()];
            let texts: Vec<&str> = examples.iter().map(|example| example.text.as_str()).collect();
            for teacher in &self.teachers {
                assessments.clear();
                teacher.assess(&texts, &mut scratch, &mut assessments);
                for (belief, assessment) in beliefs.iter_mut().zip(&assessments) {
                    for (sum, probability) in belief.iter_mut().zip(assessment.probabilities) {
                        *sum += probability / self.teachers.len() as f32;
                    }
                }
            }
            for (example, belief) in examples.iter_mut().zip(beliefs) {
                for (target, believed) in example.target.iter_mut().zip(belief) {
                    *target = (1.0 - self.share) * *target + self.share * believed;
                }
            }
        }
        examples
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use logrisk_base::Risk;
    use logrisk_score::{
        archive::Archive,
        encoder::{Isa, Precision},
    };

    use super::*;

    #[test]
    fn the_teacher_pulls_targets_towards_its_belief() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/default");
        let teacher = Model::load(Archive::open(&folder).unwrap(), Precision::F32, Isa::detect()).unwrap();
        let mut target = [0.0; Risk::COUNT];
        target[0] = 1.0;
        let text = "error: kernel panic - not syncing: unable to mount root fs".to_owned();
        let example = Example { text, target, tag: None, weight: 1.0 };
        let at = |share: f32, teachers: Vec<Model>| {
            Distilled { source: vec![example.clone()], teachers, share }.epoch(0, 1)[0].target
        };
        let mixed = at(0.5, vec![teacher]);
        assert!((mixed.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        assert!(mixed[0] >= 0.5 && mixed[6..].iter().sum::<f32>() > 0.3, "{mixed:?}");
    }
}
