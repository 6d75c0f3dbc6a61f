//! The fit: twelve numbers by Newton's method.
//!
//! With `slope = 1 / temperature` the loss, mean cross-entropy plus a penalty, is convex in slope and biases, so that
//! every start leads to the one minimum, in six steps or so.

use logrisk_base::Risk;
use logrisk_score::calibration::Calibration;

/// Slope, then biases.
const SIZE: usize = 1 + Risk::COUNT;

/// How hard the numbers are drawn to where nothing changes (slope 1, no bias). Of 0.001, 0.01 and 0.05 the one that was
/// best on other lines; it also keeps a risk that no line has from a bias of minus infinity.
const PENALTY: f64 = 0.01;

/// Convex problems of this size take fewer than ten.
const STEPS: usize = 50;

/// Below this a slope says that answers tell nothing of labels.
const SMALLEST_SLOPE: f64 = 0.02;

type Vector = [f64; SIZE];
type Matrix = [Vector; SIZE];

/// The calibration under which the risks are likeliest, `unsure_width` being the default's; `None` where answers and
/// risks have nothing to do with each other. Texts without an equal number of risks are left out.
#[must_use]
pub fn fit(logits: &[[f32; Risk::COUNT]], risks: &[Risk]) -> Option<Calibration> {
    let mut at = [0.0; SIZE];
    at[0] = 1.0;
    for _ in 0..STEPS {
        let (loss, gradient, curvature) = derivatives(&at, logits, risks);
        let step = solve(curvature, gradient)?;
        let decrease: f64 = step.iter().zip(&gradient).map(|(step, slope)| step * slope).sum();
        if decrease < 1e-12 {
            break;
        }
        // Newton's step, halved until it goes down: far from the minimum a whole one may not.
        let mut share = 1.0;
        let mut next = moved(&at, &step, share);
        while share > 1e-6 && derivatives(&next, logits, risks).0 > loss - 0.25 * share * decrease {
            share *= 0.5;
            next = moved(&at, &step, share);
        }
        at = next;
    }
    let [slope, bias @ ..] = at;
    (slope.is_finite() && slope > SMALLEST_SLOPE).then(|| Calibration {
        temperature: (1.0 / slope) as f32,
        bias: bias.map(|value| value as f32),
        ..Calibration::default()
    })
}

fn moved(at: &Vector, step: &Vector, share: f64) -> Vector {
    let mut next = *at;
    next.iter_mut().zip(step).for_each(|(value, step)| *value -= share * step);
    next
}

/// The loss, its gradient and its second derivatives.
fn derivatives(at: &Vector, logits: &[[f32; Risk::COUNT]], risks: &[Risk]) -> (f64, Vector, Matrix) {
    let (mut loss, mut gradient, mut curvature) = (0.0, [0.0; SIZE], [[0.0; SIZE]; SIZE]);
    let share = 1.0 / logits.len().min(risks.len()).max(1) as f64;
    for (logits, risk) in logits.iter().zip(risks) {
        let logits = logits.map(f64::from);
        let mut shares = [0.0; Risk::COUNT];
        for (index, value) in shares.iter_mut().enumerate() {
            *value = at[0] * logits[index] + at[1 + index];
        }
        let highest = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let truth = usize::from(risk.get());
        let true_logit = shares[truth];
        shares.iter_mut().for_each(|value| *value = (*value - highest).exp());
        let sum: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|value| *value /= sum);
        loss += share * (sum.ln() + highest - true_logit);

        // What the slope multiplies: the mean of the logits, and their covariance with each risk.
        let mean: f64 = shares.iter().zip(&logits).map(|(share, logit)| share * logit).sum();
        gradient[0] += share * (mean - logits[truth]);
        for risk in 0..Risk::COUNT {
            gradient[1 + risk] += share * (shares[risk] - f64::from(u8::from(risk == truth)));
            curvature[0][0] += share * shares[risk] * (logits[risk] - mean) * logits[risk];
            let with_slope = share * shares[risk] * (logits[risk] - mean);
            curvature[0][1 + risk] += with_slope;
            curvature[1 + risk][0] += with_slope;
            curvature[1 + risk][1 + risk] += share * shares[risk];
            for other in 0..Risk::COUNT {
                curvature[1 + risk][1 + other] -= share * shares[risk] * shares[other];
            }
        }
    }
    for (index, value) in at.iter().enumerate() {
        let away = if index == 0 { value - 1.0 } else { *value };
        loss += 0.5 * PENALTY * away * away;
        gradient[index] += PENALTY * away;
        curvature[index][index] += PENALTY;
    }
    (loss, gradient, curvature)
}

