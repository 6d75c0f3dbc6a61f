//! Cases of every family, one line each: what goes in and a compact rendering of what comes out.

mod applications;
mod hostile;
mod structured;
mod system;
mod times;
mod web;
mod wrappers;

use super::{Parsed, parse};

/// `Format | level | logger | message | key=value key=value`, with `-` for what is absent.
fn render(parsed: &Parsed<'_>) -> String {
    let fields: Vec<_> = parsed.fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let fields = if fields.is_empty() { String::new() } else { format!(" | {}", fields.join(" ")) };
    let level = parsed.level.map_or("-", logrisk_base::Level::as_str);
    let logger = parsed.logger.as_deref().unwrap_or("-");
    format!("{:?} | {level} | {logger} | {}{fields}", parsed.format, parsed.message)
}

/// Every case is an input and its rendering; all failures are shown at once.
#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let failures: Vec<_> = cases
        .iter()
        .map(|(input, expected)| (input, render(&parse(input)), expected))
        .filter(|(_, got, expected)| got != *expected)
        .map(|(input, got, expected)| format!("   input {input}\n     got {got}\nexpected {expected}\n"))
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
