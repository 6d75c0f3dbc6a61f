//! Plausible values for what a template leaves open.
//!
//! No value may change what the line asks of its reader: a count is never 0 (templates write their zeros out), a
//! percentage and an HTTP status follow the line's risk.

use std::fmt::Write as _;

use super::random::Random;

const NAMES: &[&str] = &[
    "checkout",
    "payments",
    "orders",
    "billing-api",
    "inventory",
    "search",
    "gateway",
    "auth",
    "profile",
    "catalog",
    "shipping",
    "notifier",
    "reports",
    "ledger",
    "pricing",
    "session-store",
    "media",
    "ingest",
    "scheduler-2",
    "worker",
    "edge-proxy",
    "cart",
    "web",
    "api",
    "crm-sync",
    "invoice-mailer",
    "recommender",
    "metrics-agent",
    "backup",
    "etl-nightly",
    "geo",
    "images",
    "frontend",
    "fraud-check",
    "wallet",
    "booking",
    "telemetry",
    "import",
];
const USERS: &[&str] = &[
    "alice",
    "bob",
    "deploy",
    "svc-backup",
    "jenkins",
    "maria",
    "chen",
    "admin",
    "app",
    "www-data",
    "postgres",
    "omar",
];
const DISKS: &[&str] = &["sda", "sdb", "sdc1", "nvme0n1", "nvme1n1p2", "vda", "vdb1", "md0", "dm-3", "xvda1"];
const LINKS: &[&str] =
    &["eth0", "eth1", "ens5", "enp3s0", "bond0", "wlan0", "eno1", "br0", "veth3a1f", "cali7d2"];
const DATABASES: &[&str] =
    &["orders", "shop", "appdb", "users", "analytics", "billing", "inventory_prod", "cms"];
const TABLES: &[&str] =
    &["orders", "users", "events", "public.invoices", "sessions", "line_items", "audit_log", "jobs"];
const TOPICS: &[&str] =
    &["orders.v1", "payments", "clickstream", "user-events", "audit", "inventory.changes", "metrics"];
const NAMESPACES: &[&str] = &[
    "default",
    "kube-system",
    "prod",
    "staging",
    "payments",
    "monitoring",
    "shop",
    "data",
    "ingress",
    "platform",
];
const DOMAINS: &[&str] =
    &["example.com", "internal", "prod.example.net", "svc.cluster.local", "corp.example.org", "lan"];
const FOLDERS: &[&str] =
    &["/var/lib", "/data", "/opt/app", "/srv", "/etc", "/mnt/vol1", "/home/app", "/var/log", "/tmp"];
const FILES: &[&str] =
    &["state.db", "config.yaml", "segment", "index", "main.conf", "part-0001", "cache.bin", "out.json"];
const WORDS: &[&str] = &[
    "primary", "default", "main", "alpha", "blue", "foo", "reader", "v2", "north", "tcp", "json", "group-a",
    "shard", "leader", "sync", "full", "local", "remote", "batch", "stream", "system", "custom", "en_US",
    "x86_64", "gpu",
];
/// What an error value prints: the tail of most `…: %v` messages.
pub(super) const CAUSES: &[&str] = &[
    "connection refused",
    "i/o timeout",
    "no such file or directory",
    "permission denied",
    "EOF",
    "invalid argument",
    "context deadline exceeded",
    "unexpected end of input",
    "not found",
    "broken pipe",
    "resource busy",
    "connection reset by peer",
    "bad request",
    "operation not supported",
    "invalid syntax",
    "unknown host",
];

/// What decides the values that carry risk themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    /// The risk of the line, 0 to 10.
    pub(super) risk: f32,
    /// The line talks of network interfaces, so `{dev}` is one.
    pub(super) network: bool,
}

