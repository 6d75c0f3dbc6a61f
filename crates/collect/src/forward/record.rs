//! An event as a record: which of its members are the text, the time and the level, and the rest under ECS names.

use std::sync::Arc;

use logrisk_enrich::parse;
use logrisk_flow::{Fields, Origin, Record, RecordId};
use serde_json::{Map, Value};

use super::message::Entry;
use crate::object::Told;

/// Members of an event; those of Docker's own driver and of Fluentd's filters among them.
const NAMES: [(&str, &str); 4] = [
    ("host", "host.name"),
    ("hostname", "host.name"),
    ("container_id", "container.id"),
    ("container_name", "container.name"),
];
/// Members of `kubernetes`, as Fluent Bit's and Fluentd's filters write it.
const KUBERNETES: [(&str, &str); 9] = [
    ("pod_name", "kubernetes.pod.name"),
    ("pod_id", "kubernetes.pod.uid"),
    ("pod_ip", "kubernetes.pod.ip"),
    ("namespace_name", "kubernetes.namespace"),
    ("container_name", "kubernetes.container.name"),
    ("container_image", "container.image.name"),
    ("container_hash", "container.image.hash"),
    ("docker_id", "container.id"),
    ("host", "kubernetes.node.name"),
];

/// The record of an event; `None` where nothing is logged.
pub(super) fn of(entry: Entry, id: RecordId, origin: &Arc<Origin>) -> Option<Record> {
    let Entry { time, record: mut object } = entry;
    if object.is_empty() {
        return None;
    }
    let kubernetes = object.remove("kubernetes");
    for (name, ecs) in NAMES {
        // `host` as an object has ECS' shape already.
        if object.get(name).is_some_and(Value::is_string)
            && let Some(value) = object.remove(name)
        {
            object.insert(ecs.to_owned(), value);
        }
    }
    let Told { body, time: own_time, level, mut fields } = Told::of(object);
    match kubernetes {
        Some(Value::Object(kubernetes)) => push_kubernetes(kubernetes, &mut fields),
        Some(other) => fields.push("kubernetes.other", other),
        None => {}
    }
    // Without a parser, Fluent Bit's tail sends a line with the container runtime's wrapper around it.
    let unwrapped = parse::unwrap(body.trim_end_matches(['\n', '\r']));
    let runtime_time = unwrapped.timestamp.as_deref().and_then(|time| time.parse().ok());
    if let Some(stream) = unwrapped.stream {
        fields.push("stream", stream.to_owned());
    }
    let body = unwrapped.content.into_owned();
    // The time of the event is when it was read where the sender parses no times, and may be 0.
    let time = runtime_time.or(time.filter(|time| time.as_second() > 0)).or(own_time);
    Some(Record { id, time, level, body, origin: Arc::clone(origin), fields })
}

fn push_kubernetes(kubernetes: Map<String, Value>, fields: &mut Fields) {
    for (name, value) in kubernetes {
        match value {
            // Labels hold dots, which a search engine would take for objects: `app` beside `app.kubernetes.io/name` is a
            // conflict there, and the documents would be refused.
            Value::Object(members) => {
                for (member, value) in members {
                    fields.push(format!("kubernetes.{name}.{}", member.replace('.', "_")), value);
                }
            }
            value => match KUBERNETES.iter().find(|(own, _)| *own == name) {
                Some((_, ecs)) => fields.push(*ecs, value),
                None => fields.push(format!("kubernetes.{name}"), value),
            },
        }
    }
}
