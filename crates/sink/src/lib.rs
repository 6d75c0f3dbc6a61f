//! Where scored records go. A sink says of every record what became of it; the loop around it ([`drive`]) does the rest:
//! it gathers, tries again, keeps what was refused, and acknowledges.

mod dead_letter;
mod document;
mod drive;
mod elastic;
mod kafka;
mod lines;
mod otlp;
mod prometheus;
mod sink;
mod snapshot;

pub use dead_letter::{DeadLetters, Letter};
pub use document::push_document;
pub use drive::{Progress, drive};
pub use elastic::{Elastic, ElasticSettings};
pub use kafka::{Kafka, KafkaSettings};
pub use lines::{FileSettings, Lines};
pub use otlp::{Compression as OtlpCompression, Otlp, OtlpSettings, Protocol as OtlpProtocol};
pub use prometheus::{Prometheus, PrometheusSettings};
pub use sink::{Gather, Rejected, Sink, SinkError, Written};
pub use snapshot::{Snapshot, SnapshotSettings};
