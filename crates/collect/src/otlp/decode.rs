//! Requests, decoded after their messages were counted.
//!
//! Two bytes can make a record of 300: a body of 16 MiB without a bound on messages would take gigabytes. So the nesting is
//! walked first, which takes no memory, and what is too much is refused before it is decoded.

use axum::http::{HeaderMap, StatusCode, header};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::{
    Message as _,
    encoding::{WireType, decode_key, decode_varint},
};

use crate::http::Refused;

/// About the memory of a message, in bytes: between an attribute's 120 and a record's 300, and there are more attributes.
const MESSAGE: usize = 128;
/// A body has at most one message in so many of the bytes that it may have: at 16 MiB half a million, which is the Collector's
/// usual batch of 8,192 records with 30 attributes each.
const BYTES: usize = 32;
/// A record counts as so many: with what scoring adds to it, it takes about half a kilobyte until every sink has it.
const RECORD: usize = 4;
/// prost gives up at 100.
const DEEPEST: u32 = 100;

/// How a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`: names in camel case, ids in hexadecimal digits, 64-bit numbers as texts.
    Json,
}

impl Form {
    /// As a request's `Content-Type` says.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        match kind.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// A request whose messages were counted, and are not too many.
pub(super) struct Counted<'a> {
    bytes: &'a [u8],
    form: Form,
    messages: usize,
    most: usize,
}

impl<'a> Counted<'a> {
    /// Counts the messages of a request of at most `limit` bytes.
    ///
    /// # Errors
    /// If they are too many, or malformed.
    pub(super) fn of(bytes: &'a [u8], form: Form, limit: usize) -> Result<Self, Refused> {
        let most = (limit / BYTES).max(1);
        let messages = match form {
            // Those inside of texts count too; nobody has so many.
            Form::Json => memchr::memchr_iter(b'{', bytes).count(),
            Form::Protobuf => {
                let mut messages = 0;
                walk(bytes, Kind::Request, 0, most, &mut messages)
                    .ok_or_else(|| Refused::malformed("the request is no protobuf of logs"))?;
                messages
            }
        };
        if messages > most {
            return Err(too_many(most));
        }
        Ok(Self { bytes, form, messages, most })
    }

    /// About how many bytes of memory the decoded request takes.
    pub(super) const fn memory(&self) -> usize {
        self.messages * MESSAGE
    }

    /// The request.
    ///
    /// # Errors
    /// If it is malformed, or what was counted of its text turns out to be records.
    pub(super) fn decode(self) -> Result<ExportLogsServiceRequest, Refused> {
        let request: ExportLogsServiceRequest = match self.form {
            Form::Protobuf => ExportLogsServiceRequest::decode(self.bytes).map_err(|error| {
                Refused::malformed(format!("the request is no protobuf of logs: {error}"))
            })?,
            Form::Json => serde_json::from_slice(self.bytes)
                .map_err(|error| Refused::malformed(format!("the request is no JSON of logs: {error}")))?,
        };
        let scopes = request.resource_logs.iter().flat_map(|group| &group.scope_logs);
        let records: usize = scopes.map(|scope| scope.log_records.len()).sum();
        if records * RECORD > self.most { Err(too_many(self.most)) } else { Ok(request) }
    }
}

fn too_many(most: usize) -> Refused {
    Refused {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        reason: format!(
            "a request may have {} records, or {most} attributes and values; send less at once",
            most / RECORD
        ),
    }
}

/// The messages of a request that have messages inside.
#[derive(Clone, Copy)]
enum Kind {
    Request,
    ResourceLogs,
    Resource,
    ScopeLogs,
    Scope,
    Record,
    Pair,
    Value,
    Values,
    Pairs,
    /// Of a field that we do not know; prost passes over it.
    Other,
}

