//! Lines a second of the encoder, and what share of the core's own peak that is; one JSON object on standard output.
//!
//! ```text
//! cargo bench -p logrisk-score --bench encoder -- [--ids FILE] [--isa ISA] [--precision P] [--lines N] [--seconds S]
//!     [--shape LAYERSxHIDDEN] [--print-ids]
//! ```
//! The shape is BERT-mini's unless told, with random weights. `--ids` names a JSON file `{"name": [[id, …], …]}` of real
//! lines; otherwise lengths are drawn like those of real log lines (mean 50 tokens) and of masked ones (mean 13).
//! Peaks are measured in the same process right before, in registers alone, because machines differ and are shared.
#![expect(clippy::panic, clippy::expect_used, reason = "a benchmark stops at wrong arguments")]

mod peak;

use logrisk_score::{
    encoder::{Encoder, Isa, Precision, Scratch, Tokens},
    weights::{Activation, Shape, Weights, fill_uniform},
};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

fn main() {
    let options = Options::from_arguments();
    if options.print_ids {
        let ids: Map<_, _> =
            options.inputs.iter().map(|(name, tokens)| (name.clone(), json!(lists(tokens)))).collect();
        return println!("{}", Value::Object(ids));
    }
    let isa = options.isa;
    let peaks = peak::measure(isa);
    let mut report = json!({
        "isa": isa.to_string(),
        "shape": format!("{}x{}", options.shape.layers, options.shape.hidden),
        "peak_gigaoperations": peaks.iter().map(|(p, v)| (p.to_string(), json!(v.round()))).collect::<Map<_, _>>(),
    });
    let weights = Weights::random(options.shape.clone(), 1);
    let mut results = Vec::new();
    for (name, tokens) in &options.inputs {
        let operations = operations_a_line(&options.shape, tokens);
        for (precision, peak) in
            peaks.into_iter().filter(|(precision, _)| options.precisions.contains(precision))
        {
            let encoder = Encoder::new(&weights, precision, isa);
            for (batch, threads) in [(1, 1), (32, 1), (32, 2)] {
                let batches = split(tokens, batch);
                let rate = lines_a_second(&encoder, &batches, threads, options.duration);
                results.push(json!({
                    "input": name,
                    "precision": precision.to_string(),
                    "batch": batch,
                    "threads": threads,
                    "lines_per_second": rate.round(),
                    "percent_of_peak": (rate * operations / (peak * 1e7 * threads as f64)).round(),
                }));
            }
        }
    }
    report["results"] = results.into();
    println!("{report:#}");
}

struct Options {
    inputs: Vec<(String, Tokens)>,
    isa: Isa,
    precisions: Vec<Precision>,
    duration: Duration,
    shape: Shape,
    print_ids: bool,
}

impl Options {
    fn from_arguments() -> Self {
        let mut options = Self {
            inputs: vec![("real lines".to_owned(), drawn(50)), ("masked lines".to_owned(), drawn(13))],
            isa: Isa::detect(),
            precisions: Precision::ALL.to_vec(),
            duration: Duration::from_secs(2),
            shape: shape(4, 256),
            print_ids: false,
        };
        let mut lines = usize::MAX;
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().unwrap_or_else(|| panic!("{name} needs a value"));
            match name.as_str() {
                "--ids" => options.inputs = read(&value()),
                "--isa" => options.isa = value().parse().unwrap_or_else(|error| panic!("{error}")),
                "--precision" => {
                    options.precisions = vec![value().parse().unwrap_or_else(|error| panic!("{error}"))];
                }
                "--seconds" => options.duration = Duration::from_secs_f64(value().parse().expect("a number")),
                "--shape" => {
                    let value = value();
                    let (layers, hidden) = value.split_once('x').expect("LAYERSxHIDDEN");
                    options.shape = shape(layers.parse().expect("layers"), hidden.parse().expect("hidden"));
                }
                "--lines" => lines = value().parse().expect("a number"),
                "--print-ids" => options.print_ids = true,
                "--bench" => {} // what cargo adds
                _ => panic!("unknown argument {name}"),
            }
        }
        for (_, tokens) in &mut options.inputs {
            tokens.ends.truncate(lines);
            tokens.ids.truncate(tokens.ends.last().copied().unwrap_or(0));
        }
        options
    }
}

