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
mod otelcol;
mod page;
mod reference;
mod run;
mod run_buffer;
mod run_docker;
mod run_elastic;
mod run_elastic_source;
mod run_forward;
mod run_http;
mod run_http_peers;
mod run_journald;
mod run_kafka;
mod run_otlp;
mod run_otlp_collector;
mod run_plane;
mod run_reference;
mod run_snapshot;
mod run_syslog;
mod run_tail;
mod score;
mod serve;
mod serve_limits;
mod serve_observed;
mod serve_operation;
mod serve_plane;
mod serve_store;
mod server;
mod training_data;
