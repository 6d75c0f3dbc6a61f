//! `training_history.svg`: losses on the left, figures of the held-out examples on the right.

use std::fmt::Write as _;

use crate::fine_tune::{Evaluation, History};

/// A panel's inner size, and the room around it for axes and legend.
const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 40.0;

struct Series {
    name: &'static str,
    colour: &'static str,
    /// Step and value.
    points: Vec<(f64, f64)>,
}

impl Series {
    fn new(
        name: &'static str,
        colour: &'static str,
        history: &History,
        value: impl Fn(&Evaluation) -> Option<f64>,
    ) -> Self {
        let points = history.evaluations.iter().filter_map(|each| Some((each.step as f64, value(each)?)));
        Self { name, colour, points: points.filter(|(_, value)| value.is_finite()).collect() }
    }
}

/// The history as an SVG drawing that needs nothing else.
#[must_use]
pub fn svg(history: &History) -> String {
    let losses = [
        Series::new("training loss", "#9a9a9a", history, |each| Some(each.training.total)),
        Series::new("validation loss", "#c0392b", history, |each| Some(each.validation?.loss)),
    ];
    let figures = [
        Series::new("kappa", "#1f618d", history, |each| Some(each.validation?.kappa)),
        Series::new("within one", "#229954", history, |each| Some(each.validation?.within_one)),
        Series::new("exact", "#b9770e", history, |each| Some(each.validation?.exact)),
    ];
    let steps = history.evaluations.iter().map(|each| each.step as f64).fold(1.0, f64::max);
    let (width, height) = (2.0 * (LEFT + WIDTH) + 24.0, TOP + HEIGHT + BOTTOM);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    panel(&mut out, 0.0, &losses, steps, history.best_step);
    panel(&mut out, LEFT + WIDTH + 12.0, &figures, steps, history.best_step);
    out.push_str("</svg>\n");
    out
}

fn panel(out: &mut String, offset: f64, series: &[Series], steps: f64, best: u64) {
    let values = || series.iter().flat_map(|series| series.points.iter().map(|(_, value)| *value));
    let (low, high) = values()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let (low, high) = if low < high { (low, high) } else { (0.0, 1.0) };
    let step = tick(high - low);
    let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
    let x = |at: f64| LEFT + at / steps * WIDTH;
    let y = |value: f64| TOP + (high - value) / (high - low) * HEIGHT;
    // Writing to a String cannot fail.
    _ = writeln!(out, "<g transform=\"translate({offset} 0)\">");
    for index in 0..=((high - low) / step).round() as u32 {
        let value = low + f64::from(index) * step;
        let digits = if step < 0.1 { 2 } else { 1 };
        _ = writeln!(
            out,
            "<path d=\"M{LEFT} {0:.1}h{WIDTH}\" stroke=\"#e5e5e5\"/><text x=\"{1}\" y=\"{2:.1}\" \
             text-anchor=\"end\" fill=\"#555\">{value:.digits$}</text>",
            y(value),
            LEFT - 6.0,
            y(value) + 4.0
        );
    }
    let every = tick(steps).max(1.0);
    for index in 0..=(steps / every).floor() as u32 {
        let at = f64::from(index) * every;
        _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{at:.0}</text>",
            x(at),
            TOP + HEIGHT + 16.0
        );
    }
    _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">step</text>",
        LEFT + WIDTH / 2.0,
        TOP + HEIGHT + 32.0
    );
    _ = writeln!(
        out,
        "<path d=\"M{LEFT} {TOP}v{HEIGHT}h{WIDTH}\" fill=\"none\" stroke=\"#555\"/>\
         <path d=\"M{:.1} {TOP}v{HEIGHT}\" stroke=\"#999\" stroke-dasharray=\"3 3\"><title>best</title></path>",
        x(best as f64)
    );
    let mut legend = LEFT;
    for series in series {
        let points: Vec<String> =
            series.points.iter().map(|&(at, value)| format!("{:.1},{:.1}", x(at), y(value))).collect();
        _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\"/>\
             <text x=\"{legend}\" y=\"20\" fill=\"{1}\">{}</text>",
            points.join(" "),
            series.colour,
            series.name
        );
        legend += 7.0 * series.name.len() as f64 + 14.0;
    }
    out.push_str("</g>\n");
}

/// A round distance, 1, 2 or 5 times a power of ten, that cuts `range` into 3 to 8 parts.
fn tick(range: f64) -> f64 {
    let power = 10f64.powf((range / 4.0).max(1e-9).log10().floor());
    let factor = range / 4.0 / power;
    power
        * if factor < 1.5 {
            1.0
        } else if factor < 3.5 {
            2.0
        } else {
            5.0
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fine_tune::{Figures, LossParts};

    #[test]
    fn every_series_and_axis_is_drawn() {
        let evaluations = (1..5).map(|index| {
            let value = f64::from(index) * 0.2;
            Evaluation {
                step: 10 * index as u64,
                epoch: value,
                seconds: 1.0,
                learning_rate: 1e-4,
                gradient_norm: 1.0,
                lines_per_second: 100.0,
                training: LossParts { total: 2.0 - value, risk: 1.0, cumulative: 0.1, tag: 0.2 },
                validation: Some(Figures {
                    loss: 2.2 - value,
                    exact: value / 2.0,
                    within_one: value,
                    mae: 1.0,
                    kappa: value / 1.5,
                    tag_accuracy: 0.5,
                }),
            }
        });
        let history = History { evaluations: evaluations.collect(), best_step: 40, ending: None };
        let drawing = svg(&history);
        assert_eq!(drawing.matches("<polyline").count(), 5);
        assert!(drawing.contains(">validation loss<") && drawing.contains(">40<"), "{drawing}");
        assert!(!drawing.contains("NaN") && !drawing.contains("inf"));
    }

    #[test]
    fn an_empty_history_is_an_empty_plot() {
        let drawing = svg(&History { evaluations: Vec::new(), best_step: 0, ending: None });
        assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
    }

    #[test]
    fn ticks_are_round() {
        for (range, expected) in [(1.0, 0.2), (0.9, 0.2), (7.0, 2.0), (100.0, 20.0), (0.08, 0.02)] {
            assert!((tick(range) - expected).abs() < 1e-12, "{range}: {}", tick(range));
        }
    }
}
