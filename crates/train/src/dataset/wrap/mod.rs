//! Real formats around a message: what programs, daemons and container runtimes print before and after it.
//!
//! ```text
//! message ─► program's format (klog, JSON, log4j, …) ─► carrier (CRI, docker-json, syslog), sometimes
//! ```
//!
//! Both training and `logrisk generate` use these, so that the parser is met by every format that it must read.

mod json;
mod text;

use logrisk_base::Level;

use super::random::Random;

/// A format that a line can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The message alone.
    Plain,
    /// `LEVEL message` and its cousins, no time.
    Leveled,
    /// `I0317 09:12:44.123456       1 file.go:123] message`
    Klog,
    /// `2025-03-17T09:12:44.123Z INFO [logger] message` and its cousins with brackets.
    Bracketed,
    /// `2025-03-17 09:12:44,123 INFO  [thread] org.acme.Logger - message`
    Log4j,
    /// `2025-03-17T09:12:44.123+00:00  INFO 1 --- [main] o.acme.Logger : message`
    Spring,
    /// `2025-03-17 09:12:44,123 - logger - WARNING - message`, or `WARNING:logger:message`.
    Python,
    /// `2025/03/17 09:12:44 [error] 7#7: *12 message`
    Nginx,
    /// `2025-03-17 09:12:44.123 UTC [77] LOG:  message`
    Postgres,
    /// `time=… level=info msg="…" key=value`
    Logfmt,
    /// `[    1.234567] message`
    Dmesg,
    /// `Mar 17 09:12:44 host program[77]: message`, sometimes with `<PRI>`.
    Syslog3164,
    /// `<PRI>1 time host program 77 - - message`
    Syslog5424,
    /// Zap's production JSON.
    Zap,
    /// logrus' JSON.
    Logrus,
    /// pino's JSON, numeric levels.
    Pino,
    /// bunyan's JSON, numeric levels.
    Bunyan,
    /// Elastic Common Schema.
    Ecs,
    /// Google Cloud's `severity`.
    Gcp,
    /// A level word in another language.
    Localised,
    /// A Windows event or `java.util.logging`'s two lines.
    JavaUtil,
}

/// What is written.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The message; may hold newlines.
    pub message: &'a str,
    /// The level to declare; `None` declares none.
    pub level: Option<Level>,
    /// Logger or program.
    pub logger: &'a str,
    /// Host.
    pub host: &'a str,
    /// When.
    pub time: jiff::Timestamp,
}

/// Formats and how often each is drawn for a line that declares a level.
const WITH_LEVEL: &[(Format, f64)] = &[
    (Format::Leveled, 12.0),
    (Format::Klog, 8.0),
    (Format::Bracketed, 10.0),
    (Format::Log4j, 10.0),
    (Format::Spring, 5.0),
    (Format::Python, 8.0),
    (Format::Nginx, 4.0),
    (Format::Postgres, 4.0),
    (Format::Logfmt, 9.0),
    (Format::Syslog3164, 3.0),
    (Format::Syslog5424, 3.0),
    (Format::Zap, 6.0),
    (Format::Logrus, 4.0),
    (Format::Pino, 4.0),
    (Format::Bunyan, 2.0),
    (Format::Ecs, 4.0),
    (Format::Gcp, 3.0),
    (Format::Localised, 2.0),
    (Format::JavaUtil, 2.0),
];

/// The same for a line without a level.
const WITHOUT_LEVEL: &[(Format, f64)] = &[
    (Format::Plain, 60.0),
    (Format::Syslog3164, 16.0),
    (Format::Bracketed, 8.0),
    (Format::Dmesg, 6.0),
    (Format::Logfmt, 4.0),
    (Format::Ecs, 3.0),
    (Format::Log4j, 3.0),
];

impl Format {
    /// Every format with its name on the command line.
    pub const NAMES: &[(&str, Self)] = &[
        ("plain", Self::Plain),
        ("leveled", Self::Leveled),
        ("klog", Self::Klog),
        ("bracketed", Self::Bracketed),
        ("log4j", Self::Log4j),
        ("spring", Self::Spring),
        ("python", Self::Python),
        ("nginx", Self::Nginx),
        ("postgres", Self::Postgres),
        ("logfmt", Self::Logfmt),
        ("dmesg", Self::Dmesg),
        ("syslog3164", Self::Syslog3164),
        ("syslog5424", Self::Syslog5424),
        ("zap", Self::Zap),
        ("logrus", Self::Logrus),
        ("pino", Self::Pino),
        ("bunyan", Self::Bunyan),
        ("ecs", Self::Ecs),
        ("gcp", Self::Gcp),
        ("localised", Self::Localised),
        ("java-util", Self::JavaUtil),
    ];

