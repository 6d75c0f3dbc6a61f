//! Requests to one endpoint, by gRPC or HTTP, and what their answers mean.

use std::{
    fs,
    io::{Read as _, Write as _},
    time::Duration,
};

use flate2::{Compression as Level, read::MultiGzDecoder, write::GzEncoder};
use http_body_util::{BodyExt as _, Limited};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message;
use reqwest::{
    Body, Certificate, Identity, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE},
};

use super::{Compression, OtlpSettings, Protocol};
use crate::SinkError;

/// The one call of the logs' service.
const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// Bytes of an answer that are read: one of success has a sentence at most.
const ANSWER: usize = 64 << 10;
/// How much of an error's text is worth telling.
const TOLD: usize = 300;

/// What a receiver answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It took the request, but so many records of it.
    Taken { refused: i64, warning: String },
    /// It will never take the request.
    Refused(String),
}

/// A client of one endpoint.
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    protocol: Protocol,
    compression: Compression,
}

impl Client {
    pub(super) fn open(settings: &OtlpSettings) -> Result<Self, String> {
        // Whoever is first decides for the process; they all take ring.
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        for (name, secret) in &settings.headers {
            let unusable = || format!("no request can have the header {name} with that value");
            let mut value = HeaderValue::from_str(&secret.reveal()?).map_err(|_| unusable())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?, value);
        }
        let mut builder = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(u64::from(settings.timeout_secs)));
        if let Some(path) = &settings.certificate_authority {
            let name = path.display();
            let pem =
                fs::read(path).map_err(|error| format!("could not read the authority {name}: {error}"))?;
            let authority = Certificate::from_pem_bundle(&pem)
                .map_err(|error| format!("{name} has no certificate in PEM: {error}"))?;
            builder = builder.tls_certs_only(authority);
        }
        if let Some(path) = &settings.identity {
            let name = path.display();
            let pem =
                fs::read(path).map_err(|error| format!("could not read the identity {name}: {error}"))?;
            let identity = Identity::from_pem(&pem)
                .map_err(|error| format!("{name} has no certificate and key in PEM: {error}"))?;
            builder = builder.identity(identity);
        }
        let endpoint = settings.endpoint.trim_end_matches('/');
        let path = match settings.protocol {
            Protocol::Grpc => {
                builder = builder.http2_prior_knowledge();
                EXPORT
            }
            Protocol::Http => "/v1/logs",
        };
        Ok(Self {
            http: builder.build().map_err(|error| format!("could not start the HTTP client: {error}"))?,
            url: format!("{endpoint}{path}"),
            protocol: settings.protocol,
            compression: settings.compression,
        })
    }

    /// Compresses an encoded request.
    ///
    /// # Errors
    /// Never, as far as is known: memory does not fail to be written.
    pub(super) fn pack(&self, message: Vec<u8>) -> Result<Vec<u8>, SinkError> {
        match self.compression {
            Compression::None => Ok(message),
            Compression::Gzip => compressed(&message)
                .map_err(|error| SinkError::Unavailable(format!("could not compress: {error}"))),
        }
    }

    /// Sends a packed request.
    ///
    /// # Errors
    /// When it, or its halves, shall be sent again.
    pub(super) async fn send(&self, packed: Vec<u8>) -> Result<Said, SinkError> {
        match self.protocol {
            Protocol::Grpc => self.call(packed).await,
            Protocol::Http => self.post(packed).await,
        }
    }

    async fn post(&self, body: Vec<u8>) -> Result<Said, SinkError> {
        let mut request = self.http.post(&self.url).header(CONTENT_TYPE, "application/x-protobuf");
        if self.compression == Compression::Gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        let response = request.body(body).send().await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let (text, _) = read(response).await?;
        match status {
            StatusCode::OK => taken(&text),
            StatusCode::PAYLOAD_TOO_LARGE => Err(SinkError::TooLarge(told(status, &text))),
            // The request itself is at fault, or the receiver gave it up; the specification says not to send it again.
            StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR => {
                Ok(Said::Refused(told(status, &text)))
            }
            // Busy, away, not allowed, not there: time or a person mends it.
            _ => Err(SinkError::Unavailable(told(status, &text))),
        }
    }

    async fn call(&self, message: Vec<u8>) -> Result<Said, SinkError> {
        let is_compressed = self.compression == Compression::Gzip;
        let length = u32::try_from(message.len())
            .map_err(|_| SinkError::TooLarge("a message of gRPC may have 4 GiB".to_owned()))?;
        let mut body = Vec::with_capacity(message.len() + 5);
        body.push(u8::from(is_compressed));
        body.extend(length.to_be_bytes());
        body.extend(message);
        let mut request =
            self.http.post(&self.url).header(CONTENT_TYPE, "application/grpc").header(TE, "trailers");
        if is_compressed {
            request = request.header("grpc-encoding", "gzip");
        }
        let response = request.body(body).send().await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let head = response.headers().clone();
        let (text, trailers) = read(response).await?;
        // A failure may have its status in the head, without a body; a proxy's has none.
        let of_call = if head.contains_key("grpc-status") { &head } else { &trailers };
        let Some(code) = text_of(of_call, "grpc-status") else {
            return Err(SinkError::Unavailable(told(status, &text)));
        };
        let message = text_of(of_call, "grpc-message").unwrap_or_default();
        match fate(&code, &message, of_call.contains_key("grpc-status-details-bin")) {
            Some(fate) => fate,
            None => taken(&unframed(&text)),
        }
    }
}

