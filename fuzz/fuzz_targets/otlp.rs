//! Any bytes are a request of OpenTelemetry's logs or are refused, in both forms, and none takes more memory than its limit lets it.
#![no_main]

use logrisk_collect::otlp::{Form, records};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for form in [Form::Protobuf, Form::Json] {
        _ = records(bytes, form, 1 << 20);
    }
});
