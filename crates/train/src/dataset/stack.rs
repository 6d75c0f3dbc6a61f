//! Stack traces that follow a message, as five runtimes print them.

use std::fmt::Write as _;

use super::random::Random;

const CLASSES: &[&str] =
    &["OrderService", "PaymentClient", "UserRepository", "Worker", "Dispatcher", "HttpHandler"];
const METHODS: &[&str] = &["handle", "process", "execute", "run", "call", "submit", "load", "invoke", "poll"];
const FILES: &[&str] = &["orders", "client", "worker", "handler", "repository", "main", "session"];

/// Appends a newline and two to five frames.
pub(super) fn frames_into(random: &mut Random, out: &mut String) {
    let runtime = random.below(5);
    let count = random.between(2, 5);
    if runtime == 1 {
        out.push_str("\nTraceback (most recent call last):");
    }
    if runtime == 2 {
        _ = write!(out, "\n\ngoroutine {} [running]:", random.between(1, 900));
    }
    for _ in 0..count {
        let (class, method, file) = (random.pick(CLASSES), random.pick(METHODS), random.pick(FILES));
        let line = random.between(10, 900);
        _ = match runtime {
            0 => write!(out, "\n\tat com.example.shop.{class}.{method}({class}.java:{line})"),
            1 => write!(
                out,
                "\n  File \"/app/{file}.py\", line {line}, in {method}\n    return self.{method}(request)"
            ),
            2 => write!(
                out,
                "\nmain.(*{class}).{method}(...)\n\t/app/{file}.go:{line} +0x{:x}",
                random.between(16, 999)
            ),
            3 => {
                write!(out, "\n    at {class}.{method} (/app/src/{file}.js:{line}:{})", random.between(3, 60))
            }
            _ => write!(out, "\n   at Shop.{class}.{method}(Request request) in /src/{file}.cs:line {line}"),
        };
    }
}
