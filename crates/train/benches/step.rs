//! Training speed in lines per second, whole steps: forward, backward, clipping, AdamW.
//!
//! ```sh
//! cargo bench -p logrisk-train --bench step -- [SHAPE…] [--threads N] [--seconds S] [--f32]
//! ```
//! The shapes are `mini` (4 × 256, all parameters, vocabulary 8192) and `minilm4` (4 × 384, embeddings frozen). The same
//! lines train PyTorch in benches/rivals/pytorch_training.py; lengths look like masked log lines, 13.5 tokens on average.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use logrisk_score::weights::{Activation, Shape, Weights, fill_uniform};
use logrisk_train::{
    example::Example,
    fine_tune::{Evaluation, Options, Progress, StepReport, fine_tune},
};

/// Steps that fill caches and buffers before the clock starts.
const WARM_UP: u64 = 5;

struct Clock {
    started: Instant,
    cpu_started: f64,
    lines: usize,
    steps: usize,
    limit: Duration,
}

impl Progress for Clock {
    fn step(&mut self, report: &StepReport) -> ControlFlow<()> {
        if report.step <= WARM_UP {
            self.started = Instant::now();
            self.cpu_started = cpu_seconds();
            return ControlFlow::Continue(());
        }
        self.lines += report.lines;
        self.steps += 1;
        if self.started.elapsed() < self.limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn evaluation(&mut self, _evaluation: &Evaluation, _best: bool) {}
}

/// CPU time of all threads so far, which a busy machine disturbs less than the clock; 0 where it is unknown.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    // utime and stime, in hundredths of a second.
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Lengths as of masked log lines: 4 and more, exponentially fewer of the long ones, at most 64.
fn lines(count: usize, vocabulary: usize) -> Vec<Example> {
    let mut shares = vec![0f32; count];
    fill_uniform(&mut shares, 1.0, 42);
    let mut ids = vec![0f32; 64 * count];
    fill_uniform(&mut ids, 1.0, 43);
    let id =
        |value: f32| (((value + 1.0) * 0.5 * vocabulary as f32) as usize).min(vocabulary - 1).to_string();
    shares
        .iter()
        .zip(ids.chunks_exact(64))
        .enumerate()
        .map(|(index, (share, ids))| {
            let length = (4.0 - 10.0 * (0.5 - 0.5 * share).max(1e-6).ln()).min(64.0) as usize;
            let text: Vec<String> = ids[..length].iter().map(|&value| id(value)).collect();
            let mut target = [0.0; 11];
            target[index % 11] = 1.0;
            Example { text: text.join(" "), target, tag: None, weight: 1.0 }
        })
        .collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    let seconds = value("--seconds").unwrap_or(10);
    let thread_counts = value("--threads").map_or(vec![1, 2], |threads| vec![threads]);
    for (name, hidden, heads, intermediate, freeze_embeddings) in
        [("mini", 256, 4, 1024, false), ("minilm4", 384, 12, 1536, true)]
    {
        let named = |argument: &String| argument == "mini" || argument == "minilm4";
        if arguments.iter().any(named) && !arguments.iter().any(|argument| argument == name) {
            continue;
        }
        let shape = Shape {
            vocabulary: 8192,
            hidden,
            layers: 4,
            heads,
            intermediate,
            positions: 128,
            norm_epsilon: 1e-12,
            activation: Activation::Gelu,
        };
        let mut source = lines(16_384, shape.vocabulary);
        for &threads in &thread_counts {
            let options = Options {
                epochs: 1000,
                batch_lines: 64,
                freeze_embeddings,
                threads: threads as usize,
                bf16: Options::default().bf16 && !arguments.iter().any(|argument| argument == "--f32"),
                ..Options::default()
            };
            let mut weights = Weights::random(shape.clone(), 1);
            let mut clock = Clock {
                started: Instant::now(),
                cpu_started: 0.0,
                lines: 0,
                steps: 0,
                limit: Duration::from_secs(seconds),
            };
            let tokenize =
                |text: &str, ids: &mut Vec<u32>| ids.extend(text.split(' ').flat_map(str::parse::<u32>));
            let result = fine_tune(&mut weights, &mut source, &[], &tokenize, &options, &mut clock);
            let elapsed = clock.started.elapsed().as_secs_f64();
            let cpu = cpu_seconds() - clock.cpu_started;
            if let Err(error) = result {
                println!("{name}: {error}");
                continue;
            }
            println!(
                "{name:8} threads {threads}: {:7.1} lines/s ({:.1} a CPU second), {:6.1} ms a step of {:.1} lines",
                clock.lines as f64 / elapsed,
                clock.lines as f64 / cpu,
                elapsed * 1e3 / clock.steps as f64,
                clock.lines as f64 / clock.steps as f64
            );
        }
    }
}
