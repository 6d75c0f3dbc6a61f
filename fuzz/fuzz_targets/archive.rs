//! Any bytes are a model archive or a named error.
#![no_main]

use logrisk_score::archive::Archive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Archive::open_bytes(bytes);
});
