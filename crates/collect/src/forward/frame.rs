//! One frame of the protocol, in any of its modes, as records.
//!
//! ```text
//! message   [tag, time, record, option?]
//! forward   [tag, [[time, record], …], option?]
//! packed    [tag, bytes of entries, option?]        option: compressed = gzip or zstd
//! ```

use std::io::Read;

use jiff::Timestamp;
use rmpv::{Value, decode::read_value};
use serde_json::{Map, Value as Json};

use crate::object::Told;

/// What a frame holds.
pub(super) struct Frame {
    pub(super) tag: String,
    pub(super) entries: Vec<(Option<Timestamp>, Told)>,
    /// The name under which the sender wants to hear that all is safe.
    pub(super) chunk: Option<String>,
}

impl Frame {
    /// Reads a frame. What it holds decompressed is bounded by `limit`.
    pub(super) fn read(value: Value, limit: u64) -> Result<Self, String> {
        let Value::Array(parts) = value else { return Err("a frame is an array".to_owned()) };
        let mut parts = parts.into_iter();
        let tag = parts
            .next()
            .and_then(|tag| tag.as_str().map(str::to_owned))
            .ok_or("a frame begins with its tag")?;
        let (entries, option) = match parts.next() {
            Some(Value::Array(entries)) => {
                (entries.into_iter().map(entry).collect::<Result<Vec<_>, _>>()?, parts.next())
            }
            Some(packed @ (Value::Binary(_) | Value::String(_))) => {
                let option = parts.next();
                let packed = match packed {
                    Value::Binary(bytes) => bytes,
                    Value::String(text) => text.into_bytes(),
                    _ => Vec::new(),
                };
                (unpack(&packed, member(option.as_ref(), "compressed"), limit)?, option)
            }
            Some(when) => {
                let record = parts.next().ok_or("a message has a record")?;
                (vec![(time(&when), told(record))], parts.next())
            }
            None => return Err("a frame has entries".to_owned()),
        };
        let chunk = member(option.as_ref(), "chunk").map(str::to_owned);
        Ok(Self { tag, entries, chunk })
    }
}

fn member<'a>(option: Option<&'a Value>, name: &str) -> Option<&'a str> {
    let members = option?.as_map()?;
    members.iter().find(|(own, _)| own.as_str() == Some(name))?.1.as_str()
}

fn unpack(
    packed: &[u8],
    compressed: Option<&str>,
    limit: u64,
) -> Result<Vec<(Option<Timestamp>, Told)>, String> {
    let told = |error: std::io::Error| format!("a chunk cannot be decompressed: {error}");
    let mut bytes = Vec::new();
    match compressed {
        None | Some("text") => bytes.extend_from_slice(packed),
        Some("gzip") => {
            let decoder = flate2::read::MultiGzDecoder::new(packed);
            decoder.take(limit + 1).read_to_end(&mut bytes).map_err(told)?;
        }
        Some("zstd") => {
            let decoder = zstd::Decoder::new(packed).map_err(told)?;
            decoder.take(limit + 1).read_to_end(&mut bytes).map_err(told)?;
        }
        Some(other) => return Err(format!("compression {other:?} is not known")),
    }
    if bytes.len() as u64 > limit {
        return Err("a chunk is larger than frame_mebibytes, decompressed".to_owned());
    }
    let mut rest = &*bytes;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        entries.push(entry(read_value(&mut rest).map_err(|error| error.to_string())?)?);
    }
    Ok(entries)
}

/// `[time, record]`; since Fluent Bit 2.1 also `[[time, metadata], record]`.
fn entry(value: Value) -> Result<(Option<Timestamp>, Told), String> {
    let Value::Array(parts) = value else { return Err("an entry is an array".to_owned()) };
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next()) {
        (Some(Value::Array(head)), Some(record)) => Ok((head.first().and_then(time), told(record))),
        (Some(when), Some(record)) => Ok((time(&when), told(record))),
        _ => Err("an entry has a time and a record".to_owned()),
    }
}

