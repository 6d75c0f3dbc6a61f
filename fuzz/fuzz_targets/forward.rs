//! Any bytes are messages of the forward protocol or are refused, and nothing of them outgrows its limit.
#![no_main]

use logrisk_collect::forward::Message;

const LIMIT: usize = 1 << 20;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    while let Ok(Some((message, end))) = Message::read(rest, LIMIT) {
        rest = &rest[end..];
        let Some(mut message) = message else { continue };
        while let Ok(Some(_)) = message.next_entry() {}
    }
});
