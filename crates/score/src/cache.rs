//! Answers by masked text: the model is asked once for each pattern, not once for each line.
//!
//! The key is the text itself. Its [`PatternId`] finds the entry, and the whole text is compared before an answer is
//! given, so that two texts of one digest never share it. Entries are kept in shards with a lock each and thrown out
//! by CLOCK: a hand goes round, spares what was asked for since it last passed, and takes the first that was not. So a
//! flood of texts that are seen once pushes out itself, and not the patterns that make up the stream.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use logrisk_base::PatternId;

/// Four for each of sixteen threads: two then seldom want the same lock.
const SHARDS: usize = 64;
/// What the map and the allocator take for an entry besides its fields and its text.
const OVERHEAD_BYTES: usize = 48;

/// The model whose answers the cache holds; a new one begins with each [`ScoreCache::clear`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation(u64);

/// What the cache did since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStatistics {
    /// Texts that were found.
    pub hits: u64,
    /// Texts that were not.
    pub misses: u64,
    /// Entries thrown out to make room.
    pub evictions: u64,
    /// Entries now.
    pub entries: u64,
    /// Bytes now, overhead included.
    pub bytes: u64,
}

/// Bounded in bytes, shared between threads. `V` is cheap to clone: an [`std::sync::Arc`], or a small `Copy` answer.
#[derive(Debug)]
pub struct ScoreCache<V> {
    shards: Vec<Mutex<Shard<V>>>,
    generation: AtomicU64,
    shard_bytes: usize,
    entry_bytes: usize,
}

impl<V: Clone> ScoreCache<V> {
    /// Room for 300,000 patterns of 150 bytes; a busy site has a few thousand.
    pub const DEFAULT_BYTES: usize = 64 << 20;

    /// An empty cache of at most `bytes`. `value_bytes` is what a `V` points at, besides its own size.
    #[must_use]
    pub fn new(bytes: usize, value_bytes: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            generation: AtomicU64::new(0),
            shard_bytes: bytes / SHARDS,
            entry_bytes: size_of::<Entry<V>>() + value_bytes + OVERHEAD_BYTES,
        }
    }

    /// The answer for `text`, whose id is `id`.
    #[must_use]
    pub fn get(&self, id: PatternId, text: &str) -> Option<V> {
        self.shard(id)?.get(id.get(), text)
    }

    /// Whose answers [`Self::insert`] now takes. Ask before the model is asked.
    #[must_use]
    pub fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::SeqCst))
    }

    /// Keeps an answer. One of an earlier generation is dropped: the model was changed while it was computed. So is a
    /// text that would fill a shard alone.
    pub fn insert(&self, generation: Generation, id: PatternId, text: &str, value: V) {
        if self.entry_bytes + text.len() > self.shard_bytes {
            return;
        }
        let Some(mut shard) = self.shard(id) else { return };
        // Under the lock: `clear` raises the number first and empties the shards after, so that nothing old stays.
        if self.generation() == generation {
            let entry = Entry { id: id.get(), text: text.into(), value, asked: false };
            shard.insert(entry, self.entry_bytes, self.shard_bytes);
        }
    }

    /// Forgets all answers, because the model changed. Later answers belong to the generation that is returned.
    pub fn clear(&self) -> Generation {
        let generation = self.generation.fetch_add(1, Ordering::SeqCst) + 1;
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.map.clear();
            shard.slots.clear();
            shard.free.clear();
            (shard.hand, shard.bytes) = (0, 0);
        }
        Generation(generation)
    }

    /// Counters, summed over the shards one after the other.
    #[must_use]
    pub fn statistics(&self) -> CacheStatistics {
        self.shards.iter().map(lock).fold(CacheStatistics::default(), |sum, shard| CacheStatistics {
            hits: sum.hits + shard.hits,
            misses: sum.misses + shard.misses,
            evictions: sum.evictions + shard.evictions,
            entries: sum.entries + shard.map.len() as u64,
            bytes: sum.bytes + shard.bytes as u64,
        })
    }

    fn shard(&self, id: PatternId) -> Option<MutexGuard<'_, Shard<V>>> {
        // Middle bits: the map inside uses the lowest and the highest ones.
        self.shards.get((id.get() >> 32) as usize % SHARDS).map(lock)
    }
}

/// A panic while the lock is held (in `V`'s clone) leaves every entry whole, so that poison says nothing here.
fn lock<V>(shard: &Mutex<Shard<V>>) -> MutexGuard<'_, Shard<V>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Entry<V> {
    id: u64,
    text: Box<str>,
    value: V,
    /// Since the hand last passed.
    asked: bool,
}

#[derive(Debug)]
struct Shard<V> {
    /// Slot of each id. The ids are digests already.
    map: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    slots: Vec<Option<Entry<V>>>,
    free: Vec<u32>,
    hand: usize,
    bytes: usize,
    hits: u64,
    misses: u64,
    evictions: u64,
}

impl<V> Default for Shard<V> {
    fn default() -> Self {
        Self {
            map: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            bytes: 0,
            hits: 0,
            misses: 0,
            evictions: 0,
        }
    }
}

impl<V: Clone> Shard<V> {
    fn get(&mut self, id: u64, text: &str) -> Option<V> {
        let slot = self.map.get(&id).and_then(|&slot| self.slots.get_mut(slot as usize));
        if let Some(Some(entry)) = slot
            && *entry.text == *text
        {
            entry.asked = true;
            self.hits += 1;
            return Some(entry.value.clone());
        }
        self.misses += 1;
        None
    }

    /// `fixed` is what an entry takes besides its text, here and below.
    fn insert(&mut self, entry: Entry<V>, fixed: usize, limit: usize) {
        // The same text again, or another text of the same digest: the newest wins.
        if let Some(slot) = self.map.remove(&entry.id) {
            self.empty(slot, fixed);
        }
        let bytes = fixed + entry.text.len();
        while self.bytes + bytes > limit && self.evict(fixed) {}
        self.bytes += bytes;
        let id = entry.id;
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.slots.get_mut(slot as usize) {
                    *place = Some(entry);
                }
                slot
            }
            None => {
                self.slots.push(Some(entry));
                self.slots.len() as u32 - 1
            }
        };
        self.map.insert(id, slot);
    }

    /// Moves the hand to the first entry that nobody asked for, and throws it out. Two rounds at most: the first
    /// clears every mark. False if there is nothing to throw out.
    fn evict(&mut self, fixed: usize) -> bool {
        for _ in 0..2 * self.slots.len() {
            let slot = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            match self.slots.get_mut(slot) {
                Some(Some(entry)) if entry.asked => entry.asked = false,
                Some(Some(entry)) => {
                    let id = entry.id;
                    self.map.remove(&id);
                    self.empty(slot as u32, fixed);
                    self.evictions += 1;
                    return true;
                }
                _ => {}
            }
        }
        false
    }

    /// Frees a slot.
    fn empty(&mut self, slot: u32, fixed: usize) {
        if let Some(entry) = self.slots.get_mut(slot as usize).and_then(Option::take) {
            self.bytes -= fixed + entry.text.len();
            self.free.push(slot);
        }
    }
}

/// The id is an XXH3 digest: hashing it again would gain nothing.
#[derive(Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
}

#[cfg(test)]
mod tests;
