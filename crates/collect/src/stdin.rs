//! Standard input. What waits in a pipe cannot be asked for again: a kill loses what was read and not yet written.

use std::{io::Read as _, sync::Arc, time::Duration};

use logrisk_flow::{Fields, Origin, Outcome, Outlet, Record, RecordId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Cut, Cutter, Source, SourceError, source::run_identity};

/// Bytes of one read.
const CHUNK: usize = 256 << 10;
/// A record waits so long for a line that continues it.
const SILENCE: Duration = Duration::from_millis(200);

/// Reads standard input to its end.
#[derive(Debug)]
pub struct Stdin {
    origin: Arc<Origin>,
    /// Standard input has no name: each run's is its own.
    stream: RecordId,
}

impl Stdin {
    /// The source of that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { origin: Arc::new(Origin::new(name, Fields::default())), stream: run_identity(name) }
    }

    fn records(&self, cuts: &mut Vec<Cut>) -> Vec<Record> {
        let records = cuts.drain(..).map(|cut| Record {
            id: RecordId::at(self.stream, cut.place),
            time: cut.time,
            level: None,
            body: cut.body,
            origin: Arc::clone(&self.origin),
            fields: Fields::default(),
        });
        records.collect()
    }
}

impl Source for Stdin {
    async fn run(self, outlet: Outlet, stop: CancellationToken) -> Result<(), SourceError> {
        // A read of standard input cannot be interrupted, so a thread of its own does it; at the end it is left behind.
        let (sender, mut chunks) = mpsc::channel(2);
        std::thread::spawn(move || {
            let mut buffer = vec![0; CHUNK];
            loop {
                match std::io::stdin().read(&mut buffer) {
                    Ok(0) => return,
                    Ok(length) => {
                        let read = buffer.get(..length).unwrap_or_default().to_vec();
                        if sender.blocking_send(read).is_err() {
                            return;
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        tracing::error!(%error, "standard input could not be read to its end");
                        return;
                    }
                }
            }
        });
        let (mut cutter, mut cuts) = (Cutter::default(), Vec::new());
        let mut last = None;
        loop {
            let chunk = tokio::select! {
                chunk = chunks.recv() => chunk,
                () = stop.cancelled() => None,
                () = tokio::time::sleep(SILENCE), if cutter.is_open() => Some(Vec::new()),
            };
            match &chunk {
                Some(bytes) if bytes.is_empty() => cutter.flush(&mut cuts),
                Some(bytes) => tokio::task::block_in_place(|| cutter.feed(bytes, &mut cuts)),
                None => cutter.end(&mut cuts),
            }
            if !cuts.is_empty() {
                last = Some(outlet.send(self.records(&mut cuts)).await?);
            }
            if chunk.is_none() {
                break;
            }
        }
        drop(outlet);
        // Batches before the last may still be on their way; the data plane ends only when they are done, too.
        if let Some(last) = last
            && last.outcome().await == Outcome::Failed
        {
            tracing::error!("the end of standard input did not reach every sink, and cannot be read again");
        }
        Ok(())
    }
}
