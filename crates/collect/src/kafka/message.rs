//! A message as a record: its value is the text or holds it, its key and headers become fields.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use logrisk_enrich::parse;
use rdkafka::{Message, message::Headers};
use serde_json::{Map, Value};

use crate::object::Told;

/// What a message says; nothing if it has no value, as the tombstone of a key, or only blanks.
pub(super) fn told(message: &impl Message) -> Option<Told> {
    let mut told = value(message.payload()?)?;
    // The time that the producer or the broker gave it: what it says itself is closer to what happened.
    told.time = told.time.or_else(|| Timestamp::from_millisecond(message.timestamp().to_millis()?).ok());
    told.fields.push("kafka.offset", message.offset());
    if let Some(key) = message.key() {
        told.fields.push("kafka.key", text(key));
    }
    if let Some(headers) = message.headers() {
        let mut object = Map::new();
        for header in headers.iter() {
            let value = header.value.map_or(Value::Null, |value| Value::String(text(value)));
            match object.get_mut(header.key) {
                None => _ = object.insert(header.key.to_owned(), value),
                // A header may come several times.
                Some(Value::Array(values)) => values.push(value),
                Some(earlier) => *earlier = Value::Array(vec![earlier.take(), value]),
            }
        }
        if !object.is_empty() {
            told.fields.push("kafka.headers", Value::Object(object));
        }
    }
    Some(told)
}

/// A JSON object, as shippers write it, or a line as it stood in its file.
fn value(payload: &[u8]) -> Option<Told> {
    let payload = payload.trim_ascii();
    if payload.is_empty() {
        return None;
    }
    if payload.starts_with(b"{")
        && let Ok(object) = serde_json::from_slice(payload)
    {
        return Some(Told::of(object));
    }
    let line = String::from_utf8_lossy(payload);
    let unwrapped = parse::unwrap(&line);
    let time = unwrapped.timestamp.as_deref().and_then(|time| time.parse().ok());
    Some(Told { time, ..Told::text(unwrapped.content.into_owned()) })
}

/// Bytes as text; those that are none in Base64.
fn text(bytes: &[u8]) -> String {
    str::from_utf8(bytes).map_or_else(|_| format!("base64:{}", BASE64_STANDARD.encode(bytes)), str::to_owned)
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, OwnedHeaders, OwnedMessage, Timestamp};
    use serde_json::json;

    use super::*;

    fn message(payload: Option<&[u8]>, key: Option<&[u8]>, headers: Option<OwnedHeaders>) -> OwnedMessage {
        let (payload, key) = (payload.map(<[u8]>::to_vec), key.map(<[u8]>::to_vec));
        OwnedMessage::new(
            payload,
            key,
            "logs".to_owned(),
            Timestamp::CreateTime(1_768_473_045_123),
            3,
            42,
            headers,
        )
    }

    fn check(payload: &str, body: &str, time: &str, fields: Value) {
        let told = told(&message(Some(payload.as_bytes()), None, None)).unwrap();
        let own: Map<String, Value> =
            told.fields.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
        assert_eq!(
            (told.body.as_str(), told.time, own),
            (body, Some(time.parse().unwrap()), fields.as_object().unwrap().clone())
        );
    }

    #[test]
    fn what_shippers_write_is_taken_apart() {
        let sent = "2026-01-15T10:30:45.123Z";
        check("disk full\r\n", "disk full", sent, json!({"kafka.offset": 42}));
        check(
            r#"{"@timestamp":1768473000.5,"log":"disk full\n","kubernetes":{"pod_name":"a"}}"#,
            "disk full",
            "2026-01-15T10:30:00.5Z",
            json!({"kubernetes": {"pod_name": "a"}, "kafka.offset": 42}),
        );
        check(
            r#"{"@timestamp":"2026-01-15T10:30:00Z","message":"disk full","log":{"offset":7}}"#,
            "disk full",
            "2026-01-15T10:30:00Z",
            json!({"log": {"offset": 7}, "kafka.offset": 42}),
        );
        check(
            "2026-01-15T10:30:00Z stderr F disk full",
            "disk full",
            "2026-01-15T10:30:00Z",
            json!({"kafka.offset": 42}),
        );
        check(r#"{"a":"#, r#"{"a":"#, sent, json!({"kafka.offset": 42}));
    }

    #[test]
    fn key_and_headers_are_kept() {
        let header = |key, value| Header { key, value };
        let headers = OwnedHeaders::new()
            .insert(header("tenant", Some("a")))
            .insert(header("tenant", Some("b")))
            .insert(Header { key: "empty", value: None::<&str> });
        let told = told(&message(Some(b"x"), Some(b"\xff\x00"), Some(headers))).unwrap();
        assert_eq!(told.fields.get("kafka.key"), Some(&json!("base64:/wA=")));
        assert_eq!(told.fields.get("kafka.headers"), Some(&json!({"tenant": ["a", "b"], "empty": null})));
    }

    #[test]
    fn a_message_without_a_value_is_no_record() {
        assert!(told(&message(None, Some(b"k"), None)).is_none());
        assert!(told(&message(Some(b" \n"), None, None)).is_none());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_record(payload: Vec<u8>, key: Vec<u8>) {
            let told = told(&message(Some(&payload), Some(&key), None));
            proptest::prop_assert_eq!(told.is_some(), !payload.trim_ascii().is_empty());
        }
    }
}
