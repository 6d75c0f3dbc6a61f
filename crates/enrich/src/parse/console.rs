//! Zap's console encoder: `time⇥LEVEL⇥logger⇥caller⇥message⇥{"key": "value"}`, which controllers of Kubernetes print.

use std::borrow::Cow;

use super::{
    Format, Parsed,
    fields::Builder,
    header::Header,
    json, names,
    text::{first_line, tail},
};

/// Takes the columns behind the level apart.
pub(super) fn parse<'a>(text: &'a str, header: &Header<'a>) -> Parsed<'a> {
    let mut builder = Builder::default();
    builder.set_level(header.level);
    if let Some(timestamp) = header.timestamp {
        builder.set_timestamp(timestamp);
    }
    let mut logger = header.logger;
    let columns_text = tail(text, header.sure + 1);
    let line = first_line(columns_text);
    let mut rest = line;
    // Logger and caller, both optional, are words without blanks before the message.
    while let Some((column, after)) = rest.split_once('\t') {
        if names::is_place(column) {
            // the caller
        } else if logger.is_none() && names::is_identifier(column) && !after.starts_with('{') {
            logger = Some(column);
        } else {
            break;
        }
        rest = after;
    }
    let message = match rest.rsplit_once('\t') {
        Some((message, object))
            if object.starts_with('{') && json::fields(object, &mut builder).is_some() =>
        {
            message
        }
        _ => rest,
    };
    builder.set_logger(logger.unwrap_or_default());
    builder.set_message(Cow::Borrowed(message.trim()));
    builder.finish(Format::Application, tail(columns_text, line.len()))
}
