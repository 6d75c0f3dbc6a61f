//! Soft targets: how sure a source of labels is, as a distribution over the eleven risks.
//!
//! Two careful readers of the same lines agreed exactly on 71 % and within one on 96 %. A target that is surer than
//! people are teaches a model to be wrong with confidence, so every target spreads as people do.

use logrisk_base::Risk;

/// A distribution over the eleven risks; sums to 1.
pub type Distribution = [f32; Risk::COUNT];

/// What one careful reader's label means: 72 % on it and 14 % on each neighbour, the agreement of two readers.
#[must_use]
pub(super) fn read(risk: Risk, or: Option<Risk>) -> Distribution {
    let mut target = [0.0; Risk::COUNT];
    spread(&mut target, risk, if or.is_some() { 0.70 } else { 1.0 });
    if let Some(or) = or {
        // The reader named this value as nearly as good: it gets half the weight of the first.
        spread(&mut target, or, 0.30);
    }
    normalise(&mut target);
    target
}

/// What an authored template's range means: within `low..=high`, a third for each step away from the risk.
#[must_use]
pub(super) fn authored(risk: Risk, low: Risk, high: Risk) -> Distribution {
    let mut target = [0.0; Risk::COUNT];
    for value in Risk::all().filter(|value| *value == risk || (low..=high).contains(value)) {
        target[usize::from(value.get())] = 3f32.powi(-i32::from(value.get().abs_diff(risk.get())));
    }
    normalise(&mut target);
    target
}

/// What a row of labelled data means: nearly sure, since people correct a single value, not a range.
#[must_use]
pub fn labelled(risk: Risk) -> Distribution {
    logrisk_score::adapter::corrected(risk)
}

/// A normal distribution cut to the scale: what a regressor with that residual deviation knows.
#[must_use]
pub(super) fn normal(mean: f32, deviation: f32) -> Distribution {
    let mut target = [0.0; Risk::COUNT];
    for (value, share) in target.iter_mut().enumerate() {
        let distance = (value as f32 - mean.clamp(0.0, 10.0)) / deviation;
        *share = (-0.5 * distance * distance).exp();
    }
    normalise(&mut target);
    target
}

/// The mean of a distribution: the score that it stands for.
#[must_use]
pub fn mean(target: &Distribution) -> f32 {
    target.iter().enumerate().map(|(value, share)| value as f32 * share).sum()
}

/// Scales to a sum of 1; all zeros become the uniform distribution.
pub(super) fn normalise(target: &mut Distribution) {
    let sum: f32 = target.iter().sum();
    if sum > 0.0 {
        target.iter_mut().for_each(|share| *share /= sum);
    } else {
        target.fill(1.0 / Risk::COUNT as f32);
    }
}

fn spread(target: &mut Distribution, risk: Risk, share: f32) {
    let center = usize::from(risk.get());
    for (value, slot) in target.iter_mut().enumerate() {
        *slot += share * [0.72, 0.14].get(value.abs_diff(center)).copied().unwrap_or(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn risk(value: u8) -> Risk {
        Risk::new(value).unwrap()
    }

    #[test]
    fn every_target_sums_to_one_and_peaks_at_its_risk() {
        for value in Risk::all() {
            let low = risk(value.get().saturating_sub(1));
            let high = risk((value.get() + 1).min(10));
            for target in
                [read(value, None), read(value, Some(low)), authored(value, low, high), labelled(value)]
            {
                assert!((target.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{value}: {target:?}");
                let peak = (0..11).max_by(|&a, &b| target[a].total_cmp(&target[b])).unwrap();
                assert_eq!(peak, usize::from(value.get()), "{target:?}");
            }
        }
    }

    #[test]
    fn an_authored_range_is_kept() {
        let target = authored(risk(7), risk(7), risk(8));
        assert_eq!(target[6], 0.0);
        assert!((target[7] - 0.75).abs() < 1e-6 && (target[8] - 0.25).abs() < 1e-6);
    }

    #[test]
    fn a_normal_keeps_its_mean_inside_the_scale() {
        assert!((mean(&normal(5.0, 1.2)) - 5.0).abs() < 0.01);
        assert!(mean(&normal(-4.0, 1.0)) < 1.0);
    }
}
