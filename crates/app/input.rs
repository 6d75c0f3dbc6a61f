//! Where lines come from: files, compressed files, standard input, and files that grow.
//!
//! Files are read as fast as blocks are asked for. Live inputs (pipes, `--follow`) are read by a thread each, so that a
//! record is handed on when its stream falls silent, and not only when the next line comes.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use anyhow::Context as _;

use crate::assemble::{Assembler, Block, Take};

/// Bytes in a block from a file: large enough that handing it over costs nothing, small enough for the cache.
const BLOCK: usize = 512 << 10;
/// Bytes in one read.
const CHUNK: usize = 128 << 10;
/// How long a record of a live stream waits for a line that continues it.
const SILENCE: Duration = Duration::from_millis(200);
/// How often a followed file is looked at.
const POLL: Duration = Duration::from_millis(100);
/// Chunks in flight between the readers of live streams and the pipeline: bounds memory to a few MiB.
const CHUNKS_IN_FLIGHT: usize = 16;

/// One input that could not be read to its end.
#[derive(Debug)]
pub struct Failure {
    /// The file, or `standard input`.
    pub name: String,
    pub cause: io::Error,
}

/// Hands out blocks of records, from all inputs in order.
pub struct Feeder {
    join: bool,
    files: VecDeque<PathBuf>,
    current: Option<Current>,
    live: Option<Live>,
    chunk: Vec<u8>,
    failures: Vec<Failure>,
}

struct Current {
    name: String,
    source: Box<dyn Read + Send>,
    assembler: Assembler,
}

struct Live {
    chunks: Receiver<(usize, io::Result<Vec<u8>>)>,
    streams: Vec<(String, Assembler)>,
    ready: VecDeque<Block>,
}

impl Feeder {
    /// Reads these files (`-` is standard input; none means standard input), following them as they grow if asked.
    ///
    /// # Errors
    /// A file to follow that cannot be opened, and `--follow` on compressed input.
    pub fn new(files: &[PathBuf], follow: bool, join: bool) -> anyhow::Result<Self> {
        let stdin = files.is_empty() || files == [Path::new("-")];
        let live = if stdin && !stdin_is_file() {
            Some(Live::stdin(join))
        } else if follow {
            Some(Live::follow(files, join)?)
        } else {
            None
        };
        let files = match (&live, stdin) {
            (Some(_), _) => VecDeque::new(),
            (None, true) => VecDeque::from([PathBuf::from("-")]),
            (None, false) => files.iter().cloned().collect(),
        };
        Ok(Self { join, files, current: None, live, chunk: vec![0; CHUNK], failures: Vec::new() })
    }

    /// The next block, in order; `None` at the end of all inputs. What could not be read is in [`Self::failures`]. The
    /// memory of `used`, a block that is done with, is used again.
    pub fn next_block(&mut self, mut used: Block) -> Option<Block> {
        if let Some(live) = &mut self.live {
            return live.next_block(&mut used, &mut self.failures);
        }
        loop {
            let Some(current) = &mut self.current else {
                self.open(self.files.front()?.clone());
                self.files.pop_front();
                continue;
            };
            let outcome = loop {
                if current.assembler.waiting() >= BLOCK {
                    break Ok(false);
                }
                match current.source.read(&mut self.chunk) {
                    Ok(0) => break Ok(true),
                    Ok(length) => {
                        if let Err(cause) = current.assembler.accept(&self.chunk[..length]) {
                            break Err(cause);
                        }
                    }
                    Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                    Err(cause) => break Err(cause),
                }
            };
            let ended = !matches!(outcome, Ok(false));
            let block = current.assembler.take(if ended { Take::End } else { Take::Complete }, &mut used);
            if let Err(cause) = outcome {
                self.failures.push(Failure { name: current.name.clone(), cause });
            }
            if ended {
                self.current = None;
            }
            if block.is_some() {
                return block;
            }
        }
    }

    /// Hands out nothing more.
    pub fn stop(&mut self) {
        self.files.clear();
        self.current = None;
        self.live = None;
    }

    /// Inputs that could not be read, or not to their end.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    fn open(&mut self, path: PathBuf) {
        let name = display_name(&path);
        let source =
            if path == Path::new("-") { decoded(io::stdin()) } else { open_file(&path).and_then(decoded) };
        match source {
            Ok(source) => self.current = Some(Current { name, source, assembler: Assembler::new(self.join) }),
            Err(cause) => self.failures.push(Failure { name, cause }),
        }
    }
}

impl Live {
    fn stdin(join: bool) -> Self {
        let (sender, chunks) = sync_channel(CHUNKS_IN_FLIGHT);
        thread::spawn(move || match decoded(io::stdin()) {
            Ok(source) => forward(source, 0, &sender),
            Err(cause) => _ = sender.send((0, Err(cause))),
        });
        Self {
            chunks,
            streams: vec![("standard input".to_owned(), Assembler::new(join))],
            ready: VecDeque::new(),
        }
    }

