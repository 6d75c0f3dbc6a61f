//! Numbers and what follows them: units, ratios, percentages. What decides risk stays readable.

use super::bytes::{
    BREAK, at, class, digits, is_alphanumeric, is_space, number, skip_spaces, slice, starts_with,
};
use super::class::{Class, placeholder};
use super::context::{Meaning, meaning};
use super::time;
use super::words::Words;

/// What replaces a number, and where the replaced text ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Masked {
    pub(super) class: Class,
    pub(super) end: usize,
}

/// The number that begins at `start`, a digit, or `None` where it is part of a longer name.
pub(super) fn read(bytes: &[u8], start: usize, key: &[u8]) -> Option<Masked> {
    let decimal = Decimal::read(bytes, start);
    let end = decimal.end;
    // `5m`, `1h2m3.5s`, `512Mi`, `45.1 s`, `10 minutes`.
    if let Some(masked) = with_unit(bytes, start, &decimal) {
        return Some(masked);
    }
    if !is_end(bytes, end) {
        return None;
    }
    let meaning = meaning(bytes, start, key);
    if decimal.is_float {
        let is_epoch = time::is_epoch(decimal.whole, decimal.whole_digits);
        let class = match percent_or(bytes, end, meaning, &decimal) {
            Some(masked) => return Some(masked),
            None if is_epoch => Class::Time,
            None if decimal.is_zero() => Class::Zero,
            None => Class::Float,
        };
        return Some(Masked { class, end });
    }
    if let Some(masked) = ratio(bytes, &decimal) {
        return Some(masked);
    }
    if let Some(masked) = percent_or(bytes, end, meaning, &decimal) {
        return Some(masked);
    }
    if let Some(end) = thousands(bytes, end, decimal.whole_digits) {
        return Some(Masked { class: Class::Num, end });
    }
    let value = decimal.whole;
    let class = match meaning {
        _ if value == 0 => Class::Zero,
        Meaning::Status if is_status(value, decimal.whole_digits) => status(value),
        Meaning::Returned if is_status(value, decimal.whole_digits) && !noun_follows(bytes, end) => {
            status(value)
        }
        // Killed by ABRT, KILL, SEGV, TERM: the four that tell what happened.
        Meaning::Exit if matches!(value, 134 | 137 | 139 | 143) => Class::Verbatim,
        Meaning::Signal if value <= 64 => Class::Verbatim,
        Meaning::Errno if value <= 133 => Class::Verbatim,
        _ if decimal.whole_digits == 3 && reason_follows(bytes, end, value) => status(value),
        // `00106570`: an address or code without its `0x`.
        _ if decimal.whole_digits >= 8 && at(bytes, start) == b'0' => Class::Hex,
        _ if time::is_epoch(value, decimal.whole_digits) && !noun_follows(bytes, end) => Class::Time,
        _ => Class::Num,
    };
    Some(Masked { class, end })
}

/// Whether a number may end here: a sentence's dot counts as an end, a letter, `-`, `_` or `@` does not.
fn is_end(bytes: &[u8], end: usize) -> bool {
    let after = at(bytes, end + 1);
    match at(bytes, end) {
        b'.' | b'-' => {
            is_space(after)
                || matches!(after, b',' | b';' | b':' | b')' | b']' | b'}' | b'"' | b'\'' | b'.' | b'-')
        }
        b'<' => placeholder(bytes, end).is_none(),
        next => class(next) == BREAK,
    }
}

const SCALES: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Digits with at most one fraction.
struct Decimal {
    whole: u64,
    whole_digits: usize,
    fraction: f64,
    is_float: bool,
    end: usize,
}

