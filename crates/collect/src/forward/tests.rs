use std::io::Write as _;

use proptest::prelude::*;
use rmp::encode;
use serde_json::{Value, json};

use super::{msgpack::Scan, *};

const LIMIT: usize = 1 << 20;

/// A value as MessagePack; `{"event_time": [seconds, nanoseconds]}` is one, `{"packed": […]}` is its parts as binary data.
fn pack(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::Null => encode::write_nil(&mut out).unwrap(),
        Value::Bool(truth) => encode::write_bool(&mut out, *truth).unwrap(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => _ = encode::write_sint(&mut out, number).unwrap(),
            None => encode::write_f64(&mut out, number.as_f64().unwrap()).unwrap(),
        },
        Value::String(text) => encode::write_str(&mut out, text).unwrap(),
        Value::Array(values) => {
            encode::write_array_len(&mut out, values.len() as u32).unwrap();
            values.iter().for_each(|value| out.extend(pack(value)));
        }
        Value::Object(object) if object.contains_key("event_time") => {
            encode::write_ext_meta(&mut out, 8, 0).unwrap();
            for part in object["event_time"].as_array().unwrap() {
                out.extend((part.as_u64().unwrap() as u32).to_be_bytes());
            }
        }
        Value::Object(object) if object.contains_key("packed") => {
            encode::write_bin(&mut out, &parts(&object["packed"])).unwrap();
        }
        Value::Object(object) => {
            encode::write_map_len(&mut out, object.len() as u32).unwrap();
            for (name, value) in object {
                encode::write_str(&mut out, name).unwrap();
                out.extend(pack(value));
            }
        }
    }
    out
}

fn parts(values: &Value) -> Vec<u8> {
    values.as_array().unwrap().iter().flat_map(pack).collect()
}

