//! Datagrams that wait in memory, and the count of those that found no place.

use std::{
    fs,
    os::{fd::AsRawFd, unix::fs::MetadataExt as _},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use logrisk_flow::Collected;

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
    /// What the system has dropped of the socket so far.
    system: AtomicU64,
    collected: &'a Collected,
}

#[derive(Default)]
struct Told {
    dropped: u64,
    last: Option<Instant>,
}

impl<'a> Held<'a> {
    pub(super) fn new(source: &'a str, collected: &'a Collected) -> Self {
        Self {
            source,
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            told: Mutex::default(),
            system: AtomicU64::new(0),
            collected,
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
            self.collected.dropped.fetch_add(datagrams, Ordering::Relaxed);
            self.report(REPORT);
        }
    }

    /// Counts what the system dropped of the socket since the last look, and says so.
    pub(super) fn look(&self, socket: &impl AsRawFd) {
        let Some(total) = dropped_by_system(socket) else { return };
        let dropped = total.saturating_sub(self.system.swap(total, Ordering::Relaxed));
        if dropped > 0 {
            self.collected.dropped.fetch_add(dropped, Ordering::Relaxed);
            tracing::error!(
                source = self.source,
                dropped,
                total,
                "the system dropped datagrams before they could be read; raise net.core.rmem_max"
            );
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
        let records = *self.records.get_mut() as u64;
        self.dropped.fetch_add(records, Ordering::Relaxed);
        self.collected.dropped.fetch_add(records, Ordering::Relaxed);
        self.report(Duration::ZERO);
    }
}

/// Datagrams that reached the socket and found its queue full, since it was opened; `None` where the system does not say.
fn dropped_by_system(socket: &impl AsRawFd) -> Option<u64> {
    let inode = fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?.ino().to_string();
    ["/proc/net/udp", "/proc/net/udp6"].iter().find_map(|table| {
        let table = fs::read_to_string(table).ok()?;
        // Number, addresses, state, queues, timers, retransmits, user, timeout, inode, references, pointer, drops.
        let line = table.lines().find(|line| line.split_whitespace().nth(9) == Some(&*inode))?;
        line.split_whitespace().nth(12)?.parse().ok()
    })
}
