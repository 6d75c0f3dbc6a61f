//! One file that is followed.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use logrisk_flow::{Acknowledged, Fields, Origin, Outcome, Record, RecordId};

use super::{
    Out,
    checkpoint::{Checkpoint, Checkpoints},
    content::{
        Key, PRINT, Print, before, is_packed, key, print, read_full, still_there, unpack, unpacked_before,
    },
    names,
};
use crate::{Cut, Cutter, SourceError, Stream};

/// Bytes of one read, hence about the bytes of a batch: enough that handing it over costs nothing.
pub(super) const CHUNK: usize = 256 << 10;
/// A record waits so long for a line that continues it.
const SILENCE: Duration = Duration::from_millis(500);
/// After a rename a program goes on writing until it opens its log anew; afterwards nothing comes.
const GONE: Duration = Duration::from_secs(30);
/// After a failure the file is left alone for so long.
const PAUSE: Duration = Duration::from_secs(2);

/// Whether there may be more to read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    End,
}

/// A file with the place up to which it was read, and that up to which it was delivered.
pub(super) struct Followed {
    real: PathBuf,
    content: Content,
    stream: RecordId,
    /// Of standard output and of standard error.
    origins: [Arc<Origin>; 2],
    cutter: Cutter,
    cuts: Vec<Cut>,
    /// Batches that are out, and from where to read again once they are delivered.
    in_flight: VecDeque<(Acknowledged, u64)>,
    acknowledged: u64,
    /// Records were cut that could not be sent any more: they are not delivered, whatever else is.
    unsent: bool,
    saved: Checkpoint,
    state: State,
    /// When it last grew, or was opened.
    grew: Instant,
    /// At the last look there was nothing to read.
    idle: bool,
    /// Left alone until then.
    pause: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Present,
    /// No glob finds it any more, but it may still grow.
    Gone,
    /// Something else was written over it; what was not read of it may be in a copy.
    Truncated,
    /// Nothing more will be read from it.
    Ended,
}

enum Content {
    Plain(File),
    Packed(Option<Box<dyn Read + Send>>),
}

impl Followed {
    /// Opens a file and finds out where to go on. `None` for a file that needs no reading: one that was read to its end,
    /// or, if it is not `wanted` for itself, one that continues nothing.
    pub(super) fn open(
        path: &Path,
        source: &str,
        own_fields: &Fields,
        checkpoints: &Checkpoints,
        followed: &[Self],
        wanted: Wanted,
    ) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let (key, size) = (key(&metadata), metadata.len());
        if checkpoints.iter().any(|own| own.done && own.key == key && own.size == size) {
            return Ok(None);
        }
        let packed = is_packed(&file)?;
        let real = fs::canonicalize(path)?;
        let mut head = vec![0; PRINT as usize];
        let length =
            if packed { read_full(&mut unpack(&real, 0)?, &mut head)? } else { file.read_at(&mut head, 0)? };
        head.truncate(length);

