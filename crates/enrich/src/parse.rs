//! What surrounds the message: the container runtime's wrapper and the program's own header or structure.
//!
//! ```text
//! line ─► unwrap ─► … ─► parse ─► Parsed { time, level, logger, message, fields }
//!         CRI, docker      dispatch on the first bytes, then one reader per family
//! ```
//! No reader fails: what none of them knows passes whole as the message. A level comes from a place that only a level has:
//! a field, a column, a word of a header. The word "error" in a message, a URL or a stream's name is none.
//!
//! Cost: a header is read once, left to right, without regular expressions and without allocation. Structured records
//! allocate their list of fields.

mod access;
mod cluster;
mod console;
mod envelope;
mod fields;
mod header;
mod json;
mod kernel;
mod keys;
mod klog;
mod level;
mod logfmt;
mod names;
mod programs;
mod syslog;
mod text;
mod timestamp;
mod wrapper;

use std::borrow::Cow;

use jiff::Timestamp;
use logrisk_base::Level;
use memchr::memmem;

pub use envelope::Syslog;
use text::{skip_blanks, without_ansi};

/// A physical line without the container runtime's wrapper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwrapped<'a> {
    /// When the runtime read the line, as written; absent without a wrapper.
    pub timestamp: Option<Cow<'a, str>>,
    /// `stdout` or `stderr`; absent without a wrapper.
    pub stream: Option<&'a str>,
    /// The runtime tore the line here: the next one continues it without a newline between.
    pub partial: bool,
    /// What the program wrote.
    pub content: Cow<'a, str>,
}

/// Which shape a record was recognised as: one for each family of programs that write alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Nothing recognised: the whole text is the message.
    Plain,
    /// A JSON object: zap, logrus, bunyan, pino, ECS, Serilog, GELF, journald and others.
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// klog and glog, plain and structured.
    Klog,
    /// RFC 3164 syslog, with a priority or without, and its stored forms.
    Syslog,
    /// RFC 5424 syslog.
    Syslog5424,
    /// Access logs of web servers and of Envoy.
    Access,
    /// HAProxy's access log.
    HaProxy,
    /// A header of time, level, logger and such, in any order: log4j, Python, Postgres, nginx errors and most others.
    Application,
    /// Android's logcat.
    Android,
    /// The kernel's ring buffer, and lines with systemd's `<3>` prefix.
    Kernel,
    /// Redis' own log.
    Redis,
    /// .NET's console logger.
    Dotnet,
    /// macOS' unified log.
    MacOs,
    /// Events of supercomputers: BlueGene's RAS, HPC's state changes.
    Ras,
}

/// A record taken apart. Everything borrows from the input where it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The shape that was recognised.
    pub format: Format,
    /// The time as written; `None` where the record carries none. [`Parsed::time`] reads it.
    pub timestamp: Option<Cow<'a, str>>,
    /// The declared level, all spellings brought to one.
    pub level: Option<Level>,
    /// Logger, module, program or component.
    pub logger: Option<Cow<'a, str>>,
    /// What remains for a person to read.
    pub message: Cow<'a, str>,
    /// Further fields in their order, without those that the members above came from and without bookkeeping (process,
    /// thread, host, place in the source, trace): at most 24, each value at most 512 bytes.
    pub fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Parsed<'a> {
    /// A record that is all message.
    fn plain(format: Format, message: &'a str) -> Self {
        Self {
            format,
            timestamp: None,
            level: None,
            logger: None,
            message: Cow::Borrowed(message),
            fields: Vec::new(),
        }
    }

    /// The instant of the record; `None` where it carries none that can be read.
    ///
    /// A time without a zone is taken as UTC. One without a year (syslog) or without a date is completed to the latest
    /// instant that is at most a day after `reference`, which is usually now.
    #[must_use]
    pub fn time(&self, reference: Timestamp) -> Option<Timestamp> {
        timestamp::instant(self.timestamp.as_deref()?, reference)
    }

    /// The same record with nothing borrowed.
    #[must_use]
    pub fn into_owned(self) -> Parsed<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Parsed {
            format: self.format,
            timestamp: self.timestamp.map(own),
            level: self.level,
            logger: self.logger.map(own),
            message: own(self.message),
            fields: self.fields.into_iter().map(|(key, value)| (own(key), own(value))).collect(),
        }
    }

    /// Looks into the message where the record is only an envelope: a daemon's own format inside syslog or journald.
    fn open(self) -> Self {
        let Cow::Borrowed(message) = self.message else {
            let inner = inside(&self.message, self.level).map(Parsed::into_owned);
            return self.with(inner);
        };
        let inner = inside(message, self.level);
        self.with(inner)
    }

    /// The record with what its message turned out to hold.
    fn with(mut self, inner: Option<Self>) -> Self {
        let Some(inner) = inner else { return self };
        self.format = if inner.format == Format::Application { self.format } else { inner.format };
        self.timestamp = self.timestamp.or(inner.timestamp);
        self.level = inner.level.or(self.level);
        self.logger = inner.logger.or(self.logger);
        self.message = inner.message;
        self.fields.extend(inner.fields);
        self
    }
}

