//! Nearness of every line to every correction, for many lengths.

use logrisk_score::adapter::{Point, nearness};

/// Distances and common words, found once: comparing words is what takes time, and no length changes them.
pub(super) struct Pairs {
    pairs: Vec<(f32, f32)>,
    columns: usize,
}

impl Pairs {
    /// A row for each line, a column for each point.
    pub(super) fn new(lines: &[Point], points: &[Point]) -> Self {
        let pair = |line: &Point, point: &Point| (line.squared_distance(point), line.common_words(point));
        let pairs = lines.iter().flat_map(|line| points.iter().map(move |point| pair(line, point))).collect();
        Self { pairs, columns: points.len() }
    }

    /// The nearness of every pair, row by row.
    pub(super) fn kernel(&self, length: f32) -> Kernel {
        let near = |&(distance, words): &(f32, f32)| f64::from(nearness(distance, words, length));
        Kernel { values: self.pairs.iter().map(near).collect(), columns: self.columns }
    }
}

/// Nearness under one length.
pub(super) struct Kernel {
    /// Row by row.
    pub(super) values: Vec<f64>,
    columns: usize,
}

impl Kernel {
    /// By how much weights at the points move the score of each line.
    pub(super) fn changes(&self, weights: &[f64]) -> Vec<f32> {
        let pull = |row: &[f64]| row.iter().zip(weights).map(|(near, weight)| near * weight).sum::<f64>();
        self.values.chunks(self.columns.max(1)).map(|row| pull(row) as f32).collect()
    }
}
