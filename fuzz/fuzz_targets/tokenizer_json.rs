//! Any file is a tokeniser or a named error, and a tokeniser reads any text within its limit.
#![no_main]

use logrisk_score::tokenize::Tokenizer;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(tokenizer) = Tokenizer::from_json(text) {
        let mut ids = Vec::new();
        tokenizer.encode_into(text, 16, &mut ids);
        assert!(ids.len() <= 16);
        assert!(ids.iter().all(|id| (*id as usize) < tokenizer.len()));
    }
});
