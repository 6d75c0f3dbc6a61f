//! How a training shows where it stands.

use std::{
    io::{IsTerminal, stderr},
    ops::ControlFlow,
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use logrisk_train::fine_tune::{Evaluation, Progress, StepReport};

/// A bar on a terminal, otherwise a line every few seconds.
pub struct Display {
    pub bar: ProgressBar,
    on_terminal: bool,
    last_line: Instant,
    /// Since then.
    lines: usize,
}

/// Between lines, where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

impl Display {
    pub fn new() -> Self {
        let on_terminal = stderr().is_terminal();
        let bar = if on_terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
            bar.set_style(style);
        }
        Self { bar, on_terminal, last_line: Instant::now(), lines: 0 }
    }
}

impl Progress for Display {
    fn step(&mut self, report: &StepReport) -> ControlFlow<()> {
        self.lines += report.lines;
        let interval = if self.on_terminal { Duration::from_millis(250) } else { LINE_INTERVAL };
        let since = self.last_line.elapsed();
        if since >= interval {
            let text = format!(
                "step {} epoch {} loss {:.3} {:.0} lines/s, {} left",
                report.step,
                report.epoch + 1,
                report.loss,
                self.lines as f64 / since.as_secs_f64(),
                HumanDuration(report.remaining)
            );
            if self.on_terminal {
                // In seconds, since a budget of time and one of steps both end then.
                self.bar.set_length((report.elapsed + report.remaining).as_secs());
                self.bar.set_position(report.elapsed.as_secs());
                self.bar.set_message(text);
            } else {
                eprintln!("{text}");
            }
            self.last_line = Instant::now();
            self.lines = 0;
        }
        ControlFlow::Continue(())
    }

    fn evaluation(&mut self, evaluation: &Evaluation, best: bool) {
        let line = format!(
            "step {} loss {:.3}{}{}",
            evaluation.step,
            evaluation.training.total,
            summary(evaluation),
            if best && evaluation.validation.is_some() { " (best)" } else { "" }
        );
        self.bar.suspend(|| eprintln!("{line}"));
    }
}

/// The validation figures of an evaluation in a line; empty where nothing was held out.
pub fn summary(evaluation: &Evaluation) -> String {
    evaluation.validation.map_or(String::new(), |figures| {
        format!(
            ", held out: loss {:.3}, exact {:.1} %, within one {:.1} %, off by {:.2} on average, kappa {:.3}",
            figures.loss,
            100.0 * figures.exact,
            100.0 * figures.within_one,
            figures.mae,
            figures.kappa
        )
    })
}
