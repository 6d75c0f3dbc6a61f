//! What every sink does.

use std::time::Duration;

use logrisk_flow::Event;

/// Something that scored records are written to.
pub trait Sink: Send + Sync + 'static {
    /// How much to gather before writing.
    fn gather(&self) -> Gather;

    /// Writes records. When it returns, those that `Written` does not name are safe: they survive a kill of this process.
    ///
    /// # Errors
    /// [`SinkError`], when nothing can be said of single records: all of them are tried again.
    fn write(&self, events: &[Event<'_>]) -> impl Future<Output = Result<Written, SinkError>> + Send;

    /// Everything was written; what is still to be done may take as long as the grace period.
    fn finish(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// How much a sink is given at once.
#[derive(Debug, Clone, Copy)]
pub struct Gather {
    /// Bytes of records, as they came.
    pub bytes: usize,
    /// Records.
    pub events: usize,
    /// How long to wait for more.
    pub linger: Duration,
    /// Writes at the same time.
    pub writes: usize,
}

/// What became of records: all that are not named here are safe.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Places of records that were refused for good.
    pub rejected: Vec<Rejected>,
    /// Places of records to try again.
    pub again: Vec<usize>,
}

/// A record that a sink refuses for good.
#[derive(Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its place among the records written.
    pub index: usize,
    /// Why, in the words of the sink.
    pub reason: String,
}

/// Why nothing was written, or not known to be.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// It may pass, by itself or by a person's help.
    #[error("{0}")]
    Unavailable(String),
    /// It was too much at once: halves may pass.
    #[error("{0}")]
    TooLarge(String),
    /// Nobody will ever take records there again, as on a closed pipe.
    #[error("{0}")]
    Gone(String),
}