/// Takes the container runtime's wrapper (CRI, docker-json) off one physical line.
#[must_use]
pub fn unwrap(line: &str) -> Unwrapped<'_> {
    wrapper::unwrap(line)
}

/// The level that the value of a level field means: a name in any spelling, or a number.
#[must_use]
pub fn level(value: &str) -> Option<Level> {
    level::from_field(value)
}

/// Takes a record apart. Never fails: an unknown shape passes whole as the message.
///
/// A record of several lines is read by its first one; the others follow the message after a newline. Terminal colours,
/// a byte order mark and the line end are removed.
#[must_use]
pub fn parse(content: &str) -> Parsed<'_> {
    if let Some(clean) = without_ansi(content) {
        return parse_clean(&clean).into_owned();
    }
    parse_clean(content)
}

fn parse_clean(content: &str) -> Parsed<'_> {
    let content = content.strip_prefix('\u{feff}').unwrap_or(content).trim_end_matches(['\n', '\r', '\0']);
    let text = skip_blanks(content);
    let parsed = match recognise(text) {
        Some(parsed) => parsed,
        None => return Parsed::plain(Format::Plain, content),
    };
    match parsed.format {
        Format::Syslog | Format::Syslog5424 | Format::Kernel => parsed.open(),
        // fluent-bit and journald ship other programs' lines as a field; loggers declare a level.
        Format::Json if parsed.level.is_none() || memmem::find(text.as_bytes(), b"\"MESSAGE\"").is_some() => {
            parsed.open()
        }
        Format::Application
            if parsed.message.starts_with(['{', '"', '1', '2', '3', '4', '5', '6', '7', '8', '9']) =>
        {
            parsed.open()
        }
        _ => parsed,
    }
}

/// Dispatches on the first bytes. Within one arm the order is from the strictest reader to the loosest.
fn recognise(text: &str) -> Option<Parsed<'_>> {
    match *text.as_bytes() {
        [b'{', ..] => json::parse(text),
        [b'<', b'0'..=b'9', ..] => syslog::parse_with_priority(text).or_else(|| kernel::parse_prefixed(text)),
        [b'[', ..] => kernel::parse(text)
            .or_else(|| access::parse_bracketed(text))
            .or_else(|| programs::proxifier(text))
            .or_else(|| header::parse(text)),
        [b'0'..=b'9', ..] => number_first(text),
        [b'I' | b'W' | b'E' | b'F' | b'D', b'0'..=b'9', ..] => klog::parse(text),
        [b'I' | b'W' | b'E' | b'F' | b'D' | b'V', b'/', ..] => programs::android_brief(text),
        [b'-', b' ', b'0'..=b'9', ..] => cluster::labelled(text),
        [_, ..] => word_first(text),
        [] => None,
    }
}

fn number_first(text: &str) -> Option<Parsed<'_>> {
    match *text.as_bytes() {
        // A year: the most frequent beginning of all. What an address begins with looks alike.
        [b'1' | b'2', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'-' | b'/' | b'.', ..] => {
            let length = timestamp::length(text)?;
            programs::macos(text, length)
                .or_else(|| syslog::parse_stored(text, length))
                .or_else(|| header::parse_after_time(text, length))
        }
        [_, _, b'-', _, _, b' ', ..] => programs::android(text).or_else(|| header::parse(text)),
        _ => access::parse(text)
            .or_else(|| programs::redis(text))
            .or_else(|| programs::barred(text))
            .or_else(|| cluster::labelled(text))
            .or_else(|| cluster::state_change(text))
            .or_else(|| header::parse(text)),
    }
}

fn word_first(text: &str) -> Option<Parsed<'_>> {
    // Months and weekdays have a blank or a comma at the fourth place.
    let by_time = match *text.as_bytes() {
        [b'A'..=b'Z', b'a'..=b'z', b'a'..=b'z', b' ', b' ' | b'0'..=b'9', ..] => {
            header_of_java(text).or_else(|| syslog::parse(text))
        }
        _ => None,
    };
    by_time
        .or_else(|| logfmt::parse(text))
        .or_else(|| programs::dotnet(text))
        .or_else(|| kernel::parse_decoded(text))
        .or_else(|| header::parse(text))
        .or_else(|| access::parse(text))
        .or_else(|| cluster::labelled(text))
}

/// `Jan 15, 2024 10:30:45 AM class method`: the comma tells Java's loggers from syslog.
fn header_of_java(text: &str) -> Option<Parsed<'_>> {
    matches!(text.as_bytes().get(5..7), Some([b',', b' '] | [_, b','])).then(|| header::parse(text)).flatten()
}

/// What the message of an envelope holds. Where the envelope declared a level, a mere word of a header does not overrule
/// it; what a structure declares does.
fn inside(message: &str, declared: Option<Level>) -> Option<Parsed<'_>> {
    let inner = recognise(skip_blanks(message))?;
    let structured = matches!(
        inner.format,
        Format::Json | Format::Logfmt | Format::Klog | Format::Access | Format::HaProxy | Format::Kernel
    );
    (structured || (declared.is_none() && inner.level.is_some())).then_some(inner)
}

#[cfg(test)]
mod tests;
