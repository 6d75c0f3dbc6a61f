//! Masking throughput: `cargo bench -p logrisk-enrich --bench mask`.
//!
//! The lines below are authored; `LOGRISK_BENCH_FILE=some.log` measures a real log instead.

#![expect(missing_docs, reason = "criterion_group! makes a public function")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use logrisk_enrich::mask::{mask_seed_into, mask_text};

const LINES: &str = r#"Failed password for invalid user oracle from 203.0.113.7 port 37033 ssh2
10.0.3.17 - - [10/Oct/2024:13:55:36 +0000] "GET /api/v1/orders/8123?expand=items HTTP/1.1" 503 1234 "-" "curl/8.5.0"
Successfully assigned shop/web-7c5ddbdf54-x2v9k to node-03
Back-off restarting failed container app in pod web-7c5ddbdf54-x2v9k_shop(38101a0b-2096-447d-96ea-a692162415ae)
slow fdatasync took=45.1s expected-duration=1s caller=wal/wal.go:805
Reconciliation finished, 0 errors, 12 objects changed in 312ms
java.net.ConnectException: Connection refused (Connection refused) connecting to db.shop.svc.cluster.local:5432
BLOCK* addStoredBlock: blockMap updated: 10.251.111.130:50010 is added to blk_-5511630179413516751 size 67108864
/dev/sda1 is 97% full, 1.2 GiB left, inode use 12%
leader elected at 2024-01-15T10:30:45.123Z, term 42, quorum 3/3
the scheduler found nothing to do and goes back to sleep until the next event arrives
{"level":"error","msg":"request failed","status":502,"duration_ms":1532,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}"#;

fn masks(criterion: &mut Criterion) {
    let file = std::env::var("LOGRISK_BENCH_FILE").ok();
    let text = file.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_else(|| LINES.to_owned());
    let mut group = criterion.benchmark_group("mask");
    group.throughput(Throughput::Bytes(text.len() as u64));
    for (name, mask) in [("default", mask_text as fn(&str, &mut String)), ("seed", mask_seed_into)] {
        group.bench_function(name, |bencher| {
            let mut out = String::new();
            bencher.iter(|| {
                for line in text.lines() {
                    out.clear();
                    mask(line, &mut out);
                    black_box(&out);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, masks);
criterion_main!(benches);
