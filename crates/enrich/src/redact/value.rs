//! Whether a value is a secret or says something about one.

/// Words that stand where a secret would and report a state: `password: incorrect`, `token=expired`.
const STATES: [&str; 62] = [
    "a",
    "absent",
    "accepted",
    "an",
    "authentication",
    "auth",
    "cannot",
    "changed",
    "check",
    "could",
    "created",
    "default",
    "deleted",
    "denied",
    "did",
    "disabled",
    "does",
    "empty",
    "enabled",
    "error",
    "expired",
    "failed",
    "failure",
    "found",
    "for",
    "from",
    "generated",
    "has",
    "hidden",
    "in",
    "incorrect",
    "invalid",
    "is",
    "loaded",
    "missing",
    "mismatch",
    "must",
    "no",
    "not",
    "ok",
    "present",
    "redacted",
    "refreshed",
    "rejected",
    "renewed",
    "required",
    "reset",
    "revoked",
    "rotated",
    "set",
    "the",
    "too",
    "unable",
    "unauthorized",
    "unknown",
    "unset",
    "updated",
    "valid",
    "validated",
    "verified",
    "was",
    "wrong",
];

/// Values that hold nothing.
const NOTHINGS: [&str; 9] = ["nil", "null", "none", "undefined", "true", "false", "n/a", "yes", "nan"];

/// No value at all, or one that is hidden already: `null`, `****`, `<secret>`, `${PASSWORD}`.
pub(super) fn is_nothing(value: &str) -> bool {
    let hidden = value.bytes().all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'-' | b'#'));
    let placeholder = (value.starts_with('<') && value.ends_with('>')) || value.starts_with("${");
    hidden || placeholder || is_any(value, &NOTHINGS)
}

/// Nothing, or a word that reports a state.
pub(super) fn reports_state(value: &str) -> bool {
    let word = value.trim_end_matches(['.', ':', '!', '?']);
    is_nothing(word) || is_any(word, &STATES)
}

/// How Java prints an object, `Token{a64f992 …}` and `android.os.BinderProxy@2bd79ce`; `next` is the byte behind it.
pub(super) fn is_object(value: &str, next: Option<&u8>) -> bool {
    let class = value.starts_with(|first: char| first.is_ascii_uppercase())
        && value.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'$');
    let identity = value.rsplit_once('@').is_some_and(|(class, hash)| {
        class.contains('.') && hash.len() <= 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    (class && matches!(next, Some(b'{' | b'('))) || identity
}

/// Whether a value has what words have not: a digit between letters, or capitals inside; or is long.
pub(super) fn looks_random(value: &str) -> bool {
    let has = |test: fn(&u8) -> bool| value.bytes().any(|byte| test(&byte));
    let inner_capital = value.bytes().skip(1).any(|byte| byte.is_ascii_uppercase());
    let mixed = (has(u8::is_ascii_digit) || inner_capital) && has(u8::is_ascii_lowercase);
    let digits_and_capitals = has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase);
    value.len() >= 8 && (mixed || digits_and_capitals || value.len() >= 32 || value.ends_with('='))
}

fn is_any(value: &str, words: &[&str]) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(value))
}
