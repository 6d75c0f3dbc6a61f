//! Every metric and its name, in OpenMetrics' text. Labels come from closed sets, so that no request can make series.

use std::{
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use logrisk_base::{Risk, Tag};
use prometheus_client::{
    collector::Collector,
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::engine::{CacheFigures, DriftFigures};

/// Seconds: from a cached answer to what a deadline ends.
const LATENCIES: [f64; 14] =
    [0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The route as it is declared, the method, and the status.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) route: String,
    pub(crate) method: &'static str,
    pub(crate) status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RouteLabels {
    pub(crate) route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LineLabels {
    risk: u8,
    tag: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RiskLabels {
    risk: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    version: String,
}

type Latency = Family<RouteLabels, Histogram, fn() -> Histogram>;

/// Counters and gauges of the server.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) latency: Latency,
    lines: Family<LineLabels, Counter>,
    pub(crate) new_patterns: Counter,
    pub(crate) ingested_lines: Counter,
    pub(crate) unsure_lines: Counter,
    pub(crate) corrections: Counter,
    model: Family<ModelLabels, Gauge>,
    model_in_use: Mutex<Option<String>>,
    read: ReadAtScrape,
}

/// What others count, copied when somebody asks.
#[derive(Default)]
struct ReadAtScrape {
    queue_lines: Gauge,
    queue_limit_lines: Gauge,
    judged_lines: Counter,
    abandoned_lines: Counter,
    batches: Counter,
    cache_hits: Counter,
    cache_misses: Counter,
    cache_entries: Gauge,
    tokens: Counter,
    unknown_tokens: Counter,
    judged_risks: Family<RiskLabels, Counter>,
    trained_risks: Family<RiskLabels, Gauge<f64, AtomicU64>>,
    drift: Gauge<f64, AtomicU64>,
    patterns: Gauge,
    stream_watchers: Gauge,
    ready: Gauge,
    alerts_sent: Counter,
    alerts_failed: Counter,
}

/// The numbers of a scrape that are counted elsewhere.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scrape {
    pub(crate) queue_lines: u64,
    pub(crate) queue_limit_lines: u64,
    pub(crate) judged_lines: u64,
    pub(crate) abandoned_lines: u64,
    pub(crate) batches: u64,
    pub(crate) cache: CacheFigures,
    pub(crate) drift: DriftFigures,
    pub(crate) patterns: u64,
    pub(crate) stream_watchers: u64,
    pub(crate) ready: bool,
    pub(crate) alerts_sent: u64,
    pub(crate) alerts_failed: u64,
}

impl Metrics {
    /// Also shows what others collect.
    pub(crate) fn new(others: Vec<Box<dyn Collector>>) -> Self {
        let mut registry = Registry::with_prefix("logrisk");
        for collector in others {
            registry.register_collector(collector);
        }
        let requests = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let latency: Latency = Family::new_with_constructor(|| Histogram::new(LATENCIES));
        registry.register(
            "http_request_duration_seconds",
            "From the last header to the first byte of the answer",
            latency.clone(),
        );
        let lines = Family::default();
        registry.register("lines", "Lines scored, by the risk and tag in force", lines.clone());
        let (ingested_lines, new_patterns) = (Counter::default(), Counter::default());
        let (unsure_lines, corrections) = (Counter::default(), Counter::default());
        registry.register("ingested_lines", "Lines that counted towards patterns", ingested_lines.clone());
        registry.register("new_patterns", "Patterns seen for the first time", new_patterns.clone());
        registry.register(
            "unsure_lines",
            "Lines that the model should not be trusted on",
            unsure_lines.clone(),
        );
        registry.register("corrections", "Corrections by people", corrections.clone());
        let model = Family::default();
        registry.register("model_info", "1 for the model in use", model.clone());
        let read = ReadAtScrape::default();
        let mut gauge = |name: &str, help: &str, gauge: &Gauge| registry.register(name, help, gauge.clone());
        gauge("queue_lines", "Texts that wait to be judged", &read.queue_lines);
        gauge(
            "queue_limit_lines",
            "Texts that may wait before requests are refused",
            &read.queue_limit_lines,
        );
        gauge("cache_entries", "Texts in the cache", &read.cache_entries);
        gauge("patterns", "Patterns known", &read.patterns);
        gauge("stream_watchers", "Open streams", &read.stream_watchers);
        gauge("ready", "1 while requests should come", &read.ready);
        let mut counter =
            |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        counter("judged_lines", "Texts that the model judged", &read.judged_lines);
        counter("abandoned_lines", "Texts dropped since their askers left", &read.abandoned_lines);
        counter("batches", "Batches that the model judged", &read.batches);
        counter("cache_hits", "Texts found in the cache of the model in use", &read.cache_hits);
        counter("cache_misses", "Texts not found there", &read.cache_misses);
        counter("tokens", "Tokens of the texts that the model in use judged", &read.tokens);
        counter("unknown_tokens", "Those of them that its vocabulary does not have", &read.unknown_tokens);
        counter("alerts_sent", "Alerts delivered", &read.alerts_sent);
        counter("alerts_failed", "Alerts given up or dropped", &read.alerts_failed);
        registry.register(
            "judged_risks",
            "Texts that the model in use judged, each once, by its risk",
            read.judged_risks.clone(),
        );
        registry.register(
            "trained_risk_ratio",
            "Share of each risk among the lines that the model in use was calibrated on",
            read.trained_risks.clone(),
        );
        registry.register(
            "risk_drift_ratio",
            "Share of judged texts whose risk lies elsewhere than in training; NaN before 100 texts, or if the model does not tell",
            read.drift.clone(),
        );
        Self {
            registry,
            requests,
            latency,
            lines,
            ingested_lines,
            new_patterns,
            unsure_lines,
            corrections,
            model,
            model_in_use: Mutex::default(),
            read,
        }
    }

    /// Adds what a request found, by risk and tag.
    pub(crate) fn count_lines(&self, risks: &[[u64; Tag::COUNT]; Risk::COUNT]) {
        for (risk, tags) in (0..).zip(risks) {
            for (tag, count) in Tag::ALL.iter().zip(tags) {
                if *count > 0 {
                    self.lines.get_or_create(&LineLabels { risk, tag: tag.as_str() }).inc_by(*count);
                }
            }
        }
    }

    pub(crate) fn model_in_use(&self, version: &str) {
        let mut current = self.model_in_use.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(old) = current.replace(version.to_owned()) {
            self.model.remove(&ModelLabels { version: old });
        }
        self.model.get_or_create(&ModelLabels { version: version.to_owned() }).set(1);
    }

    /// Everything as text.
    pub(crate) fn text(&self, scrape: &Scrape) -> Result<String, fmt::Error> {
        let read = &self.read;
        for (gauge, value) in [
            (&read.queue_lines, scrape.queue_lines),
            (&read.queue_limit_lines, scrape.queue_limit_lines),
            (&read.cache_entries, scrape.cache.entries),
            (&read.patterns, scrape.patterns),
            (&read.stream_watchers, scrape.stream_watchers),
            (&read.ready, u64::from(scrape.ready)),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        for (counter, value) in [
            (&read.judged_lines, scrape.judged_lines),
            (&read.abandoned_lines, scrape.abandoned_lines),
            (&read.batches, scrape.batches),
            (&read.cache_hits, scrape.cache.hits),
            (&read.cache_misses, scrape.cache.misses),
            (&read.tokens, scrape.drift.tokens),
            (&read.unknown_tokens, scrape.drift.unknown_tokens),
            (&read.alerts_sent, scrape.alerts_sent),
            (&read.alerts_failed, scrape.alerts_failed),
        ] {
            counter.inner().store(value, Ordering::Relaxed);
        }
        for (risk, count) in (0..).zip(scrape.drift.by_risk) {
            let judged = read.judged_risks.get_or_create(&RiskLabels { risk });
            judged.inner().store(count, Ordering::Relaxed);
        }
        read.trained_risks.clear();
        for (risk, share) in (0..).zip(scrape.drift.expected.into_iter().flatten()) {
            read.trained_risks.get_or_create(&RiskLabels { risk }).set(share);
        }
        read.drift.set(scrape.drift.distance().unwrap_or(f64::NAN));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