        let free = |own: &&Checkpoint| !followed.iter().any(|other| other.saved.stream == own.stream);
        let begins_alike = |own: &&Checkpoint| {
            head.get(..own.first.length as usize).is_some_and(|bytes| Print::of(bytes) == own.first)
        };
        let same = checkpoints
            .iter()
            .filter(free)
            .filter(begins_alike)
            .find(|own| own.key == key && (packed || own.offset <= size));
        let known = same.or_else(|| {
            checkpoints
                .iter()
                .filter(free)
                .filter(begins_alike)
                .filter(|own| own.offset > 0 && own.key != key && !still_there(own))
                .find(|own| match packed {
                    true => unpacked_before(&real, own.offset).is_ok_and(|print| print == own.before),
                    false => before(&file, own.offset).is_ok_and(|print| print == own.before),
                })
        });
        let (stream, offset) = match (known, wanted) {
            (Some(known), _) => (known.stream.parse().ok(), known.offset),
            (None, Wanted::IfKnown) => return Ok(None),
            (None, Wanted::FromBeginning) => (None, 0),
            (None, Wanted::FromEnd) => (None, if packed { 0 } else { size }),
        };
        let stream = stream.unwrap_or_else(|| {
            let identity = format!("{source} {} {key:?} {:?}", real.display(), SystemTime::now());
            RecordId::of(identity.as_bytes())
        });
        let first = Print::of(&head);
        let saved = Checkpoint {
            stream: stream.to_string(),
            path: real.clone(),
            key,
            offset,
            size,
            first,
            before: if packed { Print::default() } else { before(&file, offset)? },
            done: false,
            seen: Instant::now(),
        };
        Ok(Some(Self {
            origins: origins(path, source, own_fields),
            content: if packed { Content::Packed(None) } else { Content::Plain(file) },
            real,
            stream,
            cutter: Cutter::new(offset),
            cuts: Vec::new(),
            in_flight: VecDeque::new(),
            acknowledged: offset,
            unsent: false,
            saved,
            state: State::Present,
            grew: Instant::now(),
            idle: false,
            pause: None,
        }))
    }

    /// Reads and sends the next bytes.
    pub(super) fn advance(&mut self, buffer: &mut [u8], out: &Out) -> Result<Progress, SourceError> {
        if self.is_ended() || self.pause.is_some_and(|until| Instant::now() < until) {
            return Ok(Progress::End);
        }
        self.pause = None;
        let position = self.cutter.read();
        let name = self.real.display().to_string();
        let failed = || SourceError::io(format!("could not read {name}"));
        let length = match &mut self.content {
            Content::Plain(file) => file.read_at(buffer, position).map_err(failed())?,
            Content::Packed(Some(reader)) => reader.read(buffer).map_err(failed())?,
            Content::Packed(reader) => {
                let mut opened = unpack(&self.real, position).map_err(failed())?;
                let length = opened.read(buffer).map_err(failed())?;
                *reader = Some(opened);
                length
            }
        };
        if length == 0 {
            self.at_end(position).map_err(failed())?;
        } else {
            if std::mem::replace(&mut self.idle, false) && !self.begins_as_before().map_err(failed())? {
                // Truncated and written anew beyond the old end, all between two looks.
                self.state = State::Truncated;
                self.cutter.end(&mut self.cuts);
            } else {
                self.cutter.feed(buffer.get(..length).unwrap_or_default(), &mut self.cuts);
                self.grew = Instant::now();
            }
        }
        self.send(out)?;
        Ok(if length == 0 { Progress::End } else { Progress::More })
    }

    /// There is nothing to read: perhaps something is over.
    fn at_end(&mut self, position: u64) -> io::Result<()> {
        self.idle = true;
        let silent = self.grew.elapsed();
        let over = match &self.content {
            Content::Packed(_) => Some(State::Ended),
            Content::Plain(file) if file.metadata()?.len() < position => Some(State::Truncated),
            Content::Plain(_) => (self.state == State::Gone && silent >= GONE).then_some(State::Ended),
        };
        if let Some(over) = over {
            self.state = over;
            self.cutter.end(&mut self.cuts);
        } else if silent >= SILENCE {
            self.cutter.flush(&mut self.cuts);
        }
        Ok(())
    }

    fn send(&mut self, out: &Out) -> Result<(), SourceError> {
        if self.cuts.is_empty() {
            return Ok(());
        }
        let [output, error] = &self.origins;
        let records = self.cuts.drain(..).map(|cut| {
            Record {
                id: RecordId::at(self.stream, cut.place),
                time: cut.time,
                level: None,
                body: cut.body,
                origin: Arc::clone(if cut.stream == Stream::Error { error } else { output }),
                // Collected, it takes the place of one; pushed, of four.
                fields: [("log.offset", cut.place)].into_iter().collect(),
            }
        });
        match out.send(records.collect())? {
            Some(acknowledged) => self.in_flight.push_back((acknowledged, self.cutter.resume())),
            None => self.unsent = true,
        }
        Ok(())
    }

    /// Hears what became of batches; tells whether the checkpoint is another now.
    pub(super) fn settle(&mut self) -> bool {
        while let Some((acknowledged, resume)) = self.in_flight.front_mut() {
            match acknowledged.try_outcome() {
                None => break,
                Some(Outcome::Delivered | Outcome::Rejected) => {
                    self.acknowledged = *resume;
                    self.in_flight.pop_front();
                }
                Some(Outcome::Failed) => {
                    self.rewind();
                    break;
                }
            }
        }
        if self.in_flight.is_empty() && self.cuts.is_empty() && !self.unsent {
            self.acknowledged = self.acknowledged.max(self.cutter.resume());
        }
        self.saved.offset != self.acknowledged || self.saved.done != self.is_done()
    }

    /// Goes back to what was delivered; a compressed file that was deleted has nothing to go back to.
    pub(super) fn rewind(&mut self) {
        self.in_flight.clear();
        self.cuts.clear();
        self.unsent = false;
        self.cutter = Cutter::new(self.acknowledged);
        if let Content::Packed(reader) = &mut self.content {
            *reader = None;
            if !self.real.exists() {
                self.state = State::Ended;
                return;
            }
        }
        if self.is_ended() {
            self.state = State::Gone;
        }
        self.pause = Some(Instant::now() + PAUSE);
    }

    /// What to remember of it now.
    pub(super) fn checkpoint(&mut self) -> Checkpoint {
        if self.saved.offset != self.acknowledged {
            self.saved.offset = self.acknowledged;
            if let Content::Plain(file) = &self.content {
                let first = print(file, 0, self.acknowledged.min(PRINT));
                if let (Ok(first), Ok(before)) = (first, before(file, self.acknowledged)) {
                    self.saved.before = before;
                    if first.length > self.saved.first.length {
                        self.saved.first = first;
                    }
                }
            }
        }
        self.saved.done = self.is_done();
        self.saved.size = match &self.content {
            Content::Plain(_) => self.acknowledged,
            Content::Packed(_) => self.saved.size,
        };
        if self.state == State::Present {
            self.saved.seen = Instant::now();
        }
        self.saved.clone()
    }

    /// There is nothing to look for in its copies, either.
    fn is_done(&self) -> bool {
        self.is_delivered() && self.state == State::Ended
    }

    /// Read to its end, and all of it delivered.
    fn is_delivered(&self) -> bool {
        self.is_ended() && self.in_flight.is_empty() && self.cuts.is_empty() && !self.unsent
    }

    const fn is_ended(&self) -> bool {
        matches!(self.state, State::Truncated | State::Ended)
    }

    /// Nothing more will come of it, and the checkpoint says so.
    pub(super) fn is_over(&self) -> bool {
        self.is_delivered() && self.saved.offset == self.acknowledged && self.saved.done == self.is_done()
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.in_flight.is_empty()
    }

    pub(super) fn stream(&self) -> &str {
        &self.saved.stream
    }

    pub(super) const fn key(&self) -> Key {
        self.saved.key
    }

    /// Whether it is the file of that key, and still being read.
    pub(super) fn is(&self, key: Key) -> bool {
        self.saved.key == key && !self.is_ended()
    }

    pub(super) fn real_path(&self) -> &Path {
        &self.real
    }

    /// A glob found it, perhaps under a new name.
    pub(super) fn found(&mut self) {
        if self.state == State::Gone {
            self.state = State::Present;
        }
    }

    /// No glob found it.
    pub(super) fn lost(&mut self) {
        if self.state == State::Present {
            self.state = State::Gone;
        }
    }

    fn begins_as_before(&self) -> io::Result<bool> {
        let Content::Plain(file) = &self.content else { return Ok(true) };
        Ok(print(file, 0, self.saved.first.length)? == self.saved.first)
    }
}

/// Why a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    FromBeginning,
    FromEnd,
    /// Only if it continues a file that is missing.
    IfKnown,
}

fn origins(path: &Path, source: &str, own: &Fields) -> [Arc<Origin>; 2] {
    let mut fields = own.clone();
    names::push_fields(path, &mut fields);
    let container = fields.get("kubernetes.pod.name").is_some();
    fields.push("log.file.path", path.display().to_string());
    ["stdout", "stderr"].map(|stream| {
        let mut fields = fields.clone();
        if container {
            fields.push("stream", stream);
        }
        Arc::new(Origin::new(source, fields))
    })
}
