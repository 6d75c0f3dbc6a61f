//! What is known of a record beside its text, as dotted names of the Elastic Common Schema.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

/// What every document has of ours.
const OURS: [&str; 17] = [
    "@timestamp",
    "message",
    "log.level",
    "risk_label",
    "risk_score",
    "risk_interval",
    "unsure",
    "level",
    "tag",
    "pattern_id",
    "model_version",
    "explanation",
    "label_source",
    "record_id",
    "sample_rate",
    "event.module",
    "event.dataset",
];

/// Names and values, in order. A list, since records have few of them and most are written once and read never.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields(Vec<(Cow<'static, str>, Value)>);

impl Fields {
    /// Adds a field. A name that is there already keeps its first value when written.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.0.push((name.into(), value.into()));
    }

    /// The field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// About how many bytes they hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let value = |value: &Value| match value {
            Value::String(text) => text.len(),
            Value::Array(_) | Value::Object(_) => 512,
            _ => 0,
        };
        let texts: usize = self.0.iter().map(|(name, own)| name.len() + value(own)).sum();
        texts + self.0.capacity() * size_of::<(Cow<'static, str>, Value)>()
    }

    /// Appends the fields as members of a JSON object, each after a comma, except those that are in `written`. A sender's field that has one of our names is
    /// written below `original`, since no name may be there twice.
    pub fn push_members(&self, written: &Self, out: &mut Vec<u8>) {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let mut earlier = self.0.iter().take(index).chain(&written.0);
            if earlier.any(|(earlier, _)| earlier == name) {
                continue;
            }
            out.push(b',');
            if OURS.contains(&&**name) {
                push_json(&format!("original.{name}"), out);
            } else {
                push_json(name, out);
            }
            out.push(b':');
            push_json(value, out);
        }
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<Value>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Appends a value as JSON.
pub fn push_json(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    // Memory does not fail to be written, and texts and values have no keys that JSON refuses.
    _ = serde_json::to_writer(out, value);
}
