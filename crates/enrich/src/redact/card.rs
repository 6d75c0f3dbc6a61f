//! Card numbers: 13 to 19 digits, in one piece or in groups, whose check digit is right (ISO/IEC 7812-1, Luhn).

use std::{borrow::Cow, ops::Range};

const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Replaces every card number by `<card>`.
pub(super) fn redact(text: &mut Cow<'_, str>) {
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(run) = next_run(text.as_bytes(), at) {
        at = run.end;
        let Some(place) = card(text.as_bytes(), run) else { continue };
        out.push_str(text.get(copied..place.start).unwrap_or_default());
        out.push_str("<card>");
        copied = place.end;
    }
    if copied > 0 {
        out.push_str(text.get(copied..).unwrap_or_default());
        *text = Cow::Owned(out);
    }
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b' ' || byte == b'-'
}

/// The next run of at least 13 digits and separators. Only every 13th byte is looked at until one is such: a run that
/// long cannot lie between two of them.
fn next_run(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let mut probe = from + DIGITS.start() - 1;
    while let Some(&byte) = bytes.get(probe) {
        if !is_part(byte) {
            probe += DIGITS.start();
            continue;
        }
        let before = bytes.get(from..probe)?.iter().rev().take_while(|byte| is_part(**byte)).count();
        let after = bytes.get(probe..)?.iter().take_while(|byte| is_part(**byte)).count();
        if before + after >= *DIGITS.start() {
            return Some(probe - before..probe + after);
        }
        probe += after + DIGITS.start();
    }
    None
}

/// The card number in a run: groups of at least two digits joined by single separators, with nothing of a longer word
/// or number around it.
fn card(bytes: &[u8], run: Range<usize>) -> Option<Range<usize>> {
    let neighbour = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'.')
    };
    let text = bytes.get(run.clone())?;
    let leading = text.iter().take_while(|byte| !byte.is_ascii_digit()).count();
    let trailing = text.iter().rev().take_while(|byte| !byte.is_ascii_digit()).count();
    let place = run.start + leading..run.end.checked_sub(trailing)?;
    let number = bytes.get(place.clone())?;
    // `blk_-4111…` and `v4111…` are identifiers; `card: 4111…` and `card=4111…` are not.
    let glued = !text.get(..leading)?.contains(&b' ');
    let touches = (glued && run.start > 0 && neighbour(bytes.get(run.start - 1)))
        || (trailing == 0
            && bytes.get(place.end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_'));
    let groups = number.split(|byte| !byte.is_ascii_digit());
    let even = groups.clone().all(|group| group.len() >= 2) && groups.count() <= 6;
    let digits: Vec<u8> =
        number.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0').collect();
    (even && !touches && DIGITS.contains(&digits.len()) && issued(&digits) && luhn(&digits)).then_some(place)
}

/// Whether a network issues numbers of this beginning and length. Luhn alone lets every tenth number pass: identifiers
/// of blocks and messages, times in milliseconds.
fn issued(digits: &[u8]) -> bool {
    let varied = digits.iter().any(|digit| Some(digit) != digits.first());
    varied
        && match (digits, digits.len()) {
            ([2, 2..=7, ..] | [5, 1..=5, ..], length) => length == 16, // Mastercard
            ([3, 4 | 7, ..], length) => length == 15,                  // American Express
            ([3, 0 | 6 | 8 | 9, ..], length) => (14..=19).contains(&length), // Diners Club
            ([3, 5, ..], length) => (16..=19).contains(&length),       // JCB
            ([4, ..], length) => matches!(length, 13 | 16 | 19),       // Visa
            ([5, 0 | 6..=8, ..], length) => DIGITS.contains(&length),  // Maestro
            ([6, 0 | 2 | 4 | 5, ..], length) => (16..=19).contains(&length), // Discover, UnionPay
            _ => false,
        }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let value = u32::from(*digit) << (index % 2);
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}
