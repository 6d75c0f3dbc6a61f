//! The data plane beside the server, as the health page shows it. The binary implements it.

use jiff::Timestamp;

/// What collects records and writes them to sinks.
pub trait DataPlane: Send + Sync {
    /// Its sources.
    fn sources(&self) -> Vec<Flow>;

    /// Its sinks.
    fn sinks(&self) -> Vec<Flow>;
}

/// A source or a sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flow {
    /// Its name in the settings.
    pub name: String,
    /// Records handed on, or written.
    pub records: u64,
    /// Records that a sink refused for good.
    pub refused: u64,
    /// Records on their way to a sink.
    pub waiting: u64,
    /// What went wrong last, and when.
    pub last_error: Option<(Timestamp, String)>,
}
