//! What every layer is made of: linear layers, layer norms and activations, whole or taken apart by the exporter.

use super::{
    OnnxError,
    graph::{Graph, attribute, float, int, ints, operator},
    proto::Node,
    tensor::transpose,
};
use crate::weights::{Activation, Linear, Norm};

/// Constants that exporters write with fewer digits than f32 has.
const TOLERANCE: f32 = 1e-3;

/// PyTorch's, where a node does not say.
const NORM_EPSILON: f32 = 1e-5;

pub(super) fn is_near(number: Option<f32>, expected: f32) -> bool {
    number.is_some_and(|number| (number - expected).abs() <= TOLERANCE * expected.abs())
}

impl<'a> Graph<'a> {
    /// Whether a value is what a linear layer makes.
    pub(super) fn is_linear(&self, value: &'a str) -> bool {
        let Some(node) = self.maker(self.origin(value)) else { return false };
        match (operator(node), node.input.as_slice()) {
            ("Gemm", _) => true,
            ("MatMul", [_, weight]) => self.is_constant(weight),
            ("Add", [a, b]) => [a, b].into_iter().any(|part| {
                let maker = self.maker(self.origin(part));
                maker.is_some_and(|node| operator(node) == "MatMul") && self.is_linear(part)
            }),
            _ => false,
        }
    }

    /// A linear layer, and what it reads: Gemm, or MatMul with or without Add.
    ///
    /// # Errors
    /// [`OnnxError`], naming the node that is none.
    pub(super) fn linear(&self, value: &'a str, place: &str) -> Result<(Linear, &'a str), OnnxError> {
        let expected = format!("{place}, a linear layer: Gemm, or MatMul and Add");
        if !self.is_linear(value) {
            return Err(self.refuse(value, &expected));
        }
        let node = self.expect(value, &["Gemm", "MatMul", "Add"], &expected)?;
        if operator(node) == "Gemm" {
            return self.gemm(node, value, &expected);
        }
        let (product, bias) = match (operator(node), node.input.as_slice()) {
            ("Add", [a, b]) if self.is_linear(a) => (a.as_str(), Some(b)),
            ("Add", [a, b]) => (b.as_str(), Some(a)),
            _ => (value, None),
        };
        let node = self.expect(product, &["MatMul"], &expected)?;
        let [input, weight] = node.input.as_slice() else { return Err(self.refuse(product, &expected)) };
        let weight = self.constant(weight)?.ok_or_else(|| self.refuse(product, &expected))?;
        let (&[inputs, outputs], Some(columns)) = (weight.dimensions.as_slice(), weight.floats()) else {
            return Err(self.refuse(product, &expected));
        };
        let bias = bias.map(|bias| self.vector(bias, outputs, &expected)).transpose()?;
        let weight = transpose(columns, outputs);
        let linear = Linear { weight, bias: bias.unwrap_or_else(|| vec![0.0; outputs]), inputs, outputs };
        Ok((linear, input))
    }

    fn gemm(&self, node: &'a Node, value: &'a str, expected: &str) -> Result<(Linear, &'a str), OnnxError> {
        let plain = float(node, "alpha").is_none_or(|alpha| alpha == 1.0)
            && float(node, "beta").is_none_or(|beta| beta == 1.0)
            && int(node, "transA").unwrap_or(0) == 0;
        let (Some(input), Some(weight), true) = (node.input.first(), node.input.get(1), plain) else {
            return Err(self.refuse(value, &format!("{expected} without alpha, beta and transA")));
        };
        let weight = self.constant(weight)?.ok_or_else(|| self.refuse(value, expected))?;
        let (&[rows, columns], Some(floats)) = (weight.dimensions.as_slice(), weight.floats()) else {
            return Err(self.refuse(value, expected));
        };
        let (weight, outputs, inputs) = match int(node, "transB").unwrap_or(0) {
            0 => (transpose(floats, columns), columns, rows),
            _ => (floats.to_vec(), rows, columns),
        };
        let bias = match node.input.get(2).filter(|bias| !bias.is_empty()) {
            Some(bias) => self.vector(bias, outputs, expected)?,
            None => vec![0.0; outputs],
        };
        Ok((Linear { weight, bias, inputs, outputs }, input))
    }

    /// A constant of so many numbers; one number stands for all, as when an exporter folds equal ones.
    fn vector(&self, value: &'a str, length: usize, expected: &str) -> Result<Vec<f32>, OnnxError> {
        let constant = self.constant(value)?.ok_or_else(|| self.refuse(value, expected))?;
        match constant.floats() {
            Some(&[single]) => Ok(vec![single; length]),
            Some(floats) if floats.len() == length => Ok(floats.to_vec()),
            _ => Err(self.refuse(value, &format!("{expected}, with {length} numbers there"))),
        }
    }

