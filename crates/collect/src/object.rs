//! A JSON object as a record: which of its members are the message, the time and the level.

use jiff::Timestamp;
use logrisk_base::Level;
use logrisk_enrich::parse;
use logrisk_flow::Fields;
use serde_json::{Map, Value};

/// What an object says.
pub(crate) struct Told {
    pub(crate) body: String,
    pub(crate) time: Option<Timestamp>,
    pub(crate) level: Option<Level>,
    pub(crate) fields: Fields,
}

const MESSAGES: [&str; 4] = ["message", "log", "msg", "body"];
const TIMES: [&str; 4] = ["@timestamp", "timestamp", "time", "ts"];
const LEVELS: [&str; 5] = ["log.level", "level", "severity", "severity_text", "lvl"];

impl Told {
    /// A text of which nothing else is known.
    pub(crate) fn text(body: String) -> Self {
        Self { body, time: None, level: None, fields: Fields::default() }
    }

    /// Takes an object apart. Without a message the whole object is the message.
    pub(crate) fn of(mut object: Map<String, Value>) -> Self {
        let level = level(&object);
        let time = TIMES.iter().find_map(|name| time(object.get(*name)?));
        let message = MESSAGES.iter().find(|name| object.get(**name).is_some_and(Value::is_string));
        let body = match message.and_then(|name| object.remove(*name)) {
            Some(Value::String(text)) => text.trim_end_matches(['\n', '\r']).to_owned(),
            _ => {
                return Self {
                    body: Value::Object(object).to_string(),
                    time,
                    level,
                    fields: Fields::default(),
                };
            }
        };
        for name in TIMES {
            if object.get(name).and_then(self::time).is_some() {
                object.remove(name);
            }
        }
        Self { body, time, level, fields: object.into_iter().collect() }
    }
}

fn level(object: &Map<String, Value>) -> Option<Level> {
    let nested = object.get("log").and_then(|log| log.get("level"));
    let named = LEVELS.iter().filter_map(|name| object.get(*name));
    nested.into_iter().chain(named).find_map(|value| match value {
        Value::String(text) => parse::level(text),
        Value::Number(number) => parse::level(&number.to_string()),
        _ => None,
    })
}

/// A time as text (RFC 3339), or as seconds, milliseconds, microseconds or nanoseconds since 1970.
pub(crate) fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok().or_else(|| since_1970(text.parse().ok()?)),
        Value::Number(number) => since_1970(number.as_f64()?),
        _ => None,
    }
}

/// The unit is told by the size: seconds stay below 1e11 until the year 5138.
fn since_1970(number: f64) -> Option<Timestamp> {
    let nanoseconds = match number.abs() {
        size if size < 1e11 => number * 1e9,
        size if size < 1e14 => number * 1e6,
        size if size < 1e17 => number * 1e3,
        _ => number,
    };
    // Microseconds are all that a float of today can tell.
    Timestamp::from_microsecond((nanoseconds / 1e3).round() as i64).ok()
}
