//! What a model learns from: one masked text and what is believed about it.

use logrisk_base::{Risk, Tag};

/// One training example.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The canonical masked text, as the model will read it.
    pub text: String,
    /// How likely each risk is thought to be; sums to 1. A weak label is a wide distribution, a careful one is narrow.
    pub target: [f32; Risk::COUNT],
    /// What kind of line it is, where known; the tag head learns nothing from an example without one.
    pub tag: Option<Tag>,
    /// How much the example counts in the loss; 1 is an ordinary example.
    pub weight: f32,
}

/// Where the examples of an epoch come from, so that each epoch can be augmented anew.
pub trait ExampleSource {
    /// The examples of one epoch, in any order: training shuffles them itself.
    ///
    /// The same `epoch` and `seed` must give the same examples every time: a resumed training asks again for the epoch
    /// in which it stopped.
    fn epoch(&mut self, epoch: usize, seed: u64) -> Vec<Example>;
}

/// A fixed list: every epoch is the same.
impl ExampleSource for Vec<Example> {
    fn epoch(&mut self, _epoch: usize, _seed: u64) -> Vec<Example> {
        self.clone()
    }
}