/// Appends a value of a placeholder's kind; false where the name is none of the closed set.
pub(super) fn value_into(
    kind: &str,
    before: &str,
    context: Context,
    random: &mut Random,
    out: &mut String,
) -> bool {
    match kind {
        "int" if is_status(before) => _ = write!(out, "{}", status(context.risk, random)),
        "int" => match part_of(out) {
            // `3/12` and `3 of 12`: the whole is more than its part.
            Some(part) => _ = write!(out, "{}", part + random.between(1, 30)),
            None => integer(random, out),
        },
        "float" => _ = write!(out, "{}.{}", random.between(1, 99), random.between(1, 999)),
        "pct" => _ = write!(out, "{}", percentage(before, context.risk, random)),
        "code" => _ = write!(out, "{}", status(context.risk, random)),
        "ip" => ip(random, out),
        "port" => out.push_str(
            random.pick(&["80", "443", "5432", "6379", "8080", "9092", "3306", "2379", "10250", "51234"]),
        ),
        "host" | "node" => host(kind == "node", random, out),
        "path" => path(random, out),
        "dev" => out.push_str(random.pick(if context.network { LINKS } else { DISKS })),
        "pid" => _ = write!(out, "{}", random.between(180, 65_000)),
        "uuid" => uuid(random, out),
        "hex" => {
            let digits = [8, 12, 16][random.below(3)];
            hex(digits, random, out);
        }
        "ms" => _ = write!(out, "{}", random.between(12, 4_800)),
        "secs" => _ = write!(out, "{}", random.between(2, 90)),
        "bytes" => _ = write!(out, "{}", random.between(512, 90_000_000)),
        "user" => out.push_str(random.pick(USERS)),
        "name" => out.push_str(random.pick(NAMES)),
        "pod" => {
            out.push_str(random.pick(NAMES));
            out.push('-');
            hex(9, random, out);
            out.push('-');
            hex(5, random, out);
        }
        "ns" => out.push_str(random.pick(NAMESPACES)),
        "url" => {
            out.push_str(random.pick(&["http://", "https://"]));
            host(false, random, out);
            _ = write!(out, "/api/v{}/{}", random.between(1, 3), random.pick(TABLES));
        }
        "db" => out.push_str(random.pick(DATABASES)),
        "table" => out.push_str(random.pick(TABLES)),
        "topic" => out.push_str(random.pick(TOPICS)),
        "date" => date(before, random, out),
        _ => return false,
    }
    true
}

/// Appends a value for a mark (`#`, `<*>`) of which only the words around it tell the kind.
pub(super) fn guess_into(before: &str, after: &str, random: &mut Random, out: &mut String) {
    let lower = before.to_ascii_lowercase();
    let trimmed = lower.trim_end_matches([' ', '\'', '"', '(', '[', '=', ':', '`']);
    let ends = |words: &[&str]| words.iter().any(|word| trimmed.ends_with(word));
    if lower.ends_with("0x") {
        hex(8, random, out);
    } else if after.starts_with('%') {
        _ = write!(out, "{}", random.between(12, 70));
    } else if after.starts_with([':', ',']) && before.is_empty() {
        out.push_str(random.pick(NAMES)); // `#: message`: the function or the component
    } else if lower.ends_with(": ") && after.trim().is_empty() && random.chance(0.6) && names_failure(&lower)
    {
        out.push_str(random.pick(CAUSES));
    } else if ends(&["rc", "ret", "err", "errno", "error", "error code", "retval", "status", "result"]) {
        _ = write!(out, "{}{}", if random.chance(0.6) { "-" } else { "" }, random.between(1, 110));
    } else if ["ms", " ms", "s ", " sec", " bytes", "/#", " byte", "MB", " MB"]
        .iter()
        .any(|unit| after.starts_with(unit))
        || ends(&[
            "after", "took", "within", "len", "length", "size", "count", "number", "line", "offset", "id",
            "#",
        ])
    {
        integer(random, out);
    } else if ends(&["file", "path", "directory", "dir", "open", "read", "write"]) && random.chance(0.7) {
        path(random, out);
    } else if ends(&["ip", "address", "addr", "peer"]) {
        ip(random, out);
    } else if ends(&["host", "server", "node", "endpoint"]) {
        host(random.chance(0.5), random, out);
    } else if ends(&["url", "uri"]) {
        value_into("url", before, Context { risk: 2.0, network: false }, random, out);
    } else {
        match random.weighted(&[0.30, 0.22, 0.18, 0.08, 0.06, 0.06, 0.05, 0.05]) {
            0 => integer(random, out),
            1 => out.push_str(random.pick(NAMES)),
            2 => out.push_str(random.pick(WORDS)),
            3 => path(random, out),
            4 => hex(12, random, out),
            5 => ip(random, out),
            6 => uuid(random, out),
            _ => _ = write!(out, "{}/{}", random.pick(NAMESPACES), random.pick(NAMES)),
        }
    }
}

