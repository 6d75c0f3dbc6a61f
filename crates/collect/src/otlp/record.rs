//! Records of a request: OpenTelemetry's names become those of ECS where it has one.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use logrisk_base::Level;
use logrisk_enrich::parse;
use logrisk_flow::{Fields, Holder, Origin, Record, RecordId, field_name};
use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value as Any},
    logs::v1::LogRecord,
    resource::v1::Resource,
};
use serde_json::{Map, Value};

/// The attribute by which a sender names a record itself: two of the same name are the same record.
const UID: &str = "log.record.uid";

/// The records of a request, in order. Each is named after the request and its place there; `origin` completes what those of
/// a resource and scope share.
pub(super) fn records_of(
    request: ExportLogsServiceRequest,
    identity: RecordId,
    origin: impl Fn(Fields) -> Arc<Origin>,
) -> Vec<Record> {
    let mut records = Vec::new();
    for group in request.resource_logs {
        let resource = group.resource.unwrap_or_default();
        for group in group.scope_logs {
            let origin = origin(shared_fields(&resource, group.scope));
            for own in group.log_records {
                let place = RecordId::at(identity, records.len() as u64);
                records.push(record(own, &origin, place));
            }
        }
    }
    records
}

/// What all records of a resource and scope share.
fn shared_fields(resource: &Resource, scope: Option<InstrumentationScope>) -> Fields {
    let mut fields = Fields::default();
    for pair in &resource.attributes {
        push(pair.clone(), Holder::Resource, &mut fields);
    }
    let InstrumentationScope { name, version, attributes, .. } = scope.unwrap_or_default();
    for (field, value) in [("log.logger", name), ("scope.version", version)] {
        if !value.is_empty() {
            fields.push(field, value);
        }
    }
    for pair in attributes.into_iter().filter(|pair| !pair.key.is_empty()) {
        fields.push(format!("scope.{}", pair.key), json(pair.value.unwrap_or_default()));
    }
    fields
}

