//! Events as a request: grouped by what sent them, OpenTelemetry's names instead of those of ECS.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use logrisk_base::Level;
use logrisk_flow::{Event, Holder, attribute_name};
use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{
        AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value as Any,
    },
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
};
use prost::Message as _;
use serde_json::{Map, Value};

/// The request for these events.
pub(super) fn of(events: &[Event<'_>]) -> ExportLogsServiceRequest {
    let mut groups = Groups::default();
    let now = nanoseconds(Timestamp::now());
    for event in events {
        groups.push(*event, now);
    }
    ExportLogsServiceRequest { resource_logs: groups.found }
}

/// What is found once for many events of a request.
#[derive(Default)]
struct Groups {
    found: Vec<ResourceLogs>,
    /// Which group has this resource and scope, by their encoding.
    places: HashMap<Vec<u8>, usize>,
    /// The attributes of verdicts, by where their JSON is: all records of a pattern share it.
    verdicts: HashMap<*const str, Vec<KeyValue>>,
}

/// The fields of an event, sorted out.
#[derive(Default)]
struct Sorted {
    resource: Vec<KeyValue>,
    scope: InstrumentationScope,
    record: LogRecord,
}

impl Groups {
    fn push(&mut self, event: Event<'_>, now: u64) {
        let scored = event.scored;
        let members = &scored.verdict.members;
        let mut attributes =
            self.verdicts.entry(Arc::as_ptr(members)).or_insert_with(|| of_verdict(members)).clone();
        attributes.push(text("risk.label_source", scored.verdict.label_source));
        if event.sample_rate > 1 {
            attributes.push(pair("risk.sample_rate", Any::IntValue(event.sample_rate.into())));
        }
        attributes.push(text("log.record.uid", &scored.record.id.to_string()));
        let (severity_number, severity_text) = severity(scored.verdict.level);
        let mut sorted = Sorted {
            record: LogRecord {
                time_unix_nano: nanoseconds(scored.time),
                observed_time_unix_nano: now,
                severity_number,
                severity_text: severity_text.to_owned(),
                body: Some(AnyValue { value: Some(Any::StringValue(scored.record.body.clone())) }),
                attributes,
                ..LogRecord::default()
            },
            ..Sorted::default()
        };
        for (name, value) in scored.record.origin.fields.iter().chain(scored.record.fields.iter()) {
            sorted.take(name, value);
        }
        let Sorted { resource, scope, record } = sorted;
        let resource = Resource { attributes: resource, ..Resource::default() };
        let scope = (scope != InstrumentationScope::default()).then_some(scope);
        let group = ResourceLogs {
            resource: Some(resource),
            scope_logs: vec![ScopeLogs { scope, ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        };
        let place = *self.places.entry(group.encode_to_vec()).or_insert_with(|| {
            self.found.push(group);
            self.found.len() - 1
        });
        if let Some(scope) = self.found.get_mut(place).and_then(|group| group.scope_logs.first_mut()) {
            scope.log_records.push(record);
        }
    }
}

impl Sorted {
    /// Puts a field where it belongs. Of two of the same name the first stays, as in documents.
    fn take(&mut self, name: &str, value: &Value) {
        match (name, value) {
            ("log.logger", Value::String(logger)) if self.scope.name.is_empty() => {
                self.scope.name = logger.clone();
            }
            ("scope.version", Value::String(version)) if self.scope.version.is_empty() => {
                self.scope.version = version.clone();
            }
            ("trace.id", Value::String(id)) if self.record.trace_id.is_empty() && bytes(id, 16).is_some() => {
                self.record.trace_id = bytes(id, 16).unwrap_or_default();
            }
            ("span.id", Value::String(id)) if self.record.span_id.is_empty() && bytes(id, 8).is_some() => {
                self.record.span_id = bytes(id, 8).unwrap_or_default();
            }
            ("event.name", Value::String(event)) if self.record.event_name.is_empty() => {
                self.record.event_name = event.clone();
            }
            _ => {
                let (attribute, holder) = attribute_name(name);
                let own = match holder {
                    Holder::Resource => &mut self.resource,
                    Holder::Record => &mut self.record.attributes,
                };
                if own.iter().all(|pair| pair.key != attribute) {
                    own.push(KeyValue {
                        key: attribute.into_owned(),
                        value: Some(any(value)),
                        ..KeyValue::default()
                    });
                }
            }
        }
    }
}

/// What documents call `risk_label`, `tag` and so on is `risk.label` and `risk.tag` here.
fn of_verdict(members: &str) -> Vec<KeyValue> {
    let object = format!("{{{}}}", members.trim_start_matches(','));
    let object: Map<String, Value> = serde_json::from_str(&object).unwrap_or_default();
    let attribute = |(name, value): (String, Value)| KeyValue {
        key: format!("risk.{}", name.trim_start_matches("risk_")),
        value: Some(any(&value)),
        ..KeyValue::default()
    };
    object.into_iter().map(attribute).collect()
}

/// The severity of a declared level, as the source `otlp` reads it.
const fn severity(level: Option<Level>) -> (i32, &'static str) {
    let Some(level) = level else { return (0, "") };
    let number = match level {
        Level::Trace => 1,
        Level::Debug => 5,
        Level::Info => 9,
        Level::Notice => 10,
        Level::Warn => 13,
        Level::Error => 17,
        Level::Critical => 18,
        Level::Alert => 19,
        Level::Fatal => 21,
        Level::Emergency => 22,
    };
    (number, level.as_str())
}

/// Before 1970 there are no nanoseconds in OTLP.
fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or(0)
}

fn bytes(hexadecimal: &str, length: usize) -> Option<Vec<u8>> {
    if hexadecimal.len() != 2 * length {
        return None;
    }
    (0..length).map(|place| u8::from_str_radix(hexadecimal.get(2 * place..2 * place + 2)?, 16).ok()).collect()
}

fn pair(name: &str, value: Any) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(name: &str, value: &str) -> KeyValue {
    pair(name, Any::StringValue(value.to_owned()))
}

/// A value of JSON; an integer beyond 64 bits with a sign is a float.
fn any(value: &Value) -> AnyValue {
    let value = match value {
        Value::Null => None,
        Value::Bool(yes) => Some(Any::BoolValue(*yes)),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Some(Any::IntValue(number)),
            None => number.as_f64().map(Any::DoubleValue),
        },
        Value::String(text) => Some(Any::StringValue(text.clone())),
        Value::Array(values) => {
            Some(Any::ArrayValue(ArrayValue { values: values.iter().map(any).collect() }))
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| KeyValue {
                key: name.clone(),
                value: Some(any(value)),
                ..KeyValue::default()
            };
            Some(Any::KvlistValue(KeyValueList { values: members.iter().map(member).collect() }))
        }
    };
    AnyValue { value }
}

#[cfg(test)]
mod tests {
    use logrisk_base::{PatternId, Risk, Tag};
    use logrisk_flow::{Fields, Origin, Record, RecordId, Scored, Verdict};
    use serde_json::json;

    use super::*;

    fn scored(origin: &Arc<Origin>, fields: Fields) -> Scored {
        let record = Record {
            id: RecordId::of(b"x"),
            time: None,
            level: None,
            body: "payment refused".to_owned(),
            origin: Arc::clone(origin),
            fields,
        };
        let verdict = Verdict {
            pattern: PatternId::of("payment refused"),
            masked: "payment refused".into(),
            risk: Risk::MAX,
            score: 9.5,
            tag: Tag::Error,
            level: Some(Level::Error),
            members: ",\"risk_label\":10,\"risk_score\":9.500,\"unsure\":false,\"tag\":\"ERROR\"".into(),
            model: "m".into(),
            label_source: "model",
        };
        Scored { record, time: "2026-01-15T10:30:45.5Z".parse().unwrap(), verdict }
    }

    fn attribute(pairs: &[KeyValue], name: &str) -> Option<Any> {
        let mut own = pairs.iter().filter(|pair| pair.key == name);
        let found = own.next()?.value.clone()?.value;
        assert!(own.next().is_none(), "{name} is there twice");
        found
    }

    #[test]
    fn records_are_grouped_by_what_sent_them() {
        let fields: Fields =
            [("kubernetes.pod.name", json!("shop-1")), ("log.logger", json!("shop"))].into_iter().collect();
        let (one, other) =
            (Arc::new(Origin::new("a", fields)), Arc::new(Origin::new("a", Fields::default())));
        let own: Fields = [
            ("service.name", json!("shop")),
            ("kubernetes.pod.name", json!("of the record")),
            ("trace.id", json!("5b8efff798038103d269b633813fc60c")),
            ("span.id", json!("no id")),
            ("attributes.risk.label", json!("a sender's")),
            ("attributes.order", json!({"number": 7})),
        ]
        .into_iter()
        .collect();
        let all = [scored(&one, own.clone()), scored(&other, Fields::default()), scored(&one, own)];
        let events: Vec<_> = all.iter().map(|scored| Event { scored, sample_rate: 50 }).collect();
        let request = of(&events);
        let [shop, plain] = &*request.resource_logs else { panic!("{request:?}") };
        let resource = &shop.resource.as_ref().unwrap().attributes;
        let named = |name| attribute(resource, name);
        assert_eq!(named("k8s.pod.name"), Some(Any::StringValue("shop-1".to_owned())));
        assert_eq!(named("service.name"), Some(Any::StringValue("shop".to_owned())));
        assert_eq!(shop.scope_logs[0].scope.as_ref().unwrap().name, "shop");
        assert_eq!((shop.scope_logs[0].log_records.len(), plain.scope_logs[0].log_records.len()), (2, 1));
        let record = &shop.scope_logs[0].log_records[0];
        assert_eq!((record.severity_number, record.severity_text.as_str()), (17, "error"));
        assert_eq!(record.time_unix_nano, 1_768_473_045_500_000_000);
        assert_eq!(record.trace_id.len(), 16);
        let named = |name| attribute(&record.attributes, name);
        assert_eq!(named("risk.label"), Some(Any::IntValue(10)));
        assert_eq!(named("risk.score"), Some(Any::DoubleValue(9.5)));
        assert_eq!(named("risk.tag"), Some(Any::StringValue("ERROR".to_owned())));
        assert_eq!(named("risk.sample_rate"), Some(Any::IntValue(50)));
        assert_eq!(named("span.id"), Some(Any::StringValue("no id".to_owned())));
        assert_eq!(named("log.record.uid"), Some(Any::StringValue(RecordId::of(b"x").to_string())));
        assert!(matches!(named("order"), Some(Any::KvlistValue(_))));
    }
}
