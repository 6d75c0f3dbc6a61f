//! The binary as a whole, run as a user would run it.
#![expect(clippy::unwrap_used, reason = "a test fails where its helpers do")]
#![expect(unreachable_pub, reason = "shared by the files beside it")]

mod bad_input;
mod common;
mod learning;
mod reference;
mod score;
