//! Texts of concurrent requests, judged together on threads of their own.
//!
//! ```text
//! request ─► submit ─► queue of distinct texts ─► scoring thread: as many as fit a token budget ─► Engine::assess
//!    ▲                                                                                                │
//!    └────────────────────────────── a ticket for each request, done with its last text ◄─────────────┘
//! ```
//! A text that is queued or being judged for somebody is judged once, for all who ask. A text whose askers all left is
//! dropped before it costs anything. A full queue refuses at once: waiting longer would help nobody.

use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::engine::{Engine, Masked, Verdict};

/// Tokens of a batch, as estimated from its bytes: from 128 to 768 the encoder is equally fast, and a smaller batch lets
/// the next request in sooner.
const BATCH_TOKENS: usize = 384;
/// Bytes of masked text for each token, about; two more tokens mark begin and end.
const TOKEN_BYTES: usize = 5;

/// An engine in use, and its number: a later one is higher.
#[derive(Clone)]
pub struct Loaded {
    /// Grows with every swap.
    pub generation: u64,
    /// What scores.
    pub engine: Arc<dyn Engine>,
    /// Since when it has been in use.
    pub since: jiff::Timestamp,
}

/// Why a text was not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too much waits already.
    #[error("the queue is full; try again in {} s", .0.as_secs())]
    Full(Duration),
    /// The scoring threads are gone or one of them panicked on the text.
    #[error("the text could not be judged")]
    Failed,
}

/// The queue and its threads.
pub struct Batcher {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    limit: usize,
    figures: Figures,
}

/// What the threads did so far.
#[derive(Debug, Default)]
pub struct Figures {
    /// Texts judged.
    pub judged: AtomicU64,
    /// Batches run.
    pub batches: AtomicU64,
    /// Texts dropped because all who asked had left.
    pub abandoned: AtomicU64,
    /// Time spent judging.
    pub busy_micros: AtomicU64,
}

#[derive(Default)]
struct Queue {
    order: VecDeque<Key>,
    entries: HashMap<Key, Entry, foldhash::fast::RandomState>,
    closed: bool,
}

/// The engine's generation and the text: never its digest alone, which an attacker could make collide.
type Key = (u64, Arc<str>);

struct Entry {
    loaded: Loaded,
    masked: Masked,
    waiters: Vec<(Arc<Ticket>, usize)>,
}

/// One request's texts.
struct Ticket {
    state: Mutex<TicketState>,
}

struct TicketState {
    verdicts: Vec<Option<Verdict>>,
    missing: usize,
    reply: Option<oneshot::Sender<Vec<Verdict>>>,
}

impl Batcher {
    /// Starts the threads. From `limit` waiting texts on, [`Self::submit`] refuses.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(threads: usize, limit: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            limit,
            figures: Figures::default(),
        });
        let threads = (0..threads.max(1))
            .map(|number| {
                let shared = Arc::clone(&shared);
                thread::Builder::new().name(format!("score-{number}")).spawn(move || shared.run())
            })
            .collect::<std::io::Result<Vec<_>>>()?;
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    /// Has texts judged by one engine. The receiver gets the verdicts in order; dropping it leaves the queue.
    ///
    /// # Errors
    /// [`Refused::Full`] if too much waits already. One request alone may be larger than the limit.
    pub fn submit(
        &self,
        loaded: &Loaded,
        texts: Vec<Masked>,
    ) -> Result<oneshot::Receiver<Vec<Verdict>>, Refused> {
        let (reply, receiver) = oneshot::channel();
        let ticket = Arc::new(Ticket {
            state: Mutex::new(TicketState {
                verdicts: vec![None; texts.len()],
                missing: texts.len(),
                reply: Some(reply),
            }),
        });
        if texts.is_empty() {
            ticket.finish_if_complete();
            return Ok(receiver);
        }
        let mut queue = lock(&self.shared.queue);
        if queue.closed {
            return Err(Refused::Failed);
        }
        if queue.order.len() >= self.shared.limit {
            return Err(Refused::Full(self.shared.wait(queue.order.len())));
        }
        for (index, masked) in texts.into_iter().enumerate() {
            let key = (loaded.generation, Arc::clone(&masked.text));
            let waiter = (Arc::clone(&ticket), index);
            if let Some(entry) = queue.entries.get_mut(&key) {
                entry.waiters.push(waiter);
            } else {
                queue.order.push_back(key.clone());
                queue.entries.insert(key, Entry { loaded: loaded.clone(), masked, waiters: vec![waiter] });
            }
        }
        drop(queue);
        self.shared.wake.notify_all();
        Ok(receiver)
    }

    /// Texts that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.shared.queue).order.len()
    }

    /// The most texts that may wait.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.shared.limit
    }

    /// What the threads did so far.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.shared.figures
    }

    /// Lets the threads finish what waits, and ends them. Later texts are refused.
    pub fn close(&self) {
        lock(&self.shared.queue).closed = true;
        self.shared.wake.notify_all();
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // A thread catches what panics inside it; there is nothing to learn here.
            _ = thread.join();
        }
    }
}

