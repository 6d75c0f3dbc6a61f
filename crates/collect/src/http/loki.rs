//! Loki's push API: JSON, or protobuf compressed by snappy, as Promtail and Alloy send it.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use logrisk_enrich::parse;
use logrisk_flow::{Fields, Record, RecordId};
use prost::Message;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refused, Shared};

/// logproto.PushRequest.
#[derive(Clone, PartialEq, Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<ProtoStream>,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoStream {
    /// `{name="value", …}`
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<ProtoEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoEntry {
    #[prost(message, optional, tag = "1")]
    time: Option<ProtoTime>,
    #[prost(string, tag = "2")]
    line: String,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<ProtoPair>,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoTime {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Deserialize)]
struct Push {
    streams: Vec<JsonStream>,
}

#[derive(Deserialize)]
struct JsonStream {
    stream: BTreeMap<String, String>,
    values: Vec<JsonEntry>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum JsonEntry {
    Plain(String, String),
    WithMetadata(String, String, BTreeMap<String, Value>),
}

/// One stream, of either kind.
struct Stream {
    labels: BTreeMap<String, String>,
    entries: Vec<Entry>,
}

struct Entry {
    nanoseconds: i128,
    line: String,
    metadata: Fields,
}

/// Takes a push.
pub(super) async fn take(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let taken = async {
        let bytes = shared.read(request).await?.bytes;
        let kind =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let streams = tokio::task::block_in_place(|| {
            if kind.starts_with("application/json") {
                of_json(&bytes)
            } else {
                of_protobuf(&bytes, shared.limit)
            }
        })?;
        let records = streams.into_iter().flat_map(|stream| shared.records_of_stream(stream)).collect();
        shared.deliver(records).await
    };
    match taken.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => refused.with(json!(refused.reason)),
    }
}

fn of_json(bytes: &[u8]) -> Result<Vec<Stream>, Refused> {
    let push: Push = serde_json::from_slice(bytes)
        .map_err(|error| Refused::malformed(format!("the push is no JSON of streams: {error}")))?;
    let entry = |entry| {
        let (time, line, metadata) = match entry {
            JsonEntry::Plain(time, line) => (time, line, Fields::default()),
            JsonEntry::WithMetadata(time, line, metadata) => (time, line, metadata.into_iter().collect()),
        };
        let nanoseconds = time.parse().map_err(|_| {
            Refused::malformed(format!("time {time:?} is no number of nanoseconds since 1970"))
        })?;
        Ok(Entry { nanoseconds, line, metadata })
    };
    let stream = |stream: JsonStream| {
        let entries = stream.values.into_iter().map(entry).collect::<Result<_, Refused>>()?;
        Ok(Stream { labels: stream.stream, entries })
    };
    push.streams.into_iter().map(stream).collect()
}

fn of_protobuf(bytes: &[u8], limit: usize) -> Result<Vec<Stream>, Refused> {
    let malformed = |what: String| Refused::malformed(format!("the push is no snappy protobuf: {what}"));
    let length = snap::raw::decompress_len(bytes).map_err(|error| malformed(error.to_string()))?;
    if length > limit {
        return Err(malformed(format!("it has {length} bytes decompressed; {limit} may be")));
    }
    let bytes =
        snap::raw::Decoder::new().decompress_vec(bytes).map_err(|error| malformed(error.to_string()))?;
    let push = PushRequest::decode(&*bytes).map_err(|error| malformed(error.to_string()))?;
    let entry = |entry: ProtoEntry| {
        let time = entry.time.unwrap_or_default();
        Entry {
            nanoseconds: i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos),
            line: entry.line,
            metadata: entry.metadata.into_iter().map(|pair| (pair.name, pair.value)).collect(),
        }
    };
    let stream = |stream: ProtoStream| Stream {
        labels: labels(&stream.labels),
        entries: stream.entries.into_iter().map(entry).collect(),
    };
    Ok(push.streams.into_iter().map(stream).collect())
}

/// The pairs of `{name="value", other="a \"b\""}`; what is no pair ends the list.
fn labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text.trim().trim_start_matches('{');
    while let Some((name, value)) = rest.split_once("=\"") {
        // A value is quoted as Go does it, which for labels is as JSON does it.
        let mut escaped = false;
        let end = value.find(|letter| {
            let ends = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            ends
        });
        let Some((value, after)) = end.and_then(|end| Some((value.get(..end)?, value.get(end + 1..)?)))
        else {
            break;
        };
        let value = serde_json::from_str(&format!("\"{value}\"")).unwrap_or_else(|_| value.to_owned());
        labels.insert(name.trim_matches([' ', ',']).to_owned(), value);
        rest = after;
    }
    labels
}

impl Shared {
    fn records_of_stream(&self, stream: Stream) -> Vec<Record> {
        let level = ["level", "detected_level", "severity"]
            .iter()
            .find_map(|name| parse::level(stream.labels.get(*name)?));
        let identity = format!("{:?}", stream.labels);
        let name = |label: &str| match label {
            "namespace" => "kubernetes.namespace".to_owned(),
            "pod" => "kubernetes.pod.name".to_owned(),
            "container" => "kubernetes.container.name".to_owned(),
            "service_name" => "service.name".to_owned(),
            "filename" => "log.file.path".to_owned(),
            label => format!("labels.{label}"),
        };
        let origin =
            self.origin(stream.labels.iter().map(|(label, value)| (name(label), value.clone())).collect());
        let record = |entry: Entry| Record {
            // As Loki sees it: the same line at the same nanosecond of the same stream is the same entry.
            id: RecordId::of(format!("{identity}\n{}\n{}", entry.nanoseconds, entry.line).as_bytes()),
            time: Timestamp::from_nanosecond(entry.nanoseconds).ok(),
            level,
            body: entry.line,
            origin: Arc::clone(&origin),
            fields: entry.metadata,
        };
        stream.entries.into_iter().map(record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_go_writes_them() {
        for (text, expected) in [
            ("{}", vec![]),
            ("{app=\"shop\"}", vec![("app", "shop")]),
            ("{a=\"b \\\"c\\\" {d}\", e=\"f,g\"}", vec![("a", "b \"c\" {d}"), ("e", "f,g")]),
            ("{broken=\"x", vec![]),
        ] {
            let expected: BTreeMap<_, _> =
                expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!(labels(text), expected, "{text}");
        }
    }
}
