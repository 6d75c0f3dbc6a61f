//! From labelled lines to a model and its figures: generate, label, split, fine-tune, evaluate.

pub mod dataset;
pub mod evaluate;
pub mod example;
pub mod fine_tune;
pub mod generate;
pub mod label;
pub mod plot;
pub mod split;