/// A message of compressed entries.
fn compressed(by: &str, entries: &[u8]) -> Vec<u8> {
    let mut out = vec![0x93];
    encode::write_str(&mut out, "t").unwrap();
    encode::write_bin(&mut out, entries).unwrap();
    out.extend(pack(&json!({"compressed": by, "chunk": "c"})));
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Tag, chunk and entries of the message that the bytes are.
fn read(bytes: &[u8], limit: usize) -> Result<(String, Option<String>, Vec<Entry>), Refused> {
    let (message, end) = Message::read(bytes, limit)?.expect("the message is there");
    assert_eq!(end, bytes.len());
    let mut message = message.expect("no heartbeat");
    let mut entries = Vec::new();
    while let Some(entry) = message.next_entry()? {
        entries.push(entry);
    }
    Ok((message.tag, message.chunk, entries))
}

/// That the bytes are these entries, as times and messages.
fn check(bytes: &[u8], chunk: Option<&str>, expected: &[(&str, &str)]) {
    let (tag, found_chunk, entries) = read(bytes, LIMIT).unwrap();
    let found: Vec<_> = entries
        .iter()
        .map(|entry| (entry.time.unwrap().to_string(), entry.record["log"].as_str().unwrap()))
        .collect();
    let found: Vec<_> = found.iter().map(|(time, log)| (&**time, *log)).collect();
    assert_eq!((&*tag, found_chunk.as_deref(), &*found), ("t", chunk, expected));
}

#[test]
fn every_mode_is_read() {
    let exact = json!({"event_time": [1_768_473_045, 123_000_000]});
    let entries = json!([[exact, {"log": "a"}], [1_768_473_046, {"log": "b"}]]);
    let expected = [("2026-01-15T10:30:45.123Z", "a"), ("2026-01-15T10:30:46Z", "b")];
    let options = json!({"size": 2, "chunk": "c", "fluent_signal": 0, "other": [{}]});
    check(&pack(&json!(["t", 1_768_473_046, {"log": "b"}])), None, &expected[1..]);
    check(&pack(&json!(["t", exact, {"log": "a"}, {"chunk": "c"}])), Some("c"), &expected[..1]);
    check(&pack(&json!(["t", entries])), None, &expected);
    check(&pack(&json!(["t", entries, options])), Some("c"), &expected);
    check(&pack(&json!(["t", {"packed": entries}])), None, &expected);
    check(&pack(&json!(["t", {"packed": entries}, options])), Some("c"), &expected);
    check(&pack(&json!(["t", {"packed": entries}, null])), None, &expected);
    let mut packed = gzip(&parts(&json!([entries[0]])));
    packed.extend(gzip(&parts(&json!([entries[1]]))));
    check(&compressed("gzip", &packed), Some("c"), &expected);
    check(&compressed("zstd", &zstd::encode_all(&*parts(&entries), 3).unwrap()), Some("c"), &expected);
    check(&compressed("text", &parts(&entries)), Some("c"), &expected);
}

#[test]
fn metadata_beside_the_time_is_passed_over() {
    let exact = json!({"event_time": [1_768_473_045, 0]});
    let entries = json!([[[exact, {"otel": {"a": 1}}], {"log": "a"}]]);
    check(&pack(&json!(["t", {"packed": entries}])), None, &[("2026-01-15T10:30:45Z", "a")]);
}

#[test]
fn a_lone_nil_is_a_heartbeat() {
    assert!(matches!(Message::read(&[0xc0, 0x01], LIMIT), Ok(Some((None, 1)))));
}

#[test]
fn what_is_no_message_is_refused() {
    for (bytes, words) in [
        (pack(&json!(7)), "array of tag"),
        (b"G".to_vec(), "array of tag"),
        (pack(&json!(["t"])), "array of tag"),
        (pack(&json!([7, 1, {}])), "text is expected"),
        (pack(&json!(["t", 1])), "ends early"),
        (pack(&json!(["t", "x", {}])), "array of time"),
        (pack(&json!(["t", "x", 7])), "options are a map"),
        (pack(&json!(["t", 1, "x"])), "record is a map"),
        (pack(&json!(["t", [[1]], {}])), "array of time"),
        (pack(&json!(["t", [[true, {}]]])), "time is expected"),
        (pack(&json!(["t", [], {"fluent_signal": 1}])), "metrics"),
        (compressed("gzip", b"no gzip"), "decompressed"),
        (compressed("zstd", b"no zstd"), "decompressed"),
        (compressed("lz4", b""), "use gzip or zstd"),
    ] {
        let refused = read(&bytes, LIMIT).unwrap_err().to_string();
        assert!(refused.contains(words), "{words}: {refused}");
    }
}

/// An array, a map and a text that claim four billion members: refused at their first five bytes.
#[test]
fn claimed_lengths_are_not_believed() {
    for marker in [0xdd, 0xdf, 0xdb, 0xc6, 0xc9] {
        let claim = [marker, 0xff, 0xff, 0xff, 0xff, 0];
        assert_eq!(Scan::of(1).end(&claim, LIMIT), Err(Refused::TooLarge { mebibytes: 1 }), "{marker:x}");
        let mut bytes = vec![0x92, 0xa1, b't'];
        bytes.extend(claim);
        assert!(Message::read(&bytes, LIMIT).is_err(), "{marker:x}");
        // The same inside of packed entries, whose end is not looked for.
        let mut entry = vec![0x92, 0x01, 0x81, 0xa1, b'x'];
        entry.extend(claim);
        assert!(read(&compressed("text", &entry), LIMIT).is_err(), "{marker:x}");
    }
}

#[test]
fn deep_nesting_is_refused_without_recursion() {
    let mut record = vec![0x81, 0xa1, b'x'];
    record.extend(std::iter::repeat_n(0x91, 500_000));
    record.push(0xc0);
    let mut bytes = vec![0x93, 0xa1, b't', 0x01];
    bytes.extend(record);
    assert_eq!(read(&bytes, LIMIT), Err(Refused::Malformed("a record is nested too deep")));
}

#[test]
fn a_record_of_very_many_values_is_refused() {
    let values = vec![Value::Null; 20_000];
    let refused = read(&pack(&json!(["t", 1, {"x": values}])), LIMIT).unwrap_err();
    assert_eq!(refused, Refused::Malformed("a record has too many values"));
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    let zeros = vec![0; 64 << 20];
    for bomb in
        [compressed("gzip", &gzip(&zeros)), compressed("zstd", &zstd::encode_all(&*zeros, 3).unwrap())]
    {
        assert!(bomb.len() < LIMIT);
        assert_eq!(read(&bomb, LIMIT), Err(Refused::TooLarge { mebibytes: 1 }));
    }
}

/// What a record is made of an event's members.
fn told(event: &Value) -> (String, Option<String>, Fields) {
    let Value::Object(object) = event.clone() else { unreachable!() };
    let origin = Arc::new(Origin::new("in", Fields::default()));
    let entry = Entry { time: None, record: object };
    let record = record::of(entry, RecordId::of(b"x"), &origin).unwrap();
    (record.body, record.level.map(|level| level.to_string()), record.fields)
}

#[test]
fn kubernetes_metadata_has_the_names_of_the_other_sources() {
    let (body, level, fields) = told(&json!({
        "log": "2026-01-15T10:30:45.5Z stderr F connection refused\n",
        "level": "error",
        "host": "node-1",
        "kubernetes": {
            "pod_name": "shop-1", "namespace_name": "prod", "container_name": "web", "host": "node-1", "docker_id": "abc",
            "labels": {"app": "shop", "app.kubernetes.io/name": "shop"}, "annotations": {"a.b": "c"}, "odd": 1,
        },
    }));
    assert_eq!((&*body, level.as_deref()), ("connection refused", Some("error")));
    for (name, value) in [
        ("kubernetes.pod.name", "shop-1"),
        ("kubernetes.namespace", "prod"),
        ("kubernetes.container.name", "web"),
        ("kubernetes.node.name", "node-1"),
        ("container.id", "abc"),
        ("kubernetes.labels.app", "shop"),
        ("kubernetes.labels.app_kubernetes_io/name", "shop"),
        ("kubernetes.annotations.a_b", "c"),
        ("host.name", "node-1"),
        ("stream", "stderr"),
    ] {
        assert_eq!(fields.get(name), Some(&json!(value)), "{name}");
    }
    assert_eq!(fields.get("kubernetes.odd"), Some(&json!(1)));
}

#[test]
fn an_event_without_a_text_is_its_own_text() {
    assert_eq!(told(&json!({"cpu": 7})).0, "{\"cpu\":7}");
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,9}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_messages_or_refused(bytes: Vec<u8>) {
        if let Ok(Some((Some(mut message), end))) = Message::read(&bytes, LIMIT) {
            prop_assert!(end <= bytes.len());
            while let Ok(Some(_)) = message.next_entry() {}
        }
    }

    #[test]
    fn records_come_back_as_they_were_packed(value in values()) {
        let record = json!({"value": value});
        let (_, _, entries) = read(&pack(&json!(["t", 1, record.clone()])), LIMIT).unwrap();
        prop_assert_eq!(Value::Object(entries[0].record.clone()), record);
    }

    #[test]
    fn the_end_is_found_however_the_bytes_come(value in values(), piece in 1usize..30) {
        let bytes = pack(&value);
        let mut scan = Scan::of(1);
        let mut found = None;
        for end in (piece..bytes.len() + piece).step_by(piece) {
            let end = end.min(bytes.len());
            prop_assert_eq!(found, None, "found before its last byte");
            found = scan.end(&bytes[..end], LIMIT).unwrap();
        }
        prop_assert_eq!(found, Some(bytes.len()));
    }
}
