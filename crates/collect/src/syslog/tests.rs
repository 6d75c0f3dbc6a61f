use serde_json::{Value, json};

use super::{frame::LONGEST, *};

/// The messages in a stream that comes in pieces; `…` marks one that something was left out of.
fn cut(bytes: &[u8], piece: usize) -> Vec<String> {
    let mut frames = Frames::default();
    let mut found = Vec::new();
    let text = |frame: Frame| {
        String::from_utf8_lossy(&frame.bytes).into_owned() + if frame.whole { "" } else { "…" }
    };
    for piece in bytes.chunks(piece) {
        frames.buffer().extend_from_slice(piece);
        while let Some(frame) = frames.cut() {
            found.push(text(frame));
        }
    }
    found.extend(frames.rest().map(text));
    found
}

fn check(stream: &str, expected: &[&str]) {
    for piece in [1, 7, 4096] {
        assert_eq!(cut(stream.as_bytes(), piece), expected, "in pieces of {piece}");
    }
}

#[test]
fn framing_is_told_for_each_message() {
    check("<1>a\n<2>b\r\n\n<3>c", &["<1>a", "<2>b\r", "<3>c"]);
    check("4 <1>a4 <2>b", &["<1>a", "<2>b"]);
    check("4 <1>a\n<2>b\n6 <3>\nc\n<4>d\n", &["<1>a", "<2>b", "<3>\nc\n", "<4>d"]);
    check("<1>a\0<2>b\0", &["<1>a", "<2>b"]);
    // Lines that begin with a number.
    check(
        "2026-01-15 x\n404 not found\n0 <1>a\n123456789 <1>\n",
        &["2026-01-15 x", "404 not found", "0 <1>a", "123456789 <1>"],
    );
    // A stream that ends early.
    check("9 <1>abc", &["<1>abc…"]);
    check("12", &["12"]);
}

#[test]
fn a_long_message_keeps_its_beginning_and_the_next_one_is_found() {
    let long = format!("<1>{}", "x".repeat(3 * LONGEST));
    for stream in [format!("{long}\n<2>b\n"), format!("{} {long}<2>b\n", long.len())] {
        for piece in [1000, 1 << 20] {
            let found = cut(stream.as_bytes(), piece);
            let lengths: Vec<_> = found.iter().map(String::len).collect();
            assert_eq!((lengths, &*found[1]), (vec![LONGEST + "…".len(), 4], "<2>b"));
        }
    }
}

/// Level, text and fields of the record that a message makes.
fn told(message: &str) -> (Option<String>, String, Option<String>, Fields) {
    let origin = Arc::new(Origin::new("in", Fields::default()));
    let peer = "[::ffff:10.0.0.7]:1234".parse().unwrap();
    let record = record::of(&Frame::whole(message.as_bytes()), peer, RecordId::of(b"x"), &origin).unwrap();
    let time = record.time.map(|time| time.to_string());
    (record.level.map(|level| level.to_string()), record.body, time, record.fields)
}

#[test]
fn both_generations_are_taken_apart() {
    let check = |message: &str, level: Option<&str>, body: &str, expected: &[(&str, Value)]| {
        let (found_level, found_body, _, fields) = told(message);
        assert_eq!((found_level.as_deref(), &*found_body), (level, body), "{message}");
        for (name, value) in expected {
            assert_eq!(fields.get(name), Some(value), "{name} of {message}");
        }
        assert_eq!(fields.iter().count(), expected.len() + 1, "{message}: {fields:?}");
        assert_eq!(fields.get("log.source.address"), Some(&json!("10.0.0.7")));
    };
    let auth = ("log.syslog.facility.name", json!("auth"));
    let critical = ("log.syslog.severity.name", json!("crit"));
    check(
        "<34>Oct 11 22:14:15 host /usr/bin/su[12]: 'su root' failed\n",
        Some("critical"),
        "su: 'su root' failed",
        &[
            auth.clone(),
            critical.clone(),
            ("host.name", json!("host")),
            ("process.name", json!("su")),
            ("process.pid", json!(12)),
        ],
    );
    check(
        "<34>1 2026-01-15T10:30:45.003Z host app worker-1 ID47 [x@1.2 a=\"1 \\\"2\\\"\" b.c=\"\"][y] boom",
        Some("critical"),
        "app: boom",
        &[
            auth.clone(),
            critical.clone(),
            ("host.name", json!("host")),
            ("process.name", json!("app")),
            ("log.syslog.procid", json!("worker-1")),
            ("log.syslog.msgid", json!("ID47")),
            ("log.syslog.structured_data.x@1_2.a", json!("1 \"2\"")),
            ("log.syslog.structured_data.x@1_2.b.c", json!("")),
        ],
    );
    check("<34>1 - - - - - - \u{feff}bare", Some("critical"), "bare", &[auth.clone(), critical.clone()]);
    check("<34>no header at all", Some("critical"), "no header at all", &[auth.clone(), critical.clone()]);
    check(
        "<34>Oct 11 22:14:15 su[12]: no host",
        Some("critical"),
        "su: no host",
        &[auth, critical, ("process.name", json!("su")), ("process.pid", json!(12))],
    );
    check("no priority", None, "no priority", &[]);
}

#[test]
fn a_structure_inside_stands_alone() {
    let (_, body, ..) = told("<14>Oct 11 22:14:15 host app[1]: {\"level\":\"error\",\"msg\":\"boom\"}");
    assert_eq!(body, "{\"level\":\"error\",\"msg\":\"boom\"}");
}

#[test]
fn times_are_read_with_and_without_year_and_zone() {
    let time = |message| told(message).2;
    let exact = Some("2026-01-15T09:30:45.5Z".to_owned());
    assert_eq!(time("<14>1 2026-01-15T10:30:45.5+01:00 h a - - - m"), exact);
    assert_eq!(time("<14>2026-01-15T10:30:45.5+01:00 h a: m"), exact);
    assert!(time("<14>Jan 15 10:30:45 h a: m").unwrap().ends_with("-01-15T10:30:45Z"));
    assert_eq!(time("<14>1 - h a - - - m"), None);
}

#[test]
fn nothing_said_is_no_record() {
    let origin = Arc::new(Origin::new("in", Fields::default()));
    for message in ["", "\n", "<14>", "<14>1 2026-01-15T10:30:45Z h a - - -"] {
        let peer = "127.0.0.1:1".parse().unwrap();
        assert!(
            record::of(&Frame::whole(message.as_bytes()), peer, RecordId::of(b"x"), &origin).is_none(),
            "{message}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn any_stream_is_cut_alike_however_it_comes(bytes: Vec<u8>, piece in 1usize..50) {
        proptest::prop_assert_eq!(cut(&bytes, piece), cut(&bytes, bytes.len().max(1)));
    }

    #[test]
    fn any_text_is_a_message(text: String) {
        let origin = Arc::new(Origin::new("in", Fields::default()));
        let peer = "127.0.0.1:1".parse().unwrap();
        _ = record::of(&Frame::whole(format!("<14>{text}").as_bytes()), peer, RecordId::of(b"x"), &origin);
        _ = record::of(&Frame::whole(format!("<14>1 - h a - - [{text}] m").as_bytes()), peer, RecordId::of(b"x"), &origin);
    }
}
