//! Kafka topics, read as a member of a consumer group: this is how many replicas share a stream.
//!
//! ```text
//! partitions ─► poll ─► one batch of what is there ─► Outlet
//!     ▲                    └ flight: which offsets it ends at
//!     └── committed ◄── stored offset ◄── Acknowledged, in the order of the flights
//! ```
//! An offset is stored only when every sink has all records before it; librdkafka commits what is stored once a second and
//! before a partition goes to another member. Whatever a kill or a rebalance makes another member read again has the
//! same ids, since they are made of topic, partition and offset.
//!
//! One thread polls. While the outlet is full it goes on polling with all partitions paused: a group throws out a member
//! that does not poll.

mod group;
mod message;

use std::{
    collections::BTreeMap,
    mem,
    pin::pin,
    time::{Duration, Instant},
};

use garde::Validate;
use logrisk_client::kafka::{Cluster, KafkaSasl, KafkaTls, Properties, are_free, sentence};
use logrisk_flow::{Acknowledged, Closed, Outlet, delays};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::KafkaError,
};
use serde::Deserialize;
use tokio::{runtime::Handle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{Source, SourceError, Start, source::blocking};

use group::{Gathered, Group};

/// How long to wait for a message; acknowledgements are looked at as often.
const IDLE: Duration = Duration::from_millis(50);
/// Waiting longer than this for room means that the sinks are behind: partitions are paused, which throws away what was
/// fetched ahead.
const PATIENCE: Duration = Duration::from_millis(500);
/// Bytes of messages in one batch: as much as files are read by.
const BATCH: usize = 256 << 10;
/// The same complaint is repeated so often.
const COMPLAIN: Duration = Duration::from_secs(30);

/// Settings of a `kafka` source.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct KafkaSettings {
    /// Addresses of brokers to begin with, as `kafka-1:9092`.
    #[garde(length(min = 1))]
    pub brokers: Vec<String>,
    /// Topics to read; one that begins with `^` is a regular expression.
    #[garde(length(min = 1))]
    pub topics: Vec<String>,
    /// The consumer group: its members share the partitions.
    #[garde(length(min = 1))]
    #[serde(default = "logrisk")]
    pub group: String,
    /// Where the group begins in a partition that it has never read: `beginning` (default) or `end`.
    #[garde(skip)]
    #[serde(default)]
    pub start: Start,
    /// For a cluster that speaks TLS; `{}` trusts the authorities that the system trusts.
    #[garde(skip)]
    pub tls: Option<KafkaTls>,
    /// A user and a password.
    #[garde(skip)]
    pub sasl: Option<KafkaSasl>,
    /// Properties of librdkafka, as `session.timeout.ms: 10000`.
    #[garde(custom(are_free))]
    #[serde(default)]
    pub properties: Properties,
    /// Fields of every record, as `service.environment: production`.
    #[garde(skip)]
    #[serde(default)]
    pub fields: BTreeMap<String, serde_json::Value>,
}

fn logrisk() -> String {
    "logrisk".to_owned()
}

/// Reads topics.
#[derive(Debug)]
pub struct Kafka {
    name: String,
    settings: KafkaSettings,
}

impl Kafka {
    /// The source of that name.
    #[must_use]
    pub fn new(name: &str, settings: KafkaSettings) -> Self {
        Self { name: name.to_owned(), settings }
    }

