//! A queue on our disk, for records whose senders cannot be asked for them again: datagrams, and streams without
//! acknowledgements.
//!
//! ```text
//! Buffer::keep ─► store (one thread, redb) ─► Drain ─► Outlet
//!   waits for room   ▲                          │
//!                    └──── removed ◄────────────┘ once all sinks have them
//! ```
//! - **What a kill takes.** A record is on the disk at most [`store::PAUSE`] and a sync after it was read: many records
//!   share one transaction, and a transaction is synced before the next begins. Only what came within that time is lost,
//!   whether the process is killed or the power fails.
//! - **What comes back.** Records keep their ids and come out in the order in which they came, those of earlier runs first.
//!   What was delivered and not yet removed at a kill is delivered again, and overwrites.
//! - **Bounds.** Records take at most the bytes of the settings; the file grows to about twice that, and keeps its size. In
//!   memory at most [`PENDING`] wait for their transaction. When there is no room, [`Buffer::keep`] waits;
//!   [`Buffer::offer`] says how many records found none.
//! - **Damage.** redb's checksums find transactions that were not finished; each entry has one of its own besides.

mod entry;
mod store;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::sync_channel,
    },
    time::Duration,
};

use garde::Validate;
use logrisk_flow::{Acknowledged, Closed, Collected, Outcome, Outlet, Record, delays};
use serde::Deserialize;
use tokio::{
    sync::{Semaphore, SemaphorePermit, mpsc, oneshot},
    task::block_in_place,
    time::sleep,
};

use crate::SourceError;
use entry::Entry;
use store::{Command, Commands, Store};

/// Settings of a source's buffer.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct BufferSettings {
    /// Most bytes of records that wait on the disk.
    #[garde(range(min = 1, max = 1_048_576))]
    pub mebibytes: u32,
}

/// Records that wait for their transaction, in bytes. The disk takes this in tenths of a second.
const PENDING: usize = 4 << 20;
/// Batches whose fate is open.
const OPEN: usize = 64;

/// Where records are kept. When the last clone is dropped, what was kept is drained and the queue ends.
#[derive(Clone)]
pub(crate) struct Buffer(Arc<Handle>);

struct Handle {
    commands: Commands,
    room: Arc<Room>,
    pending: Arc<Semaphore>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Without a store there is nothing left to end.
        _ = self.commands.send(Command::End);
    }
}

/// Bytes that entries may still take on the disk.
struct Room {
    free: Semaphore,
    /// Bytes in all.
    bytes: u64,
    /// What an earlier run, with larger settings, left beyond them.
    excess: AtomicU64,
    collected: Arc<Collected>,
}

impl Room {
    fn new(bytes: u64, held: u64, collected: &Arc<Collected>) -> Self {
        let free = usize::try_from(bytes.saturating_sub(held)).unwrap_or(usize::MAX);
        collected.buffered_bytes.store(held, Ordering::Relaxed);
        Self {
            free: Semaphore::new(free),
            bytes,
            excess: AtomicU64::new(held.saturating_sub(bytes)),
            collected: Arc::clone(collected),
        }
    }

    /// An entry took its place.
    fn take(&self, place: SemaphorePermit<'_>) {
        self.collected.buffered_bytes.fetch_add(place.num_permits() as u64, Ordering::Relaxed);
        place.forget();
    }

    /// What an entry takes; one larger than all there is takes all of it.
    fn charge(&self, bytes: usize) -> u32 {
        u32::try_from((bytes as u64 + store::ENTRY_OVERHEAD).min(self.bytes)).unwrap_or(u32::MAX)
    }

    /// Entries of so many bytes are gone.
    fn give_back(&self, bytes: u64) {
        self.collected.buffered_bytes.fetch_sub(bytes, Ordering::Relaxed);
        // Only the store's thread does this.
        let excess = self.excess.load(Ordering::Relaxed);
        let paid = excess.min(bytes);
        self.excess.store(excess - paid, Ordering::Relaxed);
        self.free.add_permits(usize::try_from(bytes - paid).unwrap_or(usize::MAX));
    }
}

impl Buffer {
    /// The buffer of the source of that name, in a file of its own in `folder`, and what empties it.
    ///
    /// # Errors
    /// A folder that cannot be written to, a file that another process has open or that is damaged.
    pub(crate) fn open(
        folder: &Path,
        name: &str,
        settings: &BufferSettings,
        collected: &Arc<Collected>,
    ) -> Result<(Self, Drain), SourceError> {
        let (store, held) = Store::open(folder, name)?;
        if held.entries > 0 {
            tracing::info!(
                source = name,
                entries = held.entries,
                bytes = held.bytes,
                "records of an earlier run are on the disk; they are sent first"
            );
        }
        let room = Arc::new(Room::new(u64::from(settings.mebibytes) << 20, held.bytes, collected));
        let commands = store.start(Arc::clone(&room)).map_err(SourceError::io("could not start a thread"))?;
        let handle = Handle { commands: commands.clone(), room, pending: Arc::new(Semaphore::new(PENDING)) };
        Ok((Self(Arc::new(handle)), Drain { name: name.to_owned(), commands }))
    }

