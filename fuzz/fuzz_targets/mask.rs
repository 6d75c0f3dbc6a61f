//! Any line can be masked, in both styles.
#![no_main]

use logrisk_enrich::{mask, parse};

libfuzzer_sys::fuzz_target!(|line: &str| {
    let mut masked = String::new();
    mask::mask_into(&parse::parse(line), &mut masked);
    mask::mask_seed_into(line, &mut masked);
});
