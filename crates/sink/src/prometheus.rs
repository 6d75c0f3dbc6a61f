//! Counters of records, by risk, tag and fields of your choice, for Prometheus to read.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::{self, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use garde::Validate;
use logrisk_flow::Event;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};
use serde::Deserialize;

use crate::{Gather, Sink, SinkError, Written};

/// Between the values of a key; no value has it.
const SEPARATOR: char = '\0';
/// What stands for all values once there are too many series.
const OTHER: &str = "other";

/// Settings of a `prometheus` sink.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct PrometheusSettings {
    /// Labels beside risk and tag, each with the field that it is read from: `namespace: kubernetes.namespace`.
    #[garde(custom(are_labels))]
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Combinations of label values that are told apart; later ones are counted with `other` as their values.
    #[garde(range(min = 1, max = 100_000))]
    #[serde(default = "thousand")]
    pub series: u32,
}

const fn thousand() -> u32 {
    1000
}

fn are_labels(labels: &BTreeMap<String, String>, _: &()) -> garde::Result {
    let is_label = |name: &String| {
        let mut bytes = name.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !matches!(name.as_str(), "risk" | "tag")
    };
    match labels.keys().find(|name| !is_label(name)) {
        Some(wrong) => Err(garde::Error::new(format!(
            "{wrong:?} is no name for a label: use letters, digits and _, and neither risk nor tag"
        ))),
        None => Ok(()),
    }
}

/// Counts records. What a source sends again counts again, as always with counters.
#[derive(Debug, Clone)]
pub struct Prometheus(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    settings: PrometheusSettings,
    /// By risk, tag and the labels' values, in the order of their names.
    records: Mutex<HashMap<String, u64>>,
}

impl Prometheus {
    /// A sink that has counted nothing yet. Its clones share their counts; one of them is registered with what answers
    /// `/metrics`.
    #[must_use]
    pub fn new(settings: PrometheusSettings) -> Self {
        Self(Arc::new(Counts { settings, records: Mutex::default() }))
    }

    fn records(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        // Nothing panics while the lock is held.
        self.0.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Prometheus {
    fn gather(&self) -> Gather {
        Gather { bytes: 1 << 20, events: usize::MAX, linger: Duration::ZERO, writes: 1 }
    }

    async fn write(&self, events: &[Event<'_>]) -> Result<Written, SinkError> {
        let PrometheusSettings { labels, series } = &self.0.settings;
        let mut records = self.records();
        let mut key = String::new();
        for event in events {
            let (record, verdict) = (&event.scored.record, &event.scored.verdict);
            key.clear();
            // Memory does not fail to be written.
            _ = write!(key, "{}{SEPARATOR}{}", verdict.risk, verdict.tag);
            let common = key.len();
            for field in labels.values() {
                key.push(SEPARATOR);
                match record.fields.get(field).or_else(|| record.origin.fields.get(field)) {
                    Some(serde_json::Value::String(text)) => {
                        key.extend(text.chars().filter(|character| *character != SEPARATOR));
                    }
                    Some(value) => _ = write!(key, "{value}"),
                    None => {}
                }
            }
            let count = u64::from(event.sample_rate);
            if let Some(counter) = records.get_mut(&key) {
                *counter += count;
                continue;
            }
            if records.len() >= *series as usize {
                key.truncate(common);
                for _ in labels {
                    key.push(SEPARATOR);
                    key.push_str(OTHER);
                }
            }
            *records.entry(key.clone()).or_default() += count;
        }
        Ok(Written::default())
    }
}

impl Collector for Prometheus {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Records that reached the sink prometheus, by risk and tag";
        let mut family = encoder.encode_descriptor("records", help, None, MetricType::Counter)?;
        let names: Vec<&str> =
            ["risk", "tag"].into_iter().chain(self.0.settings.labels.keys().map(String::as_str)).collect();
        for (key, count) in self.records().iter() {
            let labels: Vec<(&str, &str)> = names.iter().copied().zip(key.split(SEPARATOR)).collect();
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use logrisk_base::{PatternId, Risk, Tag};
    use logrisk_flow::{Fields, Origin, Record, RecordId, Scored, Verdict};
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    fn scored(namespace: &str, risk: u8) -> Scored {
        Scored {
            record: Record {
                id: RecordId::of(b"x"),
                time: None,
                level: None,
                body: "x".to_owned(),
                origin: Arc::new(Origin::new("in", Fields::default())),
                fields: [("kubernetes.namespace", namespace)].into_iter().collect(),
            },
            time: Timestamp::UNIX_EPOCH,
            verdict: Verdict {
                pattern: PatternId::of("x"),
                masked: "x".into(),
                risk: Risk::new(risk).unwrap(),
                score: f32::from(risk),
                tag: Tag::Error,
                level: None,
                members: "".into(),
                model: "m".into(),
                label_source: "model",
            },
        }
    }

    #[tokio::test]
    async fn records_are_counted_by_risk_tag_and_field_up_to_a_number_of_series() {
        let labels = BTreeMap::from([("namespace".to_owned(), "kubernetes.namespace".to_owned())]);
        let sink = Prometheus::new(PrometheusSettings { labels, series: 2 });
        let scored =
            [scored("shop", 7), scored("pay\0\"\n", 7), scored("shop", 7), scored("a", 7), scored("b", 7)];
        let events: Vec<_> =
            (1..).zip(&scored).map(|(sample_rate, scored)| Event { scored, sample_rate }).collect();
        sink.write(&events).await.unwrap();
        let mut registry = Registry::with_prefix("logrisk");
        registry.register_collector(Box::new(sink));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let count = |namespace: &str| {
            let series =
                format!("logrisk_records_total{{risk=\"7\",tag=\"ERROR\",namespace=\"{namespace}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&series)?.parse::<u64>().ok())
        };
        assert_eq!(
            (count("shop"), count("pay\\\"\\n"), count("other")),
            (Some(4), Some(2), Some(9)),
            "{text}"
        );
    }

    #[test]
    fn a_label_is_a_name_that_prometheus_takes() {
        for (name, right) in
            [("namespace", true), ("a_1", true), ("risk", false), ("__x", false), ("a-b", false), ("", false)]
        {
            let labels = BTreeMap::from([(name.to_owned(), "x".to_owned())]);
            assert_eq!(PrometheusSettings { labels, series: 1 }.validate().is_ok(), right, "{name}");
        }
    }
}
