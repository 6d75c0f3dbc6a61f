//! Batches, and the one bound on memory: the bytes of all batches in flight.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{self, Receiver, Sender},
};

use crate::{Ack, Acknowledged, Record};

/// Batches that wait for a scoring thread. Their bytes are bounded by the budget; this only keeps the queue short.
const WAITING: usize = 64;

/// Items that travel together, with the acknowledgement their source waits for and the bytes that they hold.
#[derive(Debug)]
pub struct Batch<T> {
    /// The items, in the order of the source.
    pub items: Vec<T>,
    /// The share of the acknowledgement that travels with the batch.
    pub ack: Ack,
    /// Bytes of the budget, given back on drop.
    pub permit: Permit,
}

/// Bytes of a budget, given back on drop.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>);

/// How many bytes may be in flight between sources and sinks.
#[derive(Debug, Clone)]
pub struct Budget {
    free: Arc<Semaphore>,
    bytes: u32,
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes as usize)), bytes }
    }

    /// Bytes in flight now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.bytes as usize - self.free.available_permits()
    }

    /// Bytes that may be.
    #[must_use]
    pub const fn bytes(&self) -> u32 {
        self.bytes
    }

    /// What a batch asks for. One larger than the whole budget takes all of it, and then travels alone.
    fn request(&self, records: &[Record]) -> u32 {
        let bytes: usize = records.iter().map(Record::bytes).sum();
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.bytes)
    }
}

/// The data plane has ended: nobody takes batches any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// Too much is in flight already; the sender should come again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// What a source handed on so far. What it sends again counts again.
#[derive(Debug, Default)]
pub struct Collected {
    /// Records.
    pub records: AtomicU64,
    /// Bytes of their text.
    pub bytes: AtomicU64,
    /// Records that it received and that are gone: their sender could not wait, and there was no place for them.
    pub dropped: AtomicU64,
    /// Bytes that wait in its buffer on the disk.
    pub buffered_bytes: AtomicU64,
}

/// Where a source puts its batches.
#[derive(Debug, Clone)]
pub struct Outlet {
    sender: Sender<Batch<Record>>,
    budget: Budget,
    collected: Arc<Collected>,
}

impl Outlet {
    /// An outlet and where its batches arrive; that ends when all clones of the outlet are dropped.
    #[must_use]
    pub fn new(budget: Budget) -> (Self, Receiver<Batch<Record>>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self { sender, budget, collected: Arc::default() }, receiver)
    }

    /// The same outlet for one source, whose records are counted there.
    #[must_use]
    pub fn counted(&self, collected: Arc<Collected>) -> Self {
        Self { collected, ..self.clone() }
    }

    /// Where the source's records are counted.
    #[must_use]
    pub const fn collected(&self) -> &Arc<Collected> {
        &self.collected
    }

    fn count(&self, records: &[Record]) {
        let bytes: usize = records.iter().map(|record| record.body.len()).sum();
        self.collected.records.fetch_add(records.len() as u64, Ordering::Relaxed);
        self.collected.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Sends a batch as soon as its bytes fit. Waiting here is how a slow sink slows its sources down.
    ///
    /// # Errors
    /// [`Closed`] after the end of the data plane.
    pub async fn send(&self, records: Vec<Record>) -> Result<Acknowledged, Closed> {
        let bytes = self.budget.request(&records);
        let permit = Arc::clone(&self.budget.free).acquire_many_owned(bytes).await.map_err(|_| Closed)?;
        self.count(&records);
        let (ack, acknowledged) = Ack::new();
        let batch = Batch { items: records, ack, permit: Permit(Some(permit)) };
        self.sender.send(batch).await.map_err(|_| Closed)?;
        Ok(acknowledged)
    }

    /// Sends a batch if its bytes fit now, for senders that can be told to come again.
    ///
    /// # Errors
    /// [`Full`] if they do not.
    pub fn try_send(&self, records: Vec<Record>) -> Result<Acknowledged, Full> {
        let bytes = self.budget.request(&records);
        let permit = Arc::clone(&self.budget.free).try_acquire_many_owned(bytes).map_err(|_| Full)?;
        let place = self.sender.try_reserve().map_err(|_| Full)?;
        self.count(&records);
        let (ack, acknowledged) = Ack::new();
        place.send(Batch { items: records, ack, permit: Permit(Some(permit)) });
        Ok(acknowledged)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{Fields, Origin, RecordId};

    fn record(bytes: usize) -> Record {
        Record {
            id: RecordId::of(b"x"),
            time: None,
            level: None,
            body: "x".repeat(bytes),
            origin: Arc::new(Origin::new("test", Fields::default())),
            fields: Fields::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_budget_makes_a_source_wait_until_a_batch_is_let_go() {
        let budget = Budget::new(10_000);
        let (outlet, mut batches) = Outlet::new(budget.clone());
        outlet.send(vec![record(6_000)]).await.unwrap();
        assert_eq!(outlet.try_send(vec![record(6_000)]).unwrap_err(), Full);
        let first = batches.recv().await.unwrap();
        let waited = tokio::time::timeout(Duration::from_secs(60), outlet.send(vec![record(6_000)])).await;
        assert!(waited.is_err(), "the second batch went ahead");
        drop(first);
        assert_eq!(budget.in_flight(), 0);
        outlet.send(vec![record(6_000)]).await.unwrap();
    }

    #[tokio::test]
    async fn a_batch_larger_than_the_budget_travels_alone() {
        let budget = Budget::new(1_000);
        let (outlet, mut batches) = Outlet::new(budget.clone());
        outlet.send(vec![record(50_000)]).await.unwrap();
        assert_eq!(budget.in_flight(), 1_000);
        drop(batches.recv().await);
        assert_eq!(budget.in_flight(), 0);
    }
}