    /// Keeps records as soon as there is room for them.
    ///
    /// # Errors
    /// [`Closed`] when the data plane has ended.
    pub(crate) async fn keep(&self, records: Vec<Record>) -> Result<(), Closed> {
        for entry in block_in_place(|| entry::encode(&records)) {
            let charge = self.0.room.charge(entry.bytes.len());
            self.0.room.take(self.0.room.free.acquire_many(charge).await.map_err(|_| Closed)?);
            self.write(entry).await?;
        }
        Ok(())
    }

    /// Keeps the records that there is room for, and says how many there was none for: those are gone.
    ///
    /// # Errors
    /// [`Closed`] when the data plane has ended.
    pub(crate) async fn offer(&self, records: Vec<Record>) -> Result<u64, Closed> {
        let mut dropped = 0;
        for entry in block_in_place(|| entry::encode(&records)) {
            match self.0.room.free.try_acquire_many(self.0.room.charge(entry.bytes.len())) {
                Ok(place) => {
                    self.0.room.take(place);
                    self.write(entry).await?;
                }
                Err(_) => dropped += entry.records,
            }
        }
        Ok(dropped)
    }

    async fn write(&self, entry: Entry) -> Result<(), Closed> {
        let place = u32::try_from(entry.bytes.len().min(PENDING)).unwrap_or(u32::MAX);
        let pending = Arc::clone(&self.0.pending).acquire_many_owned(place).await.map_err(|_| Closed)?;
        self.0.commands.send(Command::Keep(entry, pending)).map_err(|_| Closed)
    }
}

/// Before the end of a process, for the disk to take what is pending.
const LAST: Duration = Duration::from_secs(5);

/// What empties a buffer. Dropped, it ends the buffer, which first writes what is pending.
pub(crate) struct Drain {
    name: String,
    commands: Commands,
}

impl Drop for Drain {
    fn drop(&mut self) {
        let (sender, stopped) = sync_channel(1);
        if self.commands.send(Command::Stop(sender)).is_ok() {
            // The end of the thread is the answer.
            _ = stopped.recv_timeout(LAST);
        }
    }
}

impl Drain {
    /// Hands records on in the order in which they came, and removes them once all sinks have them. Ends when all
    /// clones of the buffer are dropped and nothing is left in it.
    ///
    /// # Errors
    /// [`Closed`] when the data plane has ended; what was not delivered stays on the disk.
    pub(crate) async fn run(self, outlet: Outlet) -> Result<(), Closed> {
        let (sender, sent) = mpsc::channel(OPEN);
        let (handed_on, settled) = tokio::join!(self.hand_on(&outlet, sender), self.settle(&outlet, sent));
        block_in_place(|| drop(self));
        handed_on.and(settled)
    }

    /// [`Self::run`] where there is a buffer; nothing where there is none.
    pub(crate) async fn run_some(drain: Option<Self>, outlet: Outlet) -> Result<(), Closed> {
        match drain {
            Some(drain) => drain.run(outlet).await,
            None => Ok(()),
        }
    }

    async fn hand_on(
        &self,
        outlet: &Outlet,
        sent: mpsc::Sender<(Keys, Option<Acknowledged>)>,
    ) -> Result<(), Closed> {
        let mut next = Keys::ALL;
        while let Some((keys, records)) = self.read(next, outlet).await? {
            next.after = keys.last;
            let batch = if records.is_empty() { None } else { Some(outlet.send(records).await?) };
            sent.send((keys, batch)).await.map_err(|_| Closed)?;
        }
        Ok(())
    }

    async fn settle(
        &self,
        outlet: &Outlet,
        mut sent: mpsc::Receiver<(Keys, Option<Acknowledged>)>,
    ) -> Result<(), Closed> {
        while let Some((keys, batch)) = sent.recv().await {
            let mut outcome = match batch {
                Some(batch) => batch.outcome().await,
                None => Outcome::Delivered,
            };
            let mut pauses = delays();
            // What a sink refused for good is counted there; it is as done as it can be.
            while outcome == Outcome::Failed {
                sleep(pauses.next().unwrap_or_default()).await;
                let Some((_, records)) = self.read(keys, outlet).await? else { break };
                outcome = outlet.send(records).await?.outcome().await;
            }
            self.commands.send(Command::Remove(keys)).map_err(|_| Closed)?;
        }
        Ok(())
    }

    /// Waits for the first of these entries; `None` when there will be none.
    async fn read(&self, keys: Keys, outlet: &Outlet) -> Result<Option<(Keys, Vec<Record>)>, Closed> {
        let (reply, entries) = oneshot::channel();
        self.commands.send(Command::Read { keys, reply }).map_err(|_| Closed)?;
        let entries = entries.await.map_err(|_| Closed)?;
        let Some((last, _)) = entries.last() else { return Ok(None) };
        let keys = Keys { after: keys.after, last: *last };
        let (records, damaged) = block_in_place(|| entry::decode(&self.name, &entries));
        if damaged > 0 {
            outlet.collected().dropped.fetch_add(damaged as u64, Ordering::Relaxed);
            tracing::error!(
                source = self.name,
                damaged,
                "records are lost: what was read of the disk is not what was written"
            );
        }
        Ok(Some((keys, records)))
    }
}

/// Entries that travel together, by number: those after `after` up to `last`.
#[derive(Debug, Clone, Copy)]
struct Keys {
    after: u64,
    last: u64,
}

impl Keys {
    const ALL: Self = Self { after: 0, last: u64::MAX };
}
