//! From labelled lines to a model and its figures: generate, label, split, fine-tune, calibrate, evaluate.

pub mod adapt;
pub mod calibrate;
pub mod dataset;
pub mod distil;
pub mod evaluate;
pub mod example;
pub mod fine_tune;
pub mod generate;
pub mod label;
pub mod plot;
mod sparse;
pub mod split;
