//! Bodies of requests: read within limits, decompressed within limits, and read as JSON with errors that name the field.

use std::{io::Read, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{ApiError, FieldError, Step};

/// What bodies may cost.
#[derive(Debug, Clone)]
pub struct BodyLimits {
    /// Bytes of one body, as sent and as decompressed.
    pub bytes: usize,
    /// How long a body may take to arrive.
    pub timeout: Duration,
    /// Kibibytes of all bodies together.
    in_flight: Arc<Semaphore>,
}

/// A body in memory. Dropping it frees its share of what all bodies may take.
#[derive(Debug)]
pub(crate) struct ReadBody {
    /// What it says, decompressed.
    pub(crate) bytes: Bytes,
    _permit: Option<OwnedSemaphorePermit>,
}

impl BodyLimits {
    /// `in_flight` bytes of all bodies together.
    #[must_use]
    pub fn new(bytes: usize, timeout: Duration, in_flight: usize) -> Self {
        Self { bytes, timeout, in_flight: Arc::new(Semaphore::new((in_flight >> 10).max(1))) }
    }

    /// Reads a body and decompresses it.
    ///
    /// # Errors
    /// 413, 415, 408 and 429, each with its code; 400 for a body that breaks off or is not what its header says.
    pub(crate) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<ReadBody, ApiError> {
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<usize>().ok());
        if announced.is_some_and(|bytes| bytes > self.bytes) {
            return Err(self.too_large());
        }
        let encoding = Encoding::of(headers)?;
        let read = tokio::time::timeout(self.timeout, self.collect(body, announced));
        let (bytes, permit) = read.await.map_err(|_| {
            ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "body_timeout",
                format!("the body did not arrive within {} s", self.timeout.as_secs()),
            )
        })??;
        let bytes = match encoding {
            Encoding::Identity => bytes,
            Encoding::Gzip | Encoding::Zstd => {
                let limit = self.bytes;
                let unpacked = tokio::task::spawn_blocking(move || unpack(&bytes, encoding, limit)).await;
                unpacked
                    .map_err(|_| broken("the body could not be decompressed"))?
                    .map_err(|error| error.unwrap_or_else(|| self.too_large()))?
            }
        };
        Ok(ReadBody { bytes, _permit: permit })
    }

    /// Reads frame by frame, so that memory is taken as bytes arrive and not as they are announced.
    async fn collect(
        &self,
        mut body: Body,
        announced: Option<usize>,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), ApiError> {
        let mut collected = Vec::with_capacity(announced.unwrap_or(0).min(64 << 10));
        let mut permit: Option<OwnedSemaphorePermit> = None;
        let mut paid = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| broken("the body broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            if collected.len() + data.len() > self.bytes {
                return Err(self.too_large());
            }
            let filled = collected.len();
            if filled + data.len() > collected.capacity() {
                // Twice as much as so far, and no more than a body may have.
                let room = (2 * filled).max(filled + data.len()).min(self.bytes);
                collected.reserve_exact(room - filled);
            }
            collected.extend_from_slice(&data);
            // What it takes, which may be twice what it holds.
            let due = collected.capacity() >> 10;
            if due > paid {
                let more = Arc::clone(&self.in_flight).try_acquire_many_owned((due - paid) as u32).map_err(
                    |_| {
                        ApiError::busy(
                            "bodies_full",
                            "too many bytes of other requests are in flight; try again",
                            Duration::from_secs(1),
                        )
                    },
                )?;
                match &mut permit {
                    Some(permit) => permit.merge(more),
                    None => permit = Some(more),
                }
                paid = due;
            }
        }
        Ok((collected.into(), permit))
    }

    fn too_large(&self) -> ApiError {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body is larger than {} bytes; send it in parts", self.bytes),
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Self::Identity) };
        match value.to_str().map(str::trim).unwrap_or("?").to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "encoding_unsupported",
                "Content-Encoding may be gzip, zstd or identity",
            )),
        }
    }
}

/// Decompresses at most `limit` bytes; `Err(None)` if there are more.
fn unpack(bytes: &[u8], encoding: Encoding, limit: usize) -> Result<Bytes, Option<ApiError>> {
    let failed = |_| Some(broken("the body is not what Content-Encoding says"));
    let mut unpacked = Vec::new();
    let cap = limit as u64 + 1;
    match encoding {
        Encoding::Identity => unpacked.extend_from_slice(bytes),
        Encoding::Gzip => {
            flate2::read::MultiGzDecoder::new(bytes).take(cap).read_to_end(&mut unpacked).map_err(failed)?;
        }
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(failed)?;
            // A frame may ask for a window of gigabytes; 8 MiB is what every level up to 19 uses.
            decoder.window_log_max(23).map_err(failed)?;
            decoder.take(cap).read_to_end(&mut unpacked).map_err(failed)?;
        }
    }
    if unpacked.len() > limit { Err(None) } else { Ok(unpacked.into()) }
}