impl Decimal {
    fn read(bytes: &[u8], start: usize) -> Self {
        let whole_digits = digits(bytes, start);
        let whole = number(bytes, start, whole_digits);
        let point = start + whole_digits;
        let fraction_digits = if at(bytes, point) == b'.' { digits(bytes, point + 1) } else { 0 };
        if fraction_digits == 0 {
            return Self { whole, whole_digits, fraction: 0.0, is_float: false, end: point };
        }
        // Beyond nine digits nothing changes that the mask asks about.
        let used = fraction_digits.min(9);
        let scale = SCALES.get(used).copied().unwrap_or(1.0);
        let fraction = number(bytes, point + 1, used) as f64 / scale;
        let mut end = point + 1 + fraction_digits;
        // `1.5e-05`.
        if matches!(at(bytes, end), b'e' | b'E') {
            let sign = end + 1 + usize::from(matches!(at(bytes, end + 1), b'+' | b'-'));
            let exponent = digits(bytes, sign);
            if exponent > 0 && !is_alphanumeric(at(bytes, sign + exponent)) {
                end = sign + exponent;
            }
        }
        Self { whole, whole_digits, fraction, is_float: true, end }
    }

    fn value(&self) -> f64 {
        self.whole as f64 + self.fraction
    }

    fn is_zero(&self) -> bool {
        self.whole == 0 && self.fraction == 0.0
    }
}

/// Seconds in a day.
const DAY: f64 = 86_400.0;

#[derive(Debug, Clone, Copy)]
enum Unit {
    /// Seconds in one.
    Time(f64),
    Size,
}

/// A duration or size whose unit follows directly or after one space.
fn with_unit(bytes: &[u8], start: usize, decimal: &Decimal) -> Option<Masked> {
    let attached = at(bytes, decimal.end);
    if is_alphanumeric(attached) {
        let (unit, end) = unit(bytes, decimal.end, true)?;
        return match unit {
            Unit::Time(_) => compound_duration(bytes, start),
            Unit::Size if decimal.is_zero() => Some(Masked { class: Class::Zero, end: decimal.end }),
            Unit::Size => Some(Masked { class: Class::Size, end }),
        };
    }
    if !is_space(attached) {
        return None;
    }
    let word = skip_spaces(bytes, decimal.end);
    if !at(bytes, word).is_ascii_alphabetic() && at(bytes, word) < 0x80 {
        return None;
    }
    match unit(bytes, word, false)? {
        // `expires in 3 days` and `in 3 minutes` ask for different things, so days keep their word.
        (Unit::Time(seconds), _) if seconds >= DAY => None,
        (Unit::Time(seconds), end) => Some(Masked { class: duration(decimal.value() * seconds), end }),
        (Unit::Size, _) if decimal.is_zero() => None,
        (Unit::Size, end) => Some(Masked { class: Class::Size, end }),
    }
}

/// `300ms`, `45.1s`, `1m3.2s`, `2h30m`, `3d4h`: a chain of numbers and units.
fn compound_duration(bytes: &[u8], start: usize) -> Option<Masked> {
    let (mut place, mut seconds) = (start, 0.0);
    loop {
        let decimal = Decimal::read(bytes, place);
        if decimal.whole_digits == 0 {
            return None;
        }
        let unit_end = decimal.end + letters(bytes, decimal.end);
        let (Unit::Time(scale), _) = unit_of(slice(bytes, decimal.end, unit_end), true)? else { return None };
        seconds += decimal.value() * scale;
        place = unit_end;
        if is_end(bytes, place) {
            return Some(Masked { class: duration(seconds), end: place });
        }
        if !at(bytes, place).is_ascii_digit() {
            return None;
        }
    }
}

fn letters(bytes: &[u8], start: usize) -> usize {
    slice(bytes, start, (start + 16).min(bytes.len()))
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic() || **byte >= 0x80)
        .count()
}

/// The unit at a place and where it ends; a chain (`1h2m`) may go on with digits.
fn unit(bytes: &[u8], start: usize, attached: bool) -> Option<(Unit, usize)> {
    let end = start + letters(bytes, start);
    let (unit, chains) = unit_of(slice(bytes, start, end), attached)?;
    let chained = attached && chains && at(bytes, end).is_ascii_digit();
    (chained || is_end(bytes, end)).then_some((unit, end))
}