fn names_failure(lower: &str) -> bool {
    ["fail", "error", "unable", "could not", "couldn't", "cannot", "can't"]
        .iter()
        .any(|word| lower.contains(word))
}

/// Small numbers dominate, as they do in logs; never 0, since zero counts decide risk.
fn integer(random: &mut Random, out: &mut String) {
    let value = match random.below(10) {
        0..6 => random.between(2, 64),
        6..9 => random.between(65, 9_999),
        _ => random.between(10_000, 4_000_000),
    };
    _ = write!(out, "{value}");
}

/// The number before a trailing `/` or ` of `.
fn part_of(out: &str) -> Option<u64> {
    let head = out.strip_suffix('/').or_else(|| out.strip_suffix(" of "))?;
    let digits = head.len() - head.bytes().rev().take_while(u8::is_ascii_digit).count();
    head[digits..].parse().ok().filter(|part| *part < u64::from(u32::MAX))
}

fn is_status(before: &str) -> bool {
    let end = before.trim_end_matches([' ', '=', ':', '"']);
    before.len() > end.len()
        && (end.ends_with("status") || end.ends_with("statuscode") || end.ends_with("HTTP/1.1"))
}

fn status(risk: f32, random: &mut Random) -> &'static str {
    random.pick(match risk {
        ..3.5 => &["200", "200", "201", "204", "304"],
        3.5..5.5 => &["404", "400", "403", "429"],
        _ => &["500", "502", "503", "504"],
    })
}

/// How full follows the risk, and the other way round where the line tells what is left.
fn percentage(before: &str, risk: f32, random: &mut Random) -> u64 {
    let lower = before.to_ascii_lowercase();
    let left =
        ["free", "avail", "battery", "remaining", "recovery", "idle"].iter().any(|word| lower.contains(word));
    let used = match risk {
        ..3.5 => random.between(8, 60),
        3.5..5.5 => random.between(81, 88),
        _ => random.between(95, 99),
    };
    if left { 100 - used } else { used }
}

fn ip(random: &mut Random, out: &mut String) {
    let first = ["10", "10", "172", "192", "203", "198", "100"][random.below(7)];
    _ = write!(
        out,
        "{first}.{}.{}.{}",
        random.between(0, 250),
        random.between(0, 250),
        random.between(1, 250)
    );
}

fn host(node: bool, random: &mut Random, out: &mut String) {
    if node {
        match random.below(3) {
            0 => _ = write!(out, "node-{}", random.between(1, 40)),
            1 => _ = write!(out, "ip-10-0-{}-{}", random.between(0, 250), random.between(1, 250)),
            _ => _ = write!(out, "worker{}", random.between(1, 40)),
        }
    } else {
        _ = write!(out, "{}-{}.{}", random.pick(NAMES), random.between(1, 9), random.pick(DOMAINS));
    }
}

fn path(random: &mut Random, out: &mut String) {
    _ = write!(out, "{}/{}/{}", random.pick(FOLDERS), random.pick(NAMES), random.pick(FILES));
}

fn uuid(random: &mut Random, out: &mut String) {
    for (index, digits) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if index > 0 {
            out.push('-');
        }
        hex(digits, random, out);
    }
}

/// Hexadecimal digits with at least one letter among the first eight, so that they do not read as a number.
pub(super) fn hex(digits: usize, random: &mut Random, out: &mut String) {
    let mut bits = random.bits();
    for index in 0..digits {
        if index % 15 == 14 {
            bits = random.bits();
        }
        let digit = if index == 2 { 10 + (bits % 6) as u32 } else { (bits & 15) as u32 };
        out.push(char::from_digit(digit, 16).unwrap_or('0'));
        bits >>= 4;
    }
}

fn date(before: &str, random: &mut Random, out: &mut String) {
    let (month, day) = (random.between(1, 12), random.between(1, 28));
    let (hour, minute, second) = (random.between(0, 23), random.between(0, 59), random.between(0, 59));
    if before.ends_with('[') && random.chance(0.6) {
        let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
            [random.below(12)];
        _ = write!(out, "{day:02}/{name}/2025:{hour:02}:{minute:02}:{second:02} +0000");
    } else {
        _ = write!(out, "2025-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if random.chance(0.5) {
            _ = write!(out, ".{:03}", random.between(0, 999));
        }
        out.push('Z');
    }
}
