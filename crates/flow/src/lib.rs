//! What flows through the data plane, and how it is held.
//!
//! ```text
//! source ─► Outlet ─► Batch<Record> ─► score ─► Shipment ─┬► Delivery ─► sink
//!   ▲       waits for bytes                               └► Delivery ─► sink
//!   └──── Acknowledged ◄──── Ack: the worst outcome of all shares, once the last is settled or dropped
//! ```
//! Memory is bounded in one place: an [`Outlet`] waits until the bytes of its batch fit the [`Budget`], and they are given
//! back when the last sink lets go of the batch. So no queue behind it needs a bound of its own.
//!
//! An acknowledgement that is dropped counts as failed: whatever goes wrong, a source hears of redelivery, never of
//! success.

mod ack;
mod batch;
mod fields;
mod names;
mod record;
mod retry;
mod scored;
mod secret;

pub use ack::{Ack, Acknowledged, Outcome};
pub use batch::{Batch, Budget, Closed, Collected, Full, Outlet, Permit};
pub use fields::{Fields, push_json};
pub use names::{Holder, attribute_name, field_name};
pub use record::{Origin, Record, RecordId};
pub use retry::delays;
pub use scored::{Chosen, Delivery, Event, Scored, Shipment, Verdict};
pub use secret::Secret;
