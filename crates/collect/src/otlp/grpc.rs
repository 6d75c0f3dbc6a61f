//! One unary call of gRPC: five bytes before a message, its status in trailers.
//!
//! ```text
//! request   compressed? (1 byte), length (4), message
//! answer    the same, then grpc-status: 0       a failure has its status in the head, and no body
//! ```
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use http_body_util::{BodyExt as _, Full};
use prost::Message;
use tokio::time::timeout;

use super::Form;
use crate::http::{Refused, Shared, body};

/// The path of the one call that is answered.
pub(super) const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Bytes before a message.
const HEAD: usize = 5;

/// google.rpc.Status
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcStatus {
    /// One of gRPC's codes.
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// google.protobuf.Any
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// google.rpc.RetryInfo
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Duration>,
}

/// google.protobuf.Duration
#[derive(Clone, PartialEq, Message)]
struct Duration {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

impl RpcStatus {
    /// What a refusal is in gRPC's codes. OTLP's senders come again after `RESOURCE_EXHAUSTED` only where it says when.
    pub(super) fn of(status: StatusCode, reason: &str) -> Self {
        let (code, comes_again) = match status {
            StatusCode::BAD_REQUEST => (3, false),
            StatusCode::UNAUTHORIZED => (16, false),
            StatusCode::REQUEST_TIMEOUT => (4, false),
            StatusCode::PAYLOAD_TOO_LARGE => (8, false),
            StatusCode::NOT_FOUND | StatusCode::UNSUPPORTED_MEDIA_TYPE => (12, false),
            StatusCode::TOO_MANY_REQUESTS => (8, true),
            StatusCode::SERVICE_UNAVAILABLE => (14, true),
            _ => (13, false),
        };
        let pause = RetryInfo { delay: Some(Duration { seconds: 1 }) };
        let pause = comes_again.then(|| Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: pause.encode_to_vec(),
        });
        Self { code, message: reason.to_owned(), details: pause.into_iter().collect() }
    }

    pub(super) fn unimplemented(reason: &str) -> Self {
        Self::of(StatusCode::NOT_FOUND, reason)
    }

    /// Whether the sender is told to send the same again.
    pub(super) const fn is_to_come_again(&self) -> bool {
        !self.details.is_empty()
    }
}

/// Whether a request is one of gRPC.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.starts_with("application/grpc")
}

/// Takes a call.
pub(super) async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Response {
    if !is_grpc(&headers) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let taken = async {
        if !shared.knows(&headers) {
            return Err(Refused::stranger());
        }
        let bytes = shared.read_message(&headers, body).await?;
        shared.take_logs(bytes, Form::Protobuf).await
    };
    match taken.await {
        Ok(answer) => succeeded(&answer),
        Err(refused) => failed(&RpcStatus::of(refused.status, &refused.reason)),
    }
}

fn succeeded(answer: &impl Message) -> Response {
    let message = answer.encode_to_vec();
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(message);
    let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
    let body =
        Full::new(axum::body::Bytes::from(bytes)).with_trailers(std::future::ready(Some(Ok(trailers))));
    ([(header::CONTENT_TYPE, "application/grpc")], Body::new(body)).into_response()
}

/// A failure in the head of an answer without a body.
pub(super) fn failed(status: &RpcStatus) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/grpc".to_owned()),
        (STATUS, status.code.to_string()),
        (MESSAGE, escaped(&status.message)),
        (DETAILS, STANDARD_NO_PAD.encode(status.encode_to_vec())),
        (ACCEPTED, "identity,gzip,zstd".to_owned()),
    ];
    let mut response = StatusCode::OK.into_response();
    for (name, value) in headers {
        // Letters that no header may have are escaped.
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The text with `%` and everything that is no printable ASCII as `%XX`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

impl Shared {
    /// The one message of a request, decompressed.
    async fn read_message(&self, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refused> {
        let slow =
            |_| Refused { status: StatusCode::REQUEST_TIMEOUT, reason: "the request is slow".to_owned() };
        let (is_compressed, message) = timeout(self.timeout, self.read_frame(body)).await.map_err(slow)??;
        if !is_compressed {
            return Ok(message);
        }
        let encoding = headers.get(ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("identity");
        body::unpack(encoding, &message, self.limit)
    }

    /// Reads a message as long as its head says, with room for it from there on.
    async fn read_frame(&self, mut body: Body) -> Result<(bool, Vec<u8>), Refused> {
        let (mut bytes, mut expected, mut _room) = (Vec::new(), None, None);
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| Refused::malformed(format!("the request broke off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            bytes.extend_from_slice(&data);
            if expected.is_none()
                && let Some([flag, length @ ..]) = bytes.first_chunk::<HEAD>()
            {
                let length = u32::from_be_bytes(*length) as usize;
                if length > self.limit {
                    return Err(body::too_large(self.limit));
                }
                _room = Some(self.room_for_body(length, *flag == 1)?);
                expected = Some((*flag, length));
            }
            if expected.is_some_and(|(_, length)| bytes.len() > HEAD + length) {
                return Err(Refused::malformed("one call has one message"));
            }
        }
        match expected {
            Some((flag @ (0 | 1), length)) if bytes.len() == HEAD + length => {
                bytes.drain(..HEAD);
                Ok((flag == 1, bytes))
            }
            _ => Err(Refused::malformed("the request is no message of gRPC")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_hear_when_to_come_again() {
        for (status, code, comes_again) in [
            (StatusCode::TOO_MANY_REQUESTS, 8, true),
            (StatusCode::SERVICE_UNAVAILABLE, 14, true),
            (StatusCode::PAYLOAD_TOO_LARGE, 8, false),
            (StatusCode::UNAUTHORIZED, 16, false),
            (StatusCode::BAD_REQUEST, 3, false),
        ] {
            let told = RpcStatus::of(status, "full");
            assert_eq!((told.code, told.is_to_come_again()), (code, comes_again), "{status}");
        }
        // As Google's own encoder writes it.
        let busy = RpcStatus::of(StatusCode::TOO_MANY_REQUESTS, "x").encode_to_vec();
        let url = b"type.googleapis.com/google.rpc.RetryInfo";
        let retry = [&[0x0a, 40], &url[..], &[0x12, 4, 0x0a, 2, 0x08, 1]].concat();
        assert_eq!(busy, [&[0x08, 8, 0x12, 1, b'x', 0x1a, 48], &retry[..]].concat());
    }

    #[test]
    fn a_message_is_escaped_for_its_header() {
        assert_eq!(escaped("100 % of \u{e9}\n"), "100 %25 of %C3%A9%0A");
    }
}