/// A unit, and whether more may follow it. Attached to the number a unit may be one letter; after a space it must be a word.
fn unit_of(word: &[u8], attached: bool) -> Option<(Unit, bool)> {
    // Letter case tells `m` (minutes) from `M` (mebibytes).
    let unit = match word {
        b"ns" => Unit::Time(1e-9),
        b"us" | b"\xc2\xb5s" | b"\xce\xbcs" => Unit::Time(1e-6),
        b"ms" => Unit::Time(1e-3),
        b"s" => Unit::Time(1.0),
        b"B" => Unit::Size,
        b"m" if attached => Unit::Time(60.0),
        b"h" if attached => Unit::Time(3600.0),
        b"d" if attached => Unit::Time(DAY),
        b"K" | b"k" | b"M" | b"G" | b"T" | b"Ki" | b"Mi" | b"Gi" | b"Ti" if attached => Unit::Size,
        _ if word.len() < 2 => return None,
        _ => UNITS.get(word)?,
    };
    let chains = matches!(unit, Unit::Time(_));
    Some((unit, chains))
}

#[rustfmt::skip]
static UNITS: Words<Unit, 53> = Words::new([
    ("nsec", Unit::Time(1e-9)), ("nanos", Unit::Time(1e-9)), ("nanosecond", Unit::Time(1e-9)),
    ("nanoseconds", Unit::Time(1e-9)), ("usec", Unit::Time(1e-6)), ("usecs", Unit::Time(1e-6)),
    ("micros", Unit::Time(1e-6)), ("microsecond", Unit::Time(1e-6)), ("microseconds", Unit::Time(1e-6)),
    ("ms", Unit::Time(1e-3)), ("msec", Unit::Time(1e-3)), ("msecs", Unit::Time(1e-3)),
    ("millis", Unit::Time(1e-3)), ("millisec", Unit::Time(1e-3)), ("millisecond", Unit::Time(1e-3)),
    ("milliseconds", Unit::Time(1e-3)), ("sec", Unit::Time(1.0)), ("secs", Unit::Time(1.0)),
    ("second", Unit::Time(1.0)), ("seconds", Unit::Time(1.0)), ("min", Unit::Time(60.0)),
    ("mins", Unit::Time(60.0)), ("minute", Unit::Time(60.0)), ("minutes", Unit::Time(60.0)),
    ("hr", Unit::Time(3600.0)), ("hrs", Unit::Time(3600.0)), ("hour", Unit::Time(3600.0)),
    ("hours", Unit::Time(3600.0)), ("day", Unit::Time(DAY)), ("days", Unit::Time(DAY)),
    ("week", Unit::Time(604_800.0)), ("weeks", Unit::Time(604_800.0)), ("byte", Unit::Size),
    ("bytes", Unit::Size), ("kb", Unit::Size), ("mb", Unit::Size), ("gb", Unit::Size), ("tb", Unit::Size),
    ("pb", Unit::Size), ("kib", Unit::Size), ("mib", Unit::Size), ("gib", Unit::Size),
    ("tib", Unit::Size), ("kbyte", Unit::Size), ("kbytes", Unit::Size), ("mbytes", Unit::Size),
    ("gbytes", Unit::Size), ("kbit", Unit::Size), ("mbit", Unit::Size), ("gbit", Unit::Size),
    ("kbps", Unit::Size), ("mbps", Unit::Size), ("gbps", Unit::Size),
]);

fn duration(seconds: f64) -> Class {
    if seconds < 1.0 {
        Class::Ms
    } else if seconds < 60.0 {
        Class::Sec
    } else {
        Class::Min
    }
}

