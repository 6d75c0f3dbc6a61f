//! Formats that are plain text.

use std::fmt::Write as _;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use logrisk_base::Level;

use super::{super::random::Random, Line};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const FILES: &[&str] = &[
    "main.go",
    "controller.go",
    "reflector.go",
    "server.go",
    "manager.go",
    "sync.go",
    "kubelet.go",
    "client.go",
];
const THREADS: &[&str] = &[
    "main",
    "http-nio-8080-exec-4",
    "pool-2-thread-7",
    "scheduling-1",
    "Thread-12",
    "nioEventLoopGroup-3-2",
];
const PACKAGES: &[&str] = &["org.acme", "com.example.shop", "io.platform.core", "net.corp.data", "app"];

pub(super) fn civil(time: Timestamp) -> DateTime {
    TimeZone::UTC.to_datetime(time)
}

/// `2025-03-17T09:12:44.123Z`, `separator` before the fraction and `zone` after it.
pub(super) fn iso(
    time: Timestamp,
    middle: char,
    separator: char,
    digits: usize,
    zone: &str,
    out: &mut String,
) {
    let at = civil(time);
    _ = write!(out, "{:04}-{:02}-{:02}{middle}", at.year(), at.month(), at.day());
    _ = write!(out, "{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second());
    if digits > 0 {
        let fraction = at.subsec_nanosecond() as u32 / 10u32.pow(9u32.saturating_sub(digits as u32));
        _ = write!(out, "{separator}{fraction:0digits$}");
    }
    out.push_str(zone);
}

/// The level word of logback, log4j and most programs.
fn upper(level: Level) -> &'static str {
    match level {
        Level::Trace => "TRACE",
        Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Notice => "NOTICE",
        Level::Warn => "WARN",
        Level::Error => "ERROR",
        Level::Critical => "CRITICAL",
        Level::Alert => "ALERT",
        Level::Fatal => "FATAL",
        Level::Emergency => "EMERGENCY",
    }
}

/// log4j knows six levels.
fn log4j_word(level: Level) -> &'static str {
    match level {
        Level::Notice => "INFO",
        Level::Critical | Level::Alert | Level::Fatal | Level::Emergency => "FATAL",
        other => upper(other),
    }
}

pub(super) fn leveled(line: &Line<'_>, random: &mut Random, out: &mut String) {
    let level = line.level.unwrap_or(Level::Info);
    let word = upper(level);
    match random.below(6) {
        0 => _ = write!(out, "{word}: "),
        1 => _ = write!(out, "[{word}] "),
        2 => _ = write!(out, "{}: ", level.as_str()),
        3 => _ = write!(out, "[{}] {}: ", level.as_str(), line.logger),
        4 => _ = write!(out, "{word} {}: ", line.logger),
        _ => _ = write!(out, "{word} "),
    }
    out.push_str(line.message);
}

pub(super) fn klog(line: &Line<'_>, random: &mut Random, out: &mut String) {
    let letter = match line.level.unwrap_or(Level::Info) {
        Level::Trace | Level::Debug | Level::Info | Level::Notice => 'I',
        Level::Warn => 'W',
        Level::Error => 'E',
        Level::Critical | Level::Alert | Level::Fatal | Level::Emergency => 'F',
    };
    let at = civil(line.time);
    _ = write!(out, "{letter}{:02}{:02} {:02}:", at.month(), at.day(), at.hour());
    _ = write!(out, "{:02}:{:02}.{:06}", at.minute(), at.second(), at.subsec_nanosecond() / 1000);
    _ = write!(out, " {:>7} {}:{}] ", random.between(1, 9000), random.pick(FILES), random.between(20, 2000));
    let structured = random.chance(0.3) && !line.message.contains(['"', '=', '\n']);
    if structured {
        _ = write!(out, "\"{}\" logger=\"{}\"", line.message, line.logger);
    } else {
        out.push_str(line.message);
    }
}

pub(super) fn bracketed(line: &Line<'_>, random: &mut Random, out: &mut String) {
    let time = line.time;
    let word = line.level.map(upper);
    match random.below(4) {
        0 => {
            iso(time, 'T', '.', 3, "Z ", out);
            if let Some(word) = word {
                _ = write!(out, "{word} ");
            }
            _ = write!(out, "[{}] ", line.logger);
        }
        1 => {
            out.push('[');
            iso(time, ' ', '.', 3, "] ", out);
            if let Some(word) = word {
                _ = write!(out, "[{word}] ");
            }
        }
        2 => {
            out.push('[');
            iso(time, 'T', ',', 3, "]", out);
            if let Some(word) = word {
                _ = write!(out, "[{word:<5}]");
            }
            _ = write!(out, "[{}] ", line.logger);
        }
        _ => {
            iso(time, ' ', '.', 0, " ", out);
            if let Some(word) = word {
                _ = write!(out, "{word} ");
            }
        }
    }
    out.push_str(line.message);
}

