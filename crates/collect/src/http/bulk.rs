//! Elasticsearch's bulk API, and what its clients ask before they use it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use logrisk_flow::{Fields, Record, RecordId};
use serde_json::{Map, Value, json};

use super::{Refused, Sent, Shared};
use crate::object::Told;

/// Beats, Logstash and Fluent Bit refuse servers that are older than they are; this is the last 8.
const VERSION: &str = "8.19.0";

/// `GET /`: clients look at the version, and at the header that every answer has.
pub(super) async fn about() -> Json<Value> {
    Json(json!({
        "name": "logrisk",
        "cluster_name": "logrisk",
        "cluster_uuid": "logrisk",
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "build_type": "tar",
            "lucene_version": "9.12.1",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    }))
}

/// `GET /_license`: Beats ask for it.
pub(super) async fn license() -> Json<Value> {
    Json(json!({"license": {"status": "active", "uid": "logrisk", "type": "basic", "issuer": "logrisk"}}))
}

/// Templates, policies and pipelines are acknowledged and not kept; what is asked for exists.
pub(super) async fn acknowledge(request: Request) -> Response {
    match *request.method() {
        Method::HEAD => StatusCode::OK.into_response(),
        Method::GET => Json(json!({"acknowledged": true, "status": "green"})).into_response(),
        Method::PUT | Method::POST => Json(json!({"acknowledged": true})).into_response(),
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

/// An action of a bulk body, as the answer names it.
struct Action {
    name: String,
    index: String,
    id: String,
    /// What is wrong with it alone.
    error: Option<&'static str>,
}

/// Takes a bulk body.
pub(super) async fn take(
    State(shared): State<Arc<Shared>>,
    path: Option<Path<String>>,
    request: Request,
) -> Response {
    let began = std::time::Instant::now();
    let taken = async {
        let sent = shared.read(request).await?;
        let default = path.map_or_else(|| "logs".to_owned(), |Path(index)| index);
        let (actions, records) = tokio::task::block_in_place(|| shared.actions(&sent, &default))?;
        shared.deliver(records).await?;
        Ok::<_, Refused>(actions)
    };
    match taken.await {
        Ok(actions) => {
            let items: Vec<_> = actions.iter().map(Action::item).collect();
            let errors = actions.iter().any(|action| action.error.is_some());
            let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            Json(json!({"took": took, "errors": errors, "items": items})).into_response()
        }
        Err(refused) => {
            let kind = if refused.status == StatusCode::BAD_REQUEST {
                "illegal_argument_exception"
            } else {
                "es_rejected_execution_exception"
            };
            let cause = json!({"type": kind, "reason": refused.reason});
            refused.with(json!({"error": {"root_cause": [cause], "type": kind, "reason": refused.reason}, "status": refused.status.as_u16()}))
        }
    }
}

impl Shared {
    fn actions(&self, sent: &Sent, default: &str) -> Result<(Vec<Action>, Vec<Record>), Refused> {
        let (mut actions, mut records) = (Vec::new(), Vec::new());
        let origin = self.origin(Fields::default());
        let mut lines = sent
            .bytes
            .split(|byte| *byte == b'\n')
            .enumerate()
            .filter(|(_, line)| !line.trim_ascii().is_empty());
        while let Some((number, line)) = lines.next() {
            let wrong = |what: &str| Refused::malformed(format!("line {}: {what}", number + 1));
            let action: Map<String, Value> =
                serde_json::from_slice(line).map_err(|_| wrong("an action is a JSON object"))?;
            let Some((name, details)) = action.into_iter().next() else {
                return Err(wrong("the action is empty"));
            };
            let text = |name: &str| details.get(name).and_then(Value::as_str);
            let index = text("_index").unwrap_or(default).to_owned();
            let named = text("_id").map(str::to_owned);
            let mut error = None;
            let record_id = match &named {
                Some(id) => RecordId::of(format!("{index}\n{id}").as_bytes()),
                None => sent.id(number),
            };
            let id = named.unwrap_or_else(|| record_id.to_string());
            match name.as_str() {
                "index" | "create" => {
                    let (_, line) = lines.next().ok_or_else(|| wrong("its document is missing"))?;
                    match serde_json::from_slice(line) {
                        Ok(Value::Object(object)) => {
                            let Told { body, time, level, fields } = Told::of(object);
                            records.push(Record {
                                id: record_id,
                                time,
                                level,
                                body,
                                origin: Arc::clone(&origin),
                                fields,
                            });
                        }
                        _ => error = Some("the document is no JSON object"),
                    }
                }
                "update" => {
                    lines.next();
                    error = Some("logs are not updated");
                }
                "delete" => error = Some("logs are not deleted"),
                _ => return Err(wrong("the action is none of index, create, update, delete")),
            }
            actions.push(Action { name, index, id, error });
        }
        Ok((actions, records))
    }
}

impl Action {
    fn item(&self) -> Value {
        let mut fate = json!({"_index": self.index, "_id": self.id});
        if let Some(members) = fate.as_object_mut() {
            match self.error {
                None => {
                    members.insert("_version".to_owned(), 1.into());
                    members.insert("result".to_owned(), "created".into());
                    members.insert("status".to_owned(), 201.into());
                }
                Some(reason) => {
                    members.insert("status".to_owned(), 400.into());
                    members.insert(
                        "error".to_owned(),
                        json!({"type": "illegal_argument_exception", "reason": reason}),
                    );
                }
            }
        }
        let mut item = Map::new();
        item.insert(self.name.clone(), fate);
        Value::Object(item)
    }
}
