//! Acknowledgements: a source learns the fate of a batch when every share of its acknowledgement is settled.

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU32, Ordering},
};

use tokio::sync::oneshot::{self, error::TryRecvError};

/// What became of a batch. The order is from good to bad: the worst of all sinks wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Every required sink has every record.
    Delivered,
    /// A sink refused a record for good, and there was no dead letter to keep it: sending it again is of no use.
    Rejected,
    /// Something was not done: the source must send the batch again.
    Failed,
}

/// One share in the acknowledgement of a batch. Dropped without [`Self::settle`], it counts as [`Outcome::Failed`].
#[derive(Debug)]
pub struct Ack {
    shared: Arc<Shared>,
    outcome: Outcome,
}

#[derive(Debug)]
struct Shared {
    worst: AtomicU8,
    /// How many records the sink refused that refused most.
    refused: AtomicU32,
    done: Option<oneshot::Sender<(Outcome, u32)>>,
}

impl Ack {
    /// A first share, and where its source waits.
    #[must_use]
    pub fn new() -> (Self, Acknowledged) {
        let (done, receiver) = oneshot::channel();
        let worst = AtomicU8::new(Outcome::Delivered as u8);
        let shared = Arc::new(Shared { worst, refused: AtomicU32::new(0), done: Some(done) });
        (Self { shared, outcome: Outcome::Failed }, Acknowledged(receiver))
    }

    /// Another share of the same acknowledgement, for another sink.
    #[must_use]
    pub fn share(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), outcome: Outcome::Failed }
    }

    /// Says what became of this share.
    pub fn settle(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// Says that every record of this share is done, but so many were refused for good: [`Outcome::Rejected`].
    pub fn refuse(self, records: u32) {
        self.shared.refused.fetch_max(records, Ordering::AcqRel);
        self.settle(Outcome::Rejected);
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        self.shared.worst.fetch_max(self.outcome as u8, Ordering::AcqRel);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let outcome = match *self.worst.get_mut() {
            0 => Outcome::Delivered,
            1 => Outcome::Rejected,
            _ => Outcome::Failed,
        };
        if let Some(done) = self.done.take() {
            // A source that ended does not listen any more.
            _ = done.send((outcome, *self.refused.get_mut()));
        }
    }
}

/// Where a source hears what became of its batch.
#[derive(Debug)]
pub struct Acknowledged(oneshot::Receiver<(Outcome, u32)>);

impl Acknowledged {
    /// Waits for the outcome.
    pub async fn outcome(self) -> Outcome {
        self.told().await.0
    }

    /// Waits for the outcome, and for how many records were refused for good by the sink that refused most.
    pub async fn told(self) -> (Outcome, u32) {
        self.0.await.unwrap_or((Outcome::Failed, 0))
    }

    /// The outcome, if it is known by now; each outcome is told once.
    pub fn try_outcome(&mut self) -> Option<Outcome> {
        match self.0.try_recv() {
            Ok((outcome, _)) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(Outcome::Failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcome of a batch whose shares were settled so; `None` was dropped.
    fn check(shares: &[Option<Outcome>], expected: Outcome) {
        let (ack, mut acknowledged) = Ack::new();
        let others: Vec<Ack> = shares.iter().map(|_| ack.share()).collect();
        ack.settle(Outcome::Delivered);
        for (other, outcome) in others.into_iter().zip(shares) {
            assert_eq!(acknowledged.try_outcome(), None, "told before the last share was settled");
            match outcome {
                Some(outcome) => other.settle(*outcome),
                None => drop(other),
            }
        }
        assert_eq!(acknowledged.try_outcome(), Some(expected), "{shares:?}");
    }

    #[test]
    fn the_worst_outcome_wins() {
        use Outcome::{Delivered, Failed, Rejected};
        check(&[], Delivered);
        check(&[Some(Delivered), Some(Delivered)], Delivered);
        check(&[Some(Rejected), Some(Delivered)], Rejected);
        check(&[Some(Failed), Some(Rejected), Some(Delivered)], Failed);
    }

    #[tokio::test]
    async fn the_number_of_refused_records_is_told() {
        let (ack, acknowledged) = Ack::new();
        ack.share().refuse(3);
        ack.refuse(2);
        assert_eq!(acknowledged.told().await, (Outcome::Rejected, 3));
    }

    #[test]
    fn a_forgotten_share_means_redelivery() {
        check(&[Some(Outcome::Delivered), None], Outcome::Failed);
        let (ack, mut acknowledged) = Ack::new();
        drop(ack);
        assert_eq!(acknowledged.try_outcome(), Some(Outcome::Failed));
    }
}