fn broken(detail: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "body_broken", detail)
}

/// What a field may be, for the error that says it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string.
    Text,
    /// True or false.
    Flag,
    /// An array of at most so many strings.
    Texts(usize),
    /// A whole number from 0 to 10.
    Risk,
    /// DEBUG, INFO, WARN, ERROR or EXCEPTION.
    Tag,
    /// A pattern id.
    Pattern,
    /// A time of RFC 3339.
    Time,
}

/// The fields of a body.
pub(crate) trait Fields: DeserializeOwned {
    /// Name, kind, and whether it must be there.
    const FIELDS: &'static [(&'static str, Kind, bool)];
}

/// Reads a body as JSON.
///
/// # Errors
/// 415 for another media type, 422 in FastAPI's shape for anything that is not right in the text.
pub(crate) fn json<T: Fields>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, ApiError> {
    let media_type = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    if let Some(media_type) = media_type
        && !is_json(media_type)
    {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media_type_unsupported",
            "the body must be JSON; say so with Content-Type: application/json",
        ));
    }
    serde_json::from_slice(bytes).map_err(|error| diagnose::<T>(bytes, &error))
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json")
}

/// Says what is wrong, after serde has found that something is: good requests never pay for this.
fn diagnose<T: Fields>(bytes: &[u8], error: &serde_json::Error) -> ApiError {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => {
            let place = vec!["body".into(), error.column().into()];
            return ApiError::field(place, "json_invalid", format!("JSON decode error: {error}"));
        }
    };
    let Value::Object(object) = value else {
        return ApiError::field(vec!["body".into()], "dict_type", "Input should be a valid dictionary");
    };
    let mut errors = Vec::new();
    for &(name, kind, required) in T::FIELDS {
        match object.get(name) {
            Some(value) => check(&mut errors, name, kind, required, value),
            None if required => push(&mut errors, vec![name.into()], "missing", "Field required".to_owned()),
            None => {}
        }
    }
    if errors.is_empty() {
        push(&mut errors, Vec::new(), "value_error", format!("Value error, {error}"));
    }
    ApiError::Invalid(errors)
}

fn check(errors: &mut Vec<FieldError>, name: &str, kind: Kind, required: bool, value: &Value) {
    // What may be left out may be null.
    if value.is_null() && !required && kind != Kind::Flag {
        return;
    }
    let loc = vec![Step::from(name)];
    let mut text = |holds: &dyn Fn(&str) -> Result<(), String>| match value.as_str() {
        None => push(errors, loc.clone(), "string_type", "Input should be a valid string".to_owned()),
        Some(text) => {
            if let Err(reason) = holds(text) {
                push(errors, loc.clone(), "value_error", format!("Value error, {reason}"));
            }
        }
    };
    match kind {
        Kind::Text => text(&|_| Ok(())),
        Kind::Tag => {
            text(&|text| text.parse::<logrisk_base::Tag>().map(|_| ()).map_err(|error| error.to_string()))
        }
        Kind::Pattern => text(&|text| {
            text.parse::<logrisk_base::PatternId>().map(|_| ()).map_err(|error| error.to_string())
        }),
        Kind::Time => text(&|text| {
            text.parse::<jiff::Timestamp>()
                .map(|_| ())
                .map_err(|_| format!("{text:?} is no time; write it as 2026-01-31T12:00:00Z"))
        }),
        Kind::Flag => {
            if !value.is_boolean() {
                push(errors, loc, "bool_type", "Input should be a valid boolean".to_owned());
            }
        }
        Kind::Risk => match value.as_i64() {
            None => push(errors, loc, "int_type", "Input should be a valid integer".to_owned()),
            Some(number) if number < 0 => {
                let message = "Input should be greater than or equal to 0".to_owned();
                push(errors, loc, "greater_than_equal", message);
            }
            Some(number) if number > 10 => {
                push(errors, loc, "less_than_equal", "Input should be less than or equal to 10".to_owned());
            }
            Some(_) => {}
        },
        Kind::Texts(limit) => match value.as_array() {
            None => push(errors, loc, "list_type", "Input should be a valid list".to_owned()),
            Some(items) if items.len() > limit => {
                let message = format!("List should have at most {limit} items, not {}", items.len());
                push(errors, loc, "too_long", message);
            }
            Some(items) => {
                let wrong = items.iter().enumerate().filter(|(_, item)| !item.is_string());
                // The first few show what is meant.
                for (index, _) in wrong.take(10) {
                    let loc = vec![name.into(), index.into()];
                    push(errors, loc, "string_type", "Input should be a valid string".to_owned());
                }
            }
        },
    }
}

fn push(errors: &mut Vec<FieldError>, mut loc: Vec<Step>, kind: &'static str, msg: String) {
    loc.insert(0, "body".into());
    errors.push(FieldError { loc, msg, kind });
}

#[cfg(test)]
mod tests;
