//! Bodies of requests: read up to a limit, decompressed up to the same; and what their records are called.

use std::{io::Read, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use logrisk_flow::RecordId;
use tokio::time::timeout;

use super::Refused;

/// What one request brought.
pub(super) struct Sent {
    /// Its body, decompressed.
    pub(super) bytes: Vec<u8>,
    /// Who sent what: the same when the sender repeats itself.
    request: RecordId,
}

impl Sent {
    /// A body from that address.
    pub(super) fn by(sender: &str, bytes: Vec<u8>) -> Self {
        let request = RecordId::at(RecordId::of(&bytes), RecordId::of(sender.as_bytes()).spread());
        Self { bytes, request }
    }

    /// The id of a record that its sender does not name, by its place in the body.
    pub(super) fn id(&self, place: usize) -> RecordId {
        RecordId::at(self.request, place as u64)
    }
}

/// Reads a body.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    patience: Duration,
) -> Result<Vec<u8>, Refused> {
    let bytes = match timeout(patience, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(too_large(limit)),
        Err(_) => {
            return Err(Refused {
                status: StatusCode::REQUEST_TIMEOUT,
                reason: "the body is slow".to_owned(),
            });
        }
    };
    let encoding =
        headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("identity");
    unpack(encoding, &bytes, limit)
}

/// Decompresses a body.
pub(crate) fn unpack(encoding: &str, bytes: &[u8], limit: usize) -> Result<Vec<u8>, Refused> {
    let unpacked = tokio::task::block_in_place(|| match encoding {
        "identity" | "" => Ok(Ok(bytes.to_vec())),
        "gzip" => Ok(up_to(flate2::read::MultiGzDecoder::new(bytes), limit)),
        "deflate" => Ok(up_to(flate2::read::ZlibDecoder::new(bytes), limit)),
        "zstd" => Ok(zstd::Decoder::new(bytes).and_then(|decoder| up_to(decoder, limit))),
        other => Err(format!("encoding {other:?} is not known; use gzip, deflate or zstd")),
    });
    let unpacked = unpacked
        .map_err(|reason| Refused { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, reason })?
        .map_err(|error| Refused::malformed(format!("the body is no {encoding}: {error}")))?;
    if unpacked.len() > limit { Err(too_large(limit)) } else { Ok(unpacked) }
}

/// Refuses a body of more than so many bytes.
pub(crate) fn too_large(limit: usize) -> Refused {
    Refused {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        reason: format!("a body may have {} MiB, sent and decompressed; send less at once", limit >> 20),
    }
}

/// Reads to the end, or one byte beyond the limit.
fn up_to(reader: impl Read, limit: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The password of basic authentication.
pub(super) fn password(encoded: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}
