//! Compares our tokeniser with Hugging Face's `tokenizers` on real text, line by line: the same ids, and how fast.
//!
//! `cargo run --release -p logrisk-score --example tokenizer_parity -- tokenizer.json FILE…`

use std::{env, error::Error, fs, hint::black_box, time::Instant};

use logrisk_score::tokenize::Tokenizer;

/// Enough to find the cause; the count says how many there are.
const SHOWN: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let json = fs::read_to_string(arguments.next().ok_or("usage: tokenizer_parity tokenizer.json FILE…")?)?;
    let ours = Tokenizer::from_json(&json)?;
    let mut reference: tokenizers::Tokenizer = json.parse().map_err(|error| format!("reference: {error}"))?;
    reference.with_padding(None).with_truncation(None).map_err(|error| error.to_string())?;

    let mut texts = Vec::new();
    for path in arguments {
        let bytes = fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
        texts.extend(String::from_utf8_lossy(&bytes).lines().map(str::to_owned));
    }

    let (mut tokens, mut mismatches) = (0, 0);
    let mut ids = Vec::new();
    for text in &texts {
        ids.clear();
        ours.encode_into(text, usize::MAX, &mut ids);
        tokens += ids.len();
        let expected = reference.encode_fast(text.as_str(), true).map_err(|error| error.to_string())?;
        if ids != expected.get_ids() {
            mismatches += 1;
            if mismatches <= SHOWN {
                println!("differs: {text:?}\n  ours {ids:?}\n  reference {:?}", expected.get_ids());
            }
        }
    }

    let start = Instant::now();
    for text in &texts {
        ids.clear();
        ours.encode_into(black_box(text), usize::MAX, &mut ids);
        black_box(&ids);
    }
    let our_time = start.elapsed();
    let start = Instant::now();
    for text in &texts {
        black_box(reference.encode_fast(black_box(text.as_str()), true).map_err(|error| error.to_string())?);
    }
    let reference_time = start.elapsed();

    let lines = texts.len().max(1) as f64;
    let microseconds = |time: std::time::Duration| time.as_secs_f64() * 1e6 / lines;
    println!("lines {}  tokens a line {:.1}  mismatches {mismatches}", texts.len(), tokens as f64 / lines);
    println!(
        "ours {:.2} µs a line  tokenizers {:.2} µs a line  {:.1} times as fast",
        microseconds(our_time),
        microseconds(reference_time),
        reference_time.as_secs_f64() / our_time.as_secs_f64()
    );
    if mismatches == 0 { Ok(()) } else { Err("the encodings differ".into()) }
}
