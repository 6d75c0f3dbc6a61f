//! What a model's raw answers are worth: a temperature, a bias for each risk, and how wide an answer may be before a
//! person should look.
//!
//! ```text
//! logits ─► ÷ temperature ─► + bias ─► softmax ─► probabilities, of which 30 % means 30 of 100
//! ```
//! Twelve numbers, fitted after training on software that the model never saw (`logrisk calibrate`). The biases say how
//! frequent each risk is where lines come from, which a training mix, made to teach, does not.

use logrisk_base::Risk;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{model::Assessment, weights::Linear};

/// Applied to the risk logits before the softmax, in every precision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Calibration {
    /// Above 1 the model was too sure of itself.
    pub temperature: f32,
    /// Added to each risk's logit after the division.
    pub bias: [f32; Risk::COUNT],
    /// An answer whose interval is wider than this is unsure.
    pub unsure_width: u8,
}

/// Of a model that was never calibrated: its answers as they are.
impl Default for Calibration {
    fn default() -> Self {
        // 4: of the lines of several models, between a twentieth and a fifth were wider.
        Self { temperature: 1.0, bias: [0.0; Risk::COUNT], unsure_width: 4 }
    }
}

impl Calibration {
    /// The logits set right.
    #[must_use]
    pub fn apply(&self, logits: &[f32; Risk::COUNT]) -> [f32; Risk::COUNT] {
        let mut calibrated = self.bias;
        for (value, logit) in calibrated.iter_mut().zip(logits) {
            *value += logit / self.temperature;
        }
        calibrated
    }

    /// Makes a layer of risk logits give calibrated ones by itself.
    pub fn fold_into(&self, risk: &mut Linear) {
        risk.weight.iter_mut().for_each(|weight| *weight /= self.temperature);
        for (bias, calibrated) in risk.bias.iter_mut().zip(self.bias) {
            *bias = *bias / self.temperature + calibrated;
        }
    }

    /// Whether an answer is too wide to be relied on.
    #[must_use]
    pub fn is_unsure(&self, assessment: &Assessment) -> bool {
        let (low, high) = assessment.interval();
        high.get() - low.get() > self.unsure_width
    }
}

/// A calibration that cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("calibration {0}; calibrate the model again with `logrisk calibrate`")]
pub struct BrokenCalibration(String);

#[derive(Deserialize)]
struct Fields {
    temperature: Option<f64>,
    #[serde(default)]
    bias: Vec<Option<f64>>,
    unsure_width: Option<u8>,
}

/// From the manifest: JSON writes what is not a number as null, so every number may be missing.
impl TryFrom<Value> for Calibration {
    type Error = BrokenCalibration;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let fields: Fields = serde_json::from_value(value)
            .map_err(|error| BrokenCalibration(format!("cannot be read ({error})")))?;
        let finite = |number: Option<f64>| number.map(|it| it as f32).filter(|it| it.is_finite());
        let temperature = finite(fields.temperature)
            .filter(|it| *it > 0.0)
            .ok_or_else(|| BrokenCalibration("has a temperature that is no number above 0".to_owned()))?;
        let found = fields.bias.len();
        let bias: Option<Vec<f32>> = fields.bias.into_iter().map(finite).collect();
        let bias = bias.ok_or_else(|| BrokenCalibration("has a bias that is no finite number".to_owned()))?;
        let bias = <[f32; Risk::COUNT]>::try_from(bias)
            .map_err(|_| BrokenCalibration(format!("has {found} biases, not {}", Risk::COUNT)))?;
        let unsure_width = fields
            .unsure_width
            .filter(|width| *width <= Risk::MAX.get())
            .ok_or_else(|| BrokenCalibration("has no unsure_width from 0 to 10".to_owned()))?;
        Ok(Self { temperature, bias, unsure_width })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_folded_layer_gives_calibrated_logits() {
        let calibration =
            Calibration { temperature: 2.0, bias: std::array::from_fn(|risk| risk as f32), unsure_width: 4 };
        let values: [f32; Risk::COUNT] = std::array::from_fn(|risk| 3.0 - risk as f32);
        let mut layer =
            Linear { weight: values.to_vec(), bias: values.to_vec(), inputs: 1, outputs: Risk::COUNT };
        calibration.fold_into(&mut layer);
        // For the input 1 the raw logits are twice the values.
        let folded: Vec<f32> =
            layer.weight.iter().zip(&layer.bias).map(|(weight, bias)| weight + bias).collect();
        assert_eq!(folded, calibration.apply(&values.map(|value| 2.0 * value)));
    }

    #[test]
    fn it_survives_a_round_trip_and_default_changes_nothing() {
        let mut calibration = Calibration { temperature: 1.25, unsure_width: 3, ..Calibration::default() };
        calibration.bias[7] = -0.5;
        let text = serde_json::to_string(&calibration).unwrap();
        assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), calibration);
        let logits = [0.5; Risk::COUNT];
        assert_eq!(Calibration::default().apply(&logits), logits);
        assert_eq!(calibration.apply(&logits)[7], 0.5 / 1.25 - 0.5);
    }

    #[test]
    fn what_cannot_be_a_calibration_is_named() {
        let good = || json!({"temperature": 1.0, "bias": vec![0.0; 11], "unsure_width": 4});
        let changed = |key: &str, value: Value| {
            let mut broken = good();
            broken[key] = value;
            serde_json::from_value::<Calibration>(broken).unwrap_err().to_string()
        };
        serde_json::from_value::<Calibration>(good()).unwrap();
        for temperature in [json!(null), json!(0.0), json!(-1.0), json!(1e300)] {
            assert!(changed("temperature", temperature).contains("temperature that is no number above 0"));
        }
        assert!(changed("bias", json!([0.0, 1.0])).contains("has 2 biases, not 11"));
        assert!(changed("bias", json!(vec![Value::Null; 11])).contains("bias that is no finite number"));
        assert!(changed("bias", json!("x")).contains("calibration cannot be read"));
        assert!(changed("unsure_width", json!(11)).contains("no unsure_width from 0 to 10"));
        assert!(changed("unsure_width", json!(null)).contains("logrisk calibrate"));
    }
}
