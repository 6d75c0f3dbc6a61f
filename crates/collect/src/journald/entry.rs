//! One entry of the journal, as `journalctl --output=json` writes it.
//!
//! A field is a text, an array of numbers where its bytes are no UTF-8, or an array of those where it is there several times.

use std::sync::Arc;

use jiff::Timestamp;
use logrisk_base::Level;
use logrisk_flow::{Fields, Origin, Record, RecordId};
use serde_json::{Map, Value};

/// What `systemd.journal-fields(7)` lists, by the names of ECS, or of its own namespace where ECS has none.
const NAMES: [(&str, &str); 26] = [
    ("_HOSTNAME", "host.name"),
    ("_MACHINE_ID", "host.id"),
    ("_BOOT_ID", "host.boot.id"),
    ("SYSLOG_IDENTIFIER", "log.syslog.appname"),
    ("_COMM", "process.name"),
    ("_PID", "process.pid"),
    ("_EXE", "process.executable"),
    ("_CMDLINE", "process.command_line"),
    ("_UID", "user.id"),
    ("_GID", "user.group.id"),
    ("TID", "process.thread.id"),
    ("_SYSTEMD_UNIT", "systemd.unit"),
    ("_SYSTEMD_USER_UNIT", "systemd.user_unit"),
    ("_SYSTEMD_SLICE", "systemd.slice"),
    ("_SYSTEMD_INVOCATION_ID", "systemd.invocation_id"),
    ("_TRANSPORT", "systemd.transport"),
    ("UNIT", "systemd.about_unit"),
    ("CONTAINER_ID_FULL", "container.id"),
    ("CONTAINER_NAME", "container.name"),
    ("IMAGE_NAME", "container.image.name"),
    ("CODE_FILE", "log.origin.file.name"),
    ("CODE_LINE", "log.origin.file.line"),
    ("CODE_FUNC", "log.origin.function"),
    ("MESSAGE_ID", "event.code"),
    ("ERRNO", "error.code"),
    ("_KERNEL_DEVICE", "systemd.kernel.device"),
];
/// Those that ECS has as numbers.
const NUMBERS: [&str; 3] = ["process.pid", "process.thread.id", "log.origin.file.line"];

/// An entry, and where the next one is to be looked for.
pub(super) struct Entry {
    pub(super) cursor: String,
    pub(super) record: Record,
}

impl Entry {
    /// Reads a line; `None` if it is no object with a cursor.
    pub(super) fn read(line: &[u8], origin: &Arc<Origin>) -> Option<Self> {
        let mut object: Map<String, Value> = serde_json::from_slice(line).ok()?;
        let cursor = text(object.get("__CURSOR")?)?;
        let number = |name: &str| text(object.get(name)?)?.parse::<i64>().ok();
        // The program's own clock, where it told, else when the journal got it.
        let time = number("_SOURCE_REALTIME_TIMESTAMP").or_else(|| number("__REALTIME_TIMESTAMP"));
        let level = number("PRIORITY").and_then(level);
        let mut body = object.remove("MESSAGE").as_ref().and_then(text).unwrap_or_default();
        body.truncate(body.trim_end_matches(['\n', '\r']).len());
        let mut fields = Fields::default();
        for (name, value) in &object {
            if let Some((field, value)) = field(name, value) {
                fields.push(field, value);
            }
        }
        let record = Record {
            id: RecordId::of(cursor.as_bytes()),
            time: time.and_then(|time| Timestamp::from_microsecond(time).ok()),
            level,
            body,
            origin: Arc::clone(origin),
            fields,
        };
        Some(Self { cursor, record })
    }
}

/// A field's name and value in the record; the journal's bookkeeping has none.
fn field(name: &str, value: &Value) -> Option<(String, Value)> {
    let value = text(value)?;
    if let Some((_, field)) = NAMES.iter().find(|(own, _)| *own == name) {
        let number = if NUMBERS.contains(field) { value.parse::<u64>().ok() } else { None };
        return Some(((*field).to_owned(), number.map_or(value.into(), Value::from)));
    }
    // Names with a line before them are the journal's; those without, of programs, may be anything.
    let is_own = name.starts_with('_') || ["PRIORITY", "SYSLOG_TIMESTAMP", "SYSLOG_RAW"].contains(&name);
    (!is_own).then(|| (format!("journald.{}", name.to_lowercase()), value.into()))
}

/// The text of a field.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => {
            let bytes: Option<Vec<u8>> =
                values.iter().map(|value| u8::try_from(value.as_u64()?).ok()).collect();
            match bytes {
                Some(bytes) if !bytes.is_empty() => Some(String::from_utf8_lossy(&bytes).into_owned()),
                _ => {
                    let texts: Vec<String> = values.iter().filter_map(text).collect();
                    (!texts.is_empty()).then(|| texts.join("\n"))
                }
            }
        }
        _ => None,
    }
}

/// The level of a syslog severity.
const fn level(priority: i64) -> Option<Level> {
    Some(match priority {
        0 => Level::Emergency,
        1 => Level::Alert,
        2 => Level::Critical,
        3 => Level::Error,
        4 => Level::Warn,
        5 => Level::Notice,
        6 => Level::Info,
        7 => Level::Debug,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(line: &[u8]) -> Option<Entry> {
        Entry::read(line, &Arc::new(Origin::new("journal", Fields::default())))
    }

    #[test]
    fn an_entry_has_the_names_of_ecs() {
        let line = json!({
            "__CURSOR": "s=1;i=2", "__REALTIME_TIMESTAMP": "1768473045123456", "__MONOTONIC_TIMESTAMP": "1", "PRIORITY": "3",
            "MESSAGE": [226, 130, 172, 32, 255], "_HOSTNAME": "h", "_PID": "12", "_SYSTEMD_UNIT": "shop.service",
            "ORDER_ID": "7", "TAGS": ["a", [98, 255]], "EMPTY": null, "_SELINUX_CONTEXT": "x",
        });
        let entry = read(line.to_string().as_bytes()).unwrap();
        assert_eq!((entry.cursor.as_str(), entry.record.body.as_str()), ("s=1;i=2", "€ \u{fffd}"));
        assert_eq!(entry.record.level, Some(Level::Error));
        assert_eq!(entry.record.time.unwrap().as_microsecond(), 1_768_473_045_123_456);
        let expected: Fields = [
            ("host.name", json!("h")),
            ("process.pid", json!(12)),
            ("systemd.unit", json!("shop.service")),
            ("journald.order_id", json!("7")),
            ("journald.tags", json!("a\nb\u{fffd}")),
        ]
        .into_iter()
        .collect();
        assert_eq!(entry.record.fields, expected);
        assert!(read(b"{\"MESSAGE\":\"no cursor\"}").is_none());
    }

    proptest! {
        #[test]
        fn any_line_is_an_entry_or_is_not(line in "\\PC{0,80}", value in "[\\[\\]0-9a\",]{0,20}") {
            _ = read(line.as_bytes());
            _ = read(format!("{{\"__CURSOR\":\"a\",\"MESSAGE\":{value}}}").as_bytes());
        }
    }
}
