//! What single lines look like. Every test starts with what an ordinary line fails at once.

use memchr::memmem;

use super::State;

/// What may follow a line that begins a record.
pub(super) fn opening(line: &str) -> State {
    let (Some(first), Some(last)) = (line.as_bytes().first(), line.as_bytes().last()) else {
        return State::Plain;
    };
    match (first, last) {
        (_, b'{' | b'[' | b'(') => State::Body,
        (b'<', b'>')
            if line.as_bytes().get(1).is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'?') =>
        {
            State::Body
        }
        (_, b':') if line.ends_with("Traceback (most recent call last):") => State::PythonFrames,
        (_, b':') if line.contains(" panicked at ") && line.contains("thread '") => State::RustMessage,
        (_, b'-') if line.ends_with("-----") && line.contains("-----BEGIN ") => State::Pem,
        (b't', _) if line.starts_with("thread '") && line.contains(" panicked at ") => State::Rust,
        (b'p', _) if line.starts_with("panic: ") => State::Go,
        (b'f', _) if line.starts_with("fatal error: ") => State::Go,
        (b'g', b':') if is_goroutine(line) => State::Go,
        (b'/' | b'f' | b'n' | b'A'..=b'Z', b'0'..=b'9') if is_node_source(line) => State::NodeSource,
        _ => State::Plain,
    }
}

/// `goroutine 1 [running]:`
pub(super) fn is_goroutine(line: &str) -> bool {
    line.starts_with("goroutine ") && line.ends_with("]:")
}

/// The lines of a Go stack dump that are not indented: headers, function calls, registers.
pub(super) fn is_go(line: &str) -> bool {
    const STARTS: [&str; 9] = [
        "goroutine ",
        "created by ",
        "[signal ",
        "exit status ",
        "panic: ",
        "runtime stack:",
        "SIG",
        "PC=",
        "goexit",
    ];
    STARTS.iter().any(|start| line.starts_with(start)) || is_go_call(line) || is_register(line)
}

/// `net/http.(*conn).serve(0xc0000b2000, {0x7a1d, 0xc0})`: no space before the arguments.
fn is_go_call(line: &str) -> bool {
    line.ends_with(')') && line.split(' ').next().is_some_and(|word| word.contains('.') && word.contains('('))
}

/// `rax    0x0`
fn is_register(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let (name, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    name.len() <= 6 && value.starts_with("0x") && words.next().is_none()
}

pub(super) fn is_traceback(line: &str) -> bool {
    line.starts_with("Traceback (most recent call last):")
}

pub(super) fn is_python_chain(line: &str) -> bool {
    line.starts_with("During handling of the above exception")
        || line.starts_with("The above exception was the direct")
}

/// Only carets and tildes, below the code that they point at.
pub(super) fn is_caret(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'^' | b'~' | b' ' | b'\r'))
}

/// `/app/server.js:12`, `file:///app/x.mjs:3`, `node:internal/modules/cjs/loader:1080`
fn is_node_source(line: &str) -> bool {
    let (file, number) = line.rsplit_once(':').unwrap_or_default();
    let extension = [".js", ".ts", ".mjs", ".cjs"].iter().any(|extension| file.ends_with(extension));
    number.bytes().all(|byte| byte.is_ascii_digit())
        && (extension || file.starts_with("node:"))
        && !file.contains(' ')
}

/// `java.lang.IllegalStateException: no stock`: one qualified name, then a colon or nothing.
pub(super) fn is_exception(line: &str) -> bool {
    let end = line.bytes().take(160).position(|byte| matches!(byte, b':' | b' ')).unwrap_or(line.len());
    let (Some(name), rest) = (line.get(..end), line.as_bytes().get(end)) else { return false };
    let ends = name.ends_with("Exception") || name.ends_with("Error") || name.ends_with("Throwable");
    ends && name.contains('.') && rest != Some(&b' ')
}

/// Whether the first bytes of a line say that it reports an error.
pub(super) fn reports_error(head: &[u8]) -> bool {
    const WORDS: [&str; 9] =
        ["ERROR", "CRITICAL", "FATAL", "SEVERE", "WARN", "rror", "xception", "ailed", "critical"];
    WORDS.iter().any(|word| memmem::find(head, word.as_bytes()).is_some())
}

/// Whether the line has a time or a level of its own at its beginning: it is a record, however far it is indented.
pub(super) fn has_own_header(text: &str) -> bool {
    let text = text.trim_start_matches(['[', '<', '"']);
    has_time(text.as_bytes()) || has_level(text)
}

/// `2024-01-31`, `2024/01/31`, `10:20:30`
fn has_time(text: &[u8]) -> bool {
    let shape = |pattern: &[u8]| {
        text.len() >= pattern.len()
            && text.iter().zip(pattern).all(|(byte, expected)| match expected {
                b'0' => byte.is_ascii_digit(),
                b'-' => matches!(byte, b'-' | b'/'),
                other => byte == other,
            })
    };
    text.first().is_some_and(u8::is_ascii_digit) && (shape(b"0000-00-00") || shape(b"00:00:00"))
}

/// A level in capitals, then something that is no letter. `=` excepted: `ERROR = 1` is code.
fn has_level(text: &str) -> bool {
    const LEVELS: [&str; 9] =
        ["TRACE", "DEBUG", "INFO", "NOTICE", "WARNING", "WARN", "ERROR", "CRITICAL", "FATAL"];
    let rest = LEVELS.iter().find_map(|level| text.strip_prefix(level));
    rest.is_some_and(|rest| {
        rest.starts_with([' ', ':', ']', '\t', '[', '>']) && !rest.trim_start().starts_with(['=', ','])
    })
}
