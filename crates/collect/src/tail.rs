//! Follows files: through rotation, truncation and compression, and through a kill of our own process.
//!
//! ```text
//! globs ─► find: which file is this? ─► Followed: read, cut ─► Outlet
//!            ▲ device, inode, first bytes      │ acknowledged up to …
//!            └────────── checkpoints ◄─────────┘ once a second, written whole or not at all
//! ```
//! A file is known by its inode and its first bytes, so a rename changes nothing and a new file in an old inode is new. A
//! file of unknown inode that begins as a missing one, and has the same bytes before the place where reading ended, goes
//! on from there: a copy made by `copytruncate`, or a rotated file that was compressed.
//!
//! A file's name for its records (the stream) is on disk before its first record leaves. So what is sent again after a
//! kill has the ids it had before, and overwrites.

mod checkpoint;
mod content;
mod file;
mod find;
mod names;

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::{Duration, Instant},
};

use garde::Validate;
use logrisk_flow::{Acknowledged, Fields, Outlet, Record};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, event::ModifyKind};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::{Source, SourceError, source::blocking};

use checkpoint::Checkpoints;
use file::{Followed, Progress, Wanted};

/// How often names are looked at where the system does not tell of changes, as on network file systems.
const DISCOVER: Duration = Duration::from_secs(1);
/// How often files are looked at for the same reason.
const POLL: Duration = Duration::from_millis(250);
/// How often checkpoints are written, if they changed: a kill repeats at most so much.
const SAVE: Duration = Duration::from_millis(250);
/// After the system told of a change, more is likely to come: one batch then holds many lines.
const SETTLE: Duration = Duration::from_millis(5);

/// Settings of a `tail` source.
#[derive(Debug, Clone, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct TailSettings {
    /// Files to follow, as globs.
    #[garde(length(min = 1), inner(custom(is_glob)))]
    pub paths: Vec<String>,
    /// Files to leave alone, as globs.
    #[garde(inner(custom(is_glob)))]
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Where reading begins in files that are there when logrisk starts for the first time.
    #[garde(skip)]
    #[serde(default)]
    pub start: Start,
    /// Fields of every record, as `service.name: shop`.
    #[garde(skip)]
    #[serde(default)]
    pub fields: BTreeMap<String, serde_json::Value>,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At the first byte.
    #[default]
    Beginning,
    /// With what is written from now on.
    End,
}

pub(crate) fn is_glob(text: &str, _: &()) -> garde::Result {
    glob::Pattern::new(text)
        .map(|_| ())
        .map_err(|error| garde::Error::new(format!("{text:?} is no glob: {error}")))
}

/// Follows files.
#[derive(Debug)]
pub struct Tail {
    name: String,
    settings: TailSettings,
    checkpoints: PathBuf,
}

impl Tail {
    /// The source of that name, with its checkpoints in a file of its own in `folder`.
    #[must_use]
    pub fn new(name: &str, settings: TailSettings, folder: &Path) -> Self {
        Self { name: name.to_owned(), settings, checkpoints: folder.join(format!("{name}.json")) }
    }
}

impl Source for Tail {
    async fn run(self, outlet: Outlet, stop: CancellationToken) -> Result<(), SourceError> {
        // Files are read by a thread that may block.
        let runtime = Handle::current();
        blocking(move || Run::new(self, outlet, stop, runtime)?.run()).await
    }
}

/// The source at work.
struct Run {
    name: String,
    settings: TailSettings,
    fields: Fields,
    checkpoints: Checkpoints,
    files: Vec<Followed>,
    /// Files that are there at the first start may be read from their end.
    first_look: bool,
    out: Out,
    changes: Changes,
}

/// Where records go; `None` after the end.
struct Out {
    outlet: Option<Outlet>,
    stop: CancellationToken,
    runtime: Handle,
}

impl Out {
    /// Sends as soon as there is room; `None` if asked to stop before.
    fn send(&self, records: Vec<Record>) -> Result<Option<Acknowledged>, SourceError> {
        let Some(outlet) = &self.outlet else { return Ok(None) };
        self.runtime.block_on(async {
            tokio::select! {
                sent = outlet.send(records) => Ok(Some(sent?)),
                () = self.stop.cancelled() => Ok(None),
            }
        })
    }
}

impl Run {
    fn new(
        tail: Tail,
        outlet: Outlet,
        stop: CancellationToken,
        runtime: Handle,
    ) -> Result<Self, SourceError> {
        let checkpoints = Checkpoints::open(tail.checkpoints)?;
        let fields = tail.settings.fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(Self {
            first_look: checkpoints.is_new(),
            name: tail.name,
            settings: tail.settings,
            fields,
            checkpoints,
            files: Vec::new(),
            out: Out { outlet: Some(outlet), stop, runtime },
            changes: Changes::new(),
        })
    }

    fn run(mut self) -> Result<(), SourceError> {
        let mut buffer = vec![0; file::CHUNK];
        let mut discovered: Option<Instant> = None;
        let mut names_changed = true;
        while !self.out.stop.is_cancelled() {
            if names_changed || discovered.is_none_or(|last| last.elapsed() >= DISCOVER) {
                self.discover();
                discovered = Some(Instant::now());
            }
            let mut idle = true;
            for file in &mut self.files {
                match file.advance(&mut buffer, &self.out) {
                    Ok(Progress::More) => idle = false,
                    Ok(Progress::End) => {}
                    Err(SourceError::Io { what, cause }) => {
                        tracing::warn!(%cause, "{what}; trying again");
                        file.rewind();
                    }
                    Err(error) => return Err(error),
                }
            }
            self.save(false)?;
            names_changed = if idle { self.changes.wait() } else { false };
        }
        self.drain()
    }