pub(super) fn log4j(line: &Line<'_>, random: &mut Random, out: &mut String) {
    iso(line.time, ' ', ',', 3, " ", out);
    if let Some(level) = line.level {
        _ = write!(out, "{:<5} ", log4j_word(level));
    }
    let (thread, package) = (random.pick(THREADS), random.pick(PACKAGES));
    _ = write!(out, "[{thread}] {package}.{} - {}", line.logger, line.message);
}

pub(super) fn spring(line: &Line<'_>, random: &mut Random, out: &mut String) {
    iso(line.time, 'T', '.', 3, "Z ", out);
    let word = log4j_word(line.level.unwrap_or(Level::Info));
    let (thread, package) = (random.pick(THREADS), random.pick(PACKAGES));
    // Logback's `%15.15t` keeps the end of a long name.
    let end = thread.get(thread.len().saturating_sub(15)..).unwrap_or(thread);
    _ = write!(out, "{word:>5} 1 --- [{end:>15}] {package}.{:<20} : {}", line.logger, line.message);
}

pub(super) fn python(line: &Line<'_>, random: &mut Random, out: &mut String) {
    let word = match line.level.unwrap_or(Level::Info) {
        Level::Trace | Level::Debug => "DEBUG",
        Level::Info | Level::Notice => "INFO",
        Level::Warn => "WARNING",
        Level::Error => "ERROR",
        _ => "CRITICAL",
    };
    if random.chance(0.3) {
        _ = write!(out, "{word}:{}:{}", line.logger, line.message);
        return;
    }
    iso(line.time, ' ', ',', 3, " ", out);
    if random.chance(0.6) {
        _ = write!(out, "- {} - {word} - {}", line.logger, line.message);
    } else {
        _ = write!(out, "[{word}] {}: {}", line.logger, line.message);
    }
}

pub(super) fn nginx(line: &Line<'_>, random: &mut Random, out: &mut String) {
    let word = match line.level.unwrap_or(Level::Info) {
        Level::Trace | Level::Debug => "debug",
        Level::Info => "info",
        Level::Notice => "notice",
        Level::Warn => "warn",
        Level::Error => "error",
        Level::Critical | Level::Fatal => "crit",
        Level::Alert => "alert",
        Level::Emergency => "emerg",
    };
    let at = civil(line.time);
    _ = write!(out, "{:04}/{:02}/{:02} ", at.year(), at.month(), at.day());
    _ = write!(out, "{:02}:{:02}:{:02} [{word}] ", at.hour(), at.minute(), at.second());
    let process = random.between(2, 4000);
    _ = write!(out, "{process}#{process}: *{} {}", random.between(1, 90_000), line.message);
}

pub(super) fn postgres(line: &Line<'_>, random: &mut Random, out: &mut String) {
    let word = match line.level.unwrap_or(Level::Info) {
        Level::Trace | Level::Debug => "DEBUG",
        Level::Info => "LOG",
        Level::Notice => "NOTICE",
        Level::Warn => "WARNING",
        Level::Error => "ERROR",
        Level::Critical | Level::Alert | Level::Fatal => "FATAL",
        Level::Emergency => "PANIC",
    };
    iso(line.time, ' ', '.', 3, " UTC ", out);
    _ = write!(out, "[{}] ", random.between(20, 32_000));
    if random.chance(0.4) {
        out.push_str("app@shop ");
    }
    _ = write!(out, "{word}:  {}", line.message);
}

pub(super) fn logfmt(line: &Line<'_>, random: &mut Random, out: &mut String) {
    let word = line.level.map(|level| match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info | Level::Notice => "info",
        Level::Warn => ["warn", "warning"][random.below(2)],
        Level::Error => "error",
        Level::Fatal => "fatal",
        Level::Critical | Level::Alert => "crit",
        Level::Emergency => "panic",
    });
    out.push_str(if random.chance(0.5) { "ts=" } else { "time=" });
    iso(line.time, 'T', '.', 3, "Z", out);
    if let Some(word) = word {
        _ = write!(out, " level={word}");
    }
    if random.chance(0.5) {
        _ = write!(out, " component={}", line.logger);
    }
    _ = write!(out, " msg={}", serde_json::Value::from(line.message));
}

