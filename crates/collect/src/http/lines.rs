//! Lines of text, or JSON objects a line.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use logrisk_flow::{Fields, Record};
use serde_json::{Value, json};

use super::{Refused, Shared};
use crate::{Cutter, object::Told};

/// Takes a body of lines. Stack traces are put together; a line that is a JSON object is a record of its own.
pub(super) async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Response {
    let taken = async {
        let bytes = shared.read(&headers, body).await?;
        let records = tokio::task::block_in_place(|| shared.records_of_lines(&bytes, Fields::default()))?;
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
    pub(super) fn records_of_lines(&self, bytes: &[u8], fields: Fields) -> Result<Vec<Record>, Refused> {
        let origin = self.origin(fields);
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
        let records = told.into_iter().map(|told: Told| Record {
            id: self.fresh_id(),
            time: told.time,
            level: told.level,
            body: told.body,
            origin: Arc::clone(&origin),
            fields: told.fields,
        });
        Ok(records.collect())
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
