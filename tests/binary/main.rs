//! The binary as a whole, run as a user would run it.
#![expect(clippy::unwrap_used, reason = "a test fails where its helpers do")]
#![expect(unreachable_pub, reason = "shared by the files beside it")]

mod adapt;
mod bad_input;
mod common;
mod evaluate;
mod explain;
mod export;
mod learning;
mod page;
mod reference;
mod score;
mod serve;
mod serve_limits;
mod serve_observed;
mod serve_operation;
mod serve_store;
mod server;
mod training_data;
