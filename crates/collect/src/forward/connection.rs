//! One sender: its bytes cut into messages, its records handed on, its chunks acknowledged.
//!
//! ```text
//! bytes ─► frames ─► entries ─► Gathered ─► Outlet        receive
//!                                  └─► fates ─► {"ack"}   answer
//! ```
//! Both ends go on at once, so that a sender may have many chunks on their way. When the data plane is full, `receive`
//! waits at the outlet and the sender's socket fills up: that is all the back-pressure it takes.

use std::{io, mem, sync::Arc, time::Duration};

use bytes::BytesMut;
use logrisk_flow::{Acknowledged, Origin, Outcome, Outlet, Record, RecordId};
use rmp::encode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf},
    sync::mpsc,
    task::block_in_place,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Shared, handshake,
    message::{Message, Refused},
    msgpack::Scan,
    record,
};
use crate::listen::Duplex;

/// Room for one read; an idle connection keeps no more.
const READ: usize = 16 << 10;
/// A frame that grows beyond this waits for one of the places for large ones.
const SMALL: usize = 64 << 10;
/// Records that travel together: enough that a batch's own cost does not show.
const BATCH: usize = 1 << 20;
/// Batches of one connection whose fate is open. More than the data plane takes of single records: it is the bound.
const OPEN: usize = 4096;

/// Why a connection was closed before its sender closed it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("{0}")]
    Denied(&'static str),
    #[error("a message took longer than {0} s to arrive")]
    Slow(u64),
    #[error("records did not reach every sink; the sender sends them again")]
    Failed,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the data plane has ended")]
    Closed,
}

impl From<logrisk_flow::Closed> for Ended {
    fn from(_: logrisk_flow::Closed) -> Self {
        Self::Closed
    }
}

/// What a sender waits for: chunks, and the batch that their last records are in. All earlier batches of the connection
/// count too, since answers are given in order.
struct Fate {
    batch: Option<Acknowledged>,
    records: usize,
    chunks: Vec<String>,
}

/// Serves one sender to the end of its connection, or until `stop`; chunks that are on their way are acknowledged still.
pub(super) async fn serve(
    stream: Box<dyn Duplex>,
    shared: &Shared,
    outlet: Outlet,
    stop: CancellationToken,
) -> Result<(), Ended> {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut frames = Frames::new(reader, shared.limit);
    if let Some(security) = &shared.security {
        handshake::greet(security, &mut frames, &mut writer).await?;
    }
    let (sender, fates) = mpsc::channel(OPEN);
    let (received, answered) =
        tokio::join!(receive(frames, shared, outlet, sender, stop), answer(writer, fates, shared.patience));
    answered.and(received)
}

/// The messages of a connection, still packed.
pub(super) struct Frames {
    reader: ReadHalf<Box<dyn Duplex>>,
    buffer: BytesMut,
    scan: Scan,
    limit: usize,
}

impl Frames {
    fn new(reader: ReadHalf<Box<dyn Duplex>>, limit: usize) -> Self {
        Self { reader, buffer: BytesMut::new(), scan: Scan::of(1), limit }
    }

    /// The next message, if all of it has been read.
    fn cut(&mut self) -> Result<Option<BytesMut>, Refused> {
        let Some(end) = self.scan.end(&self.buffer, self.limit)? else { return Ok(None) };
        self.scan = Scan::of(1);
        Ok(Some(self.buffer.split_to(end)))
    }

    /// Reads more; `false` at the end of the stream. May be cancelled.
    async fn fill(&mut self) -> io::Result<bool> {
        // Grows by what has come, never by what was announced.
        self.buffer.reserve(READ.max(self.buffer.len() / 2));
        Ok(self.reader.read_buf(&mut self.buffer).await? > 0)
    }

    /// Waits for the next message.
    pub(super) async fn next(&mut self) -> Result<BytesMut, Ended> {
        loop {
            if let Some(frame) = self.cut()? {
                return Ok(frame);
            }
            if !self.fill().await? {
                return Err(Ended::Denied("the sender left during the handshake"));
            }
        }
    }

    /// Gives memory of past frames back.
    fn shrink(&mut self) {
        self.buffer = BytesMut::from(&*self.buffer);
    }
}

async fn receive(
    mut frames: Frames,
    shared: &Shared,
    outlet: Outlet,
    fates: mpsc::Sender<Fate>,
    stop: CancellationToken,
) -> Result<(), Ended> {
    let mut gathered = Gathered::default();
    loop {
        let mut large = None;
        let mut began = Instant::now();
        // Until a message is there.
        let mut frame = loop {
            if let Some(frame) = frames.cut()? {
                break frame;
            }
            if frames.buffer.len() > SMALL && large.is_none() {
                // Never closed, so that this only waits.
                large = shared.large.acquire().await.ok();
            }
            let begun = !frames.buffer.is_empty();
            tokio::select! {
                more = frames.fill() => if !more? { return Ok(()) },
                () = sleep_until(began + shared.patience), if begun => return Err(Ended::Slow(shared.patience.as_secs())),
                () = stop.cancelled() => return Ok(()),
                () = fates.closed() => return Ok(()),
            }
            if !begun {
                began = Instant::now();
            }
        };
        let _turn = shared.turns.acquire().await.ok();
        let decoded = loop {
            if let Err(ended) = gathered.take(&frame, shared, &outlet, &fates).await {
                break Err(ended);
            }
            match frames.cut() {
                Ok(Some(next)) => frame = next,
                Ok(None) => break Ok(()),
                Err(refused) => break Err(refused.into()),
            }
        };
        gathered.send(shared, &outlet, &fates).await?;
        decoded?;
        if large.is_some() {
            frames.shrink();
        }
    }
}