impl Kind {
    /// What is in a field, by its number in the protocol's definition.
    const fn inside(self, field: u32) -> Self {
        match (self, field) {
            (Self::Request, 1) => Self::ResourceLogs,
            (Self::ResourceLogs, 1) => Self::Resource,
            (Self::ResourceLogs, 2) => Self::ScopeLogs,
            (Self::ScopeLogs, 1) => Self::Scope,
            (Self::ScopeLogs, 2) => Self::Record,
            (Self::Resource, 1) | (Self::Scope, 3) | (Self::Record, 6) | (Self::Pairs, 1) => Self::Pair,
            (Self::Resource, 3) => Self::Pair,
            (Self::Record, 5) | (Self::Pair, 2) | (Self::Values, 1) => Self::Value,
            (Self::Value, 5) => Self::Values,
            (Self::Value, 6) => Self::Pairs,
            _ => Self::Other,
        }
    }
}

/// Counts the messages in a message, up to one more than `most`; `None` if it is malformed.
fn walk(mut bytes: &[u8], kind: Kind, depth: u32, most: usize, messages: &mut usize) -> Option<()> {
    *messages += if matches!(kind, Kind::Record) { RECORD } else { 1 };
    if depth > DEEPEST {
        return None;
    }
    while !bytes.is_empty() && *messages <= most {
        let (field, wire) = decode_key(&mut bytes).ok()?;
        let length = match wire {
            WireType::Varint => {
                decode_varint(&mut bytes).ok()?;
                continue;
            }
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => usize::try_from(decode_varint(&mut bytes).ok()?).ok()?,
            // Groups are of protobuf's past.
            WireType::StartGroup | WireType::EndGroup => return None,
        };
        let (inside, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        if wire == WireType::LengthDelimited {
            match kind.inside(field) {
                Kind::Other => {}
                inner => walk(inside, inner, depth + 1, most, messages)?,
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8], form: Form, limit: usize) -> Result<ExportLogsServiceRequest, Refused> {
        Counted::of(bytes, form, limit)?.decode()
    }

    /// `depth` messages around nothing: arrays in arrays as a record's body.
    fn nested(depth: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut wrap = |tag: u8| {
            let mut outer = vec![tag << 3 | 2];
            prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
            outer.append(&mut bytes);
            bytes = outer;
        };
        for _ in 0..depth {
            wrap(1);
            wrap(5);
        }
        [5, 2, 2, 1].into_iter().for_each(&mut wrap);
        bytes
    }

    #[test]
    fn what_takes_too_much_memory_is_refused_before_it_is_decoded() {
        let limit = 1 << 20;
        // Records of two bytes each.
        let records = [0x12, 0].repeat(limit / 2 - 8);
        let mut scope = vec![0x12];
        prost::encoding::encode_varint(records.len() as u64, &mut scope);
        scope.extend(records);
        let mut bytes = vec![0x0a];
        prost::encoding::encode_varint(scope.len() as u64, &mut bytes);
        bytes.extend(scope);
        let refused = decode(&bytes, Form::Protobuf, limit).err().map(|refused| refused.status);
        assert_eq!(refused, Some(StatusCode::PAYLOAD_TOO_LARGE));
        let records = format!("{{\"logRecords\":[{}{{}}]}}", "{},".repeat(limit / 64));
        let records = format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{records}]}}]}}");
        let refused = decode(records.as_bytes(), Form::Json, limit).err().map(|refused| refused.status);
        assert_eq!(refused, Some(StatusCode::PAYLOAD_TOO_LARGE));
        let many = format!("{{\"resourceLogs\":[{}{{}}]}}", "{},".repeat(limit / 16));
        let refused = decode(many.as_bytes(), Form::Json, limit).err().map(|refused| refused.status);
        assert_eq!(refused, Some(StatusCode::PAYLOAD_TOO_LARGE));
    }

    #[test]
    fn deep_nesting_and_groups_are_refused() {
        assert!(decode(&nested(20), Form::Protobuf, 1 << 20).is_ok());
        assert!(decode(&nested(5_000), Form::Protobuf, 1 << 20).is_err());
        assert!(decode(&[0x0b, 0x0c], Form::Protobuf, 1 << 20).is_err());
        let deep = "{\"arrayValue\":{\"values\":[".repeat(5_000);
        let deep = format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"body\":{deep}");
        assert!(decode(deep.as_bytes(), Form::Json, 1 << 20).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            _ = decode(&bytes, Form::Protobuf, 1 << 20);
            _ = decode(&bytes, Form::Json, 1 << 20);
        }
    }
}
