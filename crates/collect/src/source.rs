//! What every source does.

use logrisk_flow::{Outlet, RecordId};
use tokio_util::sync::CancellationToken;

/// Something that records come from.
pub trait Source: Send + 'static {
    /// Hands records on until `stop` is cancelled or there are no more, then drops `outlet` and waits for the
    /// acknowledgements that are still out, so that what was delivered is not sent again. The caller bounds that wait.
    ///
    /// # Errors
    /// What a person must mend. Whatever may pass by itself is tried again instead.
    fn run(
        self,
        outlet: Outlet,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<(), SourceError>> + Send;
}

/// Runs a source that blocks, beside the async threads.
pub(crate) async fn blocking(
    work: impl FnOnce() -> Result<(), SourceError> + Send + 'static,
) -> Result<(), SourceError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|panic| Err(SourceError::Settings(panic.to_string())))
}

/// Names this run of a source: what its records are numbered in where nothing else identifies them.
pub(crate) fn run_identity(name: &str) -> RecordId {
    let run = format!("{name} {} {:?}", std::process::id(), std::time::SystemTime::now());
    RecordId::of(run.as_bytes())
}

/// Why a source ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file or folder that the source cannot do without.
    #[error("{what}: {cause}")]
    Io {
        /// What was to be done, with the file's name.
        what: String,
        /// Why it was not.
        cause: std::io::Error,
    },
    /// A setting that only shows now that it cannot be used.
    #[error("{0}")]
    Settings(String),
    /// The data plane ended under the source.
    #[error("the scoring threads are gone")]
    Closed,
}

impl From<logrisk_flow::Closed> for SourceError {
    fn from(_: logrisk_flow::Closed) -> Self {
        Self::Closed
    }
}

impl SourceError {
    /// Names what was to be done when the system refused.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |cause| Self::Io { what, cause }
    }
}
