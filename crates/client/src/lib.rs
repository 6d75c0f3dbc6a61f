//! Clients of the servers that are both read from and written to, so that a source and a sink of one kind are reached,
//! secured and checked in the same way.

pub mod elastic;
pub mod kafka;
