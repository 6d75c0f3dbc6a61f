//! The queue's file, and the thread that writes it: what comes together is written together.

use std::{
    fs, io, mem,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Keys, Room, entry::Entry};
use crate::SourceError;

/// Entries by number, which grow with time.
const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
/// What an entry takes besides its bytes: its key, and its part of the page that finds it.
pub(super) const ENTRY_OVERHEAD: u64 = 64;
/// Between the beginnings of two transactions: twenty syncs a second are what a disk bears beside its other work.
pub(super) const PAUSE: Duration = Duration::from_millis(50);
/// Before a transaction is tried again that failed, usually for want of space.
const RETRY: Duration = Duration::from_secs(1);
/// How often failures are said.
const REPORT: Duration = Duration::from_secs(10);
/// Entries that are read together, in bytes: a batch whose own cost does not show.
const TOGETHER: usize = 1 << 20;
/// Pages kept in memory: what is written is read soon after.
const PAGE_CACHE_BYTES: usize = 4 << 20;

pub(super) type Commands = Sender<Command>;
/// Entries with their numbers.
pub(super) type Entries = Vec<(u64, Vec<u8>)>;

/// What the thread is asked for.
pub(super) enum Command {
    /// Write an entry; its place in memory is free again when it is on the disk.
    Keep(Entry, OwnedSemaphorePermit),
    /// Forget entries.
    Remove(Keys),
    /// Read the first of these entries as soon as there are any; none when there will be none.
    Read { keys: Keys, reply: oneshot::Sender<Entries> },
    /// Nothing more will be kept.
    End,
    /// Write what is there, and answer by dropping the sender.
    Stop(SyncSender<()>),
}

/// What an earlier run left.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

pub(super) struct Store {
    path: PathBuf,
    /// `None` after a failure, until it can be opened again.
    database: Option<Database>,
    next: u64,
    kept: Vec<(Entry, OwnedSemaphorePermit)>,
    removed: Vec<Keys>,
    asked: Vec<(Keys, oneshot::Sender<Entries>)>,
    ended: bool,
}

impl Store {
    /// Opens the file, making it if needed.
    pub(super) fn open(folder: &Path, name: &str) -> Result<(Self, Held), SourceError> {
        fs::create_dir_all(folder)
            .map_err(SourceError::io(format!("could not make the folder {}", folder.display())))?;
        let path = folder.join(format!("{name}.redb"));
        let failed = |error: redb::Error| {
            let file = path.display();
            SourceError::Settings(match error {
                redb::Error::DatabaseAlreadyOpen => {
                    format!("another process has the buffer {file} open; give each its own run.data_dir")
                }
                error => format!(
                    "could not open the buffer {file}: {error}; move the file away to begin with an empty one"
                ),
            })
        };
        let database = open(&path).map_err(|error| failed(error.into()))?;
        let (held, last) = look(&database).map_err(failed)?;
        let store = Self {
            path,
            database: Some(database),
            next: last + 1,
            kept: Vec::new(),
            removed: Vec::new(),
            asked: Vec::new(),
            ended: false,
        };
        Ok((store, held))
    }

    /// Serves commands in a thread of its own, until it is asked to stop.
    pub(super) fn start(self, room: Arc<Room>) -> io::Result<Commands> {
        let (sender, commands) = channel();
        let thread = thread::Builder::new().name("buffer".to_owned());
        thread.spawn(move || self.serve(&commands, &room))?;
        Ok(sender)
    }

