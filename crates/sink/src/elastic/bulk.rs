//! The body of a bulk request, and what the answer says of each of its items.

use std::io::Write as _;

use jiff::{Timestamp, fmt::strtime};
use logrisk_flow::{Event, push_json};
use serde::Deserialize;

use super::ElasticSettings;
use crate::{Rejected, SinkError, Written, push_document};

/// A body, and which event each of its items belongs to.
pub(super) struct Bulk {
    pub(super) body: Vec<u8>,
    pub(super) owners: Vec<usize>,
}

impl Bulk {
    pub(super) fn new(settings: &ElasticSettings, events: &[Event<'_>]) -> Self {
        let mut body = Vec::with_capacity(events.len() * 768);
        let mut owners = Vec::with_capacity(events.len());
        let mut document = Vec::new();
        for (owner, event) in events.iter().enumerate() {
            let is_updated = settings.update && push_update(*event, &mut body);
            if is_updated {
                owners.push(owner);
            }
            document.clear();
            push_document(*event, &mut document);
            let risky = (event.scored.verdict.risk >= settings.risky_from)
                .then_some(settings.risky_index.as_deref())
                .flatten()
                .map(|index| ("index", index));
            let usual = match &settings.data_stream {
                Some(stream) => ("create", stream.as_str()),
                None => ("index", settings.index.as_str()),
            };
            let usual = (!is_updated).then_some(usual);
            for (action, index) in [usual, risky].into_iter().flatten() {
                let (id, index) = (event.scored.record.id, name(index, event.scored.time));
                // Memory does not fail to be written; neither name nor id has anything to escape.
                _ = writeln!(body, "{{\"{action}\":{{\"_index\":\"{index}\",\"_id\":\"{id}\"}}}}");
                body.extend_from_slice(&document);
                body.push(b'\n');
                owners.push(owner);
            }
        }
        Self { body, owners }
    }
}

/// Appends what writes a score into the document that the record was read from; `false` if it was not read from one.
fn push_update(event: Event<'_>, body: &mut Vec<u8>) -> bool {
    let record = &event.scored.record;
    // A dead letter's fields are all its own.
    let field = |name| record.fields.get(name).or_else(|| record.origin.fields.get(name));
    let (Some(index), Some(id)) = (field("elastic.index"), field("elastic.id")) else {
        return false;
    };
    body.extend_from_slice(b"{\"update\":{\"_index\":");
    push_json(index, body);
    body.extend_from_slice(b",\"_id\":");
    push_json(id, body);
    // Below a name of ours: the document may have a level or a tag of its own.
    body.extend_from_slice(b",\"retry_on_conflict\":3}}\n{\"doc\":{\"logrisk\":{\"label_source\":");
    push_json(event.scored.verdict.label_source, body);
    body.extend_from_slice(event.scored.verdict.members.as_bytes());
    body.extend_from_slice(b"}}}\n");
    true
}

/// The index of that time; the settings' validation has tried the pattern.
fn name(pattern: &str, time: Timestamp) -> String {
    if !pattern.contains('%') {
        return pattern.to_owned();
    }
    strtime::format(pattern, time).unwrap_or_else(|_| pattern.replace('%', ""))
}

#[derive(Deserialize)]
struct Answer {
    errors: bool,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(alias = "create", alias = "index")]
    written: Option<Fate>,
    update: Option<Fate>,
}

#[derive(Deserialize)]
struct Fate {
    status: u16,
    error: Option<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(rename = "type")]
    kind: String,
    reason: Option<String>,
    caused_by: Option<Box<Cause>>,
}

/// Reads an answer. An event of two items shares the worse fate.
pub(super) fn fates(answer: &[u8], owners: &[usize]) -> Result<Written, SinkError> {
    let not_understood =
        |what: String| SinkError::Unavailable(format!("the answer to a bulk request is none: {what}"));
    let answer: Answer = serde_json::from_slice(answer).map_err(|error| not_understood(error.to_string()))?;
    let mut written = Written::default();
    if !answer.errors {
        return Ok(written);
    }
    if answer.items.len() != owners.len() {
        return Err(not_understood(format!("{} items for {}", answer.items.len(), owners.len())));
    }
    for (item, owner) in answer.items.into_iter().zip(owners) {
        let is_update = item.update.is_some();
        let Some(Fate { status, error }) = item.written.or(item.update) else {
            return Err(not_understood("an item of no known action".to_owned()));
        };
        match status {
            200..=299 => {}
            // `create` of a document that is there: an earlier delivery wrote it.
            409 if !is_update => {}
            // Only the document itself can be at fault for these; one to update may be deleted by now, and its index.
            400 | 413 => written.reject(*owner, status, error),
            404 if is_update => written.reject(*owner, status, error),
            // Busy, blocked, not allowed: time or a person mends it, and the record is worth waiting for.
            _ => written.again.push(*owner),
        }
    }
    written.rejected.dedup_by_key(|rejected| rejected.index);
    written.again.dedup();
    written.again.retain(|index| written.rejected.iter().all(|rejected| rejected.index != *index));
    Ok(written)
}

impl Written {
    fn reject(&mut self, index: usize, status: u16, error: Option<Cause>) {
        let reason = error.map_or_else(|| format!("status {status}"), |error| error.to_string());
        self.rejected.push(Rejected { index, reason });
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.kind, self.reason.as_deref().unwrap_or("no reason given"))?;
        self.caused_by.iter().try_for_each(|cause| write!(formatter, "; {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_has_its_own_fate() {
        let answer = br#"{"took":1,"errors":true,"items":[
            {"index":{"status":201}},
            {"index":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"full"}}},
            {"index":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse","caused_by":{"type":"x","reason":"y"}}}},
            {"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"there"}}},
            {"index":{"status":403,"error":{"type":"cluster_block_exception","reason":"read-only"}}},
            {"index":{"status":201}},{"index":{"status":503,"error":{"type":"unavailable_shards_exception","reason":"z"}}},
            {"update":{"status":200}},
            {"update":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"busy"}}},
            {"update":{"status":404,"error":{"type":"document_missing_exception","reason":"gone"}}}
        ]}"#;
        let written = fates(answer, &[0, 1, 2, 3, 4, 5, 5, 6, 7, 8]).unwrap();
        assert_eq!(written.again, [1, 4, 5, 7]);
        let reason = "mapper_parsing_exception: failed to parse; x: y".to_owned();
        let gone = Rejected { index: 8, reason: "document_missing_exception: gone".to_owned() };
        assert_eq!(written.rejected, [Rejected { index: 2, reason }, gone]);
        assert_eq!(fates(br#"{"errors":false}"#, &[0, 1]).unwrap(), Written::default());
        assert!(fates(br#"{"errors":true,"items":[]}"#, &[0]).is_err());
        assert!(fates(b"<html>", &[0]).is_err());
    }
}
