//! The loop around a sink: gather, write, try again, keep what was refused, acknowledge.
//!
//! ```text
//! Delivery ─► group ─► Sink::write ─┬─ written ────────────────────────► Delivered
//!               ▲                   ├─ rejected ─► dead letter ────────► Delivered, or Rejected without one
//!               └── pause ◄─────────┴─ again, unavailable
//! ```
//! A sink that is down is tried for ever. Meanwhile nothing is acknowledged, the bytes in flight fill their budget, and
//! sources wait: that is back-pressure, not an error.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use jiff::Timestamp;
use logrisk_flow::{Delivery, Event, Outcome, delays};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use crate::{DeadLetters, Gather, Sink, SinkError, Written};

/// What a sink did so far.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records that were handed to the sink and are neither written nor refused yet.
    pub waiting: AtomicU64,
    /// Records written.
    pub written: AtomicU64,
    /// Records refused for good, whether a dead letter keeps them or not.
    pub rejected: AtomicU64,
    /// Attempts that failed and were repeated.
    pub repeated: AtomicU64,
    /// Records that were not handed to an optional sink, since it was too far behind.
    pub dropped: AtomicU64,
    last_error: Mutex<Option<(Timestamp, String)>>,
}

impl Progress {
    /// What went wrong last, and when.
    #[must_use]
    pub fn last_error(&self) -> Option<(Timestamp, String)> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn went_wrong(&self, error: &str) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Timestamp::now(), error.to_owned()));
    }
}

/// Writes what arrives in `inbox` until that ends; `false` if the sink was gone for good before.
pub async fn drive<S: Sink>(
    name: Arc<str>,
    sink: S,
    mut inbox: UnboundedReceiver<Delivery>,
    dead_letters: Option<Arc<DeadLetters>>,
    progress: Arc<Progress>,
) -> bool {
    let gather = sink.gather();
    let writer = Arc::new(Writer { name, sink, dead_letters, progress, gone: AtomicBool::new(false) });
    let mut writes = JoinSet::new();
    while let Some(group) = next_group(&mut inbox, gather).await {
        if writer.gone.load(Ordering::Relaxed) {
            return false;
        }
        while writes.len() >= gather.writes {
            report(writes.join_next().await);
        }
        let writer = Arc::clone(&writer);
        writes.spawn(async move { writer.deliver(group).await });
    }
    while let Some(ended) = writes.join_next().await {
        report(Some(ended));
    }
    writer.sink.finish().await;
    !writer.gone.load(Ordering::Relaxed)
}

/// A write that panicked dropped its acknowledgements, so that sources send its records again.
fn report(ended: Option<Result<(), tokio::task::JoinError>>) {
    if let Some(Err(error)) = ended {
        tracing::error!(%error, "a write ended abnormally; its records will be sent again");
    }
}

/// Waits for a delivery, then takes what else is there or comes soon, up to the sink's measure.
async fn next_group(inbox: &mut UnboundedReceiver<Delivery>, gather: Gather) -> Option<Vec<Delivery>> {
    let first = inbox.recv().await?;
    let (mut bytes, mut events) = measure(&first);
    let mut group = vec![first];
    let deadline = Instant::now() + gather.linger;
    while bytes < gather.bytes && events < gather.events {
        let Ok(Some(next)) = timeout_at(deadline, inbox.recv()).await else { break };
        let (more_bytes, more_events) = measure(&next);
        bytes += more_bytes;
        events += more_events;
        group.push(next);
    }
    Some(group)
}

fn measure(delivery: &Delivery) -> (usize, usize) {
    (delivery.events().map(|event| event.scored.record.bytes()).sum(), delivery.chosen.len())
}

struct Writer<S> {
    name: Arc<str>,
    sink: S,
    dead_letters: Option<Arc<DeadLetters>>,
    progress: Arc<Progress>,
    gone: AtomicBool,
}

