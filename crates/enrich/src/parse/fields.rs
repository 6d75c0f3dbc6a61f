//! From keys and values to a record, the same for JSON, logfmt, klog and syslog.
//!
//! Where several keys compete for a place (a service, a module and a logger), the more exact one wins.

use std::borrow::Cow;

use logrisk_base::Level;

use super::{
    Format, Parsed,
    keys::{Role, role},
    level,
    text::{clip, clip_cow},
};

/// Fields kept of one record: the text that the model reads ends long before.
const MOST_FIELDS: usize = 24;
/// Bytes kept of one value: longer ones are payloads, whose beginning tells enough.
const LONGEST_VALUE: usize = 512;
/// Bytes kept of a stack trace: the model reads the head and the tail of at most 512 tokens.
const LONGEST_STACK: usize = 4096;
/// A logger's name is shorter than this; longer values are data.
const LONGEST_LOGGER: usize = 100;

/// The keys from the outermost object to a value; deeper objects stay text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'a> {
    keys: [&'a str; 3],
    depth: usize,
    /// Depth with the wrappers counted: what bounds the recursion.
    nesting: usize,
}

impl<'a> Path<'a> {
    pub(super) const ROOT: Self = Self { keys: [""; 3], depth: 0, nesting: 0 };

    /// The path one key deeper; `None` where that would be too deep to follow.
    pub(super) fn join(mut self, key: &'a str) -> Option<Self> {
        *self.keys.get_mut(self.depth)? = key;
        self.depth += 1;
        self.nesting += 1;
        // What merely wraps the real fields adds nothing to their names.
        if self.depth == 2 && is_wrapper(self.keys[0]) {
            self.keys[0] = key;
            self.depth = 1;
        }
        Some(self)
    }

    /// Whether an object at this path has keys that can still be followed.
    pub(super) fn can_hold_an_object(&self) -> bool {
        self.depth < self.keys.len() && self.nesting <= self.keys.len()
    }

    pub(super) fn one(key: &'a str) -> Self {
        Self { keys: [key, "", ""], depth: 1, nesting: 1 }
    }

    fn keys(&self) -> &[&'a str] {
        self.keys.get(..self.depth).unwrap_or_default()
    }

    fn name(&self) -> Cow<'a, str> {
        match *self.keys() {
            [key] => Cow::Borrowed(without_marks(key)),
            _ => Cow::Owned(self.keys().join(".")),
        }
    }
}

/// Objects that hold the fields of the event itself: tracing, MongoDB, Monolog, Serilog, Cloud Logging, OpenTelemetry.
fn is_wrapper(key: &str) -> bool {
    matches!(
        key,
        "fields"
            | "attr"
            | "attrs"
            | "attributes"
            | "Attributes"
            | "properties"
            | "Properties"
            | "context"
            | "contextMap"
            | "mdc"
            | "extra"
            | "jsonPayload"
            | "data"
            | "meta"
            | "params"
            | "payload"
    )
}

/// GELF marks custom fields with `_`.
fn without_marks(key: &str) -> &str {
    key.strip_prefix('_').unwrap_or(key)
}

