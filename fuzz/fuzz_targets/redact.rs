//! Any text can be redacted, and redacting twice changes nothing.
#![no_main]

use std::sync::LazyLock;

use logrisk_enrich::redact::{Redactions, Redactor};

static REDACTOR: LazyLock<Redactor> =
    LazyLock::new(|| Redactor::new(Redactions { secrets: true, personal: true }));

libfuzzer_sys::fuzz_target!(|text: &str| {
    let once = REDACTOR.redact(text).into_owned();
    assert_eq!(REDACTOR.redact(&once), once);
});
