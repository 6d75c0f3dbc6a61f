//! The scoring threads: they take batches in turns, and let them leave in the order in which they came.

use std::{
    collections::BTreeMap,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    thread::{self, JoinHandle},
};

use jiff::Timestamp;
use logrisk_flow::{Ack, Batch, Chosen, Delivery, Outcome, Record, Scored, Shipment, Verdict};
use logrisk_sink::Progress;
use tokio::sync::mpsc::{Receiver, UnboundedSender};

use super::routes::Routes;
use crate::pipeline::{Known, Pipeline, Worker};

/// What records are scored with.
pub trait Scorer: Send + Sync {
    /// The pipeline for the next batch. Without one, the batch's source sends it again.
    fn pipeline(&self) -> Option<Arc<Pipeline>>;

    /// Is shown what a pipeline said of records, and puts in another's place what people said of them.
    fn show(&self, pipeline: &Pipeline, records: &[Record], known: &mut [Arc<Known>]) {
        _ = (pipeline, records, known);
    }
}

/// A sink, as the scoring threads see it.
pub struct Exit {
    /// Its name in the settings.
    pub name: String,
    /// Where it takes deliveries. Unbounded: the bytes in flight are bounded where they come in.
    pub inbox: UnboundedSender<Delivery>,
    /// What it did so far.
    pub progress: Arc<Progress>,
    /// Whether sources are told of success without it.
    pub optional: bool,
}

/// Records that may wait for an optional sink.
const OPTIONAL_WAITING: u64 = 10_000;

/// What the threads share.
struct Shared {
    scorer: Arc<dyn Scorer>,
    routes: Routes,
    exits: Vec<Exit>,
    /// The number of the next batch, and where it comes from.
    inbox: Mutex<(u64, Receiver<Batch<Record>>)>,
    departures: Mutex<Departures>,
}

/// Batches that came before their turn; whoever brings the next one also sends those that waited for it.
#[derive(Default)]
struct Departures {
    next: u64,
    ready: BTreeMap<u64, Option<Departure>>,
}

struct Departure {
    shipment: Arc<Shipment>,
    ack: Ack,
    /// For each exit.
    chosen: Vec<Vec<Chosen>>,
}

/// Starts the threads; they end when all sources have ended.
///
/// # Errors
/// When the system gives no thread.
pub fn start(
    threads: usize,
    scorer: Arc<dyn Scorer>,
    routes: Routes,
    exits: Vec<Exit>,
    inbox: Receiver<Batch<Record>>,
) -> std::io::Result<Vec<JoinHandle<()>>> {
    let shared = Arc::new(Shared {
        scorer,
        routes,
        exits,
        inbox: Mutex::new((0, inbox)),
        departures: Mutex::default(),
    });
    (0..threads.max(1))
        .map(|number| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("score-{number}")).spawn(move || shared.run())
        })
        .collect()
}

impl Shared {
    fn run(&self) {
        let mut worker = Worker::default();
        while let Some((number, batch)) = self.next_batch() {
            let departure = catch_unwind(AssertUnwindSafe(|| self.score(batch, &mut worker)));
            if departure.is_err() {
                tracing::error!("scoring a batch panicked; its source sends it again");
                worker = Worker::default();
            }
            self.depart(number, departure.ok().flatten());
        }
    }

    fn next_batch(&self) -> Option<(u64, Batch<Record>)> {
        let mut inbox = lock(&self.inbox);
        let batch = inbox.1.blocking_recv()?;
        inbox.0 += 1;
        Some((inbox.0 - 1, batch))
    }

    fn score(&self, mut batch: Batch<Record>, worker: &mut Worker) -> Option<Departure> {
        let now = Timestamp::now();
        let pipeline = self.scorer.pipeline()?;
        let mut records = mem::take(&mut batch.items);
        let mut times = Vec::with_capacity(records.len());
        let texts = records.iter().map(|record| (record.body.as_str(), record.level));
        let scored = pipeline.score_all(texts, worker, |parsed| times.push(parsed.time(now)));
        let (redacted, mut known): (Vec<_>, Vec<_>) =
            scored.into_iter().map(|scored| (redacted(scored.text), scored.known)).unzip();
        for (record, redacted) in records.iter_mut().zip(redacted) {
            if let Some(redacted) = redacted {
                record.body = redacted;
            }
        }
        self.scorer.show(&pipeline, &records, &mut known);
        let model: Arc<str> = pipeline.model.version().into();
        let scored = |((record, known), told): ((Record, Arc<Known>), Option<Timestamp>)| Scored {
            // A runtime knows its clock and its zone better than the text does.
            time: record.time.or(told).unwrap_or(now),
            record,
            verdict: Verdict {
                pattern: known.pattern,
                masked: Arc::clone(&known.masked),
                risk: known.label,
                score: known.score,
                tag: known.tag,
                level: known.level,
                members: Arc::clone(&known.json_members),
                model: Arc::clone(&model),
                label_source: known.label_source(),
            },
        };
        let items: Vec<_> = records.into_iter().zip(known).zip(times).map(scored).collect();
        let chosen = self.routes.choose(&items);
        let (shipment, ack) = Shipment::new(Batch { items, ack: batch.ack, permit: batch.permit });
        Some(Departure { shipment, ack, chosen })
    }

    /// Sends the batch, or leaves it to the thread that brings what is missing before it.
    fn depart(&self, number: u64, departure: Option<Departure>) {
        let mut departures = lock(&self.departures);
        departures.ready.insert(number, departure);
        loop {
            let next = departures.next;
            let Some(departure) = departures.ready.remove(&next) else { return };
            departures.next += 1;
            if let Some(departure) = departure {
                self.send(departure);
            }
        }
    }

    fn send(&self, departure: Departure) {
        let Departure { shipment, ack, chosen } = departure;
        for (exit, chosen) in self.exits.iter().zip(chosen) {
            if chosen.is_empty() {
                continue;
            }
            let count = chosen.len() as u64;
            let waiting = &exit.progress.waiting;
            if exit.optional && waiting.load(Ordering::Relaxed) + count > OPTIONAL_WAITING {
                let before = exit.progress.dropped.fetch_add(count, Ordering::Relaxed);
                if before == 0 {
                    tracing::warn!(
                        sink = exit.name,
                        "too far behind: records are not handed to it any more, but counted"
                    );
                }
                continue;
            }
            waiting.fetch_add(count, Ordering::Relaxed);
            // A sink that is gone drops its share, which tells the source; nobody listens to that of an optional one.
            let ack = if exit.optional { Ack::new().0 } else { ack.share() };
            _ = exit.inbox.send(Delivery { shipment: Arc::clone(&shipment), chosen, ack });
        }
        ack.settle(Outcome::Delivered);
    }
}

/// The text, if it is another than the record's.
fn redacted(text: std::borrow::Cow<'_, str>) -> Option<String> {
    match text {
        std::borrow::Cow::Borrowed(_) => None,
        std::borrow::Cow::Owned(text) => Some(text),
    }
}

/// Nothing panics while one of these locks is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
