//! Formats that are JSON, one object a line.

use std::fmt::Write as _;

use logrisk_base::Level;
use serde_json::Value;

use super::{
    super::{random::Random, values},
    Line,
    text::iso,
};

/// Fields that real records carry beside the message and that say nothing of its risk.
fn noise(random: &mut Random, out: &mut String) {
    if random.chance(0.3) {
        out.push_str(",\"trace_id\":\"");
        values::hex(32, random, out);
        out.push('"');
    }
    if random.chance(0.2) {
        _ = write!(out, ",\"thread\":\"worker-{}\"", random.between(1, 32));
    }
    if random.chance(0.15) {
        _ = write!(out, ",\"version\":\"{}.{}.{}\"", random.below(5), random.below(30), random.below(9));
    }
}

fn pair(key: &str, value: &str, out: &mut String) {
    _ = write!(out, "\"{key}\":{}", Value::from(value));
}

fn stamp(key: &str, line: &Line<'_>, out: &mut String) {
    _ = write!(out, "\"{key}\":\"");
    iso(line.time, 'T', '.', 3, "Z\"", out);
}

pub(super) fn zap(line: &Line<'_>, random: &mut Random, out: &mut String) {
    out.push('{');
    if let Some(level) = line.level {
        let word = match level {
            Level::Trace | Level::Debug => "debug",
            Level::Info | Level::Notice => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Critical => "dpanic",
            Level::Alert | Level::Emergency => "panic",
            Level::Fatal => "fatal",
        };
        _ = write!(out, "\"level\":\"{word}\",");
    }
    if random.chance(0.5) {
        stamp("ts", line, out);
    } else {
        _ = write!(out, "\"ts\":{}.{:06}", line.time.as_second(), random.below(1_000_000));
    }
    out.push(',');
    if random.chance(0.5) {
        pair("logger", line.logger, out);
        out.push(',');
    }
    _ = write!(out, "\"caller\":\"{}/main.go:{}\",", line.logger, random.between(10, 900));
    pair("msg", line.message, out);
    noise(random, out);
    out.push('}');
}

pub(super) fn logrus(line: &Line<'_>, random: &mut Random, out: &mut String) {
    out.push('{');
    if random.chance(0.5) {
        pair("component", line.logger, out);
        out.push(',');
    }
    if let Some(level) = line.level {
        let word = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info | Level::Notice => "info",
            Level::Warn => "warning",
            Level::Error => "error",
            Level::Critical | Level::Fatal => "fatal",
            Level::Alert | Level::Emergency => "panic",
        };
        _ = write!(out, "\"level\":\"{word}\",");
    }
    pair("msg", line.message, out);
    out.push(',');
    stamp("time", line, out);
    noise(random, out);
    out.push('}');
}

/// 10 trace to 60 fatal, as pino and bunyan count.
fn numeric(level: Level) -> u8 {
    match level {
        Level::Trace => 10,
        Level::Debug => 20,
        Level::Info | Level::Notice => 30,
        Level::Warn => 40,
        Level::Error => 50,
        Level::Critical | Level::Alert | Level::Fatal | Level::Emergency => 60,
    }
}

pub(super) fn pino(line: &Line<'_>, random: &mut Random, out: &mut String) {
    let level = numeric(line.level.unwrap_or(Level::Info));
    _ = write!(
        out,
        "{{\"level\":{level},\"time\":{},\"pid\":{},",
        line.time.as_millisecond(),
        random.between(1, 99)
    );
    pair("hostname", line.host, out);
    out.push(',');
    if random.chance(0.5) {
        pair("name", line.logger, out);
        out.push(',');
    }
    pair("msg", line.message, out);
    out.push('}');
}

pub(super) fn bunyan(line: &Line<'_>, random: &mut Random, out: &mut String) {
    out.push('{');
    pair("name", line.logger, out);
    out.push(',');
    pair("hostname", line.host, out);
    let level = numeric(line.level.unwrap_or(Level::Info));
    _ = write!(out, ",\"pid\":{},\"level\":{level},", random.between(1, 9999));
    pair("msg", line.message, out);
    out.push(',');
    stamp("time", line, out);
    out.push_str(",\"v\":0}");
}

pub(super) fn ecs(line: &Line<'_>, random: &mut Random, out: &mut String) {
    out.push('{');
    stamp("@timestamp", line, out);
    if let Some(level) = line.level {
        _ = write!(out, ",\"log.level\":\"{}\"", if level == Level::Warn { "WARN" } else { level.as_str() });
    }
    out.push(',');
    pair("message", line.message, out);
    out.push_str(",\"ecs.version\":\"1.6.0\",");
    pair("log.logger", line.logger, out);
    noise(random, out);
    out.push('}');
}

pub(super) fn gcp(line: &Line<'_>, random: &mut Random, out: &mut String) {
    out.push('{');
    if let Some(level) = line.level {
        let word = match level {
            Level::Trace | Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Notice => "NOTICE",
            Level::Warn => "WARNING",
            Level::Error => "ERROR",
            Level::Critical | Level::Fatal => "CRITICAL",
            Level::Alert => "ALERT",
            Level::Emergency => "EMERGENCY",
        };
        _ = write!(out, "\"severity\":\"{word}\",");
    }
    pair("message", line.message, out);
    out.push(',');
    stamp("timestamp", line, out);
    noise(random, out);
    out.push('}');
}

pub(super) fn docker(physical: &str, stream: &str, time: jiff::Timestamp, out: &mut String) {
    out.push_str("{\"log\":");
    _ = write!(out, "{}", Value::from(format!("{physical}\n")));
    _ = write!(out, ",\"stream\":\"{stream}\",\"time\":\"");
    iso(time, 'T', '.', 9, "Z\"}", out);
}