/// A percentage: by a sign, by the word, or by the name of its key.
fn percent_or(bytes: &[u8], end: usize, meaning: Meaning, decimal: &Decimal) -> Option<Masked> {
    let sign = skip_spaces(bytes, end);
    let end =
        if at(bytes, sign) == b'%' && !is_alphanumeric(at(bytes, sign + 1)) && at(bytes, sign + 1) != b'<' {
            sign + 1
        } else if sign > end && starts_with(bytes, sign, b"percent") && !is_alphanumeric(at(bytes, sign + 7))
        {
            sign + 7
        } else if !decimal.is_zero() && decimal.value() <= 100.0 && meaning == Meaning::Percent {
            end
        } else {
            return None;
        };
    let value = decimal.value();
    let class = match value {
        _ if decimal.is_zero() => Class::ZeroPercent,
        _ if value < 80.0 => Class::LowPercent,
        _ if value < 95.0 => Class::HighPercent,
        _ => Class::FullPercent,
    };
    Some(Masked { class, end })
}

/// `0/3`, `1 of 3`, `3 out of 3`. Not where more follows (`1/2/3`) or the first is larger (`5/3`).
fn ratio(bytes: &[u8], first: &Decimal) -> Option<Masked> {
    let after = skip_spaces(bytes, first.end);
    let second = if at(bytes, first.end) == b'/' {
        first.end + 1
    } else if after > first.end && starts_with(bytes, after, b"of") && is_space(at(bytes, after + 2)) {
        skip_spaces(bytes, after + 2)
    } else if after > first.end && starts_with(bytes, after, b"out of") && is_space(at(bytes, after + 6)) {
        skip_spaces(bytes, after + 6)
    } else {
        return None;
    };
    let count = digits(bytes, second);
    let end = second + count;
    let (part, whole) = (first.whole, number(bytes, second, count));
    if count == 0 || count > 9 || part > whole || !is_end(bytes, end) || at(bytes, end) == b'/' {
        return None;
    }
    let class = match part {
        _ if part == whole => Class::RatioFull,
        0 => Class::RatioNone,
        _ => Class::RatioPart,
    };
    Some(Masked { class, end })
}

/// The end of `1,234,567`, of which the first group has been read.
fn thousands(bytes: &[u8], mut end: usize, first_digits: usize) -> Option<usize> {
    if first_digits > 3 {
        return None;
    }
    let start = end;
    // Six groups are a quintillion.
    while end - start < 6 * 4 && at(bytes, end) == b',' && digits(bytes, end + 1) == 3 {
        end += 4;
    }
    (end > start && is_end(bytes, end)).then_some(end)
}

/// 100 to 103 are answers too; 1xx beyond are numbers.
fn is_status(value: u64, digits: usize) -> bool {
    digits == 3 && matches!(value, 100..=103 | 200..=599)
}

fn status(value: u64) -> Class {
    match value {
        500.. => Class::Status5,
        400.. => Class::Status4,
        300.. => Class::Status3,
        _ => Class::Status2,
    }
}

/// `503 Service Unavailable`: the words that HTTP puts behind a status.
fn reason_follows(bytes: &[u8], end: usize, value: u64) -> bool {
    let reason: &[u8] = match value {
        200 => b"ok",
        201 => b"created",
        204 => b"no content",
        301 => b"moved",
        302 => b"found",
        304 => b"not modified",
        400 => b"bad request",
        401 => b"unauthorized",
        403 => b"forbidden",
        404 => b"not found",
        405 => b"method not",
        408 => b"request time",
        409 => b"conflict",
        413 => b"payload too",
        429 => b"too many",
        500 => b"internal",
        502 => b"bad gateway",
        503 => b"service",
        504 => b"gateway",
        _ => return false,
    };
    at(bytes, end) == b' ' && starts_with(bytes, end + 1, reason)
}

/// Whether a word of prose follows that makes the number a count.
fn noun_follows(bytes: &[u8], end: usize) -> bool {
    let start = skip_spaces(bytes, end);
    if start == end || !at(bytes, start).is_ascii_lowercase() {
        return false;
    }
    let length =
        slice(bytes, start, bytes.len()).iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    !matches!(
        slice(bytes, start, start + length),
        b"for"
            | b"from"
            | b"in"
            | b"on"
            | b"after"
            | b"when"
            | b"to"
            | b"with"
            | b"and"
            | b"but"
            | b"by"
            | b"at"
            | b"while"
    )
}
