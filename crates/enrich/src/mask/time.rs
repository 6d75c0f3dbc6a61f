//! Times and dates in the shapes that logs write them.
//!
//! Every function takes a place and gives the place after what it recognised, or `None`.

use super::bytes::{
    BREAK, at, class, digits, is_alphanumeric, is_space, number, skip_spaces, slice, starts_with,
};

/// A time or date that begins with a digit.
pub(super) fn from_digit(bytes: &[u8], start: usize) -> Option<usize> {
    let count = digits(bytes, start);
    let next = start + count;
    let end = match (count, at(bytes, next)) {
        (1 | 2, b':') => zoned_clock(bytes, start)?,
        (4, b'-' | b'/' | b'.') => year_first(bytes, start)?,
        (1 | 2, b'/' | b'-' | b'.') => year_last(bytes, start)?,
        (1 | 2, b' ') => day_month(bytes, start)?,
        (8, _) => compact(bytes, start)?,
        _ => return None,
    };
    (!is_alphanumeric(at(bytes, end))).then_some(end)
}

/// A time or date that begins with the name of a weekday or month, both of three letters.
pub(super) fn from_word(bytes: &[u8], start: usize) -> Option<usize> {
    let word = slice(bytes, start, start + 3);
    if WEEKDAYS.contains(&word) {
        let comma = start + 3 + usize::from(at(bytes, start + 3) == b',');
        let rest = skip_spaces(bytes, comma);
        if rest == comma {
            return None;
        }
        return if at(bytes, rest).is_ascii_digit() {
            from_digit(bytes, rest)
        } else {
            month_day(bytes, rest)
        };
    }
    month_day(bytes, start)
}

/// Where a date begins whose day, clock or year is at `place`: at the month or weekday before it, if one is there.
#[inline]
pub(super) fn lead(bytes: &[u8], place: usize) -> Option<usize> {
    // Most numbers have something else before them.
    let before = slice(bytes, place.saturating_sub(2), place);
    let may_lead = is_space(at(before, 1))
        && (at(before, 0).is_ascii_lowercase() || matches!(at(before, 0), b' ' | b','));
    if may_lead { lead_before(bytes, place) } else { None }
}

fn lead_before(bytes: &[u8], place: usize) -> Option<usize> {
    let mut lead = word_before(bytes, place)?;
    if WEEKDAYS.contains(&slice(bytes, lead, lead + 3)) {
        return Some(lead);
    }
    if !is_month(bytes, lead) {
        return None;
    }
    if let Some(weekday) =
        word_before(bytes, lead).filter(|day| WEEKDAYS.contains(&slice(bytes, *day, day + 3)))
    {
        lead = weekday;
    }
    Some(lead)
}

/// The start of the word of three letters, the first a capital, that stands before a place with spaces between.
fn word_before(bytes: &[u8], place: usize) -> Option<usize> {
    let before = slice(bytes, place.saturating_sub(6), place);
    let spaces = before.iter().rev().take_while(|byte| is_space(**byte)).count();
    let comma = usize::from(spaces > 0 && at(bytes, (place - spaces).wrapping_sub(1)) == b',');
    let start = (place - spaces).checked_sub(3 + comma)?;
    let is_word =
        spaces > 0 && at(bytes, start).is_ascii_uppercase() && at(bytes, start + 2).is_ascii_lowercase();
    (is_word && (start == 0 || class(at(bytes, start - 1)) == BREAK)).then_some(start)
}

const WEEKDAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const MONTHS: [&[u8]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// Whether a number stands for seconds (10 digits), milliseconds (13), microseconds (16) or nanoseconds (19) since
/// 1970, between 2004 and 2033. Narrower than possible, so that 2^30 and identifiers are rarely taken for times.
pub(super) fn is_epoch(value: u64, count: usize) -> bool {
    let seconds = match count {
        10 => value,
        13 => value / 1_000,
        16 => value / 1_000_000,
        19 => value / 1_000_000_000,
        _ => return false,
    };
    (1_100_000_000..2_000_000_000).contains(&seconds)
}

/// `2024-01-15`, `2024/01/15`, `2005.06.03`, each with or without a clock.
fn year_first(bytes: &[u8], start: usize) -> Option<usize> {
    let separator = at(bytes, start + 4);
    let month = start + 5;
    let month_digits = digits(bytes, month);
    let day = month + month_digits + 1;
    let day_digits = digits(bytes, day);
    let plausible = (1900..2200).contains(&number(bytes, start, 4))
        && (1..=2).contains(&month_digits)
        && at(bytes, day - 1) == separator
        && (1..=2).contains(&day_digits)
        && is_month_day(number(bytes, month, month_digits), number(bytes, day, day_digits));
    plausible.then(|| optional_clock(bytes, day + day_digits))
}

/// `17/06/09 20:10:40`, `15.01.2024`, `10/Oct/2000:13:55:36 -0700`; without a year only before a clock: `03-17 16:13:38`.
fn year_last(bytes: &[u8], start: usize) -> Option<usize> {
    let first_digits = digits(bytes, start);
    let separator = at(bytes, start + first_digits);
    let second = start + first_digits + 1;
    let second_digits = digits(bytes, second);
    if second_digits == 0 && is_month(bytes, second) && at(bytes, second + 3) == separator {
        return (digits(bytes, second + 4) == 4).then(|| optional_clock(bytes, second + 8));
    }
    let (a, b) = (number(bytes, start, first_digits), number(bytes, second, second_digits));
    let after = second + second_digits;
    if !(1..=2).contains(&second_digits) {
        return None;
    }
    if at(bytes, after) == separator {
        let third_digits = digits(bytes, after + 1);
        let plausible = match third_digits {
            4 => is_month_day(a, b) || is_month_day(b, a),
            // Two digits each: only `/` is a date, `1-2-3` and `1.2.3` are lists and versions.
            2 => {
                separator == b'/'
                    && first_digits == 2
                    && second_digits == 2
                    && (is_month_day(a, b) || b <= 12)
            }
            _ => false,
        };
        let end = after + 1 + third_digits;
        return (plausible && at(bytes, end) != separator).then(|| optional_clock(bytes, end));
    }
    if at(bytes, after) != b' '
        || first_digits != 2
        || second_digits != 2
        || !(is_month_day(a, b) || is_month_day(b, a))
    {
        return None;
    }
    // `1/3 10:20` is a ratio before a clock more often than a date; seconds make it a date.
    let clock = zoned_clock(bytes, after + 1)?;
    (clock - after > 8).then_some(clock)
}

/// `20171223-22:15:29:606`, `20240115T103045Z`, `20240115`.
fn compact(bytes: &[u8], start: usize) -> Option<usize> {
    let plausible = (1990..2060).contains(&number(bytes, start, 4))
        && is_month_day(number(bytes, start + 4, 2), number(bytes, start + 6, 2));
    if !plausible {
        return None;
    }
    let end = start + 8;
    if matches!(at(bytes, end), b'T' | b'-' | b'_' | b' ') && digits(bytes, end + 1) == 6 {
        return Some(zone(bytes, fraction(bytes, end + 7)));
    }
    Some(optional_clock(bytes, end))
}

/// `15 Jan 2024`, with or without a clock.
fn day_month(bytes: &[u8], start: usize) -> Option<usize> {
    let month = start + digits(bytes, start) + 1;
    let year = month + 4;
    (is_month(bytes, month) && at(bytes, month + 3) == b' ' && digits(bytes, year) == 4)
        .then(|| optional_clock(bytes, year + 4))
}

/// `Jan 15 10:30:45`, `Jun 22 13:16:30 UTC 2005`, `Jan 15, 2024 10:30:45`.
fn month_day(bytes: &[u8], start: usize) -> Option<usize> {
    if !is_month(bytes, start) || at(bytes, start + 3) != b' ' {
        return None;
    }
    let day = skip_spaces(bytes, start + 3);
    let day_digits = digits(bytes, day);
    if !(1..=2).contains(&day_digits) {
        return None;
    }
    let after = day + day_digits;
    let rest = skip_spaces(bytes, after + usize::from(at(bytes, after) == b','));
    if rest == after {
        return None;
    }
    if let Some(clock) = zoned_clock(bytes, rest) {
        let year = clock + 1;
        let has_year =
            at(bytes, clock) == b' ' && digits(bytes, year) == 4 && is_year(number(bytes, year, 4));
        return Some(if has_year { year + 4 } else { clock });
    }
    (digits(bytes, rest) == 4 && is_year(number(bytes, rest, 4))).then(|| optional_clock(bytes, rest + 4))
}

/// A clock after a date, if one follows; otherwise the end of the date itself.
fn optional_clock(bytes: &[u8], end: usize) -> usize {
    let start = match at(bytes, end) {
        b'T' | b't' | b'_' | b'-' | b':' => end + 1,
        b' ' => skip_spaces(bytes, end),
        b',' if at(bytes, end + 1) == b' ' => end + 2,
        _ => return end,
    };
    zoned_clock(bytes, start).or_else(|| dotted_clock(bytes, start)).unwrap_or(end)
}

/// `10:30:45.123Z`, `9:05:01`, `22:15`.
fn zoned_clock(bytes: &[u8], start: usize) -> Option<usize> {
    let hour_digits = digits(bytes, start);
    let minute = start + hour_digits + 1;
    let minute_digits = digits(bytes, minute);
    let second = minute + minute_digits + 1;
    if !(1..=2).contains(&hour_digits)
        || !(1..=2).contains(&minute_digits)
        || at(bytes, minute - 1) != b':'
        || number(bytes, start, hour_digits) > 24
        || number(bytes, minute, minute_digits) > 59
    {
        return None;
    }
    let second_digits = if at(bytes, second - 1) == b':' { digits(bytes, second) } else { 0 };
    if (1..=2).contains(&second_digits) && number(bytes, second, second_digits) <= 60 {
        return Some(zone(bytes, fraction(bytes, second + second_digits)));
    }
    // Without seconds only `hh:mm`: `1:2` is a pair of numbers.
    let plain = hour_digits == 2
        && minute_digits == 2
        && second_digits == 0
        && !is_alphanumeric(at(bytes, second - 1));
    plain.then(|| zone(bytes, second - 1))
}

/// `15.42.50.675872`, as Blue Gene writes it after a date.
fn dotted_clock(bytes: &[u8], start: usize) -> Option<usize> {
    let shaped = digits(bytes, start) == 2
        && at(bytes, start + 2) == b'.'
        && digits(bytes, start + 3) == 2
        && at(bytes, start + 5) == b'.'
        && digits(bytes, start + 6) == 2;
    shaped.then(|| fraction(bytes, start + 8))
}

/// `.123`, `,123` or `:123` after seconds.
fn fraction(bytes: &[u8], end: usize) -> usize {
    match (at(bytes, end), digits(bytes, end + 1)) {
        (b'.' | b',', count @ 1..=9) | (b':', count @ 1..=3) => end + 1 + count,
        _ => end,
    }
}

/// `Z`, `+02:00`, ` -0700`, ` UTC`, ` +0000 UTC`.
fn zone(bytes: &[u8], mut end: usize) -> usize {
    if matches!(at(bytes, end), b'Z' | b'z') && !is_alphanumeric(at(bytes, end + 1)) {
        return end + 1;
    }
    let sign = end + usize::from(at(bytes, end) == b' ');
    if matches!(at(bytes, sign), b'+' | b'-') {
        let hours = digits(bytes, sign + 1);
        if hours == 4 && !is_alphanumeric(at(bytes, sign + 5)) {
            end = sign + 5;
        } else if hours == 2 && at(bytes, sign + 3) == b':' && digits(bytes, sign + 4) == 2 {
            end = sign + 6;
        }
    }
    const NAMES: [&[u8]; 9] = [b"UTC", b"GMT", b"CET", b"CEST", b"EST", b"EDT", b"PST", b"PDT", b"JST"];
    if at(bytes, end) == b' ' {
        for name in NAMES {
            let after = end + 1 + name.len();
            if slice(bytes, end + 1, after) == name && !is_alphanumeric(at(bytes, after)) {
                return after;
            }
        }
    }
    end
}

fn is_month(bytes: &[u8], start: usize) -> bool {
    at(bytes, start).is_ascii_uppercase() && MONTHS.iter().any(|month| starts_with(bytes, start, month))
}

fn is_month_day(month: u64, day: u64) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

fn is_year(year: u64) -> bool {
    (1970..2100).contains(&year)
}
