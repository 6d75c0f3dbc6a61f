//! Health: whether anything is lost, slow or strange, in one sentence and one table.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use jiff::Timestamp;

use super::{
    draw::sparkline,
    html,
    text::{age, grouped},
    visitor::{Frame, Visitor},
};
use crate::{
    metrics::Scrape,
    plane::{DataPlane, Flow},
    service::Service,
    vitals::{MINUTES, Vitals},
};

#[derive(Template)]
#[template(path = "health.html")]
struct HealthPage {
    frame: Frame,
    summary: String,
    checks: Vec<Check>,
    started: Timestamp,
    lines: String,
    patterns: String,
    sources: Vec<(super::text::Shown, String)>,
    flows: Vec<FlowRow>,
}

/// A source or a sink of the data plane.
struct FlowRow {
    kind: &'static str,
    name: String,
    records: String,
    waiting: String,
    refused: String,
    /// What went wrong last, and how long ago.
    last_error: Option<(String, super::text::Shown)>,
}

/// One row of the table.
struct Check {
    what: &'static str,
    now: String,
    limit: String,
    /// Lines of the last hour where they say something, as a sparkline's path.
    hour: Option<String>,
    /// What to do; absent where all is well.
    remedy: Option<&'static str>,
}

impl Check {
    fn new(
        what: &'static str,
        now: String,
        limit: impl Into<String>,
        well: bool,
        remedy: &'static str,
    ) -> Self {
        Self { what, now, limit: limit.into(), hour: None, remedy: (!well).then_some(remedy) }
    }
}

/// `GET /ui/health`.
pub(crate) async fn page(State(service): State<Arc<Service>>, visitor: Visitor) -> Response {
    let now = Timestamp::now();
    let scrape = service.scrape();
    let checks = checks(&service, &scrape, now);
    let frame = visitor.frame(&service, "Health", "health");
    let (lines, _) = service.catalogue.totals();
    let watched = checks.iter().filter(|check| check.remedy.is_some()).count();
    let state = match watched {
        0 => "Works.".to_owned(),
        1 => "Works; one thing to watch.".to_owned(),
        more => format!("Works; {more} things to watch."),
    };
    let state =
        if scrape.ready { state } else { "No model is in use yet: lines are refused, not lost.".to_owned() };
    let started = service.catalogue.started();
    let summary = format!(
        "{state} {} lines/s, {} lines since the start {} ago.",
        frame.lines_per_second,
        grouped(lines),
        age(now, started)
    );
    let mut sources: Vec<_> = service.catalogue.sources().into_iter().collect();
    sources.sort_by_key(|(_, lines)| std::cmp::Reverse(*lines));
    sources.truncate(12);
    let flows = service.plane.as_deref().map(|plane| flows(plane, now)).unwrap_or_default();
    let page = HealthPage {
        frame,
        flows,
        summary,
        checks,
        started,
        lines: grouped(lines),
        patterns: grouped(scrape.patterns),
        sources: sources
            .into_iter()
            .map(|(name, lines)| (super::text::shown(&name), grouped(lines)))
            .collect(),
    };
    html(StatusCode::OK, &page)
}

fn flows(plane: &dyn DataPlane, now: Timestamp) -> Vec<FlowRow> {
    let row = |kind: &'static str, flow: Flow| FlowRow {
        kind,
        records: grouped(flow.records),
        waiting: if kind == "sink" { grouped(flow.waiting) } else { String::new() },
        refused: if kind == "sink" { grouped(flow.refused) } else { String::new() },
        last_error: flow.last_error.map(|(at, error)| (age(now, at), super::text::shown(&error))),
        name: flow.name,
    };
    let sources = plane.sources().into_iter().map(|flow| row("source", flow));
    sources.chain(plane.sinks().into_iter().map(|flow| row("sink", flow))).collect()
}