/// Seconds since 1970, or an EventTime: seconds and nanoseconds of 32 bits each.
fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Ext(0, bytes) => {
            let [a, b, c, d, e, f, g, h] = *bytes.first_chunk::<8>()?;
            let seconds = i64::from(u32::from_be_bytes([a, b, c, d]));
            Timestamp::new(seconds, i32::from_be_bytes([e, f, g, h])).ok()
        }
        Value::F32(_) | Value::F64(_) => {
            Timestamp::from_microsecond((value.as_f64()? * 1e6).round() as i64).ok()
        }
        value => Timestamp::from_second(value.as_i64()?).ok(),
    }
}

fn told(record: Value) -> Told {
    match json(record) {
        Json::Object(object) => Told::of(object),
        Json::String(body) => Told::text(body),
        other => Told::text(other.to_string()),
    }
}

fn json(value: Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Boolean(yes) => yes.into(),
        Value::Integer(number) => number.as_i64().map_or_else(|| number.as_u64().into(), Json::from),
        Value::F32(number) => number.into(),
        Value::F64(number) => number.into(),
        Value::String(text) => String::from_utf8_lossy(text.as_bytes()).into_owned().into(),
        Value::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
        Value::Array(values) => values.into_iter().map(json).collect(),
        Value::Map(members) => {
            let members = members.into_iter().map(|(name, value)| (text(name), json(value)));
            Json::Object(members.collect::<Map<_, _>>())
        }
        Value::Ext(kind, bytes) => match time(&Value::Ext(kind, bytes)) {
            Some(time) => time.to_string().into(),
            None => Json::Null,
        },
    }
}

fn text(name: Value) -> String {
    match json(name) {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Value {
        Value::Map(vec![("log".into(), text.into()), ("stream".into(), "stderr".into())])
    }

    fn packed() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (when, text) in [
            (Value::from(1_768_473_045), "one\n"),
            (Value::Ext(0, vec![0x69, 0x68, 0xc1, 0x55, 0, 0, 0, 5]), "two"),
        ] {
            rmpv::encode::write_value(&mut bytes, &Value::Array(vec![when, record(text)])).unwrap();
        }
        bytes
    }

    fn check(parts: Vec<Value>, expected: &[&str]) {
        let frame = Frame::read(Value::Array(parts), 1 << 20).unwrap();
        let bodies: Vec<_> = frame.entries.iter().map(|(_, told)| told.body.as_str()).collect();
        assert_eq!((frame.tag.as_str(), &*bodies), ("app", expected));
        assert!(frame.entries.iter().all(|(time, _)| time.is_some()));
        assert!(frame.entries.iter().all(|(_, told)| told.fields.get("stream").is_some()));
    }

    #[test]
    fn all_modes_are_read() {
        check(vec!["app".into(), 1_768_473_045.into(), record("one")], &["one"]);
        let metadata = Value::Array(vec![1.into(), Value::Map(Vec::new())]);
        let entries =
            vec![Value::Array(vec![1.into(), record("one")]), Value::Array(vec![metadata, record("two")])];
        check(vec!["app".into(), Value::Array(entries)], &["one", "two"]);
        check(vec!["app".into(), Value::Binary(packed())], &["one", "two"]);
        let option =
            |name: &str| Value::Map(vec![("compressed".into(), name.into()), ("chunk".into(), "c1".into())]);
        let zstd = zstd::encode_all(&*packed(), 1).unwrap();
        check(vec!["app".into(), Value::Binary(zstd), option("zstd")], &["one", "two"]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &packed()).unwrap();
        let frame = vec!["app".into(), Value::Binary(gzip.finish().unwrap()), option("gzip")];
        assert_eq!(Frame::read(Value::Array(frame.clone()), 1 << 20).unwrap().chunk.as_deref(), Some("c1"));
        assert!(Frame::read(Value::Array(frame), 10).is_err(), "a bomb");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(value) = read_value(&mut &*bytes) {
                _ = Frame::read(value, 1 << 16);
            }
        }
    }
}
