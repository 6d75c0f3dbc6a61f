//! The drawings of the page, as inline SVG. Colours come from the style sheet, so that they follow the theme.

use std::fmt::Write as _;

use super::super::{
    Interval, Reliability, Spread,
    figures::{Bin, Confusion},
};

/// The square that plots draw in, and where it lies in the drawing.
const SIDE: f64 = 260.0;
const LEFT: f64 = 34.0;
const TOP: f64 = 8.0;
const WHOLE: (f64, f64) = (LEFT + SIDE + 8.0, TOP + SIDE + 40.0);

/// An interval as a line, its value as a stroke across it, on an axis from `low` to `high`.
pub(super) fn interval(interval: Interval, (low, high): (f64, f64), out: &mut String) {
    let width = if high > low { high - low } else { 1.0 };
    let x = |value: f64| 1.0 + 98.0 * ((value - low) / width).clamp(0.0, 1.0);
    _ = write!(
        out,
        "<svg viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <path class=\"axis\" d=\"M1 4H99\"/><path class=\"soft\" stroke-width=\"2\" d=\"M{:.1} 4H{:.1}\"/>\
         <path class=\"line\" stroke-width=\"2\" d=\"M{:.1} 0V8\"/></svg>",
        x(interval.low),
        x(interval.high),
        x(interval.value)
    );
}

/// What was said against what was. A bin's disc has an area in proportion to its lines.
pub(super) fn reliability(reliability: &Reliability, out: &mut String) {
    let risk = reliability.risk;
    open(out, &format!("Probability of {risk} or more against how often it was true"));
    let at = |share: f64| (LEFT + SIDE * share, TOP + SIDE * (1.0 - share));
    for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let (x, y) = at(tick);
        ticks(out, x, y, &format!("{tick}"));
    }
    let ((x0, y0), (x1, y1)) = (at(0.0), at(1.0));
    _ = write!(out, "<path class=\"soft\" stroke-dasharray=\"2 4\" d=\"M{x0} {y0}L{x1} {y1}\"/>");
    let lines: f64 = reliability.bins.iter().map(|bin| bin.lines).sum();
    let present: Vec<&Bin> = reliability.bins.iter().filter(|bin| bin.lines > 0.0).collect();
    let points: Vec<String> =
        present.iter().map(|bin| format!("{:.1},{:.1}", at(bin.said).0, at(bin.was).1)).collect();
    _ = write!(out, "<polyline class=\"line\" points=\"{}\"/>", points.join(" "));
    for bin in present {
        _ = write!(
            out,
            "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{:.1}\"><title>said {:.2}, was {:.2}: {} lines</title></circle>",
            at(bin.said).0,
            at(bin.was).1,
            2.5 + 14.0 * (bin.lines / lines).sqrt(),
            bin.said,
            bin.was,
            bin.lines
        );
    }
    close(out, &format!("said: probability of {risk} or more"));
}

/// Counts, each cell as dark as its share of the row.
pub(super) fn confusion(confusion: &Confusion, out: &mut String) {
    open(out, "Confusion matrix: rows are what lines are, columns what was answered");
    let cell = SIDE / confusion.len() as f64;
    for (truth, row) in confusion.iter().enumerate() {
        let total: u32 = row.iter().sum();
        let y = TOP + cell * truth as f64;
        _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{truth}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{truth}</text>",
            LEFT - 8.0,
            y + cell / 2.0 + 4.0,
            LEFT + cell * (truth as f64 + 0.5),
            TOP + SIDE + 16.0
        );
        for (label, &count) in row.iter().enumerate() {
            let x = LEFT + cell * label as f64;
            let share = if total == 0 { 0.0 } else { f64::from(count) / f64::from(total) };
            let opacity = if count == 0 { 0.02 } else { 0.08 + 0.92 * share };
            _ = write!(
                out,
                "<rect class=\"cell\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{0:.1}\" height=\"{0:.1}\" fill-opacity=\"{opacity:.2}\"/>",
                cell - 1.0
            );
            if count > 0 {
                _ = write!(
                    out,
                    "<text class=\"{}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{count}</text>",
                    if opacity > 0.5 { "over" } else { "count" },
                    x + cell / 2.0,
                    y + cell / 2.0 + 4.0
                );
            }
        }
    }
    close(out, "answered");
}

/// The middle 90 % of scores as a line, the middle half as a bar in the risk's colour, the median across it.
pub(super) fn spreads(spreads: &[Spread], out: &mut String) {
    open(out, "Scores by what lines are");
    let y = |score: f32| TOP + SIDE * (1.0 - f64::from(score) / 10.0);
    let step = SIDE / 11.0;
    let x = |risk: u8| LEFT + step * (f64::from(risk) + 0.5);
    for risk in 0..=10u8 {
        let height = y(f32::from(risk));
        _ = write!(
            out,
            "<path class=\"axis\" d=\"M{LEFT} {height:.1}h{SIDE}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{risk}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{risk}</text>\
             <path class=\"soft\" stroke-dasharray=\"2 2\" d=\"M{:.1} {height:.1}h{step:.1}\"/>",
            LEFT - 8.0,
            height + 4.0,
            x(risk),
            TOP + SIDE + 16.0,
            x(risk) - step / 2.0,
        );
    }
    for Spread { risk, lines, quantiles: [lowest, low, middle, high, highest] } in spreads {
        let center = x(risk.get());
        _ = write!(
            out,
            "<g><title>risk {risk}: {lines} lines, half of their scores from {low:.1} to {high:.1}</title>\
             <path class=\"line\" d=\"M{center:.1} {:.1}V{:.1}\"/>\
             <rect class=\"r{risk}\" x=\"{:.1}\" y=\"{:.1}\" width=\"14\" height=\"{:.1}\"/>\
             <path class=\"line\" stroke-width=\"2\" d=\"M{:.1} {:.1}h18\"/></g>",
            y(*lowest),
            y(*highest),
            center - 7.0,
            y(*high),
            (y(*low) - y(*high)).max(1.0),
            center - 9.0,
            y(*middle)
        );
    }
    close(out, "what lines are");
}

fn open(out: &mut String, label: &str) {
    let (width, height) = WHOLE;
    _ = write!(out, "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">");
}

fn close(out: &mut String, axis: &str) {
    _ = write!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{axis}</text></svg>",
        LEFT + SIDE / 2.0,
        TOP + SIDE + 34.0
    );
}

fn ticks(out: &mut String, x: f64, y: f64, label: &str) {
    let (right, bottom) = (LEFT + SIDE, TOP + SIDE);
    _ = write!(
        out,
        "<path class=\"axis\" d=\"M{LEFT} {y:.1}H{right}M{x:.1} {TOP}V{bottom}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>\
         <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
        LEFT - 8.0,
        y + 4.0,
        bottom + 16.0
    );
}
