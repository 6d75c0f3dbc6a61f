//! Datagrams that wait in memory, and the count of those that found no place.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Datagrams that wait for the data plane, in bytes; beyond it they are dropped.
const HELD: usize = 8 << 20;
/// How often drops are named.
const REPORT: Duration = Duration::from_secs(10);

/// What is held of datagrams. Dropped while something is held, it counts that as lost.
pub(super) struct Held<'a> {
    source: &'a str,
    records: AtomicUsize,
    bytes: AtomicUsize,
    dropped: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    dropped: u64,
    last: Option<Instant>,
}

impl<'a> Held<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self {
            source,
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            told: Mutex::default(),
        }
    }

    /// Takes a place for a record of so many bytes; `false` if there is none.
    pub(super) fn take(&self, bytes: usize) -> bool {
        // One task takes and another gives back, so that no place is taken twice.
        let fits = self.bytes.load(Ordering::Relaxed) + bytes <= HELD;
        if fits {
            self.records.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// Records were handed on.
    pub(super) fn give_back(&self, records: usize, bytes: usize) {
        self.records.fetch_sub(records, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts datagrams that found no place, and says so from time to time.
    pub(super) fn drop_some(&self, datagrams: u64) {
        if datagrams > 0 {
            self.dropped.fetch_add(datagrams, Ordering::Relaxed);
            self.report(REPORT);
        }
    }

    /// Says what was dropped since the last report, if that is so long ago.
    fn report(&self, pause: Duration) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let total = self.dropped.load(Ordering::Relaxed);
        if total > told.dropped && told.last.is_none_or(|last| last.elapsed() >= pause) {
            tracing::error!(
                source = self.source,
                dropped = total - told.dropped,
                total,
                "datagrams were dropped: the sinks are slower than their senders"
            );
            *told = Told { dropped: total, last: Some(Instant::now()) };
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.dropped.fetch_add(*self.records.get_mut() as u64, Ordering::Relaxed);
        self.report(Duration::ZERO);
    }
}