/// Records of several messages on their way into one batch: senders of single records are many.
#[derive(Default)]
struct Gathered {
    records: Vec<Record>,
    bytes: usize,
    chunks: Vec<String>,
    /// Whether their sender waits for an acknowledgement.
    awaited: bool,
}

impl Gathered {
    /// Takes the records of a message, and hands full batches on.
    async fn take(
        &mut self,
        frame: &[u8],
        shared: &Shared,
        outlet: &Outlet,
        fates: &mpsc::Sender<Fate>,
    ) -> Result<(), Ended> {
        let message = block_in_place(|| Message::of_frame(frame, shared.limit))?;
        let Some(mut message) = message else { return Ok(()) };
        let origin = shared.origin(&message.tag);
        let chunk = message.chunk.take();
        if self.awaited != chunk.is_some() {
            self.send(shared, outlet, fates).await?;
            self.awaited = chunk.is_some();
        }
        // A chunk's name comes again with it, so that its records are the same ones then.
        let stream = chunk.as_ref().map(|chunk| RecordId::of(format!("{}\n{chunk}", message.tag).as_bytes()));
        let mut place = 0;
        while block_in_place(|| self.fill(&mut message, &origin, shared, stream, &mut place))? {
            self.send(shared, outlet, fates).await?;
        }
        self.chunks.extend(chunk);
        Ok(())
    }

    /// Takes entries until the batch is full; `false` if there are no more.
    fn fill(
        &mut self,
        message: &mut Message<'_>,
        origin: &Arc<Origin>,
        shared: &Shared,
        stream: Option<RecordId>,
        place: &mut u64,
    ) -> Result<bool, Refused> {
        while self.bytes < BATCH {
            let Some(entry) = message.next_entry()? else { return Ok(false) };
            let id = stream.map_or_else(|| shared.fresh_id(), |stream| RecordId::at(stream, *place));
            *place += 1;
            if let Some(record) = record::of(entry, id, origin) {
                self.bytes += record.bytes();
                self.records.push(record);
            }
        }
        Ok(true)
    }

    /// Hands the batch on as soon as the data plane takes it, or the buffer for what nobody awaits.
    async fn send(
        &mut self,
        shared: &Shared,
        outlet: &Outlet,
        fates: &mpsc::Sender<Fate>,
    ) -> Result<(), Ended> {
        let (records, chunks) = (mem::take(&mut self.records), mem::take(&mut self.chunks));
        self.bytes = 0;
        if records.is_empty() && chunks.is_empty() {
            return Ok(());
        }
        if let Some(buffer) = shared.buffer.as_ref().filter(|_| !self.awaited) {
            return Ok(buffer.keep(records).await?);
        }
        let count = records.len();
        let batch = if records.is_empty() { None } else { Some(outlet.send(records).await?) };
        fates.send(Fate { batch, records: count, chunks }).await.map_err(|_| Ended::Failed)
    }
}

/// Answers chunks in order, each when all of its records are delivered. A batch that failed ends the connection, so that
/// the sender need not wait for its own timeout before it sends again.
async fn answer(
    mut writer: WriteHalf<Box<dyn Duplex>>,
    mut fates: mpsc::Receiver<Fate>,
    patience: Duration,
) -> Result<(), Ended> {
    let mut answers = Vec::new();
    while let Some(Fate { batch, records, chunks }) = fates.recv().await {
        let outcome = match batch {
            Some(batch) => batch.outcome().await,
            None => Outcome::Delivered,
        };
        // What a sink refused for good is counted there, and sending it again is of no use: that is acknowledged, too.
        if outcome == Outcome::Failed {
            if chunks.is_empty() {
                tracing::error!(records, "records may be lost: their sender asks for no acknowledgement");
            }
            return Err(Ended::Failed);
        }
        answers.clear();
        for chunk in chunks {
            // Memory does not fail to be written.
            _ = encode::write_map_len(&mut answers, 1);
            _ = encode::write_str(&mut answers, "ack");
            _ = encode::write_str(&mut answers, &chunk);
        }
        if !answers.is_empty() {
            let written = async {
                writer.write_all(&answers).await?;
                writer.flush().await
            };
            timeout(patience, written).await.map_err(|_| Ended::Slow(patience.as_secs()))??;
        }
    }
    // A sender that left does not miss a farewell.
    _ = timeout(patience, writer.shutdown()).await;
    Ok(())
}