impl Drop for Batcher {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn run(&self) {
        while let Some((loaded, keys, texts)) = self.next_batch() {
            let began = Instant::now();
            let verdicts = catch_unwind(AssertUnwindSafe(|| loaded.engine.assess(&texts)));
            let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.figures.busy_micros.fetch_add(micros, Ordering::Relaxed);
            self.figures.batches.fetch_add(1, Ordering::Relaxed);
            self.figures.judged.fetch_add(texts.len() as u64, Ordering::Relaxed);
            let verdicts = verdicts.unwrap_or_else(|_| {
                tracing::error!(texts = texts.len(), "judging a batch panicked; its requests fail");
                Vec::new()
            });
            let mut verdicts = verdicts.into_iter();
            for key in &keys {
                // The lock is taken for each text, so that a large batch does not hold up those who submit.
                let entry = lock(&self.queue).entries.remove(key);
                let verdict = verdicts.next();
                // Without a verdict the tickets are dropped, and their receivers hear that.
                if let (Some(entry), Some(verdict)) = (entry, verdict) {
                    for (ticket, index) in entry.waiters {
                        ticket.put(index, verdict);
                    }
                }
            }
        }
    }

    /// Waits for texts and takes as many of one engine as fit the budget, at least one.
    fn next_batch(&self) -> Option<(Loaded, Vec<Key>, Vec<Masked>)> {
        let mut queue = lock(&self.queue);
        loop {
            let (mut keys, mut texts, mut loaded) = (Vec::new(), Vec::new(), None::<Loaded>);
            let mut tokens = 0;
            while let Some(key) = queue.order.front().cloned() {
                if loaded.as_ref().is_some_and(|loaded| loaded.generation != key.0) {
                    break;
                }
                if queue.entries.get(&key).is_none_or(Entry::abandoned) {
                    queue.order.pop_front();
                    queue.entries.remove(&key);
                    self.figures.abandoned.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let cost = key.1.len() / TOKEN_BYTES + 2;
                if tokens + cost > BATCH_TOKENS && !texts.is_empty() {
                    break;
                }
                queue.order.pop_front();
                if let Some(entry) = queue.entries.get(&key) {
                    tokens += cost;
                    loaded.get_or_insert_with(|| entry.loaded.clone());
                    texts.push(entry.masked.clone());
                    keys.push(key);
                }
            }
            if let Some(loaded) = loaded {
                return Some((loaded, keys, texts));
            }
            if queue.closed {
                return None;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How long so many texts will take, from what the texts so far took.
    fn wait(&self, texts: usize) -> Duration {
        let judged = self.figures.judged.load(Ordering::Relaxed).max(1);
        let micros = self.figures.busy_micros.load(Ordering::Relaxed) / judged;
        Duration::from_micros(micros.saturating_mul(texts as u64)).max(Duration::from_secs(1))
    }
}

impl Entry {
    fn abandoned(&self) -> bool {
        self.waiters.iter().all(|(ticket, _)| ticket.abandoned())
    }
}

impl Ticket {
    fn abandoned(&self) -> bool {
        lock(&self.state).reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn put(&self, index: usize, verdict: Verdict) {
        let mut state = lock(&self.state);
        if let Some(place) = state.verdicts.get_mut(index)
            && place.replace(verdict).is_none()
        {
            state.missing -= 1;
        }
        drop(state);
        self.finish_if_complete();
    }

    fn finish_if_complete(&self) {
        let mut state = lock(&self.state);
        if state.missing == 0
            && let Some(reply) = state.reply.take()
        {
            let verdicts = std::mem::take(&mut state.verdicts).into_iter().flatten().collect();
            // Whoever asked may have left meanwhile.
            _ = reply.send(verdicts);
        }
    }
}

/// Nothing panics while one of these locks is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
