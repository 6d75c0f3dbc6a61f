//! Lines a second that one core parses, by format: `cargo bench -p logrisk-enrich --bench parse`.
//!
//! Arguments are files whose lines are parsed instead of the built-in ones.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use logrisk_enrich::parse::{parse, unwrap};

/// The best of many short runs counts: on a shared machine some of them go undisturbed.
const RUNS: usize = 150;
const RUN: Duration = Duration::from_millis(4);

const LINES: [(&str, &str); 12] = [
    (
        "log4j",
        "2024-01-15 10:30:45,123 ERROR [http-nio-8080-exec-7] com.example.shop.OrderService: Could not place order 81723: connection to inventory timed out after 3000 ms",
    ),
    (
        "spring",
        "2024-01-15T10:30:45.123Z  INFO 1 --- [shop] [           main] c.e.s.ShopApplication                    : Started ShopApplication in 4.217 seconds (process running for 4.9)",
    ),
    ("python", "2024-01-15 10:30:45,123 - shop.payments - WARNING - retrying charge 8812 (attempt 2 of 5)"),
    ("postgres", "2024-01-15 10:30:45.123 UTC [4711] shop@orders ERROR:  deadlock detected"),
    (
        "syslog",
        "Jan 15 10:30:45 node-3 kubelet[1234]: Failed to start container runtime: connection refused by the socket",
    ),
    (
        "rfc 5424",
        "<165>1 2024-01-15T10:30:45.003Z node-3 shop 4711 ID47 [example@32473 queue=\"orders\" eventID=\"1011\"] queue is full",
    ),
    (
        "klog",
        "E0115 10:30:45.123456    1234 reflector.go:138] \"Failed to watch\" err=\"connection refused\" type=\"*v1.Pod\" reflector=\"informers/factory.go:134\"",
    ),
    (
        "json",
        "{\"level\":\"error\",\"ts\":\"2024-01-15T10:30:45.123Z\",\"logger\":\"shop.orders\",\"caller\":\"orders/place.go:88\",\"msg\":\"could not place order\",\"order\":81723,\"error\":\"inventory timed out\",\"attempt\":3}",
    ),
    (
        "json, nested",
        "{\"@timestamp\":\"2024-01-15T10:30:45.123Z\",\"log\":{\"level\":\"error\",\"logger\":\"shop.orders\"},\"message\":\"could not place \\\"order\\\"\",\"error\":{\"type\":\"Timeout\",\"message\":\"inventory timed out\"},\"host\":{\"name\":\"node-3\"}}",
    ),
    (
        "logfmt",
        "time=\"2024-01-15T10:30:45Z\" level=error msg=\"could not pull image\" image=registry.example.com/shop:1.2 error=\"manifest unknown\"",
    ),
    (
        "access",
        "10.0.0.1 - - [15/Jan/2024:10:30:45 +0000] \"GET /api/orders/81723?full=1 HTTP/1.1\" 503 612 \"https://shop.example.com/\" \"Mozilla/5.0 (X11; Linux x86_64)\"",
    ),
    ("plain", "connection to inventory timed out after 3000 ms, giving up on order 81723"),
];

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if files.is_empty() {
        for (name, line) in LINES {
            report(name, &[line.to_owned()]);
        }
    }
    for file in files {
        match std::fs::read(&file) {
            Ok(bytes) => {
                let lines: Vec<String> = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
                report(&file, &lines);
            }
            Err(error) => eprintln!("cannot read {file}: {error}"),
        }
    }
}

fn report(name: &str, lines: &[String]) {
    let bytes: usize = lines.iter().map(String::len).sum();
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut rounds = 0_u32;
        while start.elapsed() < RUN {
            for _ in 0..(500 / lines.len().max(1)).max(1) {
                for line in lines {
                    black_box(parse(&unwrap(black_box(line)).content));
                }
                rounds += 1;
            }
        }
        best = best.min(start.elapsed().as_secs_f64() / f64::from(rounds));
    }
    let (million_lines, mebibytes) =
        (lines.len() as f64 / best / 1e6, bytes as f64 / best / f64::from(1 << 20));
    println!("{name:<14} {million_lines:>6.2} M lines/s {mebibytes:>7.0} MiB/s");
}