impl<S: Sink> Writer<S> {
    async fn deliver(&self, group: Vec<Delivery>) {
        // Whose delivery each event is, so that each source hears of its own.
        let mut owners = Vec::new();
        let mut events = Vec::new();
        for (owner, delivery) in group.iter().enumerate() {
            events.extend(delivery.events());
            owners.resize(events.len(), owner);
        }
        let mut refused = vec![0; group.len()];
        // The last part is written first; a part that is too large is cut in two.
        let mut parts = vec![(events, owners)];
        while let Some((events, owners)) = parts.pop() {
            match self.write(events, owners, &mut refused).await {
                Ok(()) => {}
                Err((mut events, mut owners)) => {
                    let half = events.len() / 2;
                    let second = (events.split_off(half), owners.split_off(half));
                    parts.extend([second, (events, owners)]);
                }
            }
        }
        if self.gone.load(Ordering::Relaxed) {
            // Dropped, hence failed.
            return;
        }
        for (delivery, refused) in group.into_iter().zip(refused) {
            let settled = delivery.chosen.len() as u64;
            self.progress.waiting.fetch_sub(settled, Ordering::Relaxed);
            match refused {
                0 => delivery.ack.settle(Outcome::Delivered),
                records => delivery.ack.refuse(records),
            }
        }
    }

    /// Writes until every event has its fate.
    ///
    /// # Errors
    /// The events themselves, if they are too many at once.
    async fn write<'a>(
        &self,
        mut events: Vec<Event<'a>>,
        mut owners: Vec<usize>,
        refused: &mut [u32],
    ) -> Result<(), (Vec<Event<'a>>, Vec<usize>)> {
        let mut pauses = delays();
        loop {
            let written = match self.sink.write(&events).await {
                Ok(written) => written,
                Err(SinkError::TooLarge(reason)) => {
                    if events.len() > 1 {
                        return Err((events, owners));
                    }
                    Written { rejected: vec![crate::Rejected { index: 0, reason }], again: Vec::new() }
                }
                Err(SinkError::Gone(error)) => {
                    self.progress.went_wrong(&error);
                    tracing::error!(sink = &*self.name, error, "the sink is gone");
                    self.gone.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                Err(SinkError::Unavailable(error)) => {
                    self.progress.went_wrong(&error);
                    tracing::warn!(
                        sink = &*self.name,
                        error,
                        records = events.len(),
                        "a write will be repeated"
                    );
                    Written { rejected: Vec::new(), again: (0..events.len()).collect() }
                }
            };
            let Written { rejected, again } = written;
            let done = (events.len() - rejected.len() - again.len()) as u64;
            self.progress.written.fetch_add(done, Ordering::Relaxed);
            if !rejected.is_empty() {
                self.reject(&rejected, &events, &owners, refused).await;
            }
            if again.is_empty() {
                return Ok(());
            }
            self.progress.repeated.fetch_add(1, Ordering::Relaxed);
            events = again.iter().filter_map(|index| events.get(*index).copied()).collect();
            owners = again.iter().filter_map(|index| owners.get(*index).copied()).collect();
            if done > 0 {
                pauses = delays();
            }
            if let Some(pause) = pauses.next() {
                sleep(pause).await;
            }
        }
    }

    /// Keeps what was refused, as soon as the dead letters can.
    async fn reject(
        &self,
        rejected: &[crate::Rejected],
        events: &[Event<'_>],
        owners: &[usize],
        refused: &mut [u32],
    ) {
        self.progress.rejected.fetch_add(rejected.len() as u64, Ordering::Relaxed);
        let reason = rejected.first().map_or("", |first| first.reason.as_str());
        self.progress.went_wrong(reason);
        let Some(dead_letters) = &self.dead_letters else {
            tracing::error!(
                sink = &*self.name,
                records = rejected.len(),
                reason,
                "records were refused and are lost: there is no dead_letter folder"
            );
            for owner in rejected.iter().filter_map(|rejected| owners.get(rejected.index)) {
                if let Some(refused) = refused.get_mut(*owner) {
                    *refused += 1;
                }
            }
            return;
        };
        tracing::warn!(
            sink = &*self.name,
            records = rejected.len(),
            reason,
            "records were refused; the dead letters keep them"
        );
        for pause in delays() {
            match dead_letters.keep(&self.name, rejected, events).await {
                Ok(()) => return,
                Err(error) => tracing::error!(%error, "dead letters could not be written; trying again"),
            }
            sleep(pause).await;
        }
    }
}