    fn serve(mut self, commands: &Receiver<Command>, room: &Room) {
        let (mut due, mut said) = (Instant::now(), None::<Instant>);
        loop {
            // Where the file had to be closed, a transaction opens it again.
            let unwritten = !self.kept.is_empty() || !self.removed.is_empty() || self.database.is_none();
            let command = match unwritten {
                true => commands.recv_timeout(due.saturating_duration_since(Instant::now())),
                false => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let mut stop = None;
            match command {
                Ok(Command::Keep(entry, place)) => self.kept.push((entry, place)),
                Ok(Command::Remove(keys)) => self.removed.push(keys),
                Ok(Command::Read { keys, reply }) => self.asked.push((keys, reply)),
                Ok(Command::End) => self.ended = true,
                Ok(Command::Stop(sender)) => stop = Some(sender),
                Err(RecvTimeoutError::Timeout) => {}
                // Whoever empties the buffer asks to stop first.
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            if unwritten && (stop.is_some() || now >= due) {
                due = now + PAUSE;
                if let Err(error) = self.commit(room) {
                    if said.is_none_or(|said| said.elapsed() > REPORT) {
                        said = Some(now);
                        let file = self.path.display();
                        tracing::error!(%file, %error, "the buffer cannot be written; records wait in memory");
                    }
                    // After a failure redb refuses everything until the file is opened anew.
                    self.database = None;
                    due = now + RETRY;
                }
            }
            if stop.is_some() {
                let records: u64 = self.kept.iter().map(|(entry, _)| entry.records).sum();
                if records > 0 {
                    let file = self.path.display();
                    tracing::error!(%file, records, "records are lost: they could not be written to the buffer");
                }
                // The file is free when the sender is dropped.
                self.database = None;
                return;
            }
            self.answer();
        }
    }

    /// Writes and forgets what was asked for, all or nothing, on the disk when it returns.
    fn commit(&mut self, room: &Room) -> Result<(), redb::Error> {
        let database = match &mut self.database {
            Some(database) => database,
            none => none.insert(open(&self.path)?),
        };
        let transaction = database.begin_write()?;
        let (mut next, mut freed) = (self.next, 0);
        {
            let mut table = transaction.open_table(ENTRIES)?;
            for (entry, _) in &self.kept {
                table.insert(next, &*entry.bytes)?;
                next += 1;
            }
            for keys in &self.removed {
                for entry in table.extract_from_if(keys.after + 1..=keys.last, |_, _| true)? {
                    freed += u64::from(room.charge(entry?.1.value().len()));
                }
            }
        }
        transaction.commit()?;
        self.next = next;
        self.kept.clear();
        self.removed.clear();
        room.give_back(freed);
        Ok(())
    }

    /// Answers who can be answered now.
    fn answer(&mut self) {
        for (keys, reply) in mem::take(&mut self.asked) {
            let Some(database) = &self.database else {
                self.asked.push((keys, reply));
                continue;
            };
            match read(database, keys) {
                Ok(entries) if entries.is_empty() && !(self.ended && self.kept.is_empty()) => {
                    self.asked.push((keys, reply));
                }
                // A reader that left does not miss them.
                Ok(entries) => _ = reply.send(entries),
                Err(error) => {
                    let file = self.path.display();
                    tracing::error!(%file, %error, "the buffer cannot be read");
                    self.database = None;
                    self.asked.push((keys, reply));
                }
            }
        }
    }
}

fn open(path: &Path) -> Result<Database, DatabaseError> {
    Database::builder().set_cache_size(PAGE_CACHE_BYTES).create(path)
}

/// What is in the file, and the last key.
fn look(database: &Database) -> Result<(Held, u64), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(ENTRIES)?;
    transaction.commit()?;
    let table = database.begin_read()?.open_table(ENTRIES)?;
    let (mut held, mut last) = (Held::default(), 0);
    for entry in table.iter()? {
        let (key, bytes) = entry?;
        last = key.value();
        held.entries += 1;
        held.bytes += bytes.value().len() as u64 + ENTRY_OVERHEAD;
    }
    Ok((held, last))
}

fn read(database: &Database, keys: Keys) -> Result<Entries, redb::Error> {
    let table = database.begin_read()?.open_table(ENTRIES)?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    for entry in table.range(keys.after + 1..=keys.last)? {
        let (key, value) = entry?;
        bytes += value.value().len();
        entries.push((key.value(), value.value().to_vec()));
        if bytes >= TOGETHER {
            break;
        }
    }
    Ok(entries)
}