    /// Waits for what is out, keeping the checkpoints true meanwhile: the caller may end the process at any time.
    fn drain(mut self) -> Result<(), SourceError> {
        self.out.outlet = None;
        while self.files.iter().any(Followed::is_waiting) {
            std::thread::sleep(Duration::from_millis(10));
            self.save(false)?;
        }
        self.save(true)
    }

    /// Writes what is acknowledged, if something is and it is time; at last in any case.
    fn save(&mut self, at_last: bool) -> Result<(), SourceError> {
        let mut changed = false;
        for file in &mut self.files {
            changed |= file.settle();
        }
        if changed {
            self.checkpoints.touch();
        }
        if self.checkpoints.is_due(if at_last { Duration::ZERO } else { SAVE }) {
            for file in &mut self.files {
                self.checkpoints.put(file.checkpoint());
            }
            match at_last {
                true => self.checkpoints.save()?,
                false => _ = self.checkpoints.try_save(),
            }
        }
        let before = self.files.len();
        self.files.retain(|file| !file.is_over());
        if self.files.len() < before {
            tracing::debug!(
                source = self.name,
                files = self.files.len(),
                "files were read to their end and are gone"
            );
        }
        Ok(())
    }

    /// Looks at all names, and opens what is new.
    fn discover(&mut self) {
        let mut present = HashSet::new();
        let mut candidates = Vec::new();
        let wanted = match self.settings.start {
            Start::End if self.first_look => Wanted::FromEnd,
            _ => Wanted::FromBeginning,
        };
        for path in find::paths(&self.settings.paths, &self.settings.exclude) {
            let Ok(key) = content::key_of(&path) else { continue };
            if !present.insert(key) {
                continue;
            }
            match self.files.iter_mut().find(|file| file.is(key)) {
                Some(file) => file.found(),
                None => candidates.push((path, wanted)),
            }
        }
        for file in self.files.iter_mut().filter(|file| !present.contains(&file.key())) {
            file.lost();
        }
        // Files that went on under another name while nobody looked, where no glob finds them.
        let following = |stream: &str| self.files.iter().any(|file| file.stream() == stream);
        for path in self.checkpoints.missing(&following, &present) {
            candidates.push((path, Wanted::IfKnown));
        }
        for (path, wanted) in candidates {
            let opened =
                Followed::open(&path, &self.name, &self.fields, &self.checkpoints, &self.files, wanted);
            match opened {
                Ok(Some(mut file)) => {
                    self.changes.watch(file.real_path());
                    // On disk before the first record leaves.
                    self.checkpoints.put(file.checkpoint());
                    if self.checkpoints.try_save() {
                        self.files.push(file);
                    }
                }
                Ok(None) => {}
                Err(cause) if self.checkpoints.complain(&path) => {
                    tracing::warn!(%cause, file = %path.display(), "a file cannot be read");
                }
                Err(_) => {}
            }
        }
        for folder in find::folders(&self.settings.paths) {
            self.changes.watch_folder(&folder);
        }
        self.first_look = false;
    }
}

/// What the system tells of changes; without it there is polling.
struct Changes {
    watcher: Option<RecommendedWatcher>,
    watched: HashSet<PathBuf>,
    /// `true` when names changed.
    told: Receiver<bool>,
}

impl Changes {
    fn new() -> Self {
        let (sender, told) = sync_channel(1);
        let watcher = notify::recommended_watcher(move |event| tell(&event, &sender));
        if let Err(error) = &watcher {
            tracing::warn!(%error, "the system does not tell of changes; files are looked at every {POLL:?}");
        }
        Self { watcher: watcher.ok(), watched: HashSet::new(), told }
    }

    /// Watches the folder of a file.
    fn watch(&mut self, file: &Path) {
        if let Some(folder) = file.parent() {
            self.watch_folder(folder);
        }
    }

    fn watch_folder(&mut self, folder: &Path) {
        if let Some(watcher) = &mut self.watcher
            && folder.is_dir()
            && self.watched.insert(folder.to_owned())
            && let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive)
        {
            tracing::warn!(%error, folder = %folder.display(), "the system does not tell of changes there; polling");
        }
    }

    /// Waits for a change or the next poll; tells whether names changed.
    fn wait(&self) -> bool {
        match self.told.recv_timeout(POLL) {
            Ok(names) => {
                std::thread::sleep(SETTLE);
                names | self.told.try_iter().any(|names| names)
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(POLL);
                false
            }
        }
    }
}

fn tell(event: &notify::Result<notify::Event>, told: &SyncSender<bool>) {
    let names = match event.as_ref().map(|event| event.kind) {
        Ok(EventKind::Access(_)) => return,
        Ok(EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) => true,
        Ok(_) => false,
        // The system's queue overflowed: anything may have changed.
        Err(_) => true,
    };
    // A full channel means that the wait ends anyway; names are looked at every second then.
    _ = told.try_send(names);
}
