//! The container runtime's wrapper.

use crate::parse::unwrap;

fn check(line: &str, expected: &str) {
    let unwrapped = unwrap(line);
    let rendered = format!(
        "{} {} {} {:?}",
        unwrapped.timestamp.as_deref().unwrap_or("-"),
        unwrapped.stream.unwrap_or("-"),
        if unwrapped.partial { "P" } else { "F" },
        unwrapped.content,
    );
    assert_eq!(rendered, expected, "{line}");
}

#[test]
fn cri() {
    check("2024-01-15T10:30:45.123456789Z stdout F msg", "2024-01-15T10:30:45.123456789Z stdout F \"msg\"");
    check(
        "2024-01-15T10:30:45.123456789+01:00 stderr P torn ",
        "2024-01-15T10:30:45.123456789+01:00 stderr P \"torn \"",
    );
    check("2024-01-15T10:30:45Z stdout F ", "2024-01-15T10:30:45Z stdout F \"\"");
    check("2024-01-15T10:30:45Z stdout F", "2024-01-15T10:30:45Z stdout F \"\"");
    check("2024-01-15T10:30:45Z stdout F:x  two\r\n", "2024-01-15T10:30:45Z stdout F \" two\"");
    check("2024-01-15T10:30:45Z stdin F msg", "- - F \"2024-01-15T10:30:45Z stdin F msg\"");
    check("2024-01-15T10:30:45Z stdout X msg", "- - F \"2024-01-15T10:30:45Z stdout X msg\"");
    check("2024-01-15T10:30:45Z INFO stdout F", "- - F \"2024-01-15T10:30:45Z INFO stdout F\"");
}

#[test]
fn docker() {
    check(
        r#"{"log":"a \"b\"\u0007\n","stream":"stderr","time":"2024-01-15T10:30:45.1Z"}"#,
        "2024-01-15T10:30:45.1Z stderr F \"a \\\"b\\\"\\u{7}\"",
    );
    check(
        r#"{"log":"torn","stream":"stdout","attrs":{"tag":["a",{"b":"}"}]},"time":"2024-01-15T10:30:45.1Z"}"#,
        "2024-01-15T10:30:45.1Z stdout P \"torn\"",
    );
    check(r#"{"log":"\n","stream":"stdout","time":"t"}"#, "t stdout F \"\"");
    check(
        r#"{"log":"{\"level\":\"error\"}\r\n","stream":"stdout","time":"t"}"#,
        "t stdout F \"{\\\"level\\\":\\\"error\\\"}\"",
    );
    for other in [
        r#"{"log":"x"}"#,
        r#"{"log":"x","stream":"stdout","time":"t","level":"info"}"#,
        r#"{"log":"x","stream"#,
    ] {
        check(other, &format!("- - F {other:?}"));
    }
}
