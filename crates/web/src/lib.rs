//! The HTTP server: API, metrics, documentation and the page.
//!
//! ```text
//! connection ─► limits, TLS ─► access ───► handler ─► Service ───┬─► Engine, on scoring threads (batch.rs)
//!               server.rs      layers.rs   api/       scoring.rs └─► Catalogue, Hub (who watches), Alerts
//! ```
//! This crate scores nothing itself: it sees [`Engine`] and [`Models`], which the binary implements over its pipeline.

mod access;
mod alert;
mod api;
mod batch;
mod body;
mod compare;
mod engine;
mod error;
mod hub;
mod layers;
mod metrics;
mod page;
mod plane;
mod scoring;
mod server;
mod service;
mod trace;
pub mod view;
mod vitals;
mod why;

pub use access::{Access, Identity, KEY_COOKIE, Key, Scope};
pub use alert::{AlertSettings, Alerts, Channel};
pub use batch::{Batcher, Loaded, Refused};
pub use body::BodyLimits;
pub use engine::{CacheFigures, DriftFigures, Engine, Masked, ModelInfo, Models, ModelsError, Verdict};
pub use error::ApiError;
pub use logrisk_tls::{Tls, TlsError, TlsFiles};
pub use plane::{DataPlane, Flow};
pub use scoring::Seen;
pub use server::{ConnectionLimits, Server};
pub use service::{Parts, Service};
