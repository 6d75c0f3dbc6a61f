//! Any lines can be joined; the first begins a record, and no record outgrows its limits.
#![no_main]

use logrisk_enrich::join::{Joiner, Limits, Step};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut joiner = Joiner::new(Limits { lines: 8, bytes: 256 });
    let mut lines = 0;
    for (index, line) in text.split('\n').enumerate() {
        // A trailing NUL stands for a torn line.
        let step = joiner.push(line.trim_end_matches('\0'), line.ends_with('\0'));
        assert!(index > 0 || step == Step::Begin);
        lines = match step {
            Step::Begin => 1,
            Step::Continue => lines + 1,
            Step::Append => lines,
        };
        assert!(lines <= 8);
    }
});
