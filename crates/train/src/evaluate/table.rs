//! A report for people: figures side by side, then the first report's confusion matrix.

use std::fmt::Write as _;

use super::{Report, figures::FIGURES};

/// Figures of several reports on the same lines, one column each, then the confusion matrix of the first.
#[must_use]
pub fn render(reports: &[Report]) -> String {
    let mut out = String::new();
    let Some(first) = reports.first() else { return out };
    _ = writeln!(
        out,
        "{} lines with a risk, {} traps; in brackets 95 % of bootstrap samples\n",
        first.lines, first.traps
    );
    _ = write!(out, "{:<28}", "");
    for report in reports {
        _ = write!(out, "  {:<24}", shorten(&report.name));
    }
    trim_end(&mut out);
    for (name, _) in FIGURES {
        if reports.iter().all(|report| report.figure(name).is_none()) {
            continue;
        }
        _ = write!(out, "{:<28}", name.replace('_', " "));
        for report in reports {
            let cell = report.figure(name).map_or_else(
                || "–".to_owned(),
                |figure| format!("{:.3} [{:.3}, {:.3}]", figure.value, figure.low, figure.high),
            );
            _ = write!(out, "  {cell:<24}");
        }
        trim_end(&mut out);
    }
    if first.lines > 0 {
        _ = writeln!(
            out,
            "\nconfusion of {}: rows are what lines are, columns what was answered",
            first.name
        );
        _ = write!(out, "    ");
        (0..first.confusion.len()).for_each(|risk| _ = write!(out, "{risk:>6}"));
        out.push('\n');
        for (truth, row) in first.confusion.iter().enumerate() {
            _ = write!(out, "{truth:>4}");
            row.iter().for_each(|count| {
                _ = if *count == 0 { write!(out, "{:>6}", "·") } else { write!(out, "{count:>6}") };
            });
            out.push('\n');
        }
    }
    out
}

fn shorten(name: &str) -> String {
    name.chars().take(24).collect()
}

fn trim_end(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}