    /// Asks the cluster for the topics of these settings.
    ///
    /// # Errors
    /// Why it did not answer, or what it does not have.
    pub async fn check(settings: &KafkaSettings) -> Result<String, SourceError> {
        let settings = settings.clone();
        let asked = tokio::task::spawn_blocking(move || {
            config(&settings)?;
            cluster(&settings).check(&settings.topics)
        });
        asked.await.map_err(|panic| panic.to_string()).flatten().map_err(SourceError::Settings)
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

fn config(settings: &KafkaSettings) -> Result<ClientConfig, String> {
    cluster(settings).config(&[
        ("group.id", &settings.group),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("auto.offset.reset", if settings.start == Start::End { "latest" } else { "earliest" }),
        ("enable.auto.offset.store", "false"),
        ("enable.auto.commit", "true"),
        ("auto.commit.interval.ms", "1000"),
        // What is fetched ahead comes on top of the bytes in flight: a mebibyte of compressed answers is some 80,000 short
        // messages, and librdkafka holds each in half a kilobyte (8 MiB: 60 MiB more than these).
        ("queued.max.messages.kbytes", "16384"),
        ("fetch.max.bytes", "1048576"),
    ])
}

impl Source for Kafka {
    async fn run(self, outlet: Outlet, stop: CancellationToken) -> Result<(), SourceError> {
        let runtime = Handle::current();
        blocking(move || self.read(outlet, stop, runtime)).await
    }
}

impl Kafka {
    /// Joins the group, and joins it again after records that did not reach every sink: then reading goes on from what
    /// was committed.
    fn read(self, outlet: Outlet, stop: CancellationToken, runtime: Handle) -> Result<(), SourceError> {
        let config = config(&self.settings).map_err(SourceError::Settings)?;
        let topics: Vec<_> = self.settings.topics.iter().map(String::as_str).collect();
        let mut pauses = delays();
        while !stop.is_cancelled() {
            let group = Group::new(&self.name, self.settings.fields.clone());
            let joined = config.create_with_context(group).and_then(|consumer: BaseConsumer<Group>| {
                consumer.subscribe(&topics)?;
                Ok(consumer)
            });
            let consumer = joined.map_err(|error| SourceError::Settings(sentence(&error)))?;
            let began = Instant::now();
            let member = Member {
                name: &self.name,
                consumer,
                outlet: outlet.clone(),
                stop: stop.clone(),
                runtime: runtime.clone(),
                early: Gathered::default(),
                complaint: None,
            };
            match member.run()? {
                Ended::Stopped(member) => {
                    drop(outlet);
                    return member.drain();
                }
                Ended::Failed => {
                    tracing::warn!(
                        source = self.name,
                        "records did not reach every sink; they are read again"
                    );
                    // A failure after a long time is another one.
                    if began.elapsed() > COMPLAIN {
                        pauses = delays();
                    }
                    let pause = pauses.next().unwrap_or(COMPLAIN);
                    runtime.block_on(async {
                        tokio::select! { () = stop.cancelled() => {}, () = sleep(pause) => {} }
                    });
                }
            }
        }
        Ok(())
    }
}

/// A member of the group, at work.
struct Member<'a> {
    name: &'a str,
    consumer: BaseConsumer<Group>,
    outlet: Outlet,
    stop: CancellationToken,
    runtime: Handle,
    /// What came while partitions were being paused.
    early: Gathered,
    /// What was last complained of, and when.
    complaint: Option<(String, Instant)>,
}

/// Why a member ended.
enum Ended<'a> {
    /// It was asked to.
    Stopped(Leaving<'a>),
    /// Records did not reach every sink.
    Failed,
}

/// What waiting for room came to.
enum Sent {
    Yes(Acknowledged),
    Stopped,
    NotYet,
}

impl<'a> Member<'a> {
    fn run(mut self) -> Result<Ended<'a>, SourceError> {
        while !self.stop.is_cancelled() {
            let gathered = self.gather()?;
            if !gathered.is_empty() {
                self.send(gathered)?;
            }
            if self.group().settle(&self.consumer).is_err() {
                return Ok(Ended::Failed);
            }
        }
        Ok(Ended::Stopped(Leaving { name: self.name, consumer: self.consumer }))
    }

    fn group(&self) -> &Group {
        self.consumer.context()
    }