    /// A format in which the level, or its absence, can be written.
    #[must_use]
    pub fn any(level: bool, random: &mut Random) -> Self {
        let table = if level { WITH_LEVEL } else { WITHOUT_LEVEL };
        let mut rest = random.unit() * table.iter().map(|(_, weight)| weight).sum::<f64>();
        for (format, weight) in table {
            if rest < *weight {
                return *format;
            }
            rest -= weight;
        }
        Self::Plain
    }

    /// Appends the line in this format. A format whose shape demands a level writes info where none is given.
    pub fn write_into(self, line: &Line<'_>, random: &mut Random, out: &mut String) {
        match self {
            Self::Plain => out.push_str(line.message),
            Self::Leveled => text::leveled(line, random, out),
            Self::Klog => text::klog(line, random, out),
            Self::Bracketed => text::bracketed(line, random, out),
            Self::Log4j => text::log4j(line, random, out),
            Self::Spring => text::spring(line, random, out),
            Self::Python => text::python(line, random, out),
            Self::Nginx => text::nginx(line, random, out),
            Self::Postgres => text::postgres(line, random, out),
            Self::Logfmt => text::logfmt(line, random, out),
            Self::Dmesg => text::dmesg(line, random, out),
            Self::Syslog3164 => text::syslog3164(line, random, out),
            Self::Syslog5424 => text::syslog5424(line, random, out),
            Self::Localised => text::localised(line, random, out),
            Self::JavaUtil => text::java_util(line, random, out),
            Self::Zap => json::zap(line, random, out),
            Self::Logrus => json::logrus(line, random, out),
            Self::Pino => json::pino(line, random, out),
            Self::Bunyan => json::bunyan(line, random, out),
            Self::Ecs => json::ecs(line, random, out),
            Self::Gcp => json::gcp(line, random, out),
        }
    }
}

/// What a container runtime or a log daemon puts around a finished line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// `2025-03-17T09:12:44.123456789Z stdout F line`, one for each physical line.
    Cri,
    /// `{"log":"line\n","stream":"stdout","time":"…"}`, one for each physical line.
    Docker,
}

impl Carrier {
    /// Appends the record, every physical line of it carried.
    pub fn write_into(self, record: &str, time: jiff::Timestamp, random: &mut Random, out: &mut String) {
        let stream = if random.chance(0.4) { "stderr" } else { "stdout" };
        for (index, physical) in record.split('\n').enumerate() {
            if index > 0 {
                out.push('\n');
            }
            match self {
                Self::Cri => text::cri(physical, stream, time, out),
                Self::Docker => json::docker(physical, stream, time, out),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: Option<Level>) -> Line<'static> {
        let time = jiff::Timestamp::from_second(1_742_202_764).unwrap();
        Line { message: "disk \"a\" is full", level, logger: "storage", host: "node-1", time }
    }

    #[test]
    fn every_format_carries_the_message() {
        let mut random = Random::new(1);
        for (name, format) in Format::NAMES {
            for level in [None, Some(Level::Warn), Some(Level::Fatal)] {
                let mut out = String::new();
                format.write_into(&line(level), &mut random, &mut out);
                assert!(out.contains("disk "), "{name}: {out}");
                assert!(out.contains("is full"), "{name}: {out}");
            }
        }
    }

    #[test]
    fn json_formats_are_json() {
        let mut random = Random::new(2);
        for format in [Format::Zap, Format::Logrus, Format::Pino, Format::Bunyan, Format::Ecs, Format::Gcp] {
            let mut out = String::new();
            format.write_into(&line(Some(Level::Error)), &mut random, &mut out);
            serde_json::from_str::<serde_json::Value>(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
        }
    }

    #[test]
    fn carriers_carry_every_physical_line() {
        let mut random = Random::new(3);
        for carrier in [Carrier::Cri, Carrier::Docker] {
            let mut out = String::new();
            carrier.write_into("a\n\tb", line(None).time, &mut random, &mut out);
            assert_eq!(out.lines().count(), 2, "{out}");
        }
    }
}
