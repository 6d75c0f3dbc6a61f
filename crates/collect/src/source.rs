//! What every source does.

use logrisk_flow::Outlet;
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
