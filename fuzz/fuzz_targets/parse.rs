//! Any line can be unwrapped and taken apart.
#![no_main]

libfuzzer_sys::fuzz_target!(|line: &str| {
    let unwrapped = logrisk_enrich::parse::unwrap(line);
    let _ = logrisk_enrich::parse::parse(&unwrapped.content);
});