fn checks(service: &Service, scrape: &Scrape, now: Timestamp) -> Vec<Check> {
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 };
    let text = service.metrics.text(scrape).unwrap_or_default();
    let p99 = quantile(&text, "logrisk_http_request_duration_seconds", "route=\"/predict\"", 0.99);
    // /readyz says 503 as long as a model is loading: that is its answer, not a failure.
    let failed = sum(&text, "logrisk_http_requests_total", "status=\"5", "route=\"/readyz\"");
    let unsure = sum(&text, "logrisk_unsure_lines_total", "", "{none}");
    let (lines, new_patterns) = service.catalogue.totals();
    let queue = share(scrape.queue_lines, scrape.queue_limit_lines);
    let hits = share(scrape.cache.hits, scrape.cache.hits + scrape.cache.misses);
    let new = if lines == 0 { 0.0 } else { 1000.0 * new_patterns as f64 / lines as f64 };
    // A cold cache and the first patterns say nothing yet.
    let settled = lines >= 100_000;
    let hour: Vec<u32> = service
        .catalogue
        .series(now, 3600, MINUTES)
        .iter()
        .map(|bucket| u32::try_from(bucket.by_risk.iter().sum::<u64>()).unwrap_or(u32::MAX))
        .collect();
    let minutes = service.hour.minutes();
    let drawn = |figure: fn(&Vitals) -> u32| {
        let mut counts = vec![0; MINUTES - minutes.len()];
        counts.extend(minutes.iter().map(figure));
        Some(sparkline(&counts, minutes.len()))
    };
    let mut checks = vec![
        Check {
            hour: Some(sparkline(&hour, 60)),
            ..Check::new("lines", format!("{} since start", grouped(lines)), "", true, "")
        },
        Check::new(
            "/predict, 99 of 100 below",
            p99.map_or_else(|| "nobody asked".to_owned(), milliseconds),
            "25 ms",
            p99.is_none_or(|seconds| seconds <= 0.025),
            "Give more --threads, or a smaller model (--model mini).",
        ),
        Check {
            hour: drawn(|minute| minute.queue),
            ..Check::new(
                "queue",
                format!("{queue:.0} %"),
                "80 %",
                queue <= 80.0,
                "Lines come faster than the model judges new texts; above the limit they are refused with 429.",
            )
        },
        Check {
            hour: drawn(|minute| 1000 - minute.misses.min(1000)),
            ..Check::new(
                "cache hits",
                format!("{hits:.1} %"),
                "90 %",
                !settled || hits >= 90.0,
                "Texts hardly repeat: look at the patterns for values that should be masked.",
            )
        },
        Check {
            hour: drawn(|minute| minute.new_patterns),
            ..Check::new(
                "new patterns per 1,000 lines",
                format!("{new:.1}"),
                "1.0",
                !settled || new <= 1.0,
                "Look at Patterns, newest first: something new was deployed, or masks miss a value.",
            )
        },
        Check {
            hour: drawn(|minute| minute.unsure),
            ..Check::new(
                "unsure lines",
                format!("{:.1} %", share(unsure, lines)),
                "10 %",
                !settled || share(unsure, lines) <= 10.0,
                "Correct what is marked with ?; the model has not seen lines like these.",
            )
        },
        Check::new(
            "failed requests",
            grouped(failed),
            "0",
            failed == 0,
            "The server's log names each with its request id.",
        ),
    ];
    if let Some(plane) = &service.plane {
        let refused: u64 = plane.sinks().iter().map(|sink| sink.refused).sum();
        checks.push(Check::new(
            "records refused by sinks",
            grouped(refused),
            "0",
            refused == 0,
            "`logrisk replay-dead-letter --list` says why; without run.dead_letter they are lost.",
        ));
    }
    if service.alerts.is_some() {
        checks.push(Check::new(
            "alerts not delivered",
            grouped(scrape.alerts_failed),
            "0",
            scrape.alerts_failed == 0,
            "Check the web hook's address; the server's log has its answer.",
        ));
    }
    checks
}

fn milliseconds(seconds: f64) -> String {
    format!("{} ms", (seconds * 10_000.0).round() / 10.0)
}

/// The sum of a counter's series that carry one label and not another.
fn sum(text: &str, name: &str, label: &str, without: &str) -> u64 {
    let series = series(text, name, label).filter(|(labels, _)| !labels.contains(without));
    series.map(|(_, value)| value as u64).sum()
}

/// The bound of the first bucket below which that part of the observations lies.
fn quantile(text: &str, name: &str, label: &str, part: f64) -> Option<f64> {
    let name = format!("{name}_bucket");
    let buckets: Vec<(f64, f64)> = series(text, &name, label)
        .filter_map(|(labels, value)| {
            let bound = labels.split_once("le=\"")?.1.split('"').next()?;
            Some((if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? }, value))
        })
        .collect();
    let all = buckets.last()?.1;
    if all == 0.0 {
        return None;
    }
    buckets.iter().find(|(_, count)| *count >= part * all).map(|(bound, _)| bound.min(30.0))
}

/// The labels and values of a metric in OpenMetrics' text.
fn series<'a>(text: &'a str, name: &'a str, label: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        let named = labels.is_empty() || labels.starts_with('{');
        (named && labels.contains(label)).then_some(())?;
        Some((labels, value.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_metrics() {
        let text = "h_bucket{le=\"0.005\",route=\"/predict\"} 98\nh_bucket{le=\"0.01\",route=\"/predict\"} 99\n\
                    h_bucket{le=\"+Inf\",route=\"/predict\"} 100\nr_total{status=\"500\"} 2\nr_total{status=\"200\"} 5\n";
        assert_eq!(quantile(text, "h", "route=\"/predict\"", 0.99), Some(0.01));
        assert_eq!(quantile(text, "h", "route=\"/ingest\"", 0.99), None);
        assert_eq!(sum(text, "r_total", "status=\"5", "route"), 2);
    }
}
