//! `y = x Wᵀ + b` and its gradients, as three matrix products.

use logrisk_score::{
    encoder::{
        Isa,
        gemm::{self, Factors},
    },
    weights::Linear,
};

use super::elementwise::add_rows;

/// One thread's matrix products: the instruction set, and the space in which operands are packed.
#[derive(Debug)]
pub(super) struct Products {
    isa: Isa,
    factors: Factors,
    scratch: gemm::Scratch,
}

impl Default for Products {
    fn default() -> Self {
        Self { isa: Isa::detect(), factors: Factors::F32, scratch: gemm::Scratch::default() }
    }
}

impl Products {
    /// From now on, factors are rounded so.
    pub(super) fn round_factors(&mut self, factors: Factors) {
        self.factors = factors;
    }

    /// `output = input Wᵀ + bias`; `input` is `[rows, inputs]`, `output` becomes `[rows, outputs]`.
    pub(super) fn forward(&mut self, linear: &Linear, input: &[f32], output: &mut Vec<f32>) {
        let rows = input.len() / linear.inputs;
        output.resize(rows * linear.outputs, 0.0);
        for row in output.chunks_exact_mut(linear.outputs) {
            row.copy_from_slice(&linear.bias);
        }
        gemm::gemm(
            self.isa,
            self.factors,
            (rows, linear.outputs, linear.inputs),
            gemm::Matrix::new(input, linear.inputs),
            gemm::Matrix::new(&linear.weight, linear.inputs).transposed(),
            true,
            output,
            linear.outputs,
            &mut self.scratch,
        );
    }

    /// `input_gradient = gradient W`.
    pub(super) fn input_gradient(
        &mut self,
        linear: &Linear,
        gradient: &[f32],
        input_gradient: &mut Vec<f32>,
    ) {
        input_gradient.resize(gradient.len() / linear.outputs * linear.inputs, 0.0);
        self.backward(linear, gradient, input_gradient, false);
    }

    /// `input_gradient += gradient W`.
    pub(super) fn add_input_gradient(
        &mut self,
        linear: &Linear,
        gradient: &[f32],
        input_gradient: &mut [f32],
    ) {
        self.backward(linear, gradient, input_gradient, true);
    }

    fn backward(&mut self, linear: &Linear, gradient: &[f32], input_gradient: &mut [f32], accumulate: bool) {
        gemm::gemm(
            self.isa,
            self.factors,
            (gradient.len() / linear.outputs, linear.inputs, linear.outputs),
            gemm::Matrix::new(gradient, linear.outputs),
            gemm::Matrix::new(&linear.weight, linear.inputs),
            accumulate,
            input_gradient,
            linear.inputs,
            &mut self.scratch,
        );
    }

    /// `total.weight += gradientᵀ input` and `total.bias += ` the sum of the gradient's rows.
    pub(super) fn add_weight_gradient(&mut self, total: &mut Linear, gradient: &[f32], input: &[f32]) {
        add_rows(&mut total.bias, gradient);
        gemm::gemm(
            self.isa,
            self.factors,
            (total.outputs, total.inputs, gradient.len() / total.outputs),
            gemm::Matrix::new(gradient, total.outputs).transposed(),
            gemm::Matrix::new(input, total.inputs),
            true,
            &mut total.weight,
            total.inputs,
            &mut self.scratch,
        );
    }
}
