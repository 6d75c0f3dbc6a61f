//! What the data plane did so far: for `/metrics`, and for the page of a server beside it.

use std::{
    fmt,
    sync::{Arc, OnceLock, atomic::Ordering},
};

use logrisk_flow::{Budget, Collected};
use logrisk_sink::Progress;
use logrisk_web::{DataPlane, Flow};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

/// The counters of every source and sink, under their names.
#[derive(Debug)]
pub struct Figures {
    pub sources: Vec<(Arc<str>, Arc<Collected>)>,
    pub sinks: Vec<(Arc<str>, Arc<Progress>)>,
    pub budget: Budget,
    /// Set when sources are started.
    pub running: OnceLock<()>,
}

impl Figures {
    /// The counters of the source of that name.
    pub fn source(&self, name: &str) -> Arc<Collected> {
        of(&self.sources, name)
    }

    /// The counters of the sink of that name.
    pub fn sink(&self, name: &str) -> Arc<Progress> {
        of(&self.sinks, name)
    }
}

/// One that is not in the list counts for nobody.
fn of<T: Default>(list: &[(Arc<str>, Arc<T>)], name: &str) -> Arc<T> {
    list.iter().find(|(own, _)| &**own == name).map(|(_, found)| Arc::clone(found)).unwrap_or_default()
}

impl DataPlane for Figures {
    fn sources(&self) -> Vec<Flow> {
        let flow = |(name, collected): &(Arc<str>, Arc<Collected>)| Flow {
            name: name.to_string(),
            records: collected.records.load(Ordering::Relaxed),
            ..Flow::default()
        };
        self.sources.iter().map(flow).collect()
    }

    fn sinks(&self) -> Vec<Flow> {
        let flow = |(name, progress): &(Arc<str>, Arc<Progress>)| Flow {
            name: name.to_string(),
            records: progress.written.load(Ordering::Relaxed),
            refused: progress.rejected.load(Ordering::Relaxed),
            waiting: progress.waiting.load(Ordering::Relaxed),
            last_error: progress.last_error(),
        };
        self.sinks.iter().map(flow).collect()
    }
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        let sources = |figure: fn(&Collected) -> u64| {
            let counters = self.sources.iter();
            counters.map(move |(name, own)| ([("source", &**name)], ConstCounter::new(figure(own))))
        };
        let sinks =
            |figure: fn(&Progress) -> u64| self.sinks.iter().map(move |(name, own)| (&**name, figure(own)));
        let counters =
            |figure| sinks(figure).map(|(name, count)| ([("sink", name)], ConstCounter::new(count)));
        families.add(
            "source_records",
            "Records that a source handed on; those sent again count again",
            sources(|own| own.records.load(Ordering::Relaxed)),
        )?;
        families.add(
            "source_bytes",
            "Bytes of their text",
            sources(|own| own.bytes.load(Ordering::Relaxed)),
        )?;
        families.add(
            "source_dropped_records",
            "Records that a source received and lost: their senders could not wait, and there was no place for them",
            sources(|own| own.dropped.load(Ordering::Relaxed)),
        )?;
        let buffered = self.sources.iter().map(|(name, own)| {
            ([("source", &**name)], ConstGauge::new(own.buffered_bytes.load(Ordering::Relaxed)))
        });
        families.add(
            "source_buffered_bytes",
            "Bytes that wait in a source's buffer on the disk",
            buffered,
        )?;
        families.add(
            "sink_records",
            "Records that a sink has",
            counters(|own| own.written.load(Ordering::Relaxed)),
        )?;
        families.add(
            "sink_refused_records",
            "Records that a sink refused for good",
            counters(|own| own.rejected.load(Ordering::Relaxed)),
        )?;
        families.add(
            "sink_dropped_records",
            "Records that an optional sink did not get, since it was too far behind",
            counters(|own| own.dropped.load(Ordering::Relaxed)),
        )?;
        families.add(
            "sink_retries",
            "Writes that were repeated",
            counters(|own| own.repeated.load(Ordering::Relaxed)),
        )?;
        let waiting = sinks(|own| own.waiting.load(Ordering::Relaxed));
        families.add(
            "sink_waiting_records",
            "Records on their way to a sink",
            waiting.map(|(name, count)| ([("sink", name)], ConstGauge::new(count))),
        )?;
        let none: [(&str, &str); 0] = [];
        families.add(
            "in_flight_bytes",
            "Bytes between sources and sinks",
            [(none, ConstGauge::new(self.budget.in_flight()))],
        )?;
        families.add(
            "in_flight_limit_bytes",
            "Bytes that may be there before sources wait",
            [(none, ConstGauge::new(self.budget.bytes()))],
        )
    }
}

/// Metrics that are made when somebody asks.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn add<'n, const LABELS: usize, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = ([(&'n str, &'n str); LABELS], M)>,
    ) -> fmt::Result {
        let mut series = series.into_iter().peekable();
        let Some((_, first)) = series.peek() else { return Ok(()) };
        let mut family = self.0.encode_descriptor(name, help, None, first.metric_type())?;
        for (labels, metric) in series {
            metric.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
