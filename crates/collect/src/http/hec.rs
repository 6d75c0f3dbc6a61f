//! Splunk's HTTP event collector.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use logrisk_flow::{Fields, Record, RecordId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Refused, Shared};
use crate::object::{Told, time};

/// What surrounds an event.
#[derive(Deserialize)]
struct Envelope {
    event: Value,
    #[serde(default)]
    time: Value,
    host: Option<String>,
    source: Option<String>,
    sourcetype: Option<String>,
    index: Option<String>,
    #[serde(default)]
    fields: Map<String, Value>,
}

/// `GET /services/collector/health`.
pub(super) async fn health() -> Json<Value> {
    Json(json!({"text": "HEC is healthy", "code": 17}))
}

/// Takes events: JSON objects one after another, with or without anything between.
pub(super) async fn take(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let taken = async {
        let sent = shared.read(request).await?;
        let records = tokio::task::block_in_place(|| {
            serde_json::Deserializer::from_slice(&sent.bytes)
                .into_iter::<Envelope>()
                .enumerate()
                .map(|(place, envelope)| Ok(shared.record_of(envelope?, sent.id(place))))
                .collect::<Result<Vec<_>, serde_json::Error>>()
        });
        let records = records.map_err(|error| Refused::malformed(format!("no event: {error}")))?;
        shared.deliver(records).await
    };
    answer(taken.await)
}

/// Takes lines.
pub(super) async fn take_raw(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let taken = async {
        let sent = shared.read(request).await?;
        let records = tokio::task::block_in_place(|| shared.records_of_lines(&sent));
        shared.deliver(records).await
    };
    answer(taken.await)
}

/// In Splunk's words: 0 is success, 6 invalid data, 9 busy.
fn answer(taken: Result<(), Refused>) -> Response {
    match taken {
        Ok(()) => Json(json!({"text": "Success", "code": 0})).into_response(),
        Err(refused) => {
            let code = if refused.status.is_client_error() && refused.status.as_u16() != 429 { 6 } else { 9 };
            refused.with(json!({"text": refused.reason, "code": code}))
        }
    }
}

impl Shared {
    fn record_of(&self, envelope: Envelope, id: RecordId) -> Record {
        let Told { body, time: own, level, mut fields } = match envelope.event {
            Value::Object(object) => Told::of(object),
            Value::String(body) => Told::text(body),
            other => Told::text(other.to_string()),
        };
        let named = [
            ("host.name", envelope.host),
            ("log.file.path", envelope.source),
            ("splunk.sourcetype", envelope.sourcetype),
            ("splunk.index", envelope.index),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                fields.push(name, value);
            }
        }
        for (name, value) in envelope.fields {
            fields.push(name, value);
        }
        Record {
            id,
            time: time(&envelope.time).or(own),
            level,
            body,
            origin: self.origin(Fields::default()),
            fields,
        }
    }
}