/// What a status of gRPC means for the request; `None` is success.
fn fate(code: &str, message: &str, has_details: bool) -> Option<Result<Said, SinkError>> {
    let told = format!("gRPC status {code}: {}", head(message.as_bytes()));
    Some(match code {
        "0" => return None,
        // Without the pause in its details, it is the message that is too large.
        "8" if !has_details && message.contains("larger than max") => Err(SinkError::TooLarge(told)),
        // INVALID_ARGUMENT, INTERNAL: the request itself is at fault, or the receiver gave it up; the specification says
        // not to send it again.
        "3" | "13" => Ok(Said::Refused(told)),
        // Busy, away, not allowed, not there: time or a person mends it.
        _ => Err(SinkError::Unavailable(told)),
    })
}

fn taken(answer: &[u8]) -> Result<Said, SinkError> {
    let answer = ExportLogsServiceResponse::decode(answer)
        .map_err(|error| SinkError::Unavailable(format!("what answers does not speak OTLP: {error}")))?;
    let partial = answer.partial_success.unwrap_or_default();
    Ok(Said::Taken { refused: partial.rejected_log_records, warning: head(partial.error_message.as_bytes()) })
}

/// The message of an answer. Servers of Go compress it as the request was, whatever is accepted.
fn unframed(frame: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    match frame.split_first_chunk::<5>() {
        Some(([1, ..], packed)) => {
            // What does not unpack is nothing that OTLP's decoder takes either.
            _ = MultiGzDecoder::new(packed).take(ANSWER as u64).read_to_end(&mut message);
        }
        Some((_, plain)) => message.extend_from_slice(plain),
        None => {}
    }
    message
}

fn compressed(message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 4), Level::fast());
    encoder.write_all(message)?;
    encoder.finish()
}

/// The body of an answer, and the trailers after it.
async fn read(response: reqwest::Response) -> Result<(Vec<u8>, HeaderMap), SinkError> {
    let read = Limited::new(Body::from(response), ANSWER).collect().await;
    let read = read.map_err(|error| SinkError::Unavailable(format!("the answer broke off: {error}")))?;
    let trailers = read.trailers().cloned().unwrap_or_default();
    Ok((read.to_bytes().into(), trailers))
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn told(status: StatusCode, text: &[u8]) -> String {
    /// google.rpc.Status, as far as people read it.
    #[derive(Clone, PartialEq, Message)]
    struct RpcStatus {
        #[prost(string, tag = "2")]
        message: String,
    }
    match RpcStatus::decode(text) {
        Ok(answer) if !answer.message.is_empty() => format!("{status}: {}", head(answer.message.as_bytes())),
        _ => format!("{status}: {}", head(text)),
    }
}

fn head(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(TOLD).collect()
}

/// The error with its causes: "error sending request" alone tells nobody anything.
fn unreachable(error: &reqwest::Error) -> SinkError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(own) = cause {
        text.push_str(&format!(": {own}"));
        cause = own.source();
    }
    SinkError::Unavailable(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_to_come_again() {
        let is_again =
            |code, has_details| matches!(fate(code, "x", has_details), Some(Err(SinkError::Unavailable(_))));
        assert!(fate("0", "", false).is_none());
        // UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED; UNAUTHENTICATED and UNIMPLEMENTED, which a person mends.
        for code in ["14", "8", "4", "16", "12"] {
            assert!(is_again(code, true) && is_again(code, false), "{code}");
        }
        for code in ["3", "13"] {
            assert!(matches!(fate(code, "x", false), Some(Ok(Said::Refused(_)))), "{code}");
        }
        let large = "grpc: received message larger than max (5 vs. 4)";
        assert!(matches!(fate("8", large, false), Some(Err(SinkError::TooLarge(_)))));
    }

    #[test]
    fn an_answer_tells_what_was_refused() {
        assert_eq!(taken(b"").unwrap(), Said::Taken { refused: 0, warning: String::new() });
        let partial = [0x0a, 8, 0x08, 3, 0x12, 4, b'f', b'u', b'l', b'l'];
        assert_eq!(taken(&partial).unwrap(), Said::Taken { refused: 3, warning: "full".to_owned() });
        assert!(taken(b"<html>").is_err());
        let packed = [&[1, 0, 0, 0, 9], &*compressed(&partial).unwrap()].concat();
        for frame in [packed, [&[0, 0, 0, 0, 10], &partial[..]].concat()] {
            assert_eq!(unframed(&frame), partial);
        }
    }
}
