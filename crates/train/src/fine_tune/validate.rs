//! The figures of held-out examples while training.

use logrisk_base::{Risk, Tag};
use logrisk_score::{encoder::Tokens, weights::Weights};

use super::{
    history::Figures,
    loss::{Goal, LossSum, probabilities},
    options::Options,
    step::{Worker, predict},
};
use crate::example::Example;

/// Held-out examples, tokenised once.
#[derive(Debug, Default)]
pub(super) struct Validation {
    tokens: Tokens,
    goals: Vec<Goal>,
    truths: Vec<(Risk, Option<Tag>)>,
}

impl Validation {
    /// Examples that give no tokens are left out.
    pub(super) fn new(
        examples: &[Example],
        tokenize: &dyn Fn(&str, &mut Vec<u32>),
        options: &Options,
    ) -> Self {
        let mut validation = Self::default();
        for example in examples {
            let before = validation.tokens.ids.len();
            tokenize(&example.text, &mut validation.tokens.ids);
            if validation.tokens.ids.len() > before {
                validation.tokens.ends.push(validation.tokens.ids.len());
                validation.goals.push(Goal::new(example, options));
                validation.truths.push((most_likely(&example.target), example.tag));
            }
        }
        validation
    }

    /// The figures under `weights`; none without examples.
    pub(super) fn figures(
        &self,
        weights: &Weights,
        options: &Options,
        workers: &mut [Worker],
    ) -> Option<Figures> {
        if self.goals.is_empty() {
            return None;
        }
        let (mut risks, mut tags) = predict(weights, &self.tokens, workers);
        let mut loss = LossSum::default();
        let (mut exact, mut within_one, mut distance) = (0, 0, 0);
        let (mut tagged, mut tags_right) = (0, 0);
        let mut table = [[0usize; Risk::COUNT]; Risk::COUNT];
        let rows = risks.chunks_exact_mut(Risk::COUNT).zip(tags.chunks_exact_mut(Tag::COUNT));
        for (((risk, tag), goal), (truth, true_tag)) in rows.zip(&self.goals).zip(&self.truths) {
            let distribution: [f32; Risk::COUNT] = probabilities(risk);
            let score: f32 = distribution.iter().enumerate().map(|(risk, share)| risk as f32 * share).sum();
            let judged = Risk::nearest(score);
            let difference = judged.get().abs_diff(truth.get());
            exact += usize::from(difference == 0);
            within_one += usize::from(difference <= 1);
            distance += usize::from(difference);
            table[usize::from(truth.get())][usize::from(judged.get())] += 1;
            if let Some(true_tag) = true_tag {
                let best =
                    (0..Tag::COUNT).fold(0, |best, index| if tag[index] > tag[best] { index } else { best });
                tagged += 1;
                tags_right += usize::from(Tag::ALL[best] == *true_tag);
            }
            goal.differentiate(risk, tag, options, 1.0, &mut loss);
        }
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        let lines = self.goals.len();
        Some(Figures {
            loss: loss.total / loss.weight,
            exact: share(exact, lines),
            within_one: share(within_one, lines),
            mae: share(distance, lines),
            kappa: kappa(&table),
            tag_accuracy: share(tags_right, tagged),
        })
    }
}

fn most_likely(target: &[f32; Risk::COUNT]) -> Risk {
    let mut best = (Risk::MIN, target[0]);
    for (risk, &share) in Risk::all().zip(target) {
        if share > best.1 {
            best = (risk, share);
        }
    }
    best.0
}

/// Cohen's kappa with quadratic weights, of a table `[truth][judged]`; 1 where both never vary and agree.
fn kappa(table: &[[usize; Risk::COUNT]; Risk::COUNT]) -> f64 {
    let total = table.iter().flatten().sum::<usize>() as f64;
    let truths = table.map(|row| row.iter().sum::<usize>() as f64);
    let (mut observed, mut expected) = (0.0, 0.0);
    for (judged, _) in truths.iter().enumerate() {
        let column = table.iter().map(|row| row[judged]).sum::<usize>() as f64;
        for (truth, row) in table.iter().enumerate() {
            let weight = (truth as f64 - judged as f64).powi(2);
            observed += weight * row[judged] as f64;
            expected += weight * truths[truth] * column / total;
        }
    }
    if expected == 0.0 { 1.0 } else { 1.0 - observed / expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kappa_is_one_for_agreement_and_zero_for_chance() {
        let mut agreement = [[0; Risk::COUNT]; Risk::COUNT];
        let mut chance = agreement;
        for risk in 0..Risk::COUNT {
            agreement[risk][risk] = 5;
            chance[risk] = [3; Risk::COUNT];
        }
        assert!((kappa(&agreement) - 1.0).abs() < 1e-12);
        assert!(kappa(&chance).abs() < 1e-12);
    }
}
