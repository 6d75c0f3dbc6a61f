//! Where records come from. Each source knows what it has been promised: it hears of every batch whether all sinks have
//! it, and sends again what they have not.
//!
//! ```text
//! bytes ─► Cutter ─► records with their places ─► Outlet ─► …
//!                                                   └► Acknowledged ─► checkpoint, answer, committed offset
//! ```

mod buffer;
mod cut;
mod docker;
mod elastic;
pub mod forward;
mod http;
mod journald;
mod kafka;
mod listen;
mod object;
pub mod otlp;
mod source;
mod stdin;
mod stored;
mod syslog;
mod tail;

pub use buffer::BufferSettings;
pub use cut::{Cut, Cutter, Stream};
pub use docker::{Docker, DockerSettings};
pub use elastic::{Elastic, ElasticSettings};
pub use forward::{Forward, ForwardSettings};
pub use http::{Http, HttpSettings};
pub use journald::{Journald, JournaldSettings};
pub use kafka::{Kafka, KafkaSettings};
pub use otlp::{Otlp, OtlpSettings};
pub use source::{Source, SourceError};
pub use stdin::Stdin;
pub use syslog::{Syslog, SyslogSettings};
pub use tail::{Start, Tail, TailSettings};