    /// A layer norm over the last dimension, its epsilon, and what it reads: one node, or the nine that older exporters
    /// make of it.
    ///
    /// # Errors
    /// [`OnnxError`], naming the node that is none.
    pub(super) fn norm(
        &self,
        value: &'a str,
        hidden: usize,
        place: &str,
    ) -> Result<(Norm, f32, &'a str), OnnxError> {
        let expected =
            format!("{place}, a LayerNormalization over the last dimension, whole or in its parts");
        let node = self.expect(value, &["LayerNormalization", "Add"], &expected)?;
        if operator(node) == "LayerNormalization" {
            let over_last = matches!(int(node, "axis"), None | Some(-1 | 2));
            let (Some(input), Some(gain), true) = (node.input.first(), node.input.get(1), over_last) else {
                return Err(self.refuse(value, &expected));
            };
            let gain = self.vector(gain, hidden, &expected)?;
            let bias = match node.input.get(2).filter(|bias| !bias.is_empty()) {
                Some(bias) => self.vector(bias, hidden, &expected)?,
                None => vec![0.0; hidden],
            };
            return Ok((Norm { gain, bias }, float(node, "epsilon").unwrap_or(NORM_EPSILON), input));
        }
        let (bias, scaled) = self.constant_and_rest(value, "Add", &expected)?;
        let (gain, normal) = self.constant_and_rest(scaled, "Mul", &expected)?;
        let node = self.expect(normal, &["Div"], &expected)?;
        let [difference, deviation] = node.input.as_slice() else {
            return Err(self.refuse(normal, &expected));
        };
        let input = self.less_its_mean(difference, &expected)?;
        let root = self.expect(deviation, &["Sqrt"], &expected)?;
        let variance = root.input.first().ok_or_else(|| self.refuse(deviation, &expected))?;
        let sum = self.expect(variance, &["Add"], &expected)?;
        let (epsilon, mean) = match sum.input.as_slice() {
            [a, b] if self.is_constant(b) => (self.number(b, 0), a),
            [a, b] => (self.number(a, 0), b),
            _ => (None, variance),
        };
        let squares = self.mean_of(mean, &expected)?;
        let square = self.expect(squares, &["Pow", "Mul"], &expected)?;
        let [a, b] = square.input.as_slice() else { return Err(self.refuse(squares, &expected)) };
        let squared = match operator(square) {
            "Pow" => self.number(b, 0) == Some(2.0),
            _ => self.origin(a) == self.origin(b),
        };
        let (true, Some(epsilon)) = (squared && self.less_its_mean(a, &expected)? == input, epsilon) else {
            return Err(self.refuse(squares, &expected));
        };
        let norm =
            Norm { gain: self.vector(gain, hidden, &expected)?, bias: self.vector(bias, hidden, &expected)? };
        Ok((norm, epsilon, input))
    }

    /// The two operands of a node, of which one is constant.
    fn constant_and_rest(
        &self,
        value: &'a str,
        of: &str,
        expected: &str,
    ) -> Result<(&'a str, &'a str), OnnxError> {
        let node = self.expect(value, &[of], expected)?;
        match node.input.as_slice() {
            [a, b] if self.is_constant(b) => Ok((b, a)),
            [a, b] if self.is_constant(a) => Ok((a, b)),
            _ => Err(self.refuse(value, expected)),
        }
    }

