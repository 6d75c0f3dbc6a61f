//! Kafka, by an idempotent producer.
//!
//! ```text
//! events ─► messages ─► librdkafka's queue ─► brokers ─► for each message a report: done, again, refused
//! ```
//! A message counts as written when all replicas that are in sync have it (`acks=all`). What the producer itself repeats is
//! stored once; what this sink repeats after a report of failure, or a source after a kill, may be there twice, with the
//! same `record_id`.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use garde::Validate;
use logrisk_client::kafka::{Cluster, KafkaSasl, KafkaTls, Logging, Properties, are_free, sentence};
use logrisk_flow::Event;
use rdkafka::{
    ClientConfig,
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer as _, future_producer::DeliveryFuture},
    types::RDKafkaErrorCode,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{Gather, Rejected, Sink, SinkError, Written, push_document};

/// Settings of a `kafka` sink.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct KafkaSettings {
    /// Addresses of brokers to begin with, as `kafka-1:9092`.
    #[garde(length(min = 1))]
    pub brokers: Vec<String>,
    /// The topic of the documents.
    #[garde(length(min = 1))]
    pub topic: String,
    /// What decides the partition: `pattern_id`, `record_id` or a field of the record. Without it, or where a record does not
    /// have the field, messages are spread evenly.
    #[garde(skip)]
    pub key: Option<String>,
    /// For a cluster that speaks TLS; `{}` trusts the authorities that the system trusts.
    #[garde(skip)]
    pub tls: Option<KafkaTls>,
    /// A user and a password.
    #[garde(skip)]
    pub sasl: Option<KafkaSasl>,
    /// Properties of librdkafka, as `compression.type: zstd`.
    #[garde(custom(are_free))]
    #[serde(default)]
    pub properties: Properties,
    /// After so long without a broker's report a message is sent anew.
    #[garde(range(min = 1, max = 3600))]
    #[serde(default = "sixty")]
    pub timeout_secs: u32,
}

const fn sixty() -> u32 {
    60
}

type Producer = FutureProducer<Logging>;

/// Writes to a topic.
pub struct Kafka {
    settings: KafkaSettings,
    config: ClientConfig,
    /// A producer that had a fatal error is of no use any more; the next write makes a new one.
    producer: Mutex<Option<Producer>>,
}

impl Kafka {
    /// A sink with these settings. Nothing is sent yet: a cluster that is down now is waited for.
    ///
    /// # Errors
    /// A sentence about a secret that is missing or a property that librdkafka refuses.
    pub fn open(settings: KafkaSettings) -> Result<Self, String> {
        let timeout = (u64::from(settings.timeout_secs) * 1000).to_string();
        let config = cluster(&settings).config(&[
            ("enable.idempotence", "true"),
            ("acks", "all"),
            // Built into librdkafka, and cheap on both sides.
            ("compression.type", "lz4"),
            ("message.timeout.ms", &timeout),
        ])?;
        let producer = config.create_with_context(Logging).map_err(|error| sentence(&error))?;
        Ok(Self { settings, config, producer: Mutex::new(Some(producer)) })
    }

    /// Asks the cluster for the topic.
    ///
    /// # Errors
    /// Why it did not answer, or that it has no such topic.
    pub async fn check(settings: &KafkaSettings) -> Result<String, SinkError> {
        let settings = settings.clone();
        let asked = tokio::task::spawn_blocking(move || {
            cluster(&settings).check(std::slice::from_ref(&settings.topic))
        });
        asked.await.map_err(|panic| panic.to_string()).flatten().map_err(SinkError::Unavailable)
    }

    fn producer(&self) -> Result<Producer, SinkError> {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = &*producer {
            return Ok(own.clone());
        }
        let new: Producer = self
            .config
            .create_with_context(Logging)
            .map_err(|error| SinkError::Unavailable(sentence(&error)))?;
        Ok(producer.insert(new).clone())
    }

    /// Lets go of a producer after a fatal error.
    fn renew(&self, producer: &Producer) {
        if let Some((code, reason)) = producer.client().fatal_error() {
            tracing::warn!(%code, reason, "the Kafka producer is made anew");
            *self.producer.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn send(
        &self,
        producer: &Producer,
        event: Event<'_>,
        document: &mut Vec<u8>,
    ) -> Result<DeliveryFuture, KafkaError> {
        document.clear();
        push_document(event, document);
        let verdict = &event.scored.verdict;
        let (risk, tag) = (verdict.risk.to_string(), verdict.tag.to_string());
        let (pattern, id) = (verdict.pattern.to_string(), event.scored.record.id.to_string());
        // Readers choose by these without reading the document.
        let named = [("risk_label", &risk), ("tag", &tag), ("pattern_id", &pattern), ("record_id", &id)];
        let headers = named.into_iter().fold(OwnedHeaders::new_with_capacity(4), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let key = match self.settings.key.as_deref() {
            None => None,
            Some("pattern_id") => Some(pattern),
            Some("record_id") => Some(id),
            Some(name) => field(event, name),
        };
        let mut message = FutureRecord::to(&self.settings.topic).payload(document).headers(headers);
        message.key = key.as_ref();
        producer.send_result(message).map_err(|(error, _)| error)
    }
}

fn cluster(settings: &KafkaSettings) -> Cluster<'_> {
    Cluster {
        brokers: &settings.brokers,
        tls: settings.tls.as_ref(),
        sasl: settings.sasl.as_ref(),
        properties: &settings.properties,
    }
}

fn field(event: Event<'_>, name: &str) -> Option<String> {
    let record = &event.scored.record;
    match record.fields.get(name).or_else(|| record.origin.fields.get(name))? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

impl Sink for Kafka {
    fn gather(&self) -> Gather {
        // librdkafka makes its own requests of these; a write ends when the last of its messages is reported.
        Gather { bytes: 1 << 20, events: 10_000, linger: Duration::from_millis(5), writes: 4 }
    }

    async fn write(&self, events: &[Event<'_>]) -> Result<Written, SinkError> {
        let producer = self.producer()?;
        let sent: Vec<_> = tokio::task::block_in_place(|| {
            let mut document = Vec::new();
            events.iter().map(|event| self.send(&producer, *event, &mut document)).collect()
        });
        let (mut written, mut reason) = (Written::default(), None);
        for (index, sent) in sent.into_iter().enumerate() {
            let error = match sent {
                Ok(delivery) => match delivery.await {
                    Ok(Ok(_)) => continue,
                    Ok(Err((error, _))) => error,
                    Err(_) => KafkaError::Canceled,
                },
                Err(error) => error,
            };
            if is_of_the_record(&error) {
                written.rejected.push(Rejected { index, reason: sentence(&error) });
            } else {
                written.again.push(index);
                reason.get_or_insert_with(|| sentence(&error));
            }
        }
        self.renew(&producer);
        match reason {
            // Nothing got through: the log tells why.
            Some(reason) if written.again.len() == events.len() => Err(SinkError::Unavailable(reason)),
            _ => Ok(written),
        }
    }
}

/// Whether only the record itself can be at fault. Everything else, as a topic that is not there, is mended by time or by a
/// person, and the record is worth waiting for.
fn is_of_the_record(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{InvalidRecord, InvalidTimestamp, MessageSizeTooLarge};
    matches!(error.rdkafka_error_code(), Some(InvalidRecord | InvalidTimestamp | MessageSizeTooLarge))
}