fn record(own: LogRecord, origin: &Arc<Origin>, place: RecordId) -> Record {
    let mut fields = Fields::default();
    let mut id = place;
    for pair in own.attributes {
        match &pair.value {
            Some(AnyValue { value: Some(Any::StringValue(uid)) }) if pair.key == UID => id = named(uid),
            _ => push(pair, Holder::Record, &mut fields),
        }
    }
    for (field, bytes, length) in [("trace.id", &own.trace_id, 16), ("span.id", &own.span_id, 8)] {
        if bytes.len() == length && bytes.iter().any(|byte| *byte != 0) {
            fields.push(field, bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        }
    }
    if !own.event_name.is_empty() {
        fields.push("event.name", own.event_name.clone());
    }
    let nanoseconds = [own.time_unix_nano, own.observed_time_unix_nano].into_iter().find(|time| *time != 0);
    Record {
        id,
        time: nanoseconds.and_then(|time| Timestamp::from_nanosecond(i128::from(time)).ok()),
        level: level(own.severity_number).or_else(|| parse::level(&own.severity_text)),
        body: body(own.body, own.event_name),
        origin: Arc::clone(origin),
        fields,
    }
}

/// A record that came through another logrisk keeps its id.
fn named(uid: &str) -> RecordId {
    match uid.parse() {
        Ok(id) if uid.len() == 32 => id,
        _ => RecordId::of(uid.as_bytes()),
    }
}

/// A text as it is, anything else as JSON; an event without a body is its name.
fn body(body: Option<AnyValue>, event_name: String) -> String {
    match body.and_then(|body| body.value) {
        Some(Any::StringValue(mut text)) => {
            text.truncate(text.trim_end_matches(['\n', '\r']).len());
            text
        }
        Some(other) => json(AnyValue { value: Some(other) }).to_string(),
        None => event_name,
    }
}

/// The level of a severity number; those that syslog has too are as the data model's appendix B says.
const fn level(number: i32) -> Option<Level> {
    Some(match number {
        1..=4 => Level::Trace,
        5..=8 => Level::Debug,
        9 => Level::Info,
        10..=12 => Level::Notice,
        13..=16 => Level::Warn,
        17 => Level::Error,
        18 => Level::Critical,
        19..=20 => Level::Alert,
        21 => Level::Fatal,
        22..=24 => Level::Emergency,
        _ => return None,
    })
}

/// Adds an attribute under its name in ECS. One without a name or a value says nothing.
fn push(pair: KeyValue, holder: Holder, fields: &mut Fields) {
    if let (false, Some(value @ AnyValue { value: Some(_) })) = (pair.key.is_empty(), pair.value) {
        fields.push(field_name(&pair.key, holder), json(value));
    }
}

/// A value as JSON; bytes as Base64. Nested no deeper than the decoder lets pass.
fn json(value: AnyValue) -> Value {
    match value.value {
        None | Some(Any::StringValueStrindex(_)) => Value::Null,
        Some(Any::StringValue(text)) => text.into(),
        Some(Any::BoolValue(yes)) => yes.into(),
        Some(Any::IntValue(number)) => number.into(),
        Some(Any::DoubleValue(number)) => number.into(),
        Some(Any::BytesValue(bytes)) => STANDARD.encode(bytes).into(),
        Some(Any::ArrayValue(array)) => array.values.into_iter().map(json).collect(),
        Some(Any::KvlistValue(list)) => {
            let member = |pair: KeyValue| (pair.key, json(pair.value.unwrap_or_default()));
            Value::Object(list.values.into_iter().map(member).collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::otlp::{Form, decode::Counted};

    /// The first record of a request in JSON, of a record's members and its resource's attributes.
    fn check(members: Value, resource: Value) -> Record {
        let request = json!({"resourceLogs": [{
            "resource": {"attributes": resource},
            "scopeLogs": [{"scope": {"name": "shop.checkout"}, "logRecords": [members]}],
        }]});
        let request = Counted::of(request.to_string().as_bytes(), Form::Json, 1 << 20)
            .and_then(Counted::decode)
            .ok()
            .unwrap();
        let group = request.resource_logs.into_iter().next().unwrap();
        let scope = group.scope_logs.into_iter().next().unwrap();
        let origin = Arc::new(Origin::new("test", shared_fields(&group.resource.unwrap(), scope.scope)));
        record(scope.log_records.into_iter().next().unwrap(), &origin, RecordId::of(b"place"))
    }

    #[test]
    fn a_record_has_the_names_of_ecs() {
        let found = check(
            json!({
                "timeUnixNano": "1768473045123456789", "severityNumber": 17, "severityText": "ERROR",
                "body": {"stringValue": "payment refused\n"},
                "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
                "attributes": [
                    {"key": "order", "value": {"intValue": "7"}},
                    {"key": "exception.type", "value": {"stringValue": "Refused"}},
                    {"key": "items", "value": {"arrayValue": {"values": [{"boolValue": true}, {"doubleValue": 0.5}]}}},
                    {"key": "", "value": {"stringValue": "nameless"}},
                ],
            }),
            json!([
                {"key": "service.name", "value": {"stringValue": "shop"}},
                {"key": "k8s.pod.name", "value": {"stringValue": "shop-1"}},
                {"key": "team", "value": {"stringValue": "red"}},
            ]),
        );
        assert_eq!((found.body.as_str(), found.level), ("payment refused", Some(Level::Error)));
        assert_eq!(found.time.unwrap().as_nanosecond(), 1_768_473_045_123_456_789);
        let expected: Fields = [
            ("attributes.order", json!(7)),
            ("error.type", json!("Refused")),
            ("attributes.items", json!([true, 0.5])),
            ("trace.id", json!("5b8efff798038103d269b633813fc60c")),
            ("span.id", json!("eee19b7ec3c1b174")),
        ]
        .into_iter()
        .collect();
        assert_eq!(found.fields, expected);
        let expected: Fields = [
            ("service.name", "shop"),
            ("kubernetes.pod.name", "shop-1"),
            ("resource.team", "red"),
            ("log.logger", "shop.checkout"),
        ]
        .into_iter()
        .collect();
        assert_eq!(found.origin.fields, expected);
    }

    #[test]
    fn bodies_times_levels_and_ids_are_found_where_they_are() {
        let structured = json!({"kvlistValue": {"values": [{"key": "a", "value": {"bytesValue": "aGk="}}]}});
        let found = check(
            json!({"observedTimeUnixNano": 1_000_000_000, "severityText": "warning", "body": structured}),
            json!([]),
        );
        assert_eq!((found.body.as_str(), found.level), ("{\"a\":\"aGk=\"}", Some(Level::Warn)));
        assert_eq!((found.time.unwrap().as_second(), found.id), (1, RecordId::of(b"place")));
        let uid = "0123456789abcdef0123456789abcdef";
        let named =
            json!({"eventName": "shop.closed", "attributes": [{"key": UID, "value": {"stringValue": uid}}]});
        let found = check(named, json!([]));
        assert_eq!((found.body.as_str(), found.id.to_string().as_str()), ("shop.closed", uid));
        assert_eq!((found.time, found.level), (None, None));
    }
}