    fn follow(files: &[PathBuf], join: bool) -> anyhow::Result<Self> {
        let (sender, chunks) = sync_channel(CHUNKS_IN_FLIGHT);
        let mut streams = Vec::new();
        for (index, path) in files.iter().enumerate() {
            let file =
                Followed::open(path).with_context(|| format!("could not follow {}", path.display()))?;
            let sender = sender.clone();
            thread::spawn(move || forward(file, index, &sender));
            streams.push((display_name(path), Assembler::new(join)));
        }
        Ok(Self { chunks, streams, ready: VecDeque::new() })
    }

    fn next_block(&mut self, used: &mut Block, failures: &mut Vec<Failure>) -> Option<Block> {
        loop {
            if let Some(block) = self.ready.pop_front() {
                return Some(block);
            }
            let take = match self.chunks.recv_timeout(SILENCE) {
                Ok((stream, chunk)) => {
                    self.accept(stream, chunk, failures);
                    // What is already there comes along, up to a block.
                    while self.streams.iter().all(|(_, assembler)| assembler.waiting() < BLOCK) {
                        let Ok((stream, chunk)) = self.chunks.try_recv() else { break };
                        self.accept(stream, chunk, failures);
                    }
                    Take::Complete
                }
                Err(RecvTimeoutError::Timeout) => Take::Silent,
                Err(RecvTimeoutError::Disconnected) => Take::End,
            };
            self.ready
                .extend(self.streams.iter_mut().filter_map(|(_, assembler)| assembler.take(take, used)));
            if take == Take::End && self.ready.is_empty() {
                return None;
            }
        }
    }

    fn accept(&mut self, stream: usize, chunk: io::Result<Vec<u8>>, failures: &mut Vec<Failure>) {
        let Some((name, assembler)) = self.streams.get_mut(stream) else { return };
        if let Err(cause) = chunk.and_then(|chunk| assembler.accept(&chunk)) {
            failures.push(Failure { name: name.clone(), cause });
        }
    }
}

/// Sends what the source gives, until its end or until nobody listens.
fn forward(mut source: impl Read, stream: usize, chunks: &SyncSender<(usize, io::Result<Vec<u8>>)>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let outcome = match source.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => Ok(buffer[..length].to_vec()),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            Err(cause) => Err(cause),
        };
        let failed = outcome.is_err();
        if chunks.send((stream, outcome)).is_err() || failed {
            return;
        }
    }
}

/// A file read as it grows: rotation by rename is followed to the new file, truncation to the new beginning.
struct Followed {
    path: PathBuf,
    file: File,
    position: u64,
}

impl Followed {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: open_file(path)?, position: 0 })
    }

    /// Goes on with the new file of that name, or with the new beginning of this one.
    fn rotate(&mut self) -> io::Result<()> {
        // Between rename and re-creation there is no file of that name: look again later.
        let Ok(now) = std::fs::metadata(&self.path) else { return Ok(()) };
        if !same_file(&now, &self.file.metadata()?) {
            self.file = File::open(&self.path)?;
            self.position = 0;
        } else if now.len() < self.position {
            io::Seek::rewind(&mut self.file)?;
            self.position = 0;
        }
        Ok(())
    }
}

impl Read for Followed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.file.read(buffer)?;
            if length > 0 {
                self.position += length as u64;
                return Ok(length);
            }
            self.rotate()?;
            thread::sleep(POLL);
        }
    }
}

#[cfg(unix)]
fn same_file(left: &std::fs::Metadata, right: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (left.dev(), left.ino()) == (right.dev(), right.ino())
}

#[cfg(not(unix))]
fn same_file(left: &std::fs::Metadata, right: &std::fs::Metadata) -> bool {
    left.created().ok() == right.created().ok()
}

/// Opens a file for reading; a folder gets the remedy rather than "is a directory".
fn open_file(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder; name the files in it"));
    }
    Ok(file)
}

/// Undoes gzip or zstd, recognised by their first bytes and not by a file's name.
fn decoded(source: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut source = BufReader::with_capacity(CHUNK, source);
    let magic = source.fill_buf()?;
    if magic.starts_with(b"\x1f\x8b") {
        Ok(Box::new(flate2::bufread::MultiGzDecoder::new(source)))
    } else if magic.starts_with(b"\x28\xb5\x2f\xfd") {
        Ok(Box::new(zstd::Decoder::with_buffer(source)?))
    } else {
        Ok(Box::new(source))
    }
}

fn display_name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// Whether standard input is a file (`< app.log`), which never falls silent.
#[cfg(unix)]
fn stdin_is_file() -> bool {
    use std::os::fd::AsFd as _;
    io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(File::from)
        .and_then(|file| file.metadata())
        .is_ok_and(|metadata| metadata.is_file())
}

#[cfg(not(unix))]
fn stdin_is_file() -> bool {
    false
}