/// A structured record under construction.
#[derive(Debug, Default)]
pub(super) struct Builder<'a> {
    timestamp: Option<Cow<'a, str>>,
    level: Option<Level>,
    level_is_exact: bool,
    logger: Option<(Cow<'a, str>, u8)>,
    message: Option<(Cow<'a, str>, u8)>,
    stack: Option<Cow<'a, str>>,
    fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    name_at: Option<usize>,
    names_logger: bool,
    /// Serilog's compact format, known by the name of its time.
    is_clef: bool,
}

impl<'a> Builder<'a> {
    /// Whether anything says that this is a log record and not just data.
    pub(super) fn is_record(&self) -> bool {
        self.level.is_some() || self.timestamp.is_some() || self.message.is_some()
    }

    /// Whether a level or a message was declared.
    pub(super) fn has_level_or_message(&self) -> bool {
        self.level.is_some() || self.message.is_some()
    }

    pub(super) fn set_message(&mut self, message: Cow<'a, str>) {
        self.message = Some((message, u8::MAX));
    }

    pub(super) fn set_level(&mut self, level: Option<Level>) {
        self.level = level;
        self.level_is_exact = level.is_some();
    }

    pub(super) fn set_timestamp(&mut self, timestamp: &'a str) {
        self.timestamp = Some(Cow::Borrowed(timestamp));
    }

    pub(super) fn set_logger(&mut self, logger: &'a str) {
        if !logger.is_empty() {
            self.logger = Some((Cow::Borrowed(logger), 3));
        }
    }

    /// Takes one value in. Empty ones and JSON's `null` say nothing.
    pub(super) fn put(&mut self, path: Path<'a>, value: Cow<'a, str>) {
        if matches!(&*value, "" | "null" | "{}" | "[]") {
            return;
        }
        let [Some(first), ..] = [path.keys().first()] else { return };
        match role(path.keys(), first) {
            Role::Time => {
                self.is_clef |= *first == "@t";
                if self.timestamp.is_none() {
                    self.timestamp = Some(value);
                }
            }
            Role::Level => {
                let exact = !value.starts_with(|first: char| first.is_ascii_digit() || first == '-');
                self.put_level(path, level::from_field(&value), exact, value);
            }
            Role::PythonLevel => {
                self.names_logger = true;
                let number = level::from_python_number(&value);
                let exact = number.is_none();
                self.put_level(path, number.or_else(|| level::from_field(&value)), exact, value);
            }
            Role::OtelLevel => self.put_level(path, level::from_otel_number(&value), false, value),
            Role::MongoLevel => {
                let declared = if value.len() <= 2 { level::from_name(&value) } else { None };
                self.put_level(path, declared, true, value);
            }
            Role::Logger(rank) => self.put_logger(path, value, rank),
            Role::Name => {
                self.name_at = Some(self.fields.len());
                self.push(path, value);
            }
            Role::Message(rank) => self.put_message(path, value, rank),
            Role::Stack => self.put_stack(value),
            Role::Error if value.contains('\n') => self.put_stack(value),
            Role::Process => self.names_logger = true,
            Role::Bookkeeping => {}
            Role::Error | Role::Other => self.push(path, value),
        }
    }

    /// Takes a value in as a field whatever its key says: its place in the record was declared elsewhere.
    pub(super) fn put_other(&mut self, key: &'a str, value: Cow<'a, str>) {
        if !value.is_empty() {
            self.push(Path::one(key), value);
        }
    }

    fn put_level(&mut self, path: Path<'a>, declared: Option<Level>, exact: bool, value: Cow<'a, str>) {
        match declared {
            Some(declared) if self.level.is_none() || (exact && !self.level_is_exact) => {
                self.level = Some(declared);
                self.level_is_exact = exact;
            }
            Some(_) => {}
            // GCP's DEFAULT and a game's level 93 are no levels.
            None if value.eq_ignore_ascii_case("default") => {}
            None => self.push(path, value),
        }
    }

    fn put_logger(&mut self, path: Path<'a>, value: Cow<'a, str>, rank: u8) {
        if value.len() > LONGEST_LOGGER || value.contains(['\n', '{']) {
            return self.push(path, value);
        }
        match &self.logger {
            Some((_, best)) if *best >= rank => {
                if rank >= 3 {
                    self.push(path, value);
                }
            }
            _ => self.logger = Some((value, rank)),
        }
    }

    fn put_message(&mut self, path: Path<'a>, value: Cow<'a, str>, rank: u8) {
        match &self.message {
            Some((_, best)) if *best >= rank => {
                if rank == 1 {
                    self.push(path, value);
                }
            }
            _ => {
                if let Some((displaced, 1)) = self.message.replace((value, rank)) {
                    self.push(Path::one("event"), displaced);
                }
            }
        }
    }

    fn put_stack(&mut self, value: Cow<'a, str>) {
        if self.stack.is_none() {
            self.stack = Some(clip_cow(value, LONGEST_STACK));
        }
    }

    fn push(&mut self, path: Path<'a>, value: Cow<'a, str>) {
        if self.fields.len() < MOST_FIELDS {
            if self.fields.is_empty() {
                self.fields.reserve(8);
            }
            self.fields.push((path.name(), clip_cow(value, LONGEST_VALUE)));
        }
    }

    /// The record; `rest` is what followed it, such as the lines of a stack trace.
    pub(super) fn finish(mut self, format: Format, rest: &'a str) -> Parsed<'a> {
        if let Some(at) = self.name_at
            && self.names_logger
            && self.logger.as_ref().is_none_or(|(_, rank)| *rank < 2)
            && at < self.fields.len()
        {
            self.logger = Some((self.fields.remove(at).1, 2));
        }
        let mut message = match self.message.take() {
            Some((message, _)) => message,
            None => self.message_from_fields(),
        };
        let rest = rest.trim();
        for more in [self.stack.as_deref().unwrap_or_default().trim_end(), clip(rest, LONGEST_STACK)] {
            if !more.is_empty() && !message.contains(more) {
                let text = message.to_mut();
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(more);
            }
        }
        message = match message {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        // Serilog's compact format leaves the level out where it is Information.
        let level = self.level.or(self.is_clef.then_some(Level::Info));
        Parsed {
            format,
            timestamp: self.timestamp,
            level,
            logger: self.logger.map(|(logger, _)| logger),
            message,
            fields: self.fields,
        }
    }

    /// A record without a message is an access log's, or says all in its error.
    fn message_from_fields(&mut self) -> Cow<'a, str> {
        let method = self.position(&["method", "request.method", "request_method", "http.request.method"]);
        let path =
            self.position(&["path", "uri", "url", "request_uri", "request.uri", "url.path", "requestURI"]);
        if let (Some(method), Some(path)) = (method, path) {
            let text = |at: usize| self.fields.get(at).map_or("", |(_, value)| value);
            let message = format!("{} {}", text(method), text(path));
            self.fields.remove(method.max(path));
            self.fields.remove(method.min(path));
            return Cow::Owned(message);
        }
        match self.position(&[
            "request",
            "error",
            "err",
            "error.message",
            "err.message",
            "exception",
            "exception.message",
            "reason",
            "desc",
        ]) {
            Some(at) => self.fields.remove(at).1,
            None => Cow::Borrowed(""),
        }
    }

    fn position(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.fields.iter().position(|(key, _)| key == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_values_are_bounded() {
        let mut builder = Builder::default();
        let long = "é".repeat(600);
        for _ in 0..100 {
            builder.put(Path::one("reason"), Cow::Borrowed(&long));
        }
        let parsed = builder.finish(Format::Json, "");
        assert_eq!(parsed.fields.len(), MOST_FIELDS - 1); // one became the message
        assert!(parsed.fields.iter().all(|(_, value)| value.len() == LONGEST_VALUE));
    }
}