/// Gaussian elimination with pivots; `None` for a matrix without an inverse, which numbers that are not finite make.
fn solve(mut matrix: Matrix, mut right: Vector) -> Option<Vector> {
    for column in 0..SIZE {
        let size = |row: &usize| matrix[*row][column].abs();
        let pivot = (column..SIZE).max_by(|one, other| size(one).total_cmp(&size(other)))?;
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let diagonal = matrix[column][column];
        if !diagonal.is_finite() || diagonal.abs() < 1e-300 {
            return None;
        }
        for row in column + 1..SIZE {
            let factor = matrix[row][column] / diagonal;
            let above = matrix[column];
            for (value, above) in matrix[row].iter_mut().zip(&above).skip(column) {
                *value -= factor * above;
            }
            right[row] -= factor * right[column];
        }
    }
    for column in (0..SIZE).rev() {
        let known: f64 = (column + 1..SIZE).map(|index| matrix[column][index] * right[index]).sum();
        right[column] = (right[column] - known) / matrix[column][column];
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn risk(value: usize) -> Risk {
        Risk::new(value as u8).unwrap()
    }

    /// Logits that tell nothing: what is left to learn are the frequencies, and those are known in closed form.
    #[test]
    fn without_evidence_the_biases_are_the_frequencies() {
        let risks: Vec<Risk> = (0..11).flat_map(|value| vec![risk(value); 1000 * (value + 1)]).collect();
        let found = fit(&vec![[0.0; 11]; risks.len()], &risks).unwrap();
        assert!((found.temperature - 1.0).abs() < 1e-6);
        let powers = found.bias.map(|bias| f64::from(bias).exp());
        let sum: f64 = powers.iter().sum();
        for (value, power) in powers.iter().enumerate() {
            let frequency = (value + 1) as f64 / 66.0;
            // The penalty draws each bias b to 0: the fit solves p − f + penalty · b = 0.
            let expected = frequency - PENALTY * f64::from(found.bias[value]);
            assert!((power / sum - expected).abs() < 1e-6, "{value}: {} for {expected}", power / sum);
        }
    }

    /// Logits and risks by a formula; the numbers are SciPy's, which minimised the same loss by BFGS
    /// (tests/reference/calibration.py).
    #[test]
    fn the_fit_is_that_of_scipy() {
        let (mut logits, mut risks) = (Vec::new(), Vec::new());
        for line in 0..400u32 {
            let center = f64::from(line % 41) / 4.0;
            logits.push(std::array::from_fn(|value| (-(value as f64 - center).powi(2) / 2.0) as f32));
            let noise = f64::from(line * 7 % 13) / 3.0 - 2.0;
            risks.push(Risk::nearest((center + noise) as f32));
        }
        let found = fit(&logits, &risks).unwrap();
        assert!((f64::from(found.temperature) - EXPECTED[0]).abs() < 1e-4, "{found:?}");
        for (bias, expected) in found.bias.iter().zip(&EXPECTED[1..]) {
            assert!((f64::from(*bias) - expected).abs() < 1e-4, "{found:?}");
        }
    }

    /// Temperature, then biases.
    const EXPECTED: [f64; SIZE] = [
        1.614095, 0.218849, -0.162171, -0.139504, -0.077261, -0.061748, -0.043781, -0.044451, -0.010422,
        0.027518, -0.129434, 0.422404,
    ];

    #[test]
    fn overconfident_answers_are_cooled() {
        // Three times in four right, but said with a logit of 10.
        let logits: Vec<_> = (0..1100)
            .map(|line| std::array::from_fn(|value| if value == line % 11 { 10.0 } else { 0.0 }))
            .collect();
        let risks: Vec<_> =
            (0..1100).map(|line| risk(if line % 4 == 0 { (line + 1) % 11 } else { line % 11 })).collect();
        let found = fit(&logits, &risks).unwrap();
        assert!(found.temperature > 2.0, "{found:?}");
        assert!(found.bias.iter().all(|bias| bias.abs() < 0.05), "{found:?}");
    }

    #[test]
    fn answers_that_go_the_other_way_are_refused() {
        let logits: Vec<_> = (0..1100)
            .map(|line| std::array::from_fn(|value| if value == line % 11 { -30.0 } else { 0.0 }))
            .collect();
        let risks: Vec<_> = (0..1100).map(|line| risk(line % 11)).collect();
        assert_eq!(fit(&logits, &risks), None);
        assert_eq!(fit(&[[f32::NAN; 11]; 60], &[risk(3); 60]), None);
    }

    #[test]
    fn nothing_to_fit_on_changes_nothing() {
        assert_eq!(fit(&[], &[]), Some(Calibration::default()));
        let one = fit(&[[0.0; 11]; 60], &[risk(3); 60]).unwrap();
        assert!(one.bias.iter().all(|bias| bias.is_finite()) && one.bias[3] > 1.0, "{one:?}");
    }
}