    /// What is there, up to a batch; waits a moment for the first message.
    fn gather(&mut self) -> Result<Gathered, SourceError> {
        let mut gathered = mem::take(&mut self.early);
        let mut wait = if gathered.is_empty() { IDLE } else { Duration::ZERO };
        while gathered.bytes < BATCH {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => self.group().take(&message, &mut gathered),
                Some(Err(error)) => complain(self.name, &mut self.complaint, &error)?,
            }
            wait = Duration::ZERO;
        }
        Ok(gathered)
    }

    /// Hands a batch on as soon as there is room, and stays in the group meanwhile.
    fn send(&mut self, gathered: Gathered) -> Result<(), SourceError> {
        let Gathered { records, spans, .. } = gathered;
        let outlet = self.outlet.clone();
        let mut sending = pin!(outlet.send(records));
        let mut paused = false;
        loop {
            let sent = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    sent = &mut sending => sent.map(Sent::Yes),
                    () = self.stop.cancelled() => Ok(Sent::Stopped),
                    () = sleep(PATIENCE) => Ok(Sent::NotYet),
                }
            });
            match sent {
                Ok(Sent::NotYet) => paused = self.hold(paused)?,
                Ok(Sent::Stopped) => return Ok(()),
                Ok(Sent::Yes(acknowledged)) => {
                    self.group().depart(acknowledged, spans);
                    if paused {
                        self.resume()?;
                    }
                    return Ok(());
                }
                Err(Closed) => return Err(SourceError::Closed),
            }
        }
    }

    /// Pauses all partitions, and polls so that the group keeps us.
    fn hold(&mut self, mut paused: bool) -> Result<bool, SourceError> {
        let held = self.early.bytes;
        while self.early.bytes < BATCH {
            // Also partitions that were assigned since, which show by their first message.
            if !paused || self.early.bytes > held {
                let assigned = self.consumer.assignment();
                paused = assigned.and_then(|assigned| self.consumer.pause(&assigned)).is_ok();
                tracing::debug!(
                    source = self.name,
                    paused,
                    "the sinks are behind; the partitions are paused"
                );
            }
            match self.consumer.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => self.consumer.context().take(&message, &mut self.early),
                Some(Err(error)) => complain(self.name, &mut self.complaint, &error)?,
            }
        }
        // What is acknowledged now need not wait for room.
        _ = self.group().settle(&self.consumer);
        Ok(paused)
    }

    fn resume(&self) -> Result<(), SourceError> {
        let assigned = self.consumer.assignment();
        let resumed = assigned.and_then(|assigned| self.consumer.resume(&assigned));
        resumed.map_err(|error| SourceError::Settings(sentence(&error)))
    }
}

/// A member that has read its last message.
struct Leaving<'a> {
    name: &'a str,
    consumer: BaseConsumer<Group>,
}

impl Leaving<'_> {
    /// Waits for what is out, commits it and leaves the group. The caller bounds the wait.
    fn drain(self) -> Result<(), SourceError> {
        let group = self.consumer.context();
        if let Ok(assigned) = self.consumer.assignment() {
            _ = self.consumer.pause(&assigned);
        }
        while group.is_waiting() && group.settle(&self.consumer).is_ok() {
            // What comes now has no flight, so its offset is never stored.
            _ = self.consumer.poll(IDLE);
        }
        match self.consumer.commit_consumer_state(CommitMode::Sync) {
            Ok(()) | Err(KafkaError::ConsumerCommit(rdkafka::types::RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                tracing::warn!(
                    source = self.name,
                    error = sentence(&error),
                    "the last offsets were not committed"
                );
            }
        }
        Ok(())
    }
}

/// Says what is wrong, once in a while; librdkafka tries again by itself unless the error is fatal.
fn complain(name: &str, last: &mut Option<(String, Instant)>, error: &KafkaError) -> Result<(), SourceError> {
    if let KafkaError::MessageConsumptionFatal(code) = error {
        return Err(SourceError::Settings(format!("the group cannot be read any more: {code}")));
    }
    let error = sentence(error);
    if last.as_ref().is_none_or(|(known, when)| *known != error || when.elapsed() > COMPLAIN) {
        tracing::warn!(source = name, error, "Kafka cannot be read; trying again");
        *last = Some((error, Instant::now()));
    }
    Ok(())
}