/// BERT-mini is `4x256`, MiniLM-L6 `6x384`; heads are 64 wide, or 32 in MiniLM.
fn shape(layers: usize, hidden: usize) -> Shape {
    let heads = if hidden == 384 { 12 } else { hidden / 64 };
    let (intermediate, norm_epsilon, activation) = (4 * hidden, 1e-12, Activation::Gelu);
    Shape {
        vocabulary: 30_522,
        hidden,
        layers,
        heads,
        intermediate,
        positions: 512,
        norm_epsilon,
        activation,
    }
}

fn read(path: &str) -> Vec<(String, Tokens)> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("could not read {path}: {error}"));
    let inputs: Map<String, Value> = serde_json::from_str(&text).expect("an object of lists of lists of ids");
    let lines = |lines: Value| {
        let lines: Vec<Vec<u32>> = serde_json::from_value(lines).expect("lists of ids");
        tokens(lines.into_iter())
    };
    inputs.into_iter().map(|(name, value)| (name, lines(value))).collect()
}

/// 512 lines whose lengths have the given mean and the long tail of real ones.
fn drawn(mean: usize) -> Tokens {
    let mut uniform = vec![0f32; 512];
    fill_uniform(&mut uniform, 0.5, 1);
    let length =
        |u: &f32| ((mean as f32 * 0.35 * (1.0 - (-(u + 0.5) + 1.0).ln())) as usize + mean / 3).clamp(3, 128);
    tokens(
        uniform.iter().map(|u| (0..length(u)).map(|i| (u.to_bits() >> 7) % 1_000 + 37 * i as u32).collect()),
    )
}

fn tokens(lines: impl Iterator<Item = Vec<u32>>) -> Tokens {
    let mut tokens = Tokens::default();
    for line in lines {
        tokens.ids.extend(line);
        tokens.ends.push(tokens.ids.len());
    }
    tokens
}

fn lists(tokens: &Tokens) -> Vec<Vec<u32>> {
    (0..tokens.ends.len()).map(|line| tokens.ids[tokens.line(line)].to_vec()).collect()
}

fn split(tokens: &Tokens, batch: usize) -> Vec<Tokens> {
    let lines: Vec<Vec<u32>> =
        (0..tokens.ends.len()).map(|line| tokens.ids[tokens.line(line)].to_vec()).collect();
    lines.chunks(batch).map(|lines| self::tokens(lines.iter().cloned())).collect()
}

/// Multiplications and additions that a line needs: all layers, the last one for [CLS] alone past keys and values.
fn operations_a_line(shape: &Shape, tokens: &Tokens) -> f64 {
    let (hidden, inner, layers) = (shape.hidden as f64, shape.intermediate as f64, shape.layers as f64);
    let lengths = (0..tokens.ends.len()).map(|line| tokens.line(line).len() as f64);
    let total: f64 = lengths
        .map(|length| {
            let full =
                length * (4.0 * hidden * hidden + 2.0 * hidden * inner) + 2.0 * length * length * hidden;
            let last = length * 2.0 * hidden * hidden
                + 2.0 * hidden * hidden
                + 2.0 * hidden * inner
                + 2.0 * length * hidden;
            2.0 * ((layers - 1.0) * full + last)
        })
        .sum();
    total / tokens.ends.len() as f64
}

/// From the shortest time that each batch took in any round: what the code does when the machine lets it.
fn lines_a_second(encoder: &Encoder, batches: &[Tokens], threads: usize, duration: Duration) -> f64 {
    let lines: usize = batches.iter().map(|batch| batch.ends.len()).sum();
    let shortest = || {
        let (mut scratch, mut cls) = (Scratch::default(), Vec::new());
        let mut best = vec![Duration::MAX; batches.len()];
        let begin = Instant::now();
        while begin.elapsed() < duration || best[0] == Duration::MAX {
            for (batch, best) in batches.iter().zip(&mut best) {
                cls.clear();
                let start = Instant::now();
                encoder.forward_cls(batch, &mut scratch, &mut cls);
                *best = start.elapsed().min(*best);
                std::hint::black_box(&cls);
            }
        }
        lines as f64 / best.iter().sum::<Duration>().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(shortest)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker panicked")).sum()
    })
}
