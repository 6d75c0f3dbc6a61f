//! Synthetic log lines with known risks, from the authored catalogues, in the formats of real programs.
//!
//! Made to be repeatable: a seed gives the same lines everywhere. One core writes several hundred thousand lines a
//! second, so a million lines for a load test are a matter of seconds.

use jiff::{SignedDuration, Timestamp};
use logrisk_base::{Risk, Tag};

use crate::dataset::{
    DatasetError, Format, LevelMix, Template, embedded_templates, random::Random, write_line,
};

/// Lines of each risk, 0 to 10, in 1,000 lines of an ordinary day; `balanced` gives every risk its eleventh.
const ORDINARY: [f64; Risk::COUNT] = [60.0, 180.0, 480.0, 120.0, 60.0, 40.0, 30.0, 15.0, 9.0, 4.0, 2.0];

/// The generated day begins here: 2025-03-17 00:00 UTC. A fixed time keeps output repeatable.
const BEGIN: i64 = 1_742_169_600;

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GenerateOptions {
    /// Every risk equally often.
    pub balanced: bool,
    /// The seed.
    pub seed: u64,
    /// One format for all lines; any if absent.
    pub format: Option<Format>,
}

/// An endless stream of lines.
#[derive(Debug)]
pub struct Generator {
    /// Templates of each risk.
    templates: [Vec<Template>; Risk::COUNT],
    weights: [f64; Risk::COUNT],
    format: Option<Format>,
    random: Random,
    time: Timestamp,
}

impl Generator {
    /// Prepares the catalogues.
    ///
    /// # Errors
    /// [`DatasetError`] if a built-in catalogue is broken, which the tests exclude.
    pub fn new(options: GenerateOptions) -> Result<Self, DatasetError> {
        let mut templates: [Vec<Template>; Risk::COUNT] = Default::default();
        for template in embedded_templates()? {
            templates[usize::from(template.risk.get())].push(template);
        }
        let weights = if options.balanced { [1.0; Risk::COUNT] } else { ORDINARY };
        let time = Timestamp::from_second(BEGIN).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Self { templates, weights, format: options.format, random: Random::new(options.seed), time })
    }

    /// Appends the next record, without a final newline; a stack trace holds newlines. Times never go back.
    pub fn append(&mut self, out: &mut String) -> (Risk, Tag) {
        let random = &mut self.random;
        let step = SignedDuration::from_micros(random.between(50, 40_000) as i64);
        self.time = self.time.checked_add(step).unwrap_or(self.time);
        let pool = &self.templates[random.weighted(&self.weights)];
        let Some(template) = pool.get(random.below(pool.len())) else { return (Risk::MIN, Tag::Debug) };
        // Levels are honest here: who wants lies trains with them.
        let levels = LevelMix { present: 0.9, absent: 0.1, lying: 0.0 };
        let tag = write_line(template, levels, self.time, self.format, random, out);
        (template.risk, tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(options: GenerateOptions, count: usize) -> Vec<(String, Risk)> {
        let mut generator = Generator::new(options).unwrap();
        (0..count)
            .map(|_| {
                let mut line = String::new();
                let (risk, _) = generator.append(&mut line);
                (line, risk)
            })
            .collect()
    }

    #[test]
    fn the_seed_decides_the_lines() {
        let options = GenerateOptions { balanced: true, seed: 42, format: None };
        assert_eq!(lines(options, 200), lines(options, 200));
        assert_ne!(lines(options, 200), lines(GenerateOptions { seed: 43, ..options }, 200));
    }

    #[test]
    fn balanced_means_every_risk_equally_often() {
        let lines = lines(GenerateOptions { balanced: true, seed: 1, format: None }, 11_000);
        for risk in Risk::all() {
            let count = lines.iter().filter(|(_, other)| *other == risk).count();
            assert!((850..1_150).contains(&count), "{risk}: {count}");
        }
    }

    #[test]
    fn an_ordinary_day_is_mostly_routine() {
        let lines = lines(GenerateOptions { balanced: false, seed: 1, format: None }, 5_000);
        assert!(lines.iter().filter(|(_, risk)| risk.get() <= 3).count() > 4_000);
    }

    #[test]
    fn a_format_holds_for_all_lines() {
        let lines = lines(GenerateOptions { balanced: true, seed: 1, format: Some(Format::Zap) }, 300);
        assert!(lines.iter().all(|(line, _)| line.starts_with('{') && !line.contains('\n')));
    }
}
