//! Logs of supercomputers: BlueGene's RAS events, Thunderbird's syslog with an alert column, HPC's state changes.
//!
//! The first column of the published BlueGene and Thunderbird logs is an annotator's label (`-`, or a category such as
//! `APPREAD`), not part of what the machine wrote: it is dropped, since a model must not learn from it.

use std::borrow::Cow;

use super::{
    Format, Parsed, level, syslog,
    text::{head, is_number, skip_blanks, tail, token},
    timestamp,
};

/// Takes a line apart that begins with a label or at once with `1117838570 2005.06.03`.
pub(super) fn labelled(text: &str) -> Option<Parsed<'_>> {
    let (label, rest) = token(text);
    let is_label = label == "-" || label.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
    let rest = if is_number(label) || !is_label { text } else { rest };
    let (epoch, rest) = token(rest);
    let (date, rest) = token(rest);
    let (_node, rest) = token(rest);
    if epoch.len() != 10 || !is_number(epoch) || date.len() != 10 || date.as_bytes().get(4) != Some(&b'.') {
        return None;
    }
    let length = timestamp::length(rest)?;
    let time = head(rest, length);
    let rest = skip_blanks(tail(rest, length));
    if time.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Some(syslog::after_time(time, rest));
    }
    // node, kind of event, component, severity, message
    let (_node, rest) = token(rest);
    let (_kind, rest) = token(rest);
    let (component, rest) = token(rest);
    let (severity, message) = token(rest);
    Some(Parsed {
        timestamp: Some(Cow::Borrowed(time)),
        level: Some(level::from_name(severity)?),
        logger: Some(Cow::Borrowed(component)),
        ..Parsed::plain(Format::Ras, message)
    })
}

/// Takes `154670 node-243 node temperature 1130177820 1 ambient=29` apart: number, node, component, state, time, flag.
pub(super) fn state_change(text: &str) -> Option<Parsed<'_>> {
    let (number, rest) = token(text);
    let (_node, rest) = token(rest);
    let (component, rest) = token(rest);
    let (state, rest) = token(rest);
    let (epoch, rest) = token(rest);
    let (flag, message) = token(rest);
    let is_one = is_number(number) && matches!(epoch.len(), 9 | 10) && is_number(epoch);
    (is_one && matches!(flag, "0" | "1" | "-1")).then(|| Parsed {
        timestamp: Some(Cow::Borrowed(epoch)),
        logger: Some(Cow::Borrowed(component)),
        fields: vec![(Cow::Borrowed("state"), Cow::Borrowed(state))],
        ..Parsed::plain(Format::Ras, message)
    })
}
