//! Formats that one program alone writes: Android's logcat, Redis, .NET's console, macOS' unified log, HealthApp's columns.

use std::borrow::Cow;

use super::{
    Format, Parsed, level, names,
    text::{digits, first_line, head, is_number, skip_blanks, tail, token},
    timestamp,
};

/// `03-17 16:13:38.811  1702  2395 D WindowManager: message`
pub(super) fn android(text: &str) -> Option<Parsed<'_>> {
    if text.as_bytes().get(2) != Some(&b'-') {
        return None;
    }
    let length = timestamp::length(text)?;
    let (process, rest) = token(skip_blanks(tail(text, length)));
    let (thread, rest) = token(rest);
    if !is_number(process) || !is_number(thread) {
        return None;
    }
    let level = level::from_letter(*rest.as_bytes().first()?)?;
    let rest = rest.get(1..)?.strip_prefix(' ')?;
    let colon = first_line(rest).find(':')?;
    let tag = head(rest, colon).trim();
    Some(Parsed {
        timestamp: Some(Cow::Borrowed(head(text, length))),
        level: Some(level),
        logger: (!tag.is_empty()).then_some(Cow::Borrowed(tag)),
        ..Parsed::plain(Format::Android, skip_blanks(tail(rest, colon + 1)))
    })
}

/// logcat's brief form: `E/WindowManager( 1702): message`
pub(super) fn android_brief(text: &str) -> Option<Parsed<'_>> {
    let level = level::from_letter(*text.as_bytes().first()?)?;
    let (tag, rest) = first_line(text.get(1..)?.strip_prefix('/')?).split_once(':')?;
    let tag = match tag.split_once('(') {
        Some((tag, process)) if is_number(process.trim_end_matches(')').trim()) => tag.trim(),
        Some(_) => return None,
        None => tag,
    };
    let start = text.len() - tail(text, first_line(text).len() - rest.len()).len();
    names::is_identifier(tag).then(|| Parsed {
        level: Some(level),
        logger: Some(Cow::Borrowed(tag)),
        ..Parsed::plain(Format::Android, skip_blanks(tail(text, start)))
    })
}

/// `1:M 15 Jan 2024 10:30:45.123 * message`
pub(super) fn redis(text: &str) -> Option<Parsed<'_>> {
    let process = digits(text);
    let [b':', b'M' | b'S' | b'C' | b'X', b' ', ..] = text.as_bytes().get(process..)? else { return None };
    let rest = tail(text, process + 3);
    let length = timestamp::length(rest)?;
    let [b' ', symbol, b' ', ..] = rest.as_bytes().get(length..)? else { return None };
    Some(Parsed {
        timestamp: Some(Cow::Borrowed(head(rest, length))),
        level: Some(level::from_redis(*symbol)?),
        ..Parsed::plain(Format::Redis, tail(rest, length + 3))
    })
}

/// `fail: Microsoft.Hosting.Lifetime[0]`, message on the next line, where the lines were joined.
pub(super) fn dotnet(text: &str) -> Option<Parsed<'_>> {
    let level = match text.get(..6)? {
        "trce: " => logrisk_base::Level::Trace,
        "dbug: " => logrisk_base::Level::Debug,
        "info: " => logrisk_base::Level::Info,
        "warn: " => logrisk_base::Level::Warn,
        "fail: " => logrisk_base::Level::Error,
        "crit: " => logrisk_base::Level::Critical,
        _ => return None,
    };
    let rest = tail(text, 6);
    let (category, event) = first_line(rest).split_once('[')?;
    let (event, same_line) = event.split_once(']')?;
    if !is_number(event) || !names::is_identifier(category) {
        return None;
    }
    let message = tail(rest, first_line(rest).len() - same_line.len()).trim_start();
    Some(Parsed {
        level: Some(level),
        logger: Some(Cow::Borrowed(category)),
        ..Parsed::plain(Format::Dotnet, message)
    })
}

/// macOS' `log show`: time, thread, type, activity, process, ttl, `program: (library) message`.
/// `length` is the time's.
pub(super) fn macos(text: &str, length: usize) -> Option<Parsed<'_>> {
    let rest = skip_blanks(tail(text, length));
    if !rest.starts_with("0x") {
        return None;
    }
    let (_thread, rest) = token(rest);
    let (kind, rest) = token(rest);
    let (_activity, rest) = token(rest);
    let (process, rest) = token(rest);
    let (ttl, rest) = token(rest);
    if !is_number(process) || !is_number(ttl) {
        return None;
    }
    let level = match kind {
        "Default" => Some(logrisk_base::Level::Notice),
        _ => level::from_name(kind),
    };
    let (program, message) = rest.split_once(": ")?;
    Some(Parsed {
        timestamp: Some(Cow::Borrowed(head(text, length))),
        level,
        logger: Some(Cow::Borrowed(program)),
        ..Parsed::plain(Format::MacOs, message)
    })
}

/// Columns behind bars: `20171223-22:15:29:606|Step_LSC|30002312|message`, with a level among them or not.
pub(super) fn barred(text: &str) -> Option<Parsed<'_>> {
    let length = timestamp::length(text)?;
    let mut rest = tail(text, length).strip_prefix('|')?;
    let mut parsed = Parsed {
        timestamp: Some(Cow::Borrowed(head(text, length))),
        ..Parsed::plain(Format::Application, "")
    };
    while let Some((column, after)) = first_line(rest).split_once('|') {
        let column = column.trim();
        let after = tail(rest, first_line(rest).len() - after.len());
        if parsed.level.is_none()
            && let Some(level) = level::from_bare(column, b'|')
        {
            parsed.level = Some(level);
        } else if parsed.logger.is_none() && names::is_identifier(column) {
            parsed.logger = Some(Cow::Borrowed(column));
        } else if !is_number(column) && !column.is_empty() {
            break;
        }
        rest = after;
    }
    parsed.message = Cow::Borrowed(rest.trim());
    Some(parsed)
}

/// Proxifier's `[07.26 15:30:10] chrome.exe *64 - message`.
pub(super) fn proxifier(text: &str) -> Option<Parsed<'_>> {
    let (time, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let (program, message) = rest.split_once(" - ")?;
    let program = program.strip_suffix(" *64").unwrap_or(program);
    let is_program = program.ends_with(".exe") && !program.contains(['\n', ':', '\\']) && program.len() < 64;
    (is_program && timestamp::length(time) == Some(time.len())).then(|| Parsed {
        timestamp: Some(Cow::Borrowed(time)),
        logger: Some(Cow::Borrowed(program)),
        ..Parsed::plain(Format::Application, message)
    })
}
