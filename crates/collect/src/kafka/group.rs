//! Which partitions are ours, which of their messages are out, and how far each is done.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use logrisk_client::kafka::{log, sentence};
use logrisk_flow::{Acknowledged, Fields, Origin, Outcome, Record, RecordId};
use rdkafka::{
    ClientContext, Message as _, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance},
    error::KafkaError,
    message::BorrowedMessage,
};

use super::message;

/// How long another member waits for a partition while our sinks write what is out. The group allows five minutes; a sink
/// that is slower makes the other member read it again.
const HANDOVER: Duration = Duration::from_secs(10);

/// The state of a membership. librdkafka asks it when partitions come and go, from inside `poll`.
pub(super) struct Group {
    name: String,
    fields: BTreeMap<String, serde_json::Value>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Partitions that messages came from; few, and messages come in runs.
    partitions: Vec<Arc<Partition>>,
    /// Batches that are out, in order.
    flights: VecDeque<Flight>,
    /// A batch did not reach every sink: nothing is stored any more.
    is_lost: bool,
}

/// A partition, from its assignment to its revocation.
struct Partition {
    topic: String,
    number: i32,
    origin: Arc<Origin>,
    stream: RecordId,
    /// It may be another member's by now: our offsets of it say nothing any more.
    is_revoked: AtomicBool,
}

struct Flight {
    acknowledged: Acknowledged,
    spans: Vec<Span>,
}

/// How far a batch reaches in a partition.
pub(super) struct Span {
    partition: Arc<Partition>,
    /// The offset after its last message.
    next: i64,
}

/// Messages of one batch.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) records: Vec<Record>,
    pub(super) spans: Vec<Span>,
    pub(super) bytes: usize,
}

impl Gathered {
    /// Whether there was nothing at all: messages without a body count too, since their offsets are to be stored.
    pub(super) const fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

/// Records did not reach every sink.
pub(super) struct Lost;

impl Group {
    pub(super) fn new(name: &str, fields: BTreeMap<String, serde_json::Value>) -> Self {
        Self { name: name.to_owned(), fields, state: Mutex::default() }
    }

    /// Appends a message to a batch.
    pub(super) fn take(&self, message: &BorrowedMessage<'_>, gathered: &mut Gathered) {
        let is_same = |partition: &Partition| {
            partition.number == message.partition()
                && partition.topic == message.topic()
                && !partition.is_revoked.load(Ordering::Relaxed)
        };
        let next = message.offset() + 1;
        let partition = match gathered.spans.iter_mut().find(|span| is_same(&span.partition)) {
            Some(span) => {
                span.next = next;
                Arc::clone(&span.partition)
            }
            None => {
                let mut state = self.state();
                let known = state.partitions.iter().find(|partition| is_same(partition)).map(Arc::clone);
                let partition = known.unwrap_or_else(|| {
                    let new = Arc::new(self.partition(message.topic(), message.partition()));
                    state.partitions.push(Arc::clone(&new));
                    new
                });
                gathered.spans.push(Span { partition: Arc::clone(&partition), next });
                partition
            }
        };
        gathered.bytes += message.payload_len() + message.key_len();
        let offset = message.offset().unsigned_abs();
        if let Some(told) = message::told(message) {
            gathered.records.push(Record {
                id: RecordId::at(partition.stream, offset),
                time: told.time,
                level: told.level,
                body: told.body,
                origin: Arc::clone(&partition.origin),
                fields: told.fields,
            });
        }
    }

    fn partition(&self, topic: &str, number: i32) -> Partition {
        let mut fields = Fields::default();
        fields.push("kafka.topic", topic);
        fields.push("kafka.partition", number);
        for (name, value) in &self.fields {
            fields.push(name.clone(), value.clone());
        }
        Partition {
            topic: topic.to_owned(),
            number,
            origin: Arc::new(Origin::new(&self.name, fields)),
            // No address of a broker: it is the same topic after a move of the cluster.
            stream: RecordId::of(format!("kafka {} {topic} {number}", self.name).as_bytes()),
            is_revoked: AtomicBool::new(false),
        }
    }

    /// Remembers a batch that is on its way.
    pub(super) fn depart(&self, acknowledged: Acknowledged, spans: Vec<Span>) {
        let mut state = self.state();
        if !state.is_lost {
            state.flights.push_back(Flight { acknowledged, spans });
        }
    }

    /// Whether batches are out.
    pub(super) fn is_waiting(&self) -> bool {
        !self.state().flights.is_empty()
    }

    /// Stores the offsets of all batches up to the first that is still out.
    ///
    /// # Errors
    /// [`Lost`] from the first batch on that did not reach every sink: only a new membership reads it again.
    pub(super) fn settle(&self, consumer: &BaseConsumer<Self>) -> Result<(), Lost> {
        let mut state = self.state();
        let mut reached: Vec<Span> = Vec::new();
        while let Some(first) = state.flights.front_mut() {
            match first.acknowledged.try_outcome() {
                None => break,
                Some(Outcome::Failed) => {
                    state.flights.clear();
                    state.is_lost = true;
                    break;
                }
                Some(Outcome::Delivered | Outcome::Rejected) => {}
            }
            for span in state.flights.pop_front().map(|flight| flight.spans).unwrap_or_default() {
                match reached.iter_mut().find(|earlier| Arc::ptr_eq(&earlier.partition, &span.partition)) {
                    Some(earlier) => earlier.next = span.next,
                    None => reached.push(span),
                }
            }
        }
        let settled = if state.is_lost { Err(Lost) } else { Ok(()) };
        drop(state);
        let mut offsets = TopicPartitionList::new();
        for Span { partition, next } in reached {
            if !partition.is_revoked.load(Ordering::Relaxed) {
                // An offset that is not negative is always taken.
                _ = offsets.add_partition_offset(&partition.topic, partition.number, Offset::Offset(next));
            }
        }
        if offsets.count() > 0
            && let Err(error) = consumer.store_offsets(&offsets)
        {
            // Read again by the next owner, under the same ids.
            tracing::debug!(source = self.name, error = sentence(&error), "offsets were not stored");
        }
        settled
    }

    /// Whether a batch with messages of these partitions is out.
    fn has_out(&self, partitions: &TopicPartitionList) -> bool {
        let is_named =
            |span: &Span| partitions.find_partition(&span.partition.topic, span.partition.number).is_some();
        self.state().flights.iter().any(|flight| flight.spans.iter().any(is_named))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    // `poll` returns it as well.
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                tracing::info!(
                    source = self.name,
                    partitions = partitions.count(),
                    "partitions were assigned"
                );
            }
            Rebalance::Revoke(partitions) => {
                tracing::info!(
                    source = self.name,
                    partitions = partitions.count(),
                    "partitions are given up"
                );
                // What was lost already belongs to others, who would refuse our offsets.
                if !consumer.assignment_lost() {
                    let deadline = Instant::now() + HANDOVER;
                    while self.has_out(partitions)
                        && self.settle(consumer).is_ok()
                        && Instant::now() < deadline
                    {
                        sleep(Duration::from_millis(5));
                    }
                    _ = consumer.commit_consumer_state(CommitMode::Sync);
                }
                self.state().partitions.retain(|own| {
                    let goes = partitions.find_partition(&own.topic, own.number).is_some();
                    own.is_revoked.fetch_or(goes, Ordering::Relaxed);
                    !goes
                });
            }
            Rebalance::Error(error) => {
                tracing::warn!(
                    source = self.name,
                    error = sentence(error),
                    "the group could not be rearranged"
                );
            }
        }
    }
}
