//! A scored record as a JSON document: ECS names around ours.

use std::io::Write as _;

use jiff::{Timestamp, tz::Offset};
use logrisk_flow::{Event, push_json};

/// Appends the document, without a newline.
///
/// Times are written with milliseconds: what Elasticsearch's `date` keeps, and as many digits for every document, so that
/// they sort as text.
pub fn push_document(event: Event<'_>, out: &mut Vec<u8>) {
    let scored = event.scored;
    _ = write!(out, "{{\"@timestamp\":\"{}\",\"message\":", time_text(scored.time));
    push_json(&scored.record.body, out);
    if let Some(level) = scored.verdict.level {
        _ = write!(out, ",\"log.level\":\"{level}\"");
    }
    out.extend_from_slice(scored.verdict.members.as_bytes());
    _ = write!(
        out,
        ",\"label_source\":\"{}\",\"record_id\":\"{}\"",
        scored.verdict.label_source, scored.record.id
    );
    if event.sample_rate > 1 {
        _ = write!(out, ",\"sample_rate\":{}", event.sample_rate);
    }
    out.extend_from_slice(b",\"event.module\":\"logrisk\",\"event.dataset\":");
    push_json(&scored.record.origin.source, out);
    out.extend_from_slice(&scored.record.origin.members);
    scored.record.fields.push_members(&scored.record.origin.fields, out);
    out.push(b'}');
}

/// `2026-01-15T10:30:45.123Z`.
pub(crate) fn time_text(time: Timestamp) -> String {
    let time = Offset::UTC.to_datetime(time);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    )
}
