//! Requirements: what figures must reach, for CI and for a gate before a model goes live.

use std::{fmt, str::FromStr};

use super::{
    Report,
    figures::{self, FIGURES},
};

/// A figure, or an end of its interval, against a number: `auroc_5>=0.95`, `within_1.low>=0.85`, `mae<=1.2`.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    figure: &'static str,
    part: Part,
    at_least: bool,
    limit: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Value,
    Low,
    High,
}

/// How a report stands to a requirement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not; the number that was found.
    Fails(f64),
    /// The figure has no meaning on these lines, so nothing is known: not what was required.
    Unknown,
}

impl Requirement {
    /// Compares with a report.
    #[must_use]
    pub fn check(&self, report: &Report) -> Verdict {
        let Some(figure) = report.figure(self.figure) else { return Verdict::Unknown };
        let found = match self.part {
            Part::Value => figure.interval.value,
            Part::Low => figure.interval.low,
            Part::High => figure.interval.high,
        };
        let holds = if self.at_least { found >= self.limit } else { found <= self.limit };
        if holds { Verdict::Holds } else { Verdict::Fails(found) }
    }
}

impl FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, at_least, limit) = match (text.split_once(">="), text.split_once("<=")) {
            (Some((name, limit)), _) => (name, true, limit),
            (_, Some((name, limit))) => (name, false, limit),
            _ => return Err("write a figure, >= or <=, and a number, such as within_1>=0.85".to_owned()),
        };
        let name = name.trim();
        let (name, part) = match name.split_once('.') {
            None => (name, Part::Value),
            Some((name, "low")) => (name, Part::Low),
            Some((name, "high")) => (name, Part::High),
            Some((_, other)) => return Err(format!("an interval has .low and .high, not .{other}")),
        };
        let figure = FIGURES.iter().map(|(key, _)| *key).find(|key| *key == name);
        let figure =
            figure.ok_or_else(|| format!("no figure is called {name:?}; there are {}", figures::names()))?;
        let limit = limit.trim().parse::<f64>().ok().filter(|limit| limit.is_finite());
        let limit = limit.ok_or_else(|| "after >= or <= comes a number, such as 0.85".to_owned())?;
        Ok(Self { figure, part, at_least, limit })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            Part::Value => "",
            Part::Low => ".low",
            Part::High => ".high",
        };
        let comparison = if self.at_least { ">=" } else { "<=" };
        write!(formatter, "{}{part}{comparison}{}", self.figure, self.limit)
    }
}

#[cfg(test)]
mod tests {
    use logrisk_base::Risk;

    use super::*;
    use crate::{
        dataset::Truth,
        evaluate::{Answer, Bootstrap, Judge, Options, compare},
    };

    #[test]
    fn requirements_are_read_and_written_alike() {
        for text in ["auroc_5>=0.95", "within_1.low>=0.85", "mae.high<=1.2", "bias>=-0.3"] {
            assert_eq!(text.parse::<Requirement>().unwrap().to_string(), text);
        }
        for (text, expected) in [
            ("auroc>=0.9", "no figure is called \"auroc\"; there are accuracy, within_1"),
            ("within_1>0.9", "such as within_1>=0.85"),
            ("within_1.mid>=0.9", "not .mid"),
            ("within_1>=most", "comes a number"),
            ("within_1>=NaN", "comes a number"),
        ] {
            let error = text.parse::<Requirement>().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn reports_are_held_to_them() {
        let truths: Vec<Truth> =
            (0..4).map(|risk| Truth { risk: Risk::new(risk).ok(), ..Truth::default() }).collect();
        let answers = vec![Answer::of_label(Risk::MIN); 4];
        let options =
            Options { bootstrap: Bootstrap { rounds: 0, seed: 0 }, by: Vec::new(), smallest_group: 1 };
        let report = &compare(&truths, &[Judge { name: "zero".into(), answers }], &options)[0];
        let check = |text: &str| text.parse::<Requirement>().unwrap().check(report);
        assert_eq!(check("within_1>=0.5"), Verdict::Holds);
        assert_eq!(check("within_1>=0.6"), Verdict::Fails(0.5));
        assert_eq!(check("mae<=1.5"), Verdict::Holds);
        assert_eq!(check("mae<=1"), Verdict::Fails(1.5));
        assert_eq!(check("traps_auroc>=0.1"), Verdict::Unknown);
    }
}
