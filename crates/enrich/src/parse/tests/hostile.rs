//! What nobody should write and somebody does.

use proptest::prelude::*;

use super::{check, parse};
use crate::parse::{Format, unwrap};

#[test]
fn odd_bytes_around_a_record() {
    check(&[
        ("", "Plain | - | - | "),
        ("\u{feff}ERROR boom", "Application | error | - | boom"),
        ("ERROR boom\r\n", "Application | error | - | boom"),
        ("\x1b[31mERROR\x1b[0m boom", "Application | error | - | boom"),
        (
            "\x1b[2m2024-01-15T10:30:45Z\x1b[0m \x1b[32m INFO\x1b[0m \x1b[2mmy::module\x1b[0m: up",
            "Application | info | my::module | up",
        ),
        ("2024-01-15 10:30:45\tERROR\tboom", "Application | error | - | boom"),
        ("2024-01-15 10:30:45 ERROR\u{a0}boom", "Application | - | - | ERROR\u{a0}boom"),
        ("   ", "Plain | - | - |    "),
        ("[", "Plain | - | - | ["),
        ("[]", "Plain | - | - | []"),
        ("[ERROR", "Plain | - | - | [ERROR"),
        ("<>", "Plain | - | - | <>"),
        ("<999>x", "Plain | - | - | <999>x"),
        ("ERROR:", "Application | error | - | "),
        ("\0\0\0", "Plain | - | - | "),
    ]);
}

#[test]
fn long_lines_take_linear_time() {
    for piece in
        ["[", "{\"a\":", "<", "(", "a=", "[[]", "\\\"", "\x1b[", "ERROR ", "1:", "a.b:", "[a][b]", "é"]
    {
        let line = piece.repeat(2_000_000 / piece.len());
        let _ = parse(&line);
        let _ = parse(&format!("2024-01-15 10:30:45 ERROR {line}"));
        let _ = parse(&format!("{{\"level\":\"error\",\"msg\":\"{line}"));
        let _ = parse(&format!("Jan 15 10:30:45 host {line}"));
        let _ = unwrap(&format!("{{\"log\":\"{line}"));
    }
}

/// Pieces that headers are made of, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("2024-01-15 10:30:45,123".to_owned()),
        Just("Jan 15 10:30:45".to_owned()),
        Just("<34>".to_owned()),
        Just("[ERROR]".to_owned()),
        Just("ERROR:".to_owned()),
        Just("[main]".to_owned()),
        Just("com.example.Bar".to_owned()),
        Just("{\"level\":\"error\",\"msg\":".to_owned()),
        Just("level=error".to_owned()),
        Just("\"GET / HTTP/1.1\" 200".to_owned()),
        Just("\x1b[31m".to_owned()),
        Just("1:M".to_owned()),
        Just("\n".to_owned()),
        Just(" - ".to_owned()),
        Just("：".to_owned()),
        "[\\[\\]{}<>()\"\\\\:=|,;.* \\t-]{0,6}",
        "\\PC{0,8}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.join(" "))
}

/// Headers with a level, all of which leave the message alone.
const HEADERS: [&str; 12] = [
    "2024-01-15 10:30:45,123 [main] ERROR com.example.Bar - ",
    "2024-01-15 10:30:45.123  INFO 1 --- [           main] c.e.App      : ",
    "2024-01-15 10:30:45,123 - shop.payments - WARNING - ",
    "2024-01-15 10:30:45.123 UTC [123] bob@shop FATAL:  ",
    "2024/01/15 10:30:45 [error] 12#12: *3 ",
    "[2024-01-15T10:30:45Z ERROR my::module] ",
    "E0115 10:30:45.123456  1234 file.go:123] ",
    "03-17 16:13:38.811  1702  2395 D WindowManager: ",
    "1:M 15 Jan 2024 10:30:45.123 * ",
    "<11>1 2024-01-15T10:30:45Z host app 12 - - ",
    "ERROR:root:",
    "- 1117838570 2005.06.03 R02 2005-06-03-15.42.50.675872 R02 RAS KERNEL INFO ",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_panics(text in "\\PC*", noisy in pieces()) {
        for text in [&text, &noisy] {
            let _ = parse(&unwrap(text).content);
            let _ = parse(&format!("{{\"msg\":\"{text}\"}}"));
        }
    }

    #[test]
    fn what_is_not_recognised_passes_whole(text in pieces()) {
        let parsed = parse(&text);
        if parsed.format == Format::Plain && !text.contains('\x1b') {
            prop_assert_eq!(parsed.message, text.trim_end_matches('\n'));
        }
    }

    #[test]
    fn a_message_is_never_lost(message in "[a-z][a-z0-9 .,/_]{0,40}[a-z]", header in 0..HEADERS.len()) {
        let line = format!("{}{message}", HEADERS[header]);
        let parsed = parse(&line);
        prop_assert_eq!(&parsed.message, &message, "{}", line);
        prop_assert!(parsed.level.is_some());
    }

    #[test]
    fn json_gives_back_what_was_put_in(message in "\\PC{1,40}", value in "\\PC{1,40}") {
        let json = serde_json::json!({ "level": "error", "msg": message, "reason": value }).to_string();
        let parsed = parse(&json);
        prop_assert_eq!(&*parsed.message, message.trim());
        if !matches!(&*value, "{}" | "[]") {
            prop_assert_eq!(&*parsed.fields[0].1, &*value);
        }
    }

    #[test]
    fn a_time_of_any_digits_is_read_or_refused(text in "[0-9TZ:., /+-]{0,40}") {
        let reference = jiff::Timestamp::UNIX_EPOCH;
        let _ = parse(&text).time(reference);
        let _ = super::super::timestamp::instant(&text, reference);
    }
}