    /// `x` of `x - mean(x)`.
    fn less_its_mean(&self, value: &'a str, expected: &str) -> Result<&'a str, OnnxError> {
        let node = self.expect(value, &["Sub"], expected)?;
        let [x, mean] = node.input.as_slice() else { return Err(self.refuse(value, expected)) };
        let x = self.origin(x);
        if self.mean_of(mean, expected)? == x { Ok(x) } else { Err(self.refuse(value, expected)) }
    }

    /// `x` of the mean of `x` over the last dimension.
    fn mean_of(&self, value: &'a str, expected: &str) -> Result<&'a str, OnnxError> {
        let node = self.expect(value, &["ReduceMean"], expected)?;
        let axes = match (ints(node, "axes"), node.input.get(1)) {
            (Some(axes), _) => axes.to_vec(),
            (None, Some(axes)) => self.integers(axes, 0).into_iter().flatten().flatten().collect(),
            (None, None) => Vec::new(),
        };
        match node.input.first() {
            Some(input) if matches!(axes[..], [-1 | 2]) && int(node, "keepdims").unwrap_or(1) == 1 => {
                Ok(self.origin(input))
            }
            _ => Err(self.refuse(value, expected)),
        }
    }

    /// The feed-forward's activation and what it reads: one node, or the products that exporters make of GELU.
    ///
    /// # Errors
    /// [`OnnxError`], naming the node that is none.
    pub(super) fn activation(&self, value: &'a str) -> Result<(Activation, &'a str), OnnxError> {
        let expected = "the feed-forward's activation: Relu, or Gelu whole or in its parts with Erf or Tanh";
        let node = self.expect(value, &["Relu", "Gelu", "Mul"], expected)?;
        let first = node.input.first().ok_or_else(|| self.refuse(value, expected))?;
        match operator(node) {
            "Relu" => return Ok((Activation::Relu, first)),
            "Gelu" => {
                let kind = attribute(node, "approximate").and_then(|kind| kind.s.as_deref());
                return match kind {
                    None | Some(b"none") => Ok((Activation::Gelu, first)),
                    Some(b"tanh") => Ok((Activation::GeluTanh, first)),
                    Some(_) => Err(self.refuse(value, expected)),
                };
            }
            _ => {}
        }
        // x · ½ · (1 + f(x)), multiplied in any order.
        let (mut half, mut x, mut factor) = (false, None, None);
        for part in self.terms(value, "Mul") {
            if self.is_constant(part) {
                half = is_near(self.number(part, 0), 0.5);
            } else if let Some((kind, argument)) = self.one_plus(part) {
                factor = Some((kind, argument));
            } else {
                x = Some(self.origin(part));
            }
        }
        match (half, x, factor) {
            (true, Some(x), Some((kind, argument))) if argument == x => Ok((kind, x)),
            _ => Err(self.refuse(value, expected)),
        }
    }

    /// The operands of a tree of nodes of one operator that takes two, from left to right; at most eight.
    pub(super) fn terms(&self, value: &'a str, of: &str) -> Vec<&'a str> {
        let mut terms = vec![value];
        let mut position = 0;
        while let Some(term) = terms.get(position).copied() {
            match self.maker(self.origin(term)) {
                Some(node) if operator(node) == of && node.input.len() == 2 && terms.len() < 8 => {
                    terms.splice(position..=position, node.input.iter().map(String::as_str));
                }
                _ => position += 1,
            }
        }
        terms
    }

    /// `1 + erf(x / √2)` or `1 + tanh(√(2/π) (x + 0.044715 x³))`.
    fn one_plus(&self, value: &'a str) -> Option<(Activation, &'a str)> {
        let node = self.maker(self.origin(value)).filter(|node| operator(node) == "Add")?;
        let (a, b) = (node.input.first()?, node.input.get(1)?);
        let inner = match (self.is_constant(a), self.is_constant(b)) {
            (true, false) if is_near(self.number(a, 0), 1.0) => b,
            (false, true) if is_near(self.number(b, 0), 1.0) => a,
            _ => return None,
        };
        let node = self.maker(self.origin(inner))?;
        let argument = node.input.first()?;
        match operator(node) {
            "Erf" => {
                let node = self.maker(self.origin(argument))?;
                let (x, by) = (node.input.first()?, self.number(node.input.get(1)?, 0));
                let scaled = match operator(node) {
                    "Div" => is_near(by, std::f32::consts::SQRT_2),
                    "Mul" => is_near(by, std::f32::consts::FRAC_1_SQRT_2),
                    _ => false,
                };
                scaled.then(|| (Activation::Gelu, self.origin(x)))
            }
            "Tanh" => Some((Activation::GeluTanh, self.cubic(argument)?)),
            _ => None,
        }
    }

    /// `x` of `√(2/π) (x + 0.044715 x³)`.
    fn cubic(&self, value: &'a str) -> Option<&'a str> {
        let (outer, sum) = self.scaled(value)?;
        let node = self.maker(self.origin(sum)).filter(|node| operator(node) == "Add")?;
        let (a, b) = (node.input.first()?, node.input.get(1)?);
        let (x, (inner, cube)) = match self.scaled(b) {
            Some(scaled) => (a, scaled),
            None => (b, self.scaled(a)?),
        };
        let x = self.origin(x);
        let power = self.maker(self.origin(cube)).filter(|node| operator(node) == "Pow")?;
        let is_cube =
            self.origin(power.input.first()?) == x && self.number(power.input.get(1)?, 0) == Some(3.0);
        let known = is_near(Some(outer), 0.797_884_6) && is_near(Some(inner), 0.044_715);
        (is_cube && known).then_some(x)
    }

    /// A product with a number: the number and the rest.
    fn scaled(&self, value: &'a str) -> Option<(f32, &'a str)> {
        let node = self.maker(self.origin(value)).filter(|node| operator(node) == "Mul")?;
        let (a, b) = (node.input.first()?, node.input.get(1)?);
        match self.is_constant(a) {
            true => Some((self.number(a, 0)?, b)),
            false if self.is_constant(b) => Some((self.number(b, 0)?, a)),
            false => None,
        }
    }
}
