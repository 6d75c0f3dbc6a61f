//! Repeatable randomness: SplitMix64 (Steele, Lea and Flood 2014), the generator that [`logrisk_score::weights`] uses too.
//!
//! A seed gives the same data on every machine and in every release, which no general crate promises.

/// A stream of random numbers that its seed decides.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The stream of a part of something seeded: an epoch, an item. Different parts give unrelated streams.
    #[must_use]
    pub fn part(seed: u64, part: u64) -> Self {
        let mut stream = Self(seed ^ part.wrapping_mul(0xd134_2543_de82_ef95));
        Self(stream.bits())
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in `[0, limit)`; 0 for a limit of 0. Lemire's multiply-shift: the bias is below 2⁻³² for our limits.
    pub fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.bits()) * limit as u128) >> 64) as usize
    }

    /// A number in `[low, high]`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below((high.saturating_sub(low) + 1) as usize) as u64
    }

    /// True with that probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of a pool of words; the empty word from an empty pool.
    pub fn pick<'a>(&mut self, pool: &[&'a str]) -> &'a str {
        pool.get(self.below(pool.len())).copied().unwrap_or_default()
    }

    /// The index of a weight, drawn in proportion to the weights; 0 where all are 0.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut rest = self.unit() * weights.iter().sum::<f64>();
        for (index, weight) in weights.iter().enumerate() {
            if rest < *weight {
                return index;
            }
            rest -= weight;
        }
        0
    }

    /// Brings a slice into random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Draws `count` indices, each as often as its weight asks, give or take one draw: systematic sampling. Against
/// independent draws it wastes none of a small pool. The indices come in ascending order.
#[must_use]
pub fn draw(weights: &[f64], count: usize, random: &mut Random) -> Vec<usize> {
    let total: f64 = weights.iter().sum();
    if total <= 0.0 || count == 0 {
        return Vec::new();
    }
    let step = total / count as f64;
    let mut next = random.unit() * step;
    let mut sum = 0.0;
    let mut drawn = Vec::with_capacity(count);
    for (index, weight) in weights.iter().enumerate() {
        sum += weight;
        while next < sum && drawn.len() < count {
            drawn.push(index);
            next += step;
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draw_gives_each_its_share() {
        let mut random = Random::new(7);
        let drawn = draw(&[1.0, 0.0, 3.0], 400, &mut random);
        assert_eq!(drawn.len(), 400);
        assert_eq!(drawn.iter().filter(|&&index| index == 2).count(), 300);
        assert!(!drawn.contains(&1));
    }

    #[test]
    fn parts_of_a_seed_are_repeatable_and_differ() {
        assert_eq!(Random::part(42, 1).bits(), Random::part(42, 1).bits());
        assert_ne!(Random::part(42, 1).bits(), Random::part(42, 2).bits());
    }

    #[test]
    fn below_stays_below() {
        let mut random = Random::new(1);
        assert!((0..1000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
    }
}