pub(super) fn dmesg(line: &Line<'_>, random: &mut Random, out: &mut String) {
    _ = write!(out, "[{:>5}.{:06}] {}", random.between(0, 99_999), random.below(1_000_000), line.message);
}

/// Severity of RFC 5424; facility daemon.
fn priority(level: Level) -> u8 {
    let severity = match level {
        Level::Trace | Level::Debug => 7,
        Level::Info => 6,
        Level::Notice => 5,
        Level::Warn => 4,
        Level::Error => 3,
        Level::Critical | Level::Fatal => 2,
        Level::Alert => 1,
        Level::Emergency => 0,
    };
    3 * 8 + severity
}

pub(super) fn syslog3164(line: &Line<'_>, random: &mut Random, out: &mut String) {
    if let Some(level) = line.level {
        _ = write!(out, "<{}>", priority(level));
    }
    let at = civil(line.time);
    let month = MONTHS.get(at.month() as usize - 1).copied().unwrap_or("Jan");
    _ = write!(out, "{month} {:>2} {:02}:{:02}:{:02} ", at.day(), at.hour(), at.minute(), at.second());
    _ = write!(out, "{} {}", line.host, line.logger);
    if random.chance(0.8) {
        _ = write!(out, "[{}]", random.between(1, 32_000));
    }
    _ = write!(out, ": {}", line.message);
}

pub(super) fn syslog5424(line: &Line<'_>, random: &mut Random, out: &mut String) {
    _ = write!(out, "<{}>1 ", priority(line.level.unwrap_or(Level::Info)));
    iso(line.time, 'T', '.', 6, "Z", out);
    _ = write!(out, " {} {} {} - - {}", line.host, line.logger, random.between(1, 32_000), line.message);
}

/// Level words of German, French, Spanish, Portuguese, Italian, Russian, Chinese and Japanese programs.
pub(super) fn localised(line: &Line<'_>, random: &mut Random, out: &mut String) {
    let words: &[&str] = match line.level.unwrap_or(Level::Info) {
        Level::Trace | Level::Debug => &["DEBUG", "ОТЛАДКА", "调试", "デバッグ", "DÉBOGAGE", "DEPURAÇÃO"],
        Level::Info | Level::Notice => {
            &["INFORMATION", "INFORMACIÓN", "INFORMAÇÃO", "INFORMAZIONE", "ИНФО", "信息", "情報", "HINWEIS"]
        }
        Level::Warn => {
            &["WARNUNG", "AVERTISSEMENT", "ADVERTENCIA", "AVISO", "ATTENZIONE", "ПРЕДУПРЕЖДЕНИЕ", "警告"]
        }
        Level::Error => {
            &["FEHLER", "ERREUR", "ERROR", "ERRO", "ERRORE", "ОШИБКА", "错误", "エラー", "SCHWERWIEGEND"]
        }
        _ => &["KRITISCH", "FATAL", "CRITIQUE", "CRÍTICO", "CRITICO", "КРИТИЧЕСКАЯ", "严重", "致命的"],
    };
    iso(line.time, ' ', '.', 0, " ", out);
    _ = write!(out, "{}: {}", random.pick(words), line.message);
}

pub(super) fn java_util(line: &Line<'_>, random: &mut Random, out: &mut String) {
    let word = match line.level.unwrap_or(Level::Info) {
        Level::Trace => "FINEST",
        Level::Debug => "FINE",
        Level::Info | Level::Notice => "INFO",
        Level::Warn => "WARNING",
        _ => "SEVERE",
    };
    let at = civil(line.time);
    let month = MONTHS.get(at.month() as usize - 1).copied().unwrap_or("Jan");
    let (hour, half) = ((at.hour() + 11) % 12 + 1, if at.hour() < 12 { "AM" } else { "PM" });
    _ = write!(
        out,
        "{month} {:02}, {} {hour}:{:02}:{:02} {half} ",
        at.day(),
        at.year(),
        at.minute(),
        at.second()
    );
    _ = write!(out, "{}.{} run\n{word}: {}", random.pick(PACKAGES), line.logger, line.message);
}

pub(super) fn cri(physical: &str, stream: &str, time: Timestamp, out: &mut String) {
    iso(time, 'T', '.', 9, "Z", out);
    _ = write!(out, " {stream} F {physical}");
}
