//! The kernel's ring buffer as dmesg prints it, and the `<3>` that services put before their lines for systemd.

use std::borrow::Cow;

use super::{
    Format, Parsed, level,
    text::{digits, is_number, skip_blanks, tail},
};

/// Takes `[  812.311] message` apart; `None` if the brackets hold no seconds since boot.
pub(super) fn parse(text: &str) -> Option<Parsed<'_>> {
    let (inside, rest) = text.strip_prefix('[')?.split_once(']')?;
    let (seconds, fraction) = inside.trim_start().split_once('.')?;
    if !is_number(seconds) || !is_number(fraction) || seconds.len() > 9 || fraction.len() < 3 {
        return None;
    }
    // "[ 12.345678][  T123]" names the thread on kernels that are built so.
    let rest = skip_blanks(rest);
    let rest = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((caller, after)) if matches!(caller.trim().as_bytes(), [b'T' | b'C', number @ ..] if number.iter().all(u8::is_ascii_digit)) => {
            skip_blanks(after)
        }
        _ => rest,
    };
    Some(Parsed { timestamp: Some(Cow::Borrowed(inside.trim())), ..Parsed::plain(Format::Kernel, rest) })
}

/// Takes `<3>message` and `<3>[  812.311] message` apart.
pub(super) fn parse_prefixed(text: &str) -> Option<Parsed<'_>> {
    let (number, rest) = priority(text)?;
    let severity = level::from_syslog(number % 8);
    if let Some(parsed) = parse(rest) {
        return Some(Parsed { level: severity, ..parsed });
    }
    Some(Parsed { level: severity, ..Parsed::plain(Format::Kernel, skip_blanks(rest)) })
}

/// Takes `kern  :err   : [  812.311] message` of `dmesg -x` apart.
pub(super) fn parse_decoded(text: &str) -> Option<Parsed<'_>> {
    let (facility, rest) = text.split_once(':')?;
    let (severity, rest) = rest.split_once(':')?;
    if !matches!(facility.trim_end(), "kern" | "user" | "daemon" | "syslog" | "auth" | "mail") {
        return None;
    }
    let level = level::from_name(severity.trim())?;
    Some(Parsed { level: Some(level), ..parse(skip_blanks(rest))? })
}

/// The number in `<PRI>`, eight times the facility plus the severity, and what follows.
pub(super) fn priority(text: &str) -> Option<(u32, &str)> {
    let inside = text.strip_prefix('<')?;
    let length = digits(inside);
    let number: u32 = inside.get(..length)?.parse().ok()?;
    let rest = tail(inside, length).strip_prefix('>')?;
    (length <= 3 && number < 192).then_some((number, rest))
}
