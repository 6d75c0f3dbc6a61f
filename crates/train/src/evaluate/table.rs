//! A report for people: figures side by side, how far the first report is ahead, its groups, its confusion matrix.

use std::fmt::Write as _;

use super::{Figure, Interval, Report, figures::FIGURES};

/// The figures whose difference to each baseline is shown: one for each question that a reader has.
pub(super) const LEADS: &[&str] = &[
    "within_1",
    "mae",
    "weighted_kappa",
    "spearman",
    "auroc_5",
    "auroc_7",
    "precision_at_recall_90_of_5",
    "calibration_error_7",
    "traps_auroc",
    "pairs_right",
    "severity_auroc",
];

/// The figures of groups.
pub(super) const GROUP_FIGURES: &[&str] =
    &["within_1", "mae", "bias", "weighted_kappa", "auroc_5", "traps_auroc", "pairs_right", "severity_auroc"];

/// Figures of several reports on the same lines, one column each; then what the first one is ahead of the others by, its
/// groups and its confusion matrix.
#[must_use]
pub fn render(reports: &[Report]) -> String {
    let mut out = String::new();
    let Some(first) = reports.first() else { return out };
    _ = writeln!(out, "{}; in brackets 95 % of bootstrap samples\n", counts(first));
    heading(&mut out, reports);
    for (name, _) in FIGURES {
        row(&mut out, name, reports, |figure| {
            let Interval { value, low, high } = figure.interval;
            Some(format!("{value:.3} [{low:.3}, {high:.3}]"))
        });
    }
    if reports.len() > 1 {
        _ = writeln!(
            out,
            "\n{} minus each baseline, on the same draws; * where chance does not explain it\n",
            first.name
        );
        heading(&mut out, &reports[1..]);
        for name in LEADS {
            row(&mut out, name, &reports[1..], |figure| {
                let lead = figure.lead?;
                let mark = if excludes_zero(lead) { " *" } else { "" };
                Some(format!("{:+.3} [{:+.3}, {:+.3}]{mark}", lead.value, lead.low, lead.high))
            });
        }
    }
    groups(&mut out, first);
    if first.lines > 0 {
        confusion(&mut out, first);
    }
    out
}

/// What the lines are: "300 lines with a risk, 80 traps".
pub(super) fn counts(report: &Report) -> String {
    let kinds = [
        (report.lines, "lines with a risk"),
        (report.traps, "traps"),
        (report.pairs, "pairs"),
        (report.severities, "messages with their developer's level"),
    ];
    let present: Vec<String> =
        kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
    present.join(", ")
}

/// Whether chance does not explain a difference.
pub(super) fn excludes_zero(lead: Interval) -> bool {
    lead.low > 0.0 || lead.high < 0.0
}

fn heading(out: &mut String, reports: &[Report]) {
    _ = write!(out, "{:<28}", "");
    for report in reports {
        _ = write!(out, "  {:<26}", harmless(&report.name, 26));
    }
    trim_end(out);
}

fn row(out: &mut String, name: &str, reports: &[Report], cell: impl Fn(&Figure) -> Option<String>) {
    let cells: Vec<Option<String>> =
        reports.iter().map(|report| report.figure(name).and_then(&cell)).collect();
    if cells.iter().all(Option::is_none) {
        return;
    }
    _ = write!(out, "{:<28}", name.replace('_', " "));
    for cell in cells {
        _ = write!(out, "  {:<26}", cell.as_deref().unwrap_or("–"));
    }
    trim_end(out);
}

fn groups(out: &mut String, report: &Report) {
    let mut last = None;
    let shown: Vec<&str> = GROUP_FIGURES
        .iter()
        .copied()
        .filter(|name| report.groups.iter().any(|group| group.figure(name).is_some()))
        .collect();
    for group in &report.groups {
        if last.replace(group.by) != Some(group.by) {
            _ = write!(out, "\n{:<28}  {:>6}", format!("by {}", group.by), "lines");
            shown.iter().for_each(|name| _ = write!(out, "  {:>14}", name.replace('_', " ")));
            out.push('\n');
        }
        _ = write!(out, "{:<28}  {:>6}", harmless(&group.name, 28), group.lines);
        for name in &shown {
            let cell = group.figure(name).map(|figure| format!("{:.3}", figure.interval.value));
            _ = write!(out, "  {:>14}", cell.as_deref().unwrap_or("–"));
        }
        out.push('\n');
    }
}

fn confusion(out: &mut String, report: &Report) {
    _ = writeln!(out, "\nconfusion of {}: rows are what lines are, columns what was answered", report.name);
    _ = write!(out, "    ");
    (0..report.confusion.len()).for_each(|risk| _ = write!(out, "{risk:>6}"));
    out.push('\n');
    for (truth, row) in report.confusion.iter().enumerate() {
        _ = write!(out, "{truth:>4}");
        row.iter().for_each(|count| {
            _ = if *count == 0 { write!(out, "{:>6}", "·") } else { write!(out, "{count:>6}") };
        });
        out.push('\n');
    }
}

/// The beginning of a name for a terminal, which would obey control characters: names come from the data.
fn harmless(name: &str, length: usize) -> String {
    let shown = |character: char| match character {
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
            '\u{fffd}'
        }
        character if character.is_control() => '\u{fffd}',
        character => character,
    };
    name.chars().take(length).map(shown).collect()
}

fn trim_end(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn names_move_no_cursor() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{202e}c", 8), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(harmless("größer", 3), "grö");
    }
}
