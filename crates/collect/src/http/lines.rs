//! Lines of text, or JSON objects a line.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use logrisk_flow::{Fields, Record};
use serde_json::{Value, json};

use super::{Refused, Sent, Shared};
use crate::{Cutter, object::Told};

/// Takes a body of lines. Stack traces are put together; a line that is a JSON object is a record of its own.
pub(super) async fn take(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let taken = async {
        let sent = shared.read(request).await?;
        let records = tokio::task::block_in_place(|| shared.records_of_lines(&sent));
        let count = records.len();
        shared.deliver(records).await?;
        Ok::<_, Refused>(count)
    };
    match taken.await {
        Ok(count) => Json(json!({"records": count})).into_response(),
        Err(Refused { status, reason }) => {
            Refused { status, reason: reason.clone() }.with(json!({"error": reason}))
        }
    }
}

impl Shared {
    pub(super) fn records_of_lines(&self, sent: &Sent) -> Vec<Record> {
        let origin = self.origin(Fields::default());
        let bytes = &*sent.bytes;
        let told = match bytes.trim_ascii_start() {
            // An array, as many log libraries send their batches.
            array @ [b'[', ..] if serde_json::from_slice::<Vec<Value>>(array).is_ok() => {
                let objects: Vec<Value> = serde_json::from_slice(array).unwrap_or_default();
                objects.into_iter().map(told).collect()
            }
            [b'{', ..] => {
                let objects = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
                let objects: Result<Vec<_>, _> = objects.collect();
                match objects {
                    Ok(objects) => objects.into_iter().map(told).collect(),
                    // Lines of both kinds.
                    Err(_) => cut(bytes),
                }
            }
            _ => cut(bytes),
        };
        let records = told.into_iter().enumerate().map(|(place, told): (usize, Told)| Record {
            id: sent.id(place),
            time: told.time,
            level: told.level,
            body: told.body,
            origin: Arc::clone(&origin),
            fields: told.fields,
        });
        records.collect()
    }
}

fn told(value: Value) -> Told {
    match value {
        Value::Object(object) => Told::of(object),
        Value::String(body) => Told::text(body),
        other => Told::text(other.to_string()),
    }
}

fn cut(bytes: &[u8]) -> Vec<Told> {
    let (mut cutter, mut cuts) = (Cutter::default(), Vec::new());
    cutter.feed(bytes, &mut cuts);
    cutter.end(&mut cuts);
    let told = cuts.into_iter().map(|cut| Told { time: cut.time, ..Told::text(cut.body) });
    told.collect()
}
